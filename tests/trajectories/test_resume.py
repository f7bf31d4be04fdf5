"""Laws of resuming a surrogate's training: from any checkpoint it goes on to the bit as if nothing had happened."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from potentia.errors import ConfigError
from potentia.train import LBFGS, Adam, ExponentialAverage, Plateau, fit, newest_checkpoint
from potentia.trajectories import (
    SURROGATES,
    FullyConnectedConfig,
    LatentNeuralODEConfig,
    LatentPolyConfig,
    MultiONetConfig,
    TrajectoryTrainingConfig,
)
from trajectories import decays

DATA = decays.data(12, 4)
NETWORKS = {
    "FullyConnected": FullyConnectedConfig(hidden_size=8, num_hidden_layers=2, activation="silu"),
    "MultiONet": MultiONetConfig(hidden_size=8, output_factor=3, activation="silu"),
    "LatentNeuralODE": LatentNeuralODEConfig(latent_features=2, coder_width=8, ode_width=8, ode_layers=1),
    "LatentPoly": LatentPolyConfig(latent_features=2, coder_width=8, activation="silu"),
}
SIZES = {"FullyConnected": 44, "MultiONet": 44, "LatentNeuralODE": 4, "LatentPoly": 4}
TIMES = {"epoch_time", "forward_time", "backward_time"}
NAMED = [
    {"optimizer": optimizer, "scheduler": scheduler, "learning_rate": 0.01}
    for optimizer, scheduler in itertools.product(
        ("adamw", "sgd"), ("cosine", "poly", "schedulefree", "constant", Plateau(0))
    )
]
OWN = [
    {"optimizer": LBFGS(batchsize=44), "scheduler": "constant"},
    {"optimizer": Adam(0.01, 44), "scheduler": "cosine", "average": ExponentialAverage(0.9)},
]


def train(name="FullyConnected", resume_from=None, allow_changes=(), data=DATA, **changed):
    """Train, and return all that two equal trainings have in common."""
    surrogate = SURROGATES[name](NETWORKS[name])
    own = {} if "optimizer" in changed and not isinstance(changed["optimizer"], str) else {"batch_size": SIZES[name]}
    config = TrajectoryTrainingConfig(**({"epochs": 4, "seed": 1, **own} | changed))
    out = surrogate.train(data, config, resume_from, allow_changes=allow_changes)
    weights = {key: tensor.numpy().tobytes() for key, tensor in surrogate.network_.state_dict().items()}
    history = [{key: repr(value) for key, value in row.items() if key not in TIMES} for row in out.history]
    return weights, history, out.kept_epoch


def goes_on_from_anywhere(name, tmp_path, **changed):
    whole = train(name, checkpoint_dir=str(tmp_path), checkpoint_batches=2, max_checkpoints=None, **changed)
    paths = sorted(tmp_path.glob("checkpoint_*.pt"))
    assert any("batch" in path.name for path in paths)
    for path in paths[:: max(len(paths) // 4, 1)]:
        assert train(name, path, **changed) == whole, path.name


@pytest.mark.parametrize("name", SURROGATES)
def test_every_surrogate_resumes_as_if_unbroken(name, tmp_path):
    goes_on_from_anywhere(name, tmp_path, warmup_epochs=1.5, optimizer="soap", later_starts=0.5)


@pytest.mark.parametrize("changed", [*NAMED, *OWN], ids=lambda c: f"{c['optimizer']}-{c['scheduler']}"[:40])
def test_every_optimizer_and_schedule_resumes_as_if_unbroken(changed, tmp_path):
    goes_on_from_anywhere("FullyConnected", tmp_path, **changed)


def test_a_seed_that_was_drawn_is_the_checkpoint_s(tmp_path):
    whole = train(checkpoint_dir=str(tmp_path), checkpoint_interval=1, max_checkpoints=None, seed=None)
    assert train(resume_from=tmp_path / "checkpoint_epoch_0002.pt", seed=None) == whole


def test_the_best_weights_of_before_are_known_after(tmp_path):
    """The best epoch lies before the checkpoint, so only its file can tell the weights."""
    changed = {"learning_rate": 2.0, "scheduler": "constant", "epochs": 8}
    whole = train(checkpoint_dir=str(tmp_path), checkpoint_interval=1, max_checkpoints=None, **changed)
    assert whole[2] < 8
    assert train(resume_from=tmp_path / f"checkpoint_epoch_{whole[2] + 1:04d}.pt", **changed) == whole


def test_time_that_is_up_is_a_pause(tmp_path):
    surrogate = SURROGATES["FullyConnected"](NETWORKS["FullyConnected"])
    config = TrajectoryTrainingConfig(epochs=3, batch_size=44, seed=1, max_time=1e-9, checkpoint_dir=str(tmp_path))
    out = surrogate.train(DATA, config)
    assert out.resumable
    assert "time" in out.ended
    assert train(resume_from=newest_checkpoint(tmp_path), epochs=3) == train(epochs=3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"learning_rate": 1e-4}, "config.learning_rate: 0.0003 → 0.0001"),
        ({"epochs": 9}, "config.epochs: 4 → 9"),
        ({"seed": 2}, "seed: 1 → 2"),
        ({"data": decays.data(12, 4, seed=2)}, "data: "),
    ],
)
def test_another_training_is_refused_and_what_changed_is_said(changed, message, tmp_path):
    train(checkpoint_dir=str(tmp_path), epochs=4)
    with pytest.raises(ConfigError, match=message):
        train(resume_from=newest_checkpoint(tmp_path), **changed)


def test_what_is_allowed_may_change(tmp_path):
    train(checkpoint_dir=str(tmp_path))
    _, history, _ = train(resume_from=newest_checkpoint(tmp_path), epochs=6, allow_changes=["epochs"])
    assert len(history) == 6


@pytest.mark.slow
def test_killed_it_goes_on_as_if_unbroken(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    script = Path(__file__).with_name("killed_trainings.py")
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment) as process:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("checkpoint_epoch_0002*"))) == 0 and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    epochs = int(newest.name.split("_")[2].split(".")[0]) + 3
    settings = {"scheduler": "schedulefree", "epochs": 1000}
    assert first_epochs(newest, epochs, **settings) == first_epochs(None, epochs, **settings)


def first_epochs(resume_from, n, **changed):
    """Train as far as the end of epoch ``n`` of many, and return the weights that are trained then."""
    surrogate = SURROGATES["MultiONet"](NETWORKS["MultiONet"])
    config = TrajectoryTrainingConfig(**{"batch_size": 44, "seed": 1, **changed})
    ready = surrogate._training(config).prepare(DATA, resume_from, ())
    fit(ready.run, ready.task, ready.batches, n)
    state = ready.run.state()
    return {key: tensor.numpy().tobytes() for key, tensor in {**state["model"], **state["trained_on"]}.items()}
