"""Laws of the settings of a run: one list of names everywhere, and what cannot be is refused by name."""

from __future__ import annotations

import pytest

from potentia.dynamics.run_config import RunConfig
from potentia.errors import ConfigError


def test_settings_come_back_from_plain_values():
    config = RunConfig(
        dataset=("a", "b"), model_hidden=(8, 4), fix={"m": 3.74}, prior={"mu": (1.0, 0.1)}, substeps=2, dt="log",
        curriculum="8:500,full",
    )  # fmt: skip
    assert RunConfig.from_mapping(config.plain()) == config


def test_names_may_be_those_of_the_command_line():
    config = RunConfig.from_mapping({"batch-size": 64, "lr": 0.1, "model-hidden": [3]})
    assert (config.batch_size, config.model_hidden) == (64, (3,))
    training = config.training(None)
    assert (training.batch_size, training.learning_rate, training.weight_decay) == (64, 0.1, 1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batchsize": 3}, "has no setting 'batchsize'; did you mean 'batch_size'"),
        ({"summary_chunk_size": 0}, r"^--summary-chunk-size must be positive\.$"),
        ({"dt": 0.05, "dt_hundredths": 5}, "give dt .* or dt_hundredths, not both"),
        ({"dt": 0.0}, "dt must be greater than 0"),
        ({"curriculum": "8-500"}, "curriculum must be STEPS:BATCHES,...,full"),
        ({"curriculum": "full,8:500"}, "curriculum must be STEPS:BATCHES,...,full"),
        ({"curriculum": "0:500"}, "curriculum: steps must be an integer of at least 1"),
        ({"curriculum_batches": 5}, "belong together"),
        ({"feature_mode": "feature"}, "did you mean 'features'"),
        ({"substeps": "many"}, "substeps must be an integer"),
        ({"lr": 0.0}, "^lr must be greater than 0, got 0.0"),
        ({"model_hidden": [8, 0]}, "^model_hidden must be an integer of at least 1"),
        ({"fix": {"m": float("nan")}}, "fix: m must be a finite number, got nan"),
        ({"max_gap": 0.5}, "max_gap must be a finite number of at least 1"),
        ({"substeps": 0}, "substeps must be an integer of at least 1"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"gauge": "free it"}, "gauge must be one of 'fix', 'free'"),
        ({"prior": {"mu": [1.0, 0.0]}}, "standard deviation of mu must be greater than 0"),
        ({"horizon": 0}, "horizon must be an integer of at least 1"),
        ({"analysis_scenarios": 0}, "analysis_scenarios must be an integer of at least 1"),
        ({"dataset": "logs"}, "dataset must be a list"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig.from_mapping(settings)


def test_hundredths_of_a_second_are_a_step():
    assert RunConfig(dt_hundredths=5).windows().step == RunConfig(dt=0.05).windows().step == 0.05


def test_a_curriculum_is_stages_of_steps_and_batches():
    assert RunConfig(curriculum="8:500, 16:1000").stages == RunConfig(curriculum="8:500,16:1000,full").stages
    assert RunConfig().stages == ()
    assert RunConfig(curriculum="8:500,full").training(None).steps_at(500, 20) == 20
