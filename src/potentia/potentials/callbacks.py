"""What goes along with the training of a potential: checkpoints, stopping rules, progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from potentia.potentials.training_config import TorchTrainingConfig
from potentia.train import Callback, ErrorScores
from potentia.train.loop_settings import loop_callbacks

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
    shown = {"train": "RMSE_train"} | ({"test": "RMSE_test"} if with_test else {})
    if config.force_weight:
        shown["force"] = "RMSE_force_test" if with_test else "RMSE_force_train"
    drawing: list[Callback] = [] if scores is None else [scores]
    return drawing + loop_callbacks(config, epochs, fingerprint, extra, shown, with_test=with_test)
