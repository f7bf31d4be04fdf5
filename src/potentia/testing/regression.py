"""A regression small enough to be trained in a blink, by which methods of training are looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from potentia.data import Split, holdout, shuffled
from potentia.metrics import ErrorSum
from potentia.seeding import stream, torch_seeded
from potentia.train import Adam, BatchLoss, Callback, Rows, Run, TrainingMethod, fit
from potentia.train.averages import Average
from potentia.train.schedules import Schedule

__all__ = ["EPOCHS", "TIMES", "Regression", "batches", "new_run", "numbers", "rows_of", "train"]

EPOCHS = 6
"""Of a training, where no other number is given."""
TIMES = {"epoch_time", "forward_time", "backward_time"}
"""Columns of the history that differ between equal runs."""


class Regression:
    """y = sin of a sum of three numbers, 30 samples; batches are arrays of indices."""

    def __init__(self, seed: int = 5, percent: float = 20) -> None:
        x = stream(1, "x").normal(size=(30, 3))
        self.x = torch.tensor(x)
        self.y = torch.tensor(np.sin(x.sum(axis=1, keepdims=True)))
        self.split: Split = holdout(30, percent, seed)

    def loss(self, model: nn.Module, batch: NDArray[np.int64]) -> BatchLoss:
        """Return the mean square of a batch, with its rows."""
        residual = self._residual(model, self.split.train[batch])
        return BatchLoss(
            residual.square().mean(), {"y": ErrorSum.of(residual)}, rows=lambda: [rows_of(model, residual)]
        )

    def score(self, model: nn.Module) -> dict[str, ErrorSum] | None:
        """Return the errors on what is held out."""
        assert not torch.is_grad_enabled()
        assert not model.training
        return {"y": ErrorSum.of(self._residual(model, self.split.test))} if len(self.split.test) else None

    def row(self, train: Mapping[str, ErrorSum], valid: Mapping[str, ErrorSum] | None) -> dict[str, float]:
        """Return both errors."""
        return {"RMSE_train": train["y"].rmse, "RMSE_test": valid["y"].rmse if valid else float("nan")}

    def monitor(self, row: Mapping[str, float]) -> float:
        """Return the error on what is held out."""
        return row["RMSE_test"]

    def _residual(self, model: nn.Module, samples: NDArray[np.int64]) -> Tensor:
        index = torch.from_numpy(samples)
        residual: Tensor = model(self.x[index]) - self.y[index]
        return residual


def rows_of(model: nn.Module, residual: Tensor) -> Rows:
    """Return the rows of a mean square, all parameters in one block."""
    scaled = residual.flatten() * (2 / residual.numel()) ** 0.5
    parameters = list(model.parameters())
    derivatives = [torch.autograd.grad(row, parameters, retain_graph=True) for row in scaled]
    return Rows(scaled.detach(), [torch.stack([torch.cat([d.flatten() for d in row]) for row in derivatives])])


def new_run(
    method: TrainingMethod | None = None,
    schedule: Schedule | None = None,
    seed: int = 5,
    dropout: float = 0.1,
    average: Average | None = None,
) -> Run:
    """Return a run with fresh weights, equal ones for equal seeds; the model has dropout, so draws matter."""
    with torch_seeded(torch.device("cpu"), seed, "weights"):
        model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1)).double()
    return Run(model, method or Adam(mu=0.02, batchsize=4), schedule, seed, average)


def train(run: Run, epochs: int = EPOCHS, callbacks: Sequence[Callback] = (), task: Regression | None = None) -> Run:
    """Train up to an epoch, from wherever the run stands."""
    task = task or Regression()
    fit(run, task, batches(run, task), epochs, callbacks)
    return run


def batches(run: Run, task: Regression) -> Callable[[int], list[NDArray[np.int64]]]:
    """Return the batches of each epoch, as the method wants them."""
    n = len(task.split.train)
    return shuffled(n, run.method.samples_per_batch(n), run.seed)


def numbers(run: Run) -> dict[str, Any]:
    """Return all that two equal runs have in common: everything but the times."""
    state = run.state()
    state.pop("times")
    state.pop("memory")
    state["history"] = {name: column for name, column in state["history"].items() if name not in TIMES}
    return state
