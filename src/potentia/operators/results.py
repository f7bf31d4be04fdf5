"""What the training of a neural operator returns: losses by epoch, their summary and figures."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

from potentia.train.history import ENGINE_COLUMNS, KeptHistory, final_and_lowest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from potentia.plots import ErrorPanel

__all__ = ["TrainOut"]

PathLike = str | os.PathLike[str]


@final
@dataclass(frozen=True, eq=False, repr=False)
class TrainOut(KeptHistory):
    """History of a training: losses and times of each epoch, their summary and figures. Epochs are counted from 1.

    >>> out = TrainOut([{"train_loss": 0.3, "val_loss": 0.4}, {"train_loss": 0.1, "val_loss": 0.5}])
    >>> out.stats["min_val_loss"], out.stats["epoch_min_val_loss"], out.stats["final_train_loss"]
    (0.4, 1, 0.1)
    """

    _: KW_ONLY
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
        return self._table[[name for name in self._table if name not in ENGINE_COLUMNS]]

    @cached_property
    def stats(self) -> dict[str, float]:
        """``final_<column>`` of each column of `errors`; ``min_<column>`` and ``epoch_min_<column>`` of validation.

        The lowest values are over the epochs in which they are finite; of equally low epochs the first counts.
        """
        return final_and_lowest(self.errors, [name for name in map(str, self.errors) if name.startswith("val_")])

    def plot_training_errors(self, outfile: PathLike | None = None) -> Figure:
        """Draw the losses of both parts over the epochs, and write the figure if a file is named."""
        from potentia.plots import error_curves  # matplotlib takes half a second: only who draws pays it

        return error_curves(self._drawn, [self._loss_panel], outfile=outfile)

    def plot_training_summary(self, outfile: PathLike | None = None) -> Figure:
        """Draw the losses, the relative error, and the learning rate if it changed."""
        from potentia.plots import ErrorPanel, error_curves

        columns = {"relative error": {"validation": "val_rel_l2"}}
        relative = ErrorPanel(quantity="relative L2", unit="", columns=columns, marked="val_rel_l2")
        return error_curves(self._drawn, [self._loss_panel, relative], rate=self._rate_column, outfile=outfile)

    @property
    def _trained_on(self) -> str | None:
        samples = self.n_train_samples
        return None if samples is None else f"{samples} training samples of {self.n_steps} steps"

    @property
    def _findings(self) -> list[str]:
        return self._lowest("val_loss", "validation loss")

    @property
    def _drawn(self) -> pd.DataFrame:
        drawn = ["train_loss", "val_loss", "val_rel_l2", "learning_rate"]
        return self._table.reindex(columns=drawn)  # also before any epoch

    @property
    def _loss_panel(self) -> ErrorPanel:
        from potentia.plots import ErrorPanel

        columns = {"loss": {"train": "train_loss", "validation": "val_loss"}}
        return ErrorPanel(quantity="loss", unit="", columns=columns, marked="val_loss")
