"""What the training of a trajectory surrogate returns: errors by epoch, their summary and figures."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import final

import pandas as pd
from matplotlib.figure import Figure

from potentia.plots import ErrorPanel, error_curves
from potentia.train.history import final_and_lowest, table

__all__ = ["TrainOut"]

PathLike = str | os.PathLike[str]

_ERRORS = ["train_loss", "test_loss", "train_rmse", "test_rmse", "test_mae", "test_rmse_linear"]
_TIMES = ["epoch_time", "forward_time", "backward_time"]


@final
@dataclass(frozen=True, eq=False, repr=False)
class TrainOut:
    """History of a training: errors and times of each epoch, their summary and figures. Epochs are counted from 1.

    >>> out = TrainOut([{"train_loss": 0.3, "test_loss": 0.4}, {"train_loss": 0.1, "test_loss": 0.5}])
    >>> out.stats["min_test_loss"], out.stats["epoch_min_test_loss"], out.stats["final_train_loss"]
    (0.4, 1, 0.1)
    """

    history: Sequence[Mapping[str, float]]
    """One row for each epoch: errors, learning_rate, times (s), skipped batches."""
    _: KW_ONLY
    seed: int | None = None
    """Seed of the weights and of the order of the batches."""
    kept_epoch: int | None = None
    """The epoch whose weights the surrogate has."""
    n_train_samples: int | None = None
    """Trajectories that were trained on."""
    dex: bool = True
    """Whether errors of ``loss`` and ``rmse`` are of log10 of the states (dex); else they are of the states."""
    ended: str = ""
    """Why the training ended before its last epoch: stopped for good, or interrupted; empty if it did not."""
    resumable: bool = False
    """Whether it was interrupted and can go on from its newest checkpoint."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", [dict(row) for row in self.history])

    @cached_property
    def errors(self) -> pd.DataFrame:
        """Errors by epoch (index ``epoch``, from 1), over trajectories, times and quantities.

        ``…_loss`` is the mean absolute and ``…_rmse`` the root mean square error of log10 of the states (dex), or of
        the states where they have no ``log10_transform``; those of the training part are summed while the weights
        change. ``test_mae`` and ``test_rmse_linear`` are of the states, in their unit.
        """
        return self._table.reindex(columns=_ERRORS)

    @cached_property
    def timing(self) -> pd.DataFrame:
        """Seconds by epoch: epoch_time, forward_time, backward_time."""
        return self._table.reindex(columns=_TIMES)

    @property
    def learning_rate(self) -> list[float]:
        """Learning rate of each epoch, that of its last batch."""
        return list(self._table.reindex(columns=["learning_rate"])["learning_rate"])

    @cached_property
    def stats(self) -> dict[str, float]:
        """``final_<column>`` of each column of `errors`; ``min_<column>`` and ``epoch_min_<column>`` of the test part.

        The lowest values are over the epochs in which they are finite; of equally low epochs the first counts.
        """
        return final_and_lowest(self.errors, [column for column in _ERRORS if column.startswith("test")])

    def plot_training_errors(self, outfile: PathLike | None = None) -> Figure:
        """Draw the errors of both parts over the epochs, and write the figure if a file is named."""
        return error_curves(self.errors, [self._panel], outfile=outfile)

    def plot_training_summary(self, outfile: PathLike | None = None) -> Figure:
        """Draw the errors in log space and in physical units, and the learning rate if it changed."""
        columns = {"MAE": {"test": "test_mae"}, "RMSE": {"test": "test_rmse_linear"}}
        linear = ErrorPanel(quantity="state", unit="unit of the states", columns=columns, marked="test_mae")
        panels = [self._panel, linear] if self.dex else [self._panel]
        rates = {rate for rate in self.learning_rate if math.isfinite(rate)}
        frame = self._table.reindex(columns=[*_ERRORS, "learning_rate"])
        return error_curves(frame, panels, rate="learning_rate" if len(rates) > 1 else None, outfile=outfile)

    def __str__(self) -> str:
        unit = "dex" if self.dex else "unit of the states"
        lines = [self._title()]
        if not math.isnan(self.stats["min_test_loss"]):
            lowest, epoch = self.stats["min_test_loss"], self.stats["epoch_min_test_loss"]
            lines.append(f"The lowest mean error of the test part was {lowest:.4g} {unit}, in epoch {epoch}.")
            lines.append(f"In the last epoch it was {self.stats['final_test_loss']:.4g} {unit}.")
        if self.kept_epoch is not None:
            lines.append(f"The weights are those of epoch {self.kept_epoch}.")
        if self.ended:
            lines.append(f"It ended early: {self.ended}.")
        skipped = self._table.get("skipped", pd.Series(dtype=float)).sum()
        if skipped:
            lines.append(f"{skipped:.0f} batches were left out because they were not finite.")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"TrainOut({self._title()}; print it for the errors)"

    @property
    def _panel(self) -> ErrorPanel:
        columns = {
            "MAE": {"train": "train_loss", "test": "test_loss"},
            "RMSE": {"train": "train_rmse", "test": "test_rmse"},
        }
        quantity, unit = ("log10 of the state", "dex") if self.dex else ("state", "unit of the states")
        return ErrorPanel(quantity=quantity, unit=unit, columns=columns, marked="test_loss")

    @cached_property
    def _table(self) -> pd.DataFrame:
        return table(self.history)

    def _title(self) -> str:
        parts = [f"{len(self.history)} epoch{'s' * (len(self.history) != 1)}"]
        parts += [] if self.n_train_samples is None else [f"{self.n_train_samples} training trajectories"]
        parts += [] if self.seed is None else [f"seed {self.seed}"]
        return ", ".join(parts)
