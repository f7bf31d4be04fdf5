"""The record of one training: all that it is at a moment, and so all that a checkpoint has to hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from potentia.errors import ConfigError
from potentia.metrics import ErrorSum
from potentia.train.averages import Average
from potentia.train.history import columns_of, rows_of
from potentia.train.optimizers import TrainingMethod
from potentia.train.schedules import Schedule
from potentia.train.steppers import Stepper

__all__ = ["Best", "Run"]


class Best(NamedTuple):
    """The best monitored value so far, and after how many epochs it came."""

    value: float = math.inf
    """Less is better; infinite where no epoch has had a value yet."""
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
    average: Average | None = None
    """Rule for an average of the weights, which is scored instead of the last ones; None for none."""
    spared: Sequence[nn.Parameter] = ()
    """Parameters of the model that weight decay leaves alone."""
    epoch: int = 0
    """Completed epochs."""
    batch: int = 0
    """Completed batches of the present epoch."""
    batches: int = 0
    """All batches of the present epoch; known while it runs."""
    sums: dict[str, ErrorSum] = field(default_factory=dict)
    """Errors of the present epoch so far, by name."""
    learning_rate: float = math.nan
    """Learning rate of the last batch, NaN where there was none."""
    history: list[dict[str, float]] = field(default_factory=list, repr=False)
    """One row for each completed epoch, all with the same columns; NaN where there is no value."""
    monitored: float = math.nan
    """Monitored value of the last completed epoch, NaN where it had none."""
    best: Best = field(default_factory=Best)
    """The best monitored value so far."""
    skipped: int = 0
    """Batches of the present epoch that were left out because they were not finite."""
    bad_in_a_row: int = 0
    """How many of the last batches were left out one after the other."""
    stopped: str = ""
    """Why the run is over before its last epoch (converged, no longer better); saved, so it holds after a resume too.
    A callback may set it in `Callback.on_batch` and `Callback.on_epoch`; empty means: go on."""
    interrupted: str = ""
    """Why the run pauses here (time is up, a signal); not saved, and forgotten when it is trained further."""
    times: dict[str, float] = field(default_factory=_no_times)
    """Time spent in the present epoch so far (s)."""
    memory: dict[str, Tensor] = field(default_factory=dict, repr=False)
    """Tensors that a callback, a sampler or a task carries along; saved with the run."""
    scores: tuple[Tensor, Tensor] | None = field(default=None, repr=False)
    """Samples of the last batch and their errors, where the task tells; not saved."""
    schedule_state: dict[str, float] = field(default_factory=dict)
    """Numbers of the schedule."""
    average_weights: dict[str, Tensor] = field(default_factory=dict, repr=False)
    """Averaged parameters by name, of ``average`` or of the stepper; empty as long as there are none."""
    average_count: int = 0
    """Weights that have been taken into the average."""
    stepper: Stepper = field(init=False)
    """The live optimizer."""

    def __post_init__(self) -> None:
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        if not parameters:
            raise ConfigError("there is nothing to train: the model has no parameter that requires a gradient")
        if self.average is not None and self.method.averages:
            raise ConfigError(f"{type(self.method).__name__} averages the weights itself: train it without an average")
        method = self.method
        self.stepper = method.sparing(parameters, self.spared) if self.spared else method.stepper(parameters)
        if self.schedule is not None:
            if math.isnan(self.stepper.learning_rate):
                raise ConfigError(
                    f"{type(self.method).__name__} has no learning rate that {type(self.schedule).__name__} could "
                    "change: train it without a schedule"
                )
            self.schedule_state = self.schedule.start()

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return next(self.model.parameters()).device

    @property
    def halted(self) -> bool:
        """Whether it is to go on no further, for good or for now."""
        return bool(self.stopped or self.interrupted)

    def set_rates(self) -> None:
        """Give the stepper the learning rates of the batch that is taken now."""
        schedule = self.schedule
        if schedule is not None:
            epochs = self.epoch + self.batch / self.batches
            self.stepper.set_rates(lambda first: schedule.rate(first, self.schedule_state, epochs))
        self.learning_rate = self.stepper.learning_rate

    @torch.no_grad()
    def follow_weights(self) -> None:
        """Take the present weights into the average, or take over that of the stepper."""
        self._follow_stepper()
        if self.average is None or self.epoch < self.average.start_epoch:
            return
        self.average_count += 1
        part = self.average.part(self.average_count)
        for name, weights in self._weights().items():
            if name in self.average_weights:
                self.average_weights[name].lerp_(weights, part)
            else:
                self.average_weights[name] = weights.clone()

    @torch.no_grad()
    def take_average(self) -> None:
        """Give the model the averaged weights for good, if there are any: the end of a training."""
        weights = self._weights()
        for name, averaged in self.average_weights.items():
            weights[name].copy_(averaged)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the model the averaged weights, if there are any, and take them away again on leaving."""
        if not self.average_weights:
            yield
            return
        own = {name: weights.clone() for name, weights in self._weights().items() if name in self.average_weights}
        self.take_average()
        try:
            yield
        finally:
            weights = self._weights()
            with torch.no_grad():
                for name, before in own.items():
                    weights[name].copy_(before)

    def close_epoch(self, row: dict[str, float], value: float) -> None:
        """Count one more epoch with its row of the history and its monitored value, and begin the next."""
        self.epoch += 1
        self.history.append(row)
        self.monitored = value
        if value < self.best.value:
            self.best = Best(value, self.epoch)
        if self.schedule is not None:
            self.schedule_state = self.schedule.after_epoch(self.schedule_state, value)
        self.batch = self.skipped = 0
        self.sums, self.times = {}, _no_times()

    def state(self) -> dict[str, Any]:
        """Return all that changes in training as nested plain values and tensors; tensors are not copied.

        ``"model"`` is the model as it is scored: with the averaged weights, if there are any. Then those that are
        trained on are ``"trained_on"``.
        """
        own = {name: weights for name, weights in self._weights().items() if name in self.average_weights}
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "batch": self.batch,
            "sums": {name: (one.absolute, one.squared, one.count) for name, one in self.sums.items()},
            "learning_rate": self.learning_rate,
            "history": columns_of(self.history),
            "monitored": self.monitored,
            "best": tuple(self.best),
            "skipped": self.skipped,
            "bad_in_a_row": self.bad_in_a_row,
            "stopped": self.stopped,
            "times": self.times,
            "memory": self.memory,
            "schedule": {"class": type(self.schedule).__name__, "state": self.schedule_state},
            "method": {"class": type(self.method).__name__, "state": self.stepper.state()},
            "average": {"class": type(self.average).__name__, "count": self.average_count},
            "model": {**self.model.state_dict(), **self.average_weights},
            "trained_on": own,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the run that `state` was taken of; settings stay those of this run.

        Where another method, schedule or average is set than was saved, the new one begins with nothing learned.
        """
        self.model.load_state_dict({**state["model"], **state["trained_on"]})
        self.seed, self.epoch, self.batch = state["seed"], state["epoch"], state["batch"]
        self.sums = {name: ErrorSum(*one) for name, one in state["sums"].items()}
        self.learning_rate, self.history = state["learning_rate"], rows_of(state["history"])
        self.monitored, self.best = state["monitored"], Best(*state["best"])
        self.skipped, self.bad_in_a_row = state["skipped"], state["bad_in_a_row"]
        self.stopped, self.times, self.memory = state["stopped"], dict(state["times"]), dict(state["memory"])
        if state["method"]["class"] == type(self.method).__name__:
            self.stepper.load_state(state["method"]["state"])
        if self.schedule is not None and state["schedule"]["class"] == type(self.schedule).__name__:
            self.schedule_state = dict(state["schedule"]["state"])
        self.average_weights, self.average_count = {}, 0
        if self.average is not None and state["average"]["class"] == type(self.average).__name__:
            saved = {name: state["model"][name] for name in state["trained_on"]}
            self.average_weights = {name: tensor.to(self.device, copy=True) for name, tensor in saved.items()}
            self.average_count = state["average"]["count"]
        self._follow_stepper()

    def _follow_stepper(self) -> None:
        averaged = self.stepper.averaged()
        if averaged is not None:
            known = dict(zip((p for p in self.model.parameters() if p.requires_grad), averaged, strict=True))
            named = self.model.named_parameters(remove_duplicate=False)
            self.average_weights = {name: known[p] for name, p in named if p.requires_grad}

    def _weights(self) -> dict[str, Tensor]:
        """Return the parameters that are trained, by each of their names."""
        named = self.model.named_parameters(remove_duplicate=False)
        return {name: p.detach() for name, p in named if p.requires_grad}
