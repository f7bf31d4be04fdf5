"""The record of one training: all that it is at a moment, and so all that a checkpoint has to hold."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from potentia.errors import ConfigError
from potentia.metrics import ErrorSum
from potentia.train.optimizers import TrainingMethod
from potentia.train.schedules import Schedule
from potentia.train.steppers import Stepper

__all__ = ["Best", "Run"]


class Best(NamedTuple):
    """The best monitored value so far, and after how many epochs it came."""

    value: float = math.inf
    epoch: int = 0
    """0 where no epoch has had a value yet."""


def _no_times() -> dict[str, float]:
    return {"epoch_time": 0.0, "forward_time": 0.0, "step_time": 0.0}


@dataclass(eq=False)
class Run:
    """One training. Draw batches from ``run.seed`` and ``run.epoch`` only, and a resumed run equals an unbroken one."""

    model: nn.Module
    """The model, on its device; it is changed in place."""
    method: TrainingMethod
    """Settings of the optimizer."""
    schedule: Schedule | None = None
    """Rule for the learning rate; None leaves it as it is."""
    seed: int = 0
    """Root of all random streams. A run keeps it for life: `load_state` brings the old one back."""
    epoch: int = 0
    """Completed epochs."""
    batch: int = 0
    """Completed batches of the present epoch."""
    batches: int = 0
    """All batches of the present epoch; known while it runs."""
    sums: dict[str, ErrorSum] = field(default_factory=dict)
    """Errors of the present epoch so far, by name."""
    history: list[dict[str, float]] = field(default_factory=list, repr=False)
    """One row for each completed epoch, all with the same columns; NaN where there is no value."""
    best: Best = field(default_factory=Best)
    """The best monitored value so far."""
    skipped: int = 0
    """Batches of the present epoch that were left out because they were not finite."""
    bad_in_a_row: int = 0
    """How many of the last batches were left out one after the other."""
    stopped: str = ""
    """Why the run stops before its last epoch; set it in a callback, empty means: go on."""
    times: dict[str, float] = field(default_factory=_no_times)
    """Time spent in the present epoch so far (s)."""
    memory: dict[str, Tensor] = field(default_factory=dict, repr=False)
    """Tensors that a callback, a sampler or a task carries along; saved with the run."""
    schedule_state: dict[str, float] = field(default_factory=dict)
    """Numbers of the schedule."""
    stepper: Stepper = field(init=False)
    """The live optimizer."""

    def __post_init__(self) -> None:
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        if not parameters:
            raise ConfigError("there is nothing to train: the model has no parameter that requires a gradient")
        self.stepper = self.method.stepper(parameters)
        if self.schedule is not None:
            self.schedule_state = self.schedule.start()

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return next(self.model.parameters()).device

    def close_epoch(self, row: dict[str, float], value: float) -> None:
        """Count one more epoch with its row of the history and its monitored value, and begin the next."""
        self.epoch += 1
        self.history.append(row)
        if value < self.best.value:
            self.best = Best(value, self.epoch)
        if self.schedule is not None:
            self.schedule_state = self.schedule.after_epoch(self.schedule_state, value)
            self._set_rates(self.schedule)
        self.batch = self.skipped = 0
        self.sums, self.times = {}, _no_times()

    def state(self) -> dict[str, Any]:
        """Return all that changes in training as nested plain values and tensors; tensors are not copied."""
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "batch": self.batch,
            "sums": {name: (one.absolute, one.squared, one.count) for name, one in self.sums.items()},
            "history": _columns(self.history),
            "best": tuple(self.best),
            "skipped": self.skipped,
            "bad_in_a_row": self.bad_in_a_row,
            "stopped": self.stopped,
            "times": self.times,
            "memory": self.memory,
            "schedule": {"class": type(self.schedule).__name__, "state": self.schedule_state},
            "method": {"class": type(self.method).__name__, "state": self.stepper.state()},
            "model": dict(self.model.state_dict()),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the run that `state` was taken of; settings stay those of this run.

        Where another method or schedule is set than was saved, the new one begins with nothing learned.
        """
        self.model.load_state_dict(state["model"])
        self.seed, self.epoch, self.batch = state["seed"], state["epoch"], state["batch"]
        self.sums = {name: ErrorSum(*one) for name, one in state["sums"].items()}
        self.history = _rows(state["history"])
        self.best = Best(*state["best"])
        self.skipped, self.bad_in_a_row = state["skipped"], state["bad_in_a_row"]
        self.stopped, self.times, self.memory = state["stopped"], dict(state["times"]), dict(state["memory"])
        if state["method"]["class"] == type(self.method).__name__:
            self.stepper.load_state(state["method"]["state"])
        if self.schedule is not None:
            if state["schedule"]["class"] == type(self.schedule).__name__:
                self.schedule_state = dict(state["schedule"]["state"])
            self._set_rates(self.schedule)

    def _set_rates(self, schedule: Schedule) -> None:
        self.stepper.set_rates(lambda first: schedule.rate(first, self.schedule_state))


def _columns(history: list[dict[str, float]]) -> dict[str, Tensor]:
    """Turn rows into columns of float64, eight bytes a number: a long history must not outweigh the model."""
    names = {name: None for row in history for name in row}
    return {name: torch.tensor([row.get(name, math.nan) for row in history], dtype=torch.float64) for name in names}


def _rows(columns: dict[str, Tensor]) -> list[dict[str, float]]:
    values = [column.tolist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
