"""What the training of a trajectory surrogate returns: errors by epoch, their summary and figures."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

from potentia.train.history import KeptHistory, final_and_lowest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from potentia.plots import ErrorPanel

__all__ = ["TrainOut"]

PathLike = str | os.PathLike[str]

_ERRORS = ["train_loss", "test_loss", "train_rmse", "test_rmse", "test_mae", "test_rmse_linear"]


@final
@dataclass(frozen=True, eq=False, repr=False)
class TrainOut(KeptHistory):
    """History of a training: errors and times of each epoch, their summary and figures. Epochs are counted from 1.

    >>> out = TrainOut([{"train_loss": 0.3, "test_loss": 0.4}, {"train_loss": 0.1, "test_loss": 0.5}])
    >>> out.stats["min_test_loss"], out.stats["epoch_min_test_loss"], out.stats["final_train_loss"]
    (0.4, 1, 0.1)
    """

    _: KW_ONLY
    n_train_samples: int | None = None
    """Trajectories that were trained on."""
    dex: bool = True
    """Whether errors of ``loss`` and ``rmse`` are of log10 of the states (dex); else they are of the states."""

    @cached_property
    def errors(self) -> pd.DataFrame:
        """Errors by epoch (index ``epoch``, from 1), over trajectories, times and quantities.

        ``…_loss`` is the mean absolute and ``…_rmse`` the root mean square error of log10 of the states (dex), or of
        the states where they have no ``log10_transform``; those of the training part are summed while the weights
        change. ``test_mae`` and ``test_rmse_linear`` are of the states, in their unit.
        """
        return self._table.reindex(columns=_ERRORS)

    @cached_property
    def stats(self) -> dict[str, float]:
        """``final_<column>`` of each column of `errors`; ``min_<column>`` and ``epoch_min_<column>`` of the test part.

        The lowest values are over the epochs in which they are finite; of equally low epochs the first counts.
        """
        return final_and_lowest(self.errors, [column for column in _ERRORS if column.startswith("test")])

    def plot_training_errors(self, outfile: PathLike | None = None) -> Figure:
        """Draw the errors of both parts over the epochs, and write the figure if a file is named."""
        from potentia.plots import error_curves

        return error_curves(self.errors, [self._panel], outfile=outfile)

    def plot_training_summary(self, outfile: PathLike | None = None) -> Figure:
        """Draw the errors in log space and in physical units, and the learning rate if it changed."""
        from potentia.plots import ErrorPanel, error_curves  # matplotlib takes most of a second: only who draws pays it

        columns = {"MAE": {"test": "test_mae"}, "RMSE": {"test": "test_rmse_linear"}}
        linear = ErrorPanel(quantity="state", unit="unit of the states", columns=columns, marked="test_mae")
        panels = [self._panel, linear] if self.dex else [self._panel]
        frame = self._table.reindex(columns=[*_ERRORS, "learning_rate"])
        return error_curves(frame, panels, rate=self._rate_column, outfile=outfile)

    @property
    def _trained_on(self) -> str | None:
        return None if self.n_train_samples is None else f"{self.n_train_samples} training trajectories"

    @property
    def _findings(self) -> list[str]:
        return self._lowest("test_loss", "mean error of the test part", " dex" if self.dex else " unit of the states")

    @property
    def _panel(self) -> ErrorPanel:
        from potentia.plots import ErrorPanel

        columns = {
            "MAE": {"train": "train_loss", "test": "test_loss"},
            "RMSE": {"train": "train_rmse", "test": "test_rmse"},
        }
        quantity, unit = ("log10 of the state", "dex") if self.dex else ("state", "unit of the states")
        return ErrorPanel(quantity=quantity, unit=unit, columns=columns, marked="test_loss")
