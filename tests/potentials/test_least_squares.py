"""Potentials trained by the methods that think in residuals: the Kalman filter and Levenberg–Marquardt."""

from __future__ import annotations

import functools

import pytest

from crossings import crossed
from potentia import Adam
from potentia.train import Kalman, LevenbergMarquardt
from potentials import small_data
from potentials.small_data import GRADIENTS

EPOCHS = 8
METHODS = {
    "kalman": Kalman(batchsize=4),
    "lm": LevenbergMarquardt(),
    "lm in batches": LevenbergMarquardt(batchsize=4, damping=1.0),
}
LOSSES = {"energies": {}, "forces and stress": GRADIENTS, "huber": {"loss": "huber", **GRADIENTS}}


def train(epochs, folder=None, resume_from=None, **settings):
    potential = small_data.fresh()
    options = {"save_best": False, "checkpoint_batches": 1, "testpercent": 0} | settings
    config = small_data.config(iterations=epochs, checkpoint_dir=folder, **options)
    return potential, potential.train(small_data.frames(), config, resume_from)


@functools.cache
def reached(method, loss, epochs=EPOCHS):
    """The loss over all structures at the last weights, in RMSE."""
    methods = METHODS | {"adam": Adam(mu=0.01, batchsize=4)}
    _, out = train(epochs, method=methods[method], **LOSSES[loss])
    last, settings = out.history[-1], LOSSES[loss]
    alpha = settings.get("force_weight", 0.0)
    return (1 - alpha) * last["RMSE_train"] + (alpha * last["RMSE_force_train"] if alpha else 0.0)


@pytest.mark.parametrize(("method", "loss"), crossed([*METHODS], [*LOSSES]))
def test_it_learns_more_in_an_epoch_than_adam(method, loss):
    assert reached(method, loss) < 0.7 * reached("adam", loss)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_number_of_rows_changes_the_path_and_not_that_it_learns(groups):
    _, out = train(EPOCHS, method=METHODS["kalman"], force_rows=groups, **GRADIENTS)
    _, four = train(EPOCHS, method=METHODS["kalman"], **GRADIENTS)
    assert out.history[-1]["RMSE_force_train"] != four.history[-1]["RMSE_force_train"]
    assert out.history[-1]["RMSE_force_train"] < 0.7 * out.history[0]["RMSE_force_train"]


@pytest.mark.parametrize(("method", "loss"), crossed([*METHODS], ["energies", "forces and stress"]))
def test_resumed_in_the_middle_of_any_epoch_it_is_the_same(method, loss, tmp_path):
    settings = {"method": METHODS[method], **LOSSES[loss]}
    whole = result(*train(2, tmp_path, **settings))
    paths = sorted(tmp_path.glob("checkpoint_*.pt"))
    assert len(paths) == (4 if method == "lm" else 8)
    for path in paths:
        done = int(path.name[17:21])
        assert result(*train(2 - done, resume_from=path, **settings)) == whole


@pytest.mark.parametrize("method", ["kalman", "lm"])
def test_networks_in_single_precision_learn_too(method):
    _, out = train(EPOCHS, method=METHODS[method], precision="float32", **GRADIENTS)
    assert out.history[-1]["RMSE_train"] < 0.7 * out.history[0]["RMSE_train"]


def test_forces_of_a_part_of_the_structures_in_some_batches_only():
    """With the weight of the energies zero, batches without forces have nothing to learn from."""
    settings = {"force_weight": 1.0, "force_fraction": 0.2, "force_resample_num_epochs": 1}
    for method in METHODS.values():
        _, out = train(3, method=method, **settings)
        assert sum(row["skipped"] for row in out.history) == 0


def result(potential, out):
    """Everything that two equal trainings have in common: all but the times."""
    kept = [{name: value for name, value in row.items() if name not in small_data.TIMES} for row in out.history]
    return small_data.weights(potential), repr(kept)
