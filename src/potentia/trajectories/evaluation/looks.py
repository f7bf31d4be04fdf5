"""What figures of an evaluation share: one look for each name, and the words on their axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.typing import LineStyleType

from potentia.plots.lines import Line
from potentia.plots.style import GREY, colour
from potentia.trajectories.error_scale import ErrorScale

__all__ = ["GREY_DASHES", "Looks"]

GREY_DASHES: tuple[LineStyleType, ...] = ((0, (4, 2)), (0, (1, 1.5)), (0, (4, 1.5, 1, 1.5)))


@dataclass(frozen=True)
class Looks:
    """Names in the order in which they are drawn; surrogates in colours, baselines in grey."""

    surrogates: tuple[str, ...]
    """What is evaluated."""
    baselines: tuple[str, ...]
    """What it is compared with."""
    scale: ErrorScale
    """Scale of the errors."""
    log_time: bool
    """Whether time is drawn on a logarithmic axis."""
    percentile: float
    """Percentile that is reported (0 to 100)."""

    @property
    def kind(self) -> str:
        """Kind of the errors on the scale, as tables call it."""
        return "log" if self.scale.log10 else "real"

    @property
    def error(self) -> str:
        """What errors on the scale are called in a sentence."""
        return "error of log10 of the states (dex)" if self.scale.log10 else "error of the states (unit of the data)"

    def axis(self, kind: str) -> str:
        """Return what errors of a kind are called on an axis."""
        return "relative error" if kind == "relative" else self.scale.axis

    def line(self, name: str, frame: pd.DataFrame, x: str, y: str, marker: str | None = None) -> Line:
        """Return the curve of one name from a frame that holds only its rows."""
        if name in self.baselines:
            dash = GREY_DASHES[self.baselines.index(name) % len(GREY_DASHES)]
            return Line(label=name, x=frame[x], y=frame[y], colour=GREY, dash=dash)
        return Line(label=name, x=frame[x], y=frame[y], colour=self.colour(name), marker=marker)

    def lines(self, frame: pd.DataFrame, x: str, y: str, marker: str | None = None) -> list[Line]:
        """Return the curves of all names that the column ``surrogate`` of a frame holds, baselines first."""
        there = set(frame["surrogate"])
        return [
            self.line(name, frame[frame["surrogate"] == name], x, y, marker)
            for name in (*self.baselines, *self.surrogates)
            if name in there
        ]

    def colour(self, name: str) -> str:
        """Return the colour of a surrogate."""
        return colour(self.surrogates.index(name))

    def reference_lines(self, frame: pd.DataFrame, x: str, y: str) -> list[Line]:
        """Return the curves of the baselines only."""
        return self.lines(frame[frame["surrogate"].isin(self.baselines)], x, y)

    def own(self, frame: pd.DataFrame, names: Sequence[str] | None = None) -> list[str]:
        """Return the surrogates that a frame holds."""
        there = set(frame["surrogate"])
        return [name for name in names or self.surrogates if name in there]
