"""When a run is over or has to pause: it is no longer better, its time is up, or a signal asks for it."""

from __future__ import annotations

import math
import re
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch

from potentia.checks import choice, integer, number
from potentia.errors import ConfigError, warn_user
from potentia.train import distributed
from potentia.train.callbacks import Callback
from potentia.train.run import Run

__all__ = ["EarlyStopping", "StopOnSignal", "TimeBudget", "deadline_of", "seconds_of"]

_REFERENCE = "early_stopping"
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
_SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP")


class EarlyStopping(Callback):
    """Stops the run for good when its monitored value no longer gets better.

    Epochs without a value are not counted.

    Args:
        patience: Stop after so many epochs without improvement.
        min_delta: An improvement is more than this (the unit of the monitored value).
    """

    def __init__(self, patience: int = 10, min_delta: float = 0.0) -> None:
        self.patience = integer("patience", patience, low=1)
        self.min_delta = number("min_delta", min_delta, low=0)

    def on_epoch(self, run: Run) -> None:
        """Count the epochs since the last improvement."""
        if math.isnan(run.monitored):
            return
        best, waited = run.memory[_REFERENCE].tolist() if _REFERENCE in run.memory else (math.inf, 0)
        best, waited = (run.monitored, 0) if run.monitored < best - self.min_delta else (best, waited + 1)
        run.memory[_REFERENCE] = torch.tensor([best, waited], dtype=torch.float64)
        if waited >= self.patience:
            run.stopped = f"no better than {best:.6g} for {self.patience} epochs"


class TimeBudget(Callback):
    """Interrupts the run after the first batch that ends beyond a time; `Checkpoints` saves it, and it can go on.

    What counts is the time that this object has spent in `fit`, so each process of a queue has a whole budget. Leave
    some minutes of a job's limit for what comes before and after.

    Args:
        budget: Seconds, or text such as ``"2h"``, ``"90m"``, ``"1h30m"``.
    """

    def __init__(self, budget: float | str) -> None:
        self.seconds = seconds_of(budget)
        self._used = 0.0  # in earlier calls of fit
        self._begun: float | None = None

    def on_begin(self, run: Run) -> None:
        """Start the clock."""
        self._begun = time.monotonic()

    def on_batch(self, run: Run) -> None:
        """Look at the clock."""
        if self._used + self._since() >= self.seconds:
            run.interrupted = f"the time of {self.seconds:g} s is up"

    def on_end(self, run: Run) -> None:
        """Stop the clock."""
        self._used += self._since()
        self._begun = None

    def _since(self) -> float:
        return 0.0 if self._begun is None else time.monotonic() - self._begun


class StopOnSignal(Callback):
    """Interrupts the run after the present batch when a signal comes; `Checkpoints` saves it, and it can go on.

    Queues send SIGTERM before they end a job, Slurm also SIGUSR1 or another on request (``--signal``); SIGINT is
    Ctrl-C. Of several processes it is enough that one gets it. The handlers are those of before as soon as one signal
    has come, so a second one acts at once, and on leaving. Python handles signals in its main thread only: a training
    in another thread warns and goes on without.

    Args:
        *names: Signals to listen to, SIGTERM if none is named.
    """

    def __init__(self, *names: str) -> None:
        known = [name for name in _SIGNALS if name in signal.Signals.__members__]  # Windows has fewer
        self.signals = [signal.Signals[choice("signal", name, known)] for name in names or ("SIGTERM",)]
        self._heard = ""
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}

    def on_begin(self, run: Run) -> None:
        """Listen."""
        self._heard = ""
        if threading.current_thread() is not threading.main_thread():
            text = "StopOnSignal hears nothing: this training is not in the main thread"
            warn_user(text)
            return

        def interrupt(number: int, frame: FrameType | None) -> None:
            self._heard = f"{signal.Signals(number).name} received"
            if not distributed.active():  # else where all processes can agree on it
                run.interrupted = self._heard
            self.on_end(run)

        for one in self.signals:
            self._before[one] = signal.signal(one, interrupt)

    def on_batch(self, run: Run) -> None:
        """Say what was heard."""
        run.interrupted = self._heard or run.interrupted

    def on_epoch(self, run: Run) -> None:
        """Say what was heard."""
        self.on_batch(run)

    def on_end(self, run: Run) -> None:
        """Listen no more."""
        while self._before:
            one, handler = self._before.popitem()
            signal.signal(one, signal.SIG_DFL if handler is None else handler)


def seconds_of(duration: float | str, name: str = "duration") -> float:
    """Return seconds of a number, or of hours, minutes and seconds in this order; ``name`` is for the message.

    >>> seconds_of("1h30m"), seconds_of("90m"), seconds_of(20)
    (5400.0, 5400.0, 20.0)
    """
    wanted = f"{name}: a duration must be greater than 0, in seconds or like '2h', '90m', '1h30m', got {duration!r}"
    if isinstance(duration, str):
        match = _DURATION.fullmatch(duration.replace(" ", ""))
        hours, minutes, seconds = (float(part or 0) for part in (match.groups() if match else (0, 0, 0)))
        seconds += 3600 * hours + 60 * minutes
    else:
        seconds = number(name, duration, low=0)
    if seconds == 0:
        raise ConfigError(wanted)
    return seconds


def deadline_of(max_time: float | str | None, begun: float) -> float | None:
    """Return when the time is up that has begun at ``begun`` (s, by the same clock); None for no limit.

    >>> deadline_of("1m", 20.0), deadline_of(None, 20.0)
    (80.0, None)
    """
    return None if max_time is None else begun + seconds_of(max_time)
