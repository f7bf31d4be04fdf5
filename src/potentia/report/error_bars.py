"""The section on error bars: whether they foresee large errors, and what share of the errors they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from potentia.coverage import caught, rank_correlation
from potentia.report.sections import Section
from potentia.words import COVERAGE

__all__ = ["CAUGHT", "CORRELATION", "Bars", "error_bar_section", "foreseen", "no_error_bars"]

TITLE = "Error bars"
CORRELATION, CAUGHT = "rank correlation of spread and error", "worst 1 % among the 10 % least sure"
"""What is told of whether large errors are foreseen."""
_CAPTION = (
    "Which share of the {} errors the intervals hold, over the share that they should; and how wide intervals are, "
    "over how wide they must be, from the smallest spreads to the largest. On the line is right."
)


class Bars(Protocol):
    """Error bars of one quantity that are calibrated, such as `potentia.error_bars.ErrorBars`."""

    @property
    def quantity(self) -> str:
        """What the errors are of."""
        ...

    @property
    def unit(self) -> str:
        """Of errors and widths."""
        ...

    @property
    def coverage(self) -> pd.DataFrame:
        """Share of the errors that is covered, by level and ``group``."""
        ...

    def plot(self) -> Figure:
        """Draw coverage over level, and widths over the widths needed."""
        ...


def foreseen(pairs: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> pd.DataFrame:
    """Return whether spreads know which errors are large: a row for each quantity.

    >>> foreseen({"energy": ([0.1, -0.3, 0.2], [1.0, 3.0, 2.0])}).loc["energy"].round(9).tolist()
    [1.0, 1.0]

    Args:
        pairs: Quantity → its errors, with or without sign, and their spreads.
    """
    rows = {name: (rank_correlation(*pair), caught(*pair)) for name, pair in pairs.items()}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=[CORRELATION, CAUGHT])
    return frame.rename_axis("of")


def error_bar_section(said: str, known: pd.DataFrame, bars: Sequence[Bars] | None, *, drawn: bool = True) -> Section:
    """Return the section on the error bars of several models that are asked together.

    Args:
        said: Whose spread it is, and on which data.
        known: What `foreseen` returns.
        bars: Calibrated ones, on others than they were learned from; None where the spread is not calibrated.
        drawn: Whether there are figures.
    """
    section = Section(TITLE).says(said)
    section.table("Whether large errors are foreseen", known)
    if bars is None:
        return section.says("They are not calibrated, so the spread is no interval: see `calibrate`.")
    for one in bars:
        if drawn:
            section.figure(one.plot(), _CAPTION.format(one.quantity))
        table = one.coverage.set_index("group")
        section.table(f"Coverage of {one.quantity} errors ({one.unit})", table, meant=COVERAGE)
    return section


def no_error_bars(how: str) -> Section:
    """Return the section of a model that has none; ``how`` says how to get them."""
    return Section(TITLE).says(f"A single model has no error bars. {how}")
