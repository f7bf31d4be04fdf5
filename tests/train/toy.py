"""A regression small enough to be trained in a blink; run as a script it trains slowly, to be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from potentia.data import Split, holdout, shuffled
from potentia.metrics import ErrorSum
from potentia.seeding import stream, torch_seeded
from potentia.train import Adam, BatchLoss, Callback, Checkpoints, Plateau, Rows, Run, fit

SETTINGS = {"seed": 5, "testpercent": 20, "method": {"batchsize": 4}, "data": "toy"}
EPOCHS = 6
TIMES = {"epoch_time", "forward_time", "backward_time"}


class Regression:
    """y = sin of a sum, 30 samples; batches are arrays of indices."""

    def __init__(self, seed: int = 5, percent: float = 20) -> None:
        x = stream(1, "x").normal(size=(30, 3))
        self.x = torch.tensor(x)
        self.y = torch.tensor(np.sin(x.sum(axis=1, keepdims=True)))
        self.split: Split = holdout(30, percent, seed)

    def loss(self, model: nn.Module, batch: np.ndarray) -> BatchLoss:
        residual = self._residual(model, self.split.train[batch])
        return BatchLoss(
            residual.square().mean(), {"y": ErrorSum.of(residual)}, rows=lambda: [rows_of(model, residual)]
        )

    def score(self, model: nn.Module) -> dict[str, ErrorSum] | None:
        assert not torch.is_grad_enabled()
        assert not model.training
        return {"y": ErrorSum.of(self._residual(model, self.split.test))} if len(self.split.test) else None

    def row(self, train: dict[str, ErrorSum], valid: dict[str, ErrorSum] | None) -> dict[str, float]:
        return {"RMSE_train": train["y"].rmse, "RMSE_test": valid["y"].rmse if valid else float("nan")}

    def monitor(self, row: dict[str, float]) -> float:
        return row["RMSE_test"]

    def _residual(self, model: nn.Module, samples: np.ndarray) -> Tensor:
        index = torch.from_numpy(samples)
        return model(self.x[index]) - self.y[index]


def rows_of(model: nn.Module, residual: Tensor) -> Rows:
    """Return the rows of a mean square, all parameters in one block."""
    scaled = residual.flatten() * (2 / residual.numel()) ** 0.5
    parameters = list(model.parameters())
    derivatives = [torch.autograd.grad(row, parameters, retain_graph=True) for row in scaled]
    return Rows(scaled.detach(), [torch.stack([torch.cat([d.flatten() for d in row]) for row in derivatives])])


class Slow(Callback):
    def on_batch(self, run: Run) -> None:
        time.sleep(0.004)


class StopAfter(Callback):
    """Stand-in for an interruption at a known place."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.place = (epoch, batch)

    def on_batch(self, run: Run) -> None:
        if (run.epoch, run.batch) == self.place:
            raise KeyboardInterrupt


def new_run(method=None, schedule=None, seed=5, dropout=0.1) -> Run:
    """Return a run with fresh weights, equal ones for equal seeds; the model has dropout, so draws matter."""
    with torch_seeded(torch.device("cpu"), seed, "weights"):
        model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1)).double()
    return Run(model, method or Adam(mu=0.02, batchsize=4), schedule, seed)


def train(run: Run, epochs: int = EPOCHS, callbacks=(), task=None) -> Run:
    task = task or Regression()
    samples = len(task.split.train)
    fit(run, task, shuffled(samples, run.method.samples_per_batch(samples), run.seed), epochs, callbacks)
    return run


def numbers(run: Run) -> dict:
    """Return all that two equal runs have in common: everything but the times."""
    state = run.state()
    state.pop("times")
    state.pop("memory")
    state["history"] = {name: column for name, column in state["history"].items() if name not in TIMES}
    return state


def assert_same(one: object, other: object, name: str = "") -> None:
    """Compare nested states bit for bit."""
    assert type(one) is type(other), name
    if isinstance(one, dict):
        assert list(one) == list(other), name
        for key in one:
            assert_same(one[key], other[key], f"{name}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), name
        for i, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{name}/{i}")
    elif isinstance(one, Tensor):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        assert one.contiguous().numpy().tobytes() == other.contiguous().numpy().tobytes(), name
    else:
        assert repr(one) == repr(other), name  # NaN is NaN


def slow_schedule() -> Plateau:
    return Plateau(patience=0, factor=0.7)


if __name__ == "__main__":
    torch.set_num_threads(1)
    saving = Checkpoints(Path(sys.argv[1]), SETTINGS, every_batches=1, keep=4)
    train(new_run(schedule=slow_schedule()), callbacks=[saving, Slow()])
