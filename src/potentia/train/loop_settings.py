"""What goes along with the training of any family, from its flat settings: checkpoints, stopping rules, progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from potentia.checks import integer, number
from potentia.train.callbacks import Callback
from potentia.train.checkpoint_names import BY_EPOCH, Naming
from potentia.train.progress import BatchBar, EpochBar
from potentia.train.rotation import Checkpoints
from potentia.train.stopping import EarlyStopping, StopOnSignal, TimeBudget, seconds_of

__all__ = ["LoopSettings", "check_loop_settings", "loop_callbacks"]


class LoopSettings(Protocol):
    """The settings of a family that its loop goes by; what they mean is said there."""

    @property
    def early_stopping(self) -> int | None:
        """Epochs without improvement that end it."""

    @property
    def early_stopping_min_delta(self) -> float:
        """What is no improvement yet."""

    @property
    def max_time(self) -> float | str | None:
        """Time until it pauses."""

    @property
    def stop_on_signal(self) -> bool:
        """Whether it pauses at SIGTERM."""

    @property
    def checkpoint_dir(self) -> str | None:
        """Where checkpoints go."""

    @property
    def checkpoint_interval(self) -> int:
        """Epochs between them."""

    @property
    def checkpoint_batches(self) -> int:
        """Batches between them inside an epoch."""

    @property
    def max_checkpoints(self) -> int | None:
        """How many are kept."""

    @property
    def save_best(self) -> bool:
        """Whether the best model is kept."""

    @property
    def show_progress(self) -> bool:
        """Whether a bar over epochs is shown."""

    @property
    def show_batch_progress(self) -> bool:
        """Whether a bar over batches is shown."""


def check_loop_settings(settings: LoopSettings) -> None:
    """Raise `ConfigError` where one of them cannot be."""
    integer("checkpoint_interval", settings.checkpoint_interval, low=0)
    integer("checkpoint_batches", settings.checkpoint_batches, low=0)
    if settings.max_checkpoints is not None:
        integer("max_checkpoints", settings.max_checkpoints, low=1)
    if settings.early_stopping is not None:
        integer("early_stopping", settings.early_stopping, low=1)
    number("early_stopping_min_delta", settings.early_stopping_min_delta, low=0)
    if settings.max_time is not None:
        seconds_of(settings.max_time, "max_time")


def loop_callbacks(
    settings: LoopSettings,
    epochs: int,
    fingerprint: Mapping[str, Any],
    extra: Mapping[str, Any],
    shown: Mapping[str, str],
    *,
    with_test: bool = True,
    naming: Naming = BY_EPOCH,
) -> list[Callback]:
    """Return the callbacks that the settings ask for.

    Args:
        settings: Settings.
        epochs: Epochs in all.
        fingerprint: What the checkpoints belong to.
        extra: What they hold besides.
        shown: Label → column of the history, behind the progress bar.
        with_test: Whether there is a validation part, and so a best model.
        naming: What checkpoints are called.
    """
    callbacks: list[Callback] = []
    if settings.early_stopping is not None:
        callbacks.append(EarlyStopping(settings.early_stopping, settings.early_stopping_min_delta))
    if settings.max_time is not None:
        callbacks.append(TimeBudget(settings.max_time))
    if settings.checkpoint_dir is not None:
        if settings.stop_on_signal:
            callbacks.append(StopOnSignal("SIGTERM"))
        saving = Checkpoints(
            settings.checkpoint_dir,
            fingerprint,
            extra,
            every_epochs=settings.checkpoint_interval,
            every_batches=settings.checkpoint_batches,
            keep=settings.max_checkpoints,
            save_best=settings.save_best and with_test,
            naming=naming,
        )
        callbacks.append(saving)
    if settings.show_progress:
        callbacks.append(EpochBar(epochs, shown))
    if settings.show_batch_progress:
        callbacks.append(BatchBar())
    return callbacks
