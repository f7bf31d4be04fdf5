"""What the training of a neural operator returns: losses by epoch, their summary and figures."""

from __future__ import annotations

import math
import os
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import final

import pandas as pd
from matplotlib.figure import Figure

from potentia.plots import ErrorPanel, error_curves
from potentia.train.history import TrainingHistory, final_and_lowest

__all__ = ["TrainOut"]

PathLike = str | os.PathLike[str]

_OTHERS = {"learning_rate", "skipped", "epoch_time", "forward_time", "backward_time"}


@final
@dataclass(frozen=True, eq=False, repr=False)
class TrainOut(TrainingHistory):
    """History of a training: losses and times of each epoch, their summary and figures. Epochs are counted from 1.

    >>> out = TrainOut([{"train_loss": 0.3, "val_loss": 0.4}, {"train_loss": 0.1, "val_loss": 0.5}])
    >>> out.stats["min_val_loss"], out.stats["epoch_min_val_loss"], out.stats["final_train_loss"]
    (0.4, 1, 0.1)
    """

    _: KW_ONLY
    kept_epoch: int | None = None
    """The epoch whose weights the operator has."""
    n_train_samples: int | None = None
    """Samples that were trained on."""
    n_steps: int | None = None
    """Steps of each of them."""

    @cached_property
    def errors(self) -> pd.DataFrame:
        """Losses by epoch (index ``epoch``, from 1), of normalised fields: the mean of the training part scores 1.

        ``train_loss`` is the weighted sum of the terms ``train_traj`` (windows), ``train_ic`` (first steps) and those
        of an alignment, while the weights change. ``val_traj`` is the mean square error of roll-outs over all steps
        and ``val_loss`` that with the terms of an alignment; ``val_rel_l2`` is the norm of the error over that of the
        fields, in physical units, averaged over samples.
        """
        return self._table[[name for name in self._table if name not in _OTHERS]]

    @cached_property
    def stats(self) -> dict[str, float]:
        """``final_<column>`` of each column of `errors`; ``min_<column>`` and ``epoch_min_<column>`` of validation.

        The lowest values are over the epochs in which they are finite; of equally low epochs the first counts.
        """
        return final_and_lowest(self.errors, [name for name in map(str, self.errors) if name.startswith("val_")])

    def plot_training_errors(self, outfile: PathLike | None = None) -> Figure:
        """Draw the losses of both parts over the epochs, and write the figure if a file is named."""
        return error_curves(self._drawn, [self._loss_panel], outfile=outfile)

    def plot_training_summary(self, outfile: PathLike | None = None) -> Figure:
        """Draw the losses, the relative error, and the learning rate if it changed."""
        columns = {"relative error": {"validation": "val_rel_l2"}}
        relative = ErrorPanel(quantity="relative L2", unit="1", columns=columns, marked="val_rel_l2")
        return error_curves(self._drawn, [self._loss_panel, relative], rate=self._rate_column, outfile=outfile)

    def __str__(self) -> str:
        lines = [self._title()]
        if not math.isnan(self.stats.get("min_val_loss", math.nan)):
            lowest, epoch = self.stats["min_val_loss"], self.stats["epoch_min_val_loss"]
            lines.append(f"The lowest validation loss was {lowest:.4g}, in epoch {epoch}.")
            lines.append(f"In the last epoch it was {self.stats['final_val_loss']:.4g}.")
        if self.kept_epoch is not None:
            lines.append(f"The weights are those of epoch {self.kept_epoch}.")
        return "\n".join([*lines, *self._remarks])

    def __repr__(self) -> str:
        return f"TrainOut({self._title()}; print it for the losses)"

    @property
    def _drawn(self) -> pd.DataFrame:
        return self._table.reindex(columns=[*self.errors, "learning_rate"])

    @property
    def _loss_panel(self) -> ErrorPanel:
        columns = {"loss": {"train": "train_loss", "validation": "val_loss"}}
        return ErrorPanel(quantity="loss", unit="1", columns=columns, marked="val_loss")

    def _title(self) -> str:
        parts = [f"{len(self.history)} epoch{'s' * (len(self.history) != 1)}"]
        samples = self.n_train_samples
        parts += [] if samples is None else [f"{samples} training samples of {self.n_steps} steps"]
        parts += [] if self.seed is None else [f"seed {self.seed}"]
        return ", ".join(parts)
