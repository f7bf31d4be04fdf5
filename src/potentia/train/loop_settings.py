"""Settings that the trainings of all families share, and what goes along with a training because of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from potentia.checks import integer, number
from potentia.config import plain
from potentia.train.callbacks import Callback
from potentia.train.checkpoint_names import BY_EPOCH, Naming
from potentia.train.device import require_device_name
from potentia.train.progress import BatchBar, EpochBar
from potentia.train.rotation import Checkpoints
from potentia.train.stopping import EarlyStopping, StopOnSignal, TimeBudget, seconds_of

__all__ = ["FREE", "LoopSettings", "TrainingSettings", "loop_callbacks"]


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """What goes along with a training: checkpoints, stopping rules, progress. The settings of a family derive from it.

    The monitored loss is the one that the best weights are chosen by; a family says which it is.

    Raises:
        ConfigError: a value cannot be; the message names the field.
    """

    save_best: bool = True
    """Return the weights of the epoch with the lowest monitored loss instead of the last ones; with ``checkpoint_dir``,
    they are kept there as ``best_model.pt`` too."""
    checkpoint_dir: str | None = None
    """Directory of checkpoints; None for no files."""
    checkpoint_interval: int = 10
    """Epochs between checkpoints, of which the last one is followed by one in any case; 0 for none."""
    checkpoint_batches: int = 0
    """Batches between checkpoints inside an epoch; 0 for none."""
    max_checkpoints: int | None = 2
    """Keep the newest so many; None keeps all."""
    early_stopping: int | None = None
    """End when the monitored loss has not fallen for so many epochs; None never does."""
    early_stopping_min_delta: float = 0.0
    """Less than this is no fall (unit of the monitored loss)."""
    max_time: float | str | None = None
    """Pause after this time (s, or ``"2h"``, ``"1h30m"``) with a checkpoint to resume from."""
    stop_on_signal: bool = True
    """Pause with a checkpoint when SIGTERM comes, as queues send it before they end a job."""
    show_progress: bool = False
    """Show a progress bar over epochs."""
    show_batch_progress: bool = False
    """Show a progress bar over the batches of each epoch."""

    def __post_init__(self) -> None:
        integer("checkpoint_interval", self.checkpoint_interval, low=0)
        integer("checkpoint_batches", self.checkpoint_batches, low=0)
        if self.max_checkpoints is not None:
            integer("max_checkpoints", self.max_checkpoints, low=1)
        if self.early_stopping is not None:
            integer("early_stopping", self.early_stopping, low=1)
        number("early_stopping_min_delta", self.early_stopping_min_delta, low=0)
        if self.max_time is not None:
            seconds_of(self.max_time, "max_time")


FREE = frozenset({
    "seed", "device", "save_best", "checkpoint_dir", "checkpoint_interval", "checkpoint_batches", "max_checkpoints",
    "max_time", "stop_on_signal", "show_progress", "show_batch_progress",
})  # fmt: skip
"""Settings that do not change what is learned: a run may be resumed with others."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(LoopSettings):
    """Base of the flat settings of a family: how long, from which seed, where, and what goes along."""

    free: ClassVar[frozenset[str]] = FREE
    """Fields that a resumed run may have others of."""

    epochs: int
    """Epochs in all, with those before a checkpoint that is resumed."""
    seed: int | None = None
    """Seed of initial weights and order of the batches; None draws one, which `TrainOut.seed` tells."""
    device: str = "cpu"
    """torch device of the training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        integer("epochs", self.epochs, low=1)
        if self.seed is not None:
            integer("seed", self.seed, low=0)
        require_device_name(self.device)

    def plain(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return {name: plain(value, name) for name, value in self.__dict__.items()}

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that a resumed run must share, as plain values."""
        return {name: value for name, value in self.plain().items() if name not in self.free}


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
