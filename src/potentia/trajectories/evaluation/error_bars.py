"""The section on the error bars of ensembles: raw, scaled and conformal ones beside the errors of held-out states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from potentia.plots.reliability import reliability
from potentia.report import CAUGHT, CORRELATION, Section, error_bar_section, no_error_bars

__all__ = ["CALIBRATION", "FORESEEN", "EnsembleBars", "error_bars_of"]

CALIBRATION = "uq_calibration"
"""What the figure of one surrogate is called among all figures; on the page it stands in this section."""
FORESEEN = {"rank_correlation": CORRELATION, "recall of the worst 1 % (flagged 10 %)": CAUGHT}
"""Metrics that tell whether spreads foresee errors → what pages of all families call them."""
SAID = (
    "The spread of the members beside the errors of their mean, in the held-out part. Scaled and conformal error bars "
    "are calibrated on the test part; of both parts without the state at the first time, which is given."
)
HOW = "`uncertainty: {enabled: true, ensemble_size: 5}` in the settings of the study trains ensembles."


@dataclass(frozen=True, eq=False)
class EnsembleBars:
    """Error bars of one ensemble as the tables of an evaluation have them."""

    quantity: str
    """Name of the surrogate."""
    unit: str
    coverage: pd.DataFrame
    """Share of the errors that is covered, by level; ``group``: raw, scaled or conformal."""
    by_spread: pd.DataFrame
    """Conformal ones, of small and of large spreads."""

    @classmethod
    def of(cls, frames: Mapping[str, pd.DataFrame], name: str, unit: str) -> EnsembleBars:
        """Return those of the surrogate ``name``."""
        coverage, by_spread = (frames[f"uncertainty_{table}"] for table in ("coverage", "by_size"))
        own = coverage[(coverage["surrogate"] == name) & (coverage["group"] == "all")]
        named = own.drop(columns=["surrogate", "group"]).rename(columns={"error_bars": "group"})
        return cls(name, unit, named, by_spread[by_spread["surrogate"] == name])

    def plot(self) -> Figure:
        """Draw coverage over level, and given over needed widths."""
        return reliability(self.coverage, self.by_spread, quantity=self.quantity, unit=self.unit)


def error_bars_of(
    frames: Mapping[str, pd.DataFrame], known: pd.DataFrame, names: Sequence[str], unit: str, *, drawn: bool
) -> Section:
    """Return the section on all ensembles of an evaluation.

    Args:
        frames: Its tables.
        known: Whether spreads foresee errors, a row for each ensemble.
        names: The surrogates that have ensembles; there may be none.
        unit: Of the errors.
        drawn: Whether there are figures.
    """
    if not names:
        return no_error_bars(HOW)
    bars = [EnsembleBars.of(frames, name, unit) for name in names]
    return error_bar_section(SAID, known, bars, drawn=drawn)
