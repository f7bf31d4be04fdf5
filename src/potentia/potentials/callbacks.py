"""What goes along with the training of a potential: checkpoints, stopping rules, progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from potentia.potentials.training_config import TorchTrainingConfig
from potentia.train import (
    BatchBar,
    Callback,
    Checkpoints,
    EarlyStopping,
    EpochBar,
    ErrorScores,
    StopOnSignal,
    TimeBudget,
)

__all__ = ["training_callbacks"]


def training_callbacks(
    config: TorchTrainingConfig,
    epochs: int,
    fingerprint: Mapping[str, Any],
    extra: Mapping[str, Any],
    scores: ErrorScores | None,
    *,
    with_test: bool,
) -> list[Callback]:
    """Return the callbacks that ``config`` asks for.

    Args:
        config: Settings.
        epochs: Epochs in all.
        fingerprint: What the checkpoints belong to.
        extra: What they hold besides.
        scores: Of the structures, where they are drawn by their errors.
        with_test: Whether there is a validation part.
    """
    callbacks: list[Callback] = [] if scores is None else [scores]
    if config.early_stopping is not None:
        callbacks.append(EarlyStopping(config.early_stopping, config.early_stopping_min_delta))
    if config.max_time is not None:
        callbacks.append(TimeBudget(config.max_time))
    if config.stop_on_signal and config.checkpoint_dir is not None:
        callbacks.append(StopOnSignal("SIGTERM"))
    if config.checkpoint_dir is not None:
        callbacks.append(
            Checkpoints(
                config.checkpoint_dir,
                fingerprint,
                extra,
                every_epochs=config.checkpoint_interval,
                every_batches=config.checkpoint_batches,
                keep=config.max_checkpoints,
                save_best=config.save_best and with_test,
            )
        )
    if config.show_progress:
        shown = {"train": "RMSE_train"} | ({"test": "RMSE_test"} if with_test else {})
        forces = {"force": "RMSE_force_test" if with_test else "RMSE_force_train"}
        callbacks.append(EpochBar(epochs, shown | (forces if config.force_weight else {})))
    if config.show_batch_progress:
        callbacks.append(BatchBar())
    return callbacks
