"""Settings of the training of a tokenizer: one flat dataclass."""

from __future__ import annotations

from dataclasses import dataclass

from potentia.checks import integer, number
from potentia.errors import ConfigError
from potentia.train import Adam, Schedule, TrainingMethod
from potentia.train.loop_settings import TrainingSettings
from potentia.train.optimizers import check_clip_norm, check_positive

__all__ = ["TokenizerTrainingConfig"]


@dataclass(frozen=True, kw_only=True)
class TokenizerTrainingConfig(TrainingSettings):
    """How to train a tokenizer.

    Device, checkpoints, stopping rules and progress are settings too, see `TrainingSettings`; monitored is
    ``val_loss``.

    Raises:
        ConfigError: a value cannot be; the message names the field.
    """

    epochs: int = 300
    """Epochs in all, with those before a checkpoint that is resumed."""
    batch_size: int = 64
    """Samples of a batch; for some thousand samples 256 trains faster."""
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
    checkpoint_interval: int = 50
    """Epochs between checkpoints, of which the last one is followed by one in any case; 0 for none."""
    early_stopping: int | None = 30
    """End when ``val_loss`` has not fallen for so many epochs; None never does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        integer("batch_size", self.batch_size, low=1)
        check_positive("learning_rate", self.learning_rate)
        check_clip_norm(self.clip_norm)
        if self.scheduler is not None and not isinstance(self.scheduler, Schedule):
            raise ConfigError(f"scheduler must be Cosine(...) or another Schedule, got {self.scheduler!r}")
        if not 0 < number("val_percent", self.val_percent) < 100:
            raise ConfigError(f"val_percent must be between 0 and 100, got {self.val_percent!r}")

    def method(self) -> TrainingMethod:
        """Return the optimizer with its batch size."""
        return Adam(mu=self.learning_rate, batchsize=self.batch_size, clip_norm=self.clip_norm)
