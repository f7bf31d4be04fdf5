"""What the training of a parameter network returns: errors by epoch, their summary and figures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, final

from potentia.train.history import ENGINE_COLUMNS, KeptHistory, final_and_lowest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from potentia.plots import ErrorPanel

__all__ = ["TrainOut"]

PathLike = str | os.PathLike[str]

_OTHERS = {*ENGINE_COLUMNS, "horizon", "diverged"}


@final
@dataclass(frozen=True, eq=False, repr=False)
class TrainOut(KeptHistory):
    """History of a training: errors and times of each epoch, their summary and figures. Epochs are counted from 1.

    >>> out = TrainOut([{"train_loss": 0.3, "val_loss": 0.4}, {"train_loss": 0.1, "val_loss": 0.5}])
    >>> out.stats["min_val_loss"], out.stats["epoch_min_val_loss"], out.stats["final_train_loss"]
    (0.4, 1, 0.1)
    """

    _: KW_ONLY
    n_windows: int | None = None
    """Windows that were trained on."""
    substeps: int | None = None
    """Steps of the solver inside a step of the data."""
    saturation: Mapping[str, float] = field(default_factory=dict)
    """Parameter → part of the training windows in which it is at a bound, in the end."""

    @cached_property
    def errors(self) -> pd.DataFrame:
        """Errors by epoch (index ``epoch``, from 1).

        ``…_loss`` is the mean loss over windows, steps and states that count; that of the training part is summed while
        the weights change, over windows that a curriculum may have cut. ``val_ade`` and ``val_fde`` are the mean
        distance (m) from the measured places over all steps and at the last one, ``val_rmse_<state>`` the root mean
        square error of a state at the last step (its unit).
        """
        return self._table[[name for name in self._table if name not in _OTHERS]]

    @cached_property
    def stats(self) -> dict[str, float]:
        """``final_<column>`` of each column of `errors`; ``min_<column>`` and ``epoch_min_<column>`` of the losses.

        The lowest values are over the epochs in which they are finite; of equally low epochs the first counts.
        """
        return final_and_lowest(self.errors, [name for name in self.errors if name in {"val_loss", "val_ade"}])

    @cached_property
    def progress(self) -> pd.DataFrame:
        """By epoch: ``horizon``, the mean steps of the windows; windows ``diverged``; batches ``skipped``; rate."""
        return self._table.reindex(columns=["horizon", "diverged", "skipped", "learning_rate"])

    def plot_training_errors(self, outfile: PathLike | None = None) -> Figure:
        """Draw the losses of both parts over the epochs, and write the figure if a file is named."""
        from potentia.plots import error_curves  # matplotlib takes half a second: only who draws pays it

        return error_curves(self._drawn, [self._loss_panel], outfile=outfile)

    def plot_training_summary(self, outfile: PathLike | None = None) -> Figure:
        """Draw the losses, the displacements where the model has places, and the learning rate if it changed."""
        from potentia.plots import ErrorPanel, error_curves

        panels = [self._loss_panel]
        if "val_ade" in self.errors and self.errors["val_ade"].notna().any():
            columns = {"mean": {"validation": "val_ade"}, "final": {"validation": "val_fde"}}
            panels.append(ErrorPanel(quantity="displacement", unit="m", columns=columns, marked="val_ade"))
        return error_curves(self._drawn, panels, rate=self._rate_column, outfile=outfile)

    @property
    def _trained_on(self) -> str | None:
        return None if self.n_windows is None else f"{self.n_windows} training windows"

    @property
    def _findings(self) -> list[str]:
        return self._lowest("val_loss", "validation loss")

    @property
    def _remarks(self) -> list[str]:
        lines = []
        if self.substeps is not None and self.substeps > 1:
            lines.append(f"A step of the data was solved in {self.substeps} steps.")
        at_bound = [f"{key} in {part:.0%}" for key, part in self.saturation.items() if part > 0]
        if at_bound:
            lines.append(f"At a bound: {', '.join(at_bound)} of the windows.")
        return [*lines, *super()._remarks]

    @property
    def _drawn(self) -> pd.DataFrame:
        columns = dict.fromkeys(["train_loss", "val_loss", *self.errors, "learning_rate"])  # also before any epoch
        return self._table.reindex(columns=list(columns))

    @property
    def _loss_panel(self) -> ErrorPanel:
        from potentia.plots import ErrorPanel

        columns = {"loss": {"train": "train_loss", "validation": "val_loss"}}
        return ErrorPanel(quantity="loss", unit="", columns=columns, marked="val_loss")
