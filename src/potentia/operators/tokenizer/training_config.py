"""Settings of the training of a tokenizer: one flat dataclass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from potentia.checks import integer, number
from potentia.config import plain
from potentia.errors import ConfigError
from potentia.train import Adam, Schedule, TrainingMethod
from potentia.train.device import require_device_name
from potentia.train.loop_settings import check_loop_settings

__all__ = ["TokenizerTrainingConfig"]


@dataclass(frozen=True, kw_only=True)
class TokenizerTrainingConfig:
    """How to train a tokenizer.

    Raises:
        ConfigError: a value cannot be; the message names the field.
    """

    epochs: int = 300
    """Epochs in all, with those before a checkpoint that is resumed."""
    batch_size: int = 256
    """Samples of a batch."""
    learning_rate: float = 1e-3
    """Of Adam."""
    clip_norm: float | None = None
    """A gradient whose norm is larger is shortened to it; None for as it is."""
    scheduler: Schedule | None = None
    """Rule for the learning rate, such as ``Cosine(300)``; None leaves it as it is."""
    val_percent: float = 10.0
    """Part of the samples that is held out for validation where none are given, whole sets of parameters (%)."""
    seed: int | None = None
    """Seed of initial weights, codes and order of the batches; None draws one, which `TrainOut.seed` tells."""
    device: str = "cpu"
    """torch device of the training."""
    save_best: bool = True
    """Return the weights of the epoch with the lowest ``val_loss`` instead of the last ones."""
    checkpoint_dir: str | None = None
    """Directory of checkpoints; None for no files."""
    checkpoint_interval: int = 50
    """Epochs between checkpoints, of which the last one is followed by one in any case; 0 for none."""
    checkpoint_batches: int = 0
    """Batches between checkpoints inside an epoch; 0 for none."""
    max_checkpoints: int | None = 2
    """Keep the newest so many; None keeps all."""
    early_stopping: int | None = 30
    """End when ``val_loss`` has not fallen for so many epochs; None never does."""
    early_stopping_min_delta: float = 0.0
    """Less than this is no fall (unit of ``val_loss``)."""
    max_time: float | str | None = None
    """Pause after this time (s, or ``"2h"``, ``"1h30m"``) with a checkpoint to resume from."""
    stop_on_signal: bool = True
    """Pause with a checkpoint when SIGTERM comes."""
    show_progress: bool = False
    """Show a progress bar over epochs."""
    show_batch_progress: bool = False
    """Show a progress bar over the batches of each epoch."""

    def __post_init__(self) -> None:
        integer("epochs", self.epochs, low=1)
        integer("batch_size", self.batch_size, low=1)
        for name in ("learning_rate", "clip_norm"):
            value = self.__dict__[name]
            if value is not None and number(name, value, low=0) == 0:
                raise ConfigError(f"{name} must be greater than 0, got {value!r}")
        if self.scheduler is not None and not isinstance(self.scheduler, Schedule):
            raise ConfigError(f"scheduler must be Cosine(...) or another Schedule, got {self.scheduler!r}")
        if not 0 < number("val_percent", self.val_percent) < 100:
            raise ConfigError(f"val_percent must be between 0 and 100, got {self.val_percent!r}")
        if self.seed is not None:
            integer("seed", self.seed, low=0)
        require_device_name(self.device)
        check_loop_settings(self)

    def method(self) -> TrainingMethod:
        """Return the optimizer with its batch size."""
        return Adam(mu=self.learning_rate, batchsize=self.batch_size, clip_norm=self.clip_norm)

    def plain(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return {name: plain(value, name) for name, value in self.__dict__.items()}

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that a resumed run must share, as plain values."""
        return {name: value for name, value in self.plain().items() if name not in FREE}


FREE = frozenset({
    "seed", "device", "save_best", "checkpoint_dir", "checkpoint_interval", "checkpoint_batches", "max_checkpoints",
    "max_time", "stop_on_signal", "show_progress", "show_batch_progress",
})  # fmt: skip
"""Fields that do not change what is learned: a run may be resumed with others."""
