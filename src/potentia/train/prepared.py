"""A training that is set up: carried out as its settings say, or measured to tell how long it would take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar

from potentia.train.best_weights import BestWeights, settle_on
from potentia.train.callbacks import Callback
from potentia.train.checkpoint_names import BY_EPOCH, Naming
from potentia.train.engine import fit
from potentia.train.forecast import Forecast, forecast
from potentia.train.history import columns_of
from potentia.train.loop_settings import LoopSettings, loop_callbacks
from potentia.train.run import Run
from potentia.train.task import Task

__all__ = ["Prepared", "TrainingEnd"]

Batch = TypeVar("Batch")


class Told(TypedDict):
    """Fields that the results of all families have."""

    history: Sequence[Mapping[str, float]]
    seed: int
    kept_epoch: int
    ended: str
    resumable: bool


@dataclass(frozen=True)
class TrainingEnd:
    """A training that is over, for good or for now; the model of ``run`` has the weights that are handed back."""

    run: Run
    kept_epoch: int
    """The epoch that these weights are of."""
    resumable: bool
    """Whether it was interrupted and can go on from its newest checkpoint."""

    @property
    def told(self) -> Told:
        """What the result of the training tells of it."""
        run = self.run
        ended = run.stopped or run.interrupted
        return Told(
            history=run.history, seed=run.seed, kept_epoch=self.kept_epoch, ended=ended, resumable=self.resumable
        )

    @property
    def record(self) -> dict[str, Any]:
        """What the record of the trained model tells of it."""
        history = self.run.history
        duration = sum(row.get("epoch_time", 0.0) for row in history)  # old histories have no times
        return {
            "epochs": self.run.epoch,
            "kept_epoch": self.kept_epoch,
            "duration": duration,
            "training_history": columns_of(history),
        }


@dataclass(frozen=True)
class Prepared(Generic[Batch]):
    """A training that stands before its first batch, or where a checkpoint has left it; a family adds what it needs."""

    run: Run
    task: Task[Batch]
    batches: Callable[[int], Sequence[Batch]]
    """Number of completed epochs → batches of the next one."""
    fingerprint: dict[str, Any]
    """What a checkpoint belongs to."""

    def carry_out(
        self,
        settings: LoopSettings,
        epochs: int,
        extra: Mapping[str, Any],
        shown: Mapping[str, str],
        callbacks: Sequence[Callback] = (),
        *,
        naming: Naming = BY_EPOCH,
    ) -> TrainingEnd:
        """Train to the last epoch, and give the model the weights that the settings ask for: the best or the last.

        Args:
            settings: What goes along with the training.
            epochs: Epochs in all.
            extra: What checkpoints hold besides.
            shown: Label → column of the history, behind the progress bar.
            callbacks: Go along as well, before those of the settings.
            naming: What checkpoints are called.
        """
        run, best = self.run, BestWeights() if settings.save_best else None
        kept: list[Callback] = [] if best is None else [best]
        asked = loop_callbacks(settings, epochs, self.fingerprint, extra, shown, naming=naming)
        fit(run, self.task, self.batches, epochs, [*kept, *callbacks, *asked])
        kept_epoch = settle_on(run, best)
        run.model.eval()
        resumable = bool(run.interrupted) and not run.stopped and settings.checkpoint_dir is not None
        return TrainingEnd(run, kept_epoch, resumable)

    def forecast(self, epochs: int) -> Forecast:
        """Measure the first batches, and return how long ``epochs`` epochs in all would take."""
        return forecast(self.run, self.task, self.batches, epochs)
