"""Known answers of the evaluation: what is perfect, what predicts nothing, linear systems, spectra, sensitivity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from operators.fields_data import SPACE, data, settings, waves
from potentia.errors import ConfigError, DataError
from potentia.operators import (
    FNOConfig,
    NeuralOperator,
    OperatorData,
    Samples,
    baselines_of,
    evaluate,
    parameter_sensitivity,
)
from potentia.operators.baselines import LinearSteps, MeanFields
from potentia.operators.evaluation import alive, valid_steps
from potentia.operators.make import make_data
from potentia.operators.normaliser import Normaliser
from potentia.operators.systems import SYSTEMS


class Waves:
    """The truth of `waves`: each wave moves and fades."""

    def __init__(self, late=0.0):
        self.late = late

    def predict(self, initial, parameters, steps):
        now, found = np.fft.rfft(initial.astype(float)), [initial]
        k = np.arange(now.shape[-1])
        for _ in range(steps):
            sign = np.where(k > 0, 1, 0)
            now = now * np.exp(-0.5 * (1j * parameters[:, :1, None] * sign + parameters[:, 1:, None]) - self.late)
            found.append(np.fft.irfft(now, initial.shape[-1]))
        return np.stack(found, 1).astype(np.float32)


def test_what_is_perfect_has_no_error_and_is_always_valid():
    some = data()
    scores = evaluate({"truth": Waves()}, some).scores.loc[("truth", "all")]
    assert scores[["mse", "nmse", "rel_l2", "nrmse", "vrmse", "one_step_vrmse", "error_low"]].max() < 1e-5
    assert scores["energy_low"] == pytest.approx(1)
    assert scores["valid_time"] == pytest.approx(6 * 0.5)


def test_known_scores_of_baselines():
    some = data(n_train=40)
    found = evaluate(baselines_of(some), some).scores.xs("all", level="group")
    assert list(found.index) == ["zero", "mean", "persistence", "linear", "linear in parameters"]
    assert found.loc["zero", ["rel_l2", "nrmse", "vrmse"]].tolist() == pytest.approx([1, 1, 1], abs=1e-3)
    assert found.loc["mean", "nmse"] == pytest.approx(1, abs=0.1)
    assert found.loc["zero", "valid_time"] == 0
    assert (found.loc["zero", ["energy_low", "energy_high"]].fillna(0) == 0).all()


def test_the_mean_is_that_of_each_step_and_channel_and_the_last_one_lasts():
    train = waves(5)
    mean = MeanFields.fit(train).predict(train.initial, train.parameters, 8)
    assert mean.shape == (5, 9, 1, 16)
    np.testing.assert_allclose(mean[0, 4, 0], train.fields[:, 4].mean(), atol=1e-6)
    assert np.array_equal(mean[:, 8], mean[:, 6])


def test_linear_steps_are_exact_where_the_truth_is_one_linear_system():
    values = np.full((8, 2), (1.0, 0.1))
    draw = np.random.default_rng(1)
    amplitudes = draw.normal(size=(10, 1, 9)) + 1j * draw.normal(size=(10, 1, 9))
    amplitudes[..., [0, -1]] = 0  # neither the mean nor the shortest wave, which cannot be moved
    fields = np.fft.irfft(amplitudes, 16).astype(np.float32)
    linear = LinearSteps.fit(Samples(Waves().predict(fields[:8], values, 5), values, np.arange(8)))
    new = fields[8:]
    found, expected = linear.predict(new, values[:2], 5), Waves().predict(new, values[:2], 5)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_an_error_that_grows_is_told_by_step_and_channel():
    some = data()
    found = evaluate({"late": Waves(late=0.1)}, some, steps=4)
    relative = found.by_step.loc[("late", "all"), "rel_l2"]
    np.testing.assert_allclose(relative, 1 - np.exp(-0.1 * np.arange(1, 5)), rtol=1e-3)
    assert found.by_step.loc[("late", "all", 4), "time"] == 2.0
    assert found.by_channel.index.get_level_values("channel").tolist() == ["u"]
    assert found.scores.loc[("late", "all"), "energy_low"] < 1
    assert "late" in str(found)


def test_valid_steps_end_at_the_first_one_that_is_not():
    truth = np.tile(np.sin(np.arange(8) * np.pi / 4), (2, 4, 1, 1)).astype(np.float32)
    predicted = truth.copy()
    predicted[1, 1] *= 0.4
    normaliser = Normaliser(torch.zeros(1).double(), torch.ones(1).double(), 1)
    assert valid_steps(predicted, truth, normaliser).tolist() == [4, 1]
    assert valid_steps(0 * predicted + 0.04, 0 * truth, normaliser).tolist() == [4, 4]  # flat, and nearly right


def test_groups_are_told_apart_and_gray_scott_by_what_lives():
    some = data()
    which = np.array([True, False, False, True])
    found = evaluate({"late": Waves(late=0.1)}, some, groups={"a": which, "b": ~which}).scores["mse"]
    n = some.test.take(which).fields[:, 1:].size, some.test.take(~which).fields[:, 1:].size
    both = (found["late", "a"] * n[0] + found["late", "b"] * n[1]) / sum(n)
    assert found["late", "all"] == pytest.approx(both)
    with pytest.raises(DataError, match="group 'none' must be 4 truth values, not all of them False"):
        evaluate({"late": Waves()}, some, groups={"none": np.zeros(4, dtype=bool)})
    dying = np.ones((2, 3, 2, 4, 4))
    dying[0, -1, 1, 0, 0] = 0.0
    patterns = Samples(dying, np.zeros((2, 0)), np.arange(2))
    assert alive(patterns).tolist() == [True, False]


def test_sensitivity_is_one_for_the_system_itself_and_zero_without_parameters():
    system = SYSTEMS["burgers"]
    some = make_data(system, n_train=4, n_val=2, n_test=8, grid=(32,), steps=4)

    class Itself:
        def predict(self, initial, parameters, steps):
            every = round(some.time_step / system.time_step)
            return system.trajectories(torch.from_numpy(initial), parameters, steps, every=every).numpy()

    assert parameter_sensitivity(Itself(), some, system, initial=2).ratio == pytest.approx(1)
    linear = baselines_of(some)["linear"]
    assert parameter_sensitivity(linear, some, system, initial=2).ratio == pytest.approx(0, abs=1e-9)
    scores = evaluate({"itself": Itself()}, some, system=system).scores
    assert scores.loc[("itself", "all"), "sensitivity"] == pytest.approx(1)


def test_what_cannot_be_evaluated():
    some = data()
    with pytest.raises(DataError, match="waves has no part 'extrapolation': there are train, val, test"):
        evaluate({}, some, part="extrapolation")
    with pytest.raises(ConfigError, match="part must be one of"):
        evaluate({}, some, part="tets")

    with pytest.raises(ConfigError, match="there is nothing to evaluate"):
        evaluate({}, some)

    class Short:
        def predict(self, initial, parameters, steps):
            return initial[:, None]

    with pytest.raises(DataError, match=r"predictor 'short' gives fields \(4, 1, 1, 16\) instead of \(4, 7, 1, 16\)"):
        evaluate({"short": Short()}, some)


@pytest.mark.slow
def test_an_operator_beats_all_baselines_and_the_one_without_parameters_on_held_out_parameters():
    parts = {
        "train": waves(96, seed=1),
        "val": waves(16, seed=2, first_group=200),
        "test": waves(32, seed=3, first_group=300),
    }
    some = OperatorData(**parts, space=SPACE, channels=("u",), time_step=0.5, name="waves")
    config = settings(epochs=60, batch_size=16, bptt_window=6, lr=1e-2)
    operators = {}
    for name, sees in (("operator", True), ("no parameters", False)):
        operators[name] = NeuralOperator(FNOConfig(width=12, modes=4, layers=2, use_parameters=sees))
        operators[name].train(some, config)
    found = evaluate({**operators, **baselines_of(some)}, some).scores["rel_l2"].xs("all", level="group")
    assert found["operator"] < 0.5 * found.drop("operator").min()
    assert found["operator"] < 0.2
