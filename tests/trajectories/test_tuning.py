"""Laws of searches: errors of the settings are errors, each trial counts once, and what is found can be used."""

from __future__ import annotations

import optuna
import pytest

from potentia.errors import ConfigError, TrainingError
from potentia.study import read_yaml
from potentia.trajectories import Study
from potentia.trajectories.tuning import Tuning
from potentia.trajectories.tuning.space import check_space, draw
from trajectories.study_data import root_with, settings

SPACE = {
    "hidden_size": {"type": "int", "low": 4, "high": 8, "step": 4},
    "learning_rate": {"type": "float", "low": 1e-3, "high": 1e-2, "log": True},
}


def wanted(space=SPACE, trials=3, **more):
    surrogate = {"name": "FullyConnected", "batch_size": 64, "epochs": 4, "optuna_params": space}
    surrogate["settings"] = {"num_hidden_layers": 1}
    return {"tuning_id": "t", "surrogates": [surrogate], "trials": trials, "dataset": {"name": "decay"}, **more}


def values(tuning):
    return list(tuning.trials("FullyConnected")["value"])


def test_a_setting_is_drawn_only_where_it_matters():
    space = {
        "poly_power": {"type": "float", "low": 0.5, "high": 2.0},
        "eta_min": {"type": "float", "low": 0.01, "high": 0.5, "log": True},
        "scheduler": {"choices": ["poly", "cosine", "schedulefree"]},
        "momentum": {"type": "float", "low": 0.0, "high": 0.9},
    }
    seen = set()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(20):
        drawn = draw(study.ask(), check_space("space", space))
        assert ("poly_power" in drawn) == (drawn["scheduler"] == "poly")
        assert ("eta_min" in drawn) == (drawn["scheduler"] == "cosine")
        assert "momentum" in drawn  # its switch is not in the space
        seen.add(drawn["scheduler"])
    assert seen == {"poly", "cosine", "schedulefree"}
    assert check_space("s", {"coeff_network": {"choices": ["True", "False"]}})["coeff_network"]["choices"] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"a": {"type": "float", "low": 1}}, r"s\.a\.high must be a number"),
        ({"a": {"type": "flaot", "low": 1, "high": 2}}, "did you mean 'float'"),
        ({"a": {"type": "float", "low": 1, "high": 2, "step": 1}}, "no 'step' in s.a"),
        ({"a": {"type": "float", "low": 0, "high": 2, "log": True}}, "only where low is above 0"),
        ({"a": {"type": "int", "low": 3, "high": 2}}, "low=3 is above high=2"),
        ({"a": {"choices": []}}, "must list values"),
    ],
)
def test_a_space_that_cannot_be_is_refused(space, message):
    with pytest.raises(ConfigError, match=message):
        check_space("s", space)


def test_unknown_names_are_refused_at_load(tmp_path):
    root = root_with(tmp_path)
    with pytest.raises(ConfigError, match="no setting 'hiden_size' to search; did you mean 'hidden_size'"):
        Tuning.from_config(wanted({"hiden_size": SPACE["hidden_size"]}), root=root)
    with pytest.raises(ConfigError, match="did you mean 'prune'"):
        Tuning.from_config(wanted(prun=True), root=root)


@pytest.mark.slow
def test_a_search_goes_on_and_the_same_seed_finds_the_same(tmp_path):
    root = root_with(tmp_path)
    first = Tuning.from_config(wanted(trials=2), root=root)
    first.run()
    more = Tuning.from_config(wanted(trials=4), root=root)
    best = more.run()["FullyConnected"]
    assert values(more)[:2] == values(first)[:2]
    assert len(values(more)) == 4
    assert more.run()["FullyConnected"] == best
    assert len(values(more)) == 4  # nothing is left to do
    again = Tuning.from_config(wanted(trials=2, tuning_id="u"), root=root)
    again.run()
    assert values(again)[:2] == values(first)[:2]
    with pytest.raises(ConfigError, match="seed: 42 → 1"):
        Tuning.from_config(wanted(seed=1), root=root).run()


def test_what_is_found_becomes_the_default_of_the_data_when_asked(tmp_path):
    root = root_with(tmp_path)
    tuning = Tuning.from_config(wanted(trials=1, prune=False), root=root)
    with pytest.raises(ConfigError, match="search first"):
        tuning.promote()
    found = tuning.run()
    assert read_yaml(tuning.directory / "best.yaml") == found
    plan = settings(surrogate_configs=found)
    assert Study.from_config(plan, root=root).config.surrogates[0].network.num_hidden_layers == 1
    tuning.promote()
    (by_default,) = Study.from_config(settings(surrogate_configs={}), root=root).config.surrogates
    assert by_default.network.hidden_size == found["FullyConnected"]["hidden_size"]


def test_a_mistake_in_the_settings_is_an_error_and_no_bad_trial(tmp_path):
    tuning = Tuning.from_config(
        wanted({"momentum": {"type": "float", "low": 0.1, "high": 0.9}}), root=root_with(tmp_path)
    )
    with pytest.raises(TrainingError, match="momentum belongs to optimizer='sgd'"):
        tuning.run()
    assert set(tuning.trials("FullyConnected")["state"]) == {"FAIL"}


def test_two_objectives_are_error_and_time(tmp_path):
    tuning = Tuning.from_config(wanted(trials=2, multi_objective=True, population_size=2), root=root_with(tmp_path))
    tuning.run()
    table = tuning.trials("FullyConnected")
    assert (table["values_0"] > 0).all()
    assert (table["values_1"] > 0).all()
