"""What the training of a tokenizer returns: errors by epoch, their summary and a figure."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

from potentia.train.history import KeptHistory, final_and_lowest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["TrainOut"]

_ERRORS = ["train_loss", "val_loss", "train_commitment", "val_commitment", "val_used"]


@final
@dataclass(frozen=True, eq=False, repr=False)
class TrainOut(KeptHistory):
    """History of a training: errors and times of each epoch, their summary and a figure. Epochs are counted from 1.

    >>> out = TrainOut([{"train_loss": 0.3, "val_loss": 0.4}, {"train_loss": 0.1, "val_loss": 0.5}])
    >>> out.stats["min_val_loss"], out.stats["epoch_min_val_loss"]
    (0.4, 1)
    """

    _: KW_ONLY
    n_train_samples: int | None = None
    """Samples that were trained on."""

    @cached_property
    def errors(self) -> pd.DataFrame:
        """Errors by epoch (index ``epoch``, from 1).

        ``…_loss`` is the mean square error of normalised features, so 1 is what their mean scores on the training part;
        ``…_commitment`` that of latents against their codes. Those of the training part are summed while the weights
        change. ``val_used`` is the part of all codes that the validation part uses.
        """
        return self._table.reindex(columns=_ERRORS)

    @cached_property
    def stats(self) -> dict[str, float]:
        """``final_<column>`` of each column of `errors`; ``min_val_loss`` and ``epoch_min_val_loss``."""
        return final_and_lowest(self.errors, ["val_loss"])

    def plot_training_errors(self, outfile: str | os.PathLike[str] | None = None) -> Figure:
        """Draw the errors of both parts over the epochs, and write the figure if a file is named."""
        from potentia.plots import ErrorPanel, error_curves  # matplotlib takes half a second: only who draws pays it

        columns = {
            "features": {"train": "train_loss", "val": "val_loss"},
            "latents": {"train": "train_commitment", "val": "val_commitment"},
        }
        panel = ErrorPanel(quantity="mean square", unit="normalised", columns=columns, marked="val_loss")
        return error_curves(self.errors, [panel], outfile=outfile)

    @property
    def _trained_on(self) -> str | None:
        return None if self.n_train_samples is None else f"{self.n_train_samples} training samples"

    @property
    def _findings(self) -> list[str]:
        stats = self.stats
        return [
            f"The lowest error of the validation part was {stats['min_val_loss']:.4g} (mean square, 1 is the mean), in "
            f"epoch {stats['epoch_min_val_loss']}.",
            f"In the last epoch it was {stats['final_val_loss']:.4g}, with {stats['final_val_used']:.0%} of the codes "
            "in use.",
        ]
