"""Colours of fields: one scale for truth and prediction, which the truth sets, and one around zero for the error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, Normalize
from matplotlib.ticker import MaxNLocator

from potentia.operators.figures.film import Floats
from potentia.plots.style import GREY, TEXT_SIZE

__all__ = ["FieldScale", "quiet_bar"]

Extend: TypeAlias = Literal["neither", "both", "min", "max"]

_SIGNED = 0.15
"""Fields whose smaller end is at least this part of the larger one are drawn around zero."""
_FAILED = "#BDBDBD"
"""Where a prediction is not finite."""


@dataclass(frozen=True)
class FieldScale:
    """Which colour stands for which value."""

    colours: Colormap
    low: float
    high: float

    @classmethod
    def of(cls, truth: Floats) -> Self:
        """Return the scale of true fields: around zero where both signs matter, else from the least to the largest."""
        low, high = float(truth.min()), float(truth.max())
        if min(-low, high) > _SIGNED * max(-low, high):
            most = max(-low, high)
            return cls(_map("RdBu_r"), -most, most)
        pad = 0.5 * max(abs(low), 1.0) if high - low <= 1e-9 * max(abs(low), abs(high)) else 0.0
        return cls(_map("viridis"), low - pad, high + pad)

    @classmethod
    def of_errors(cls, error: Floats, truth: Floats) -> Self:
        """Return the scale of errors: up to the largest, but not past the range of the truth."""
        known = np.abs(error[np.isfinite(error)])
        most = min(float(known.max(initial=0.0)), float(np.ptp(truth)) or np.inf)
        most = most if most > 0 else 1.0
        return cls(_map("PuOr_r"), -most, most)

    @property
    def norm(self) -> Normalize:
        """What matplotlib takes it as."""
        return Normalize(self.low, self.high)

    def extend(self, fields: Floats) -> Extend:
        """Return which ends of a colour bar have an arrow, because some of the fields lie beyond."""
        known = fields[np.isfinite(fields)]
        slack = 1e-9 * (self.high - self.low)
        below, above = bool((known < self.low - slack).any()), bool((known > self.high + slack).any())
        return "both" if below and above else "min" if below else "max" if above else "neither"


def quiet_bar(bar: Colorbar, label: str) -> None:
    """Make a colour bar look like the other axes."""
    bar.outline.set_visible(False)
    bar.ax.tick_params(color=GREY, labelcolor=GREY, labelsize=TEXT_SIZE - 1, length=2)
    bar.locator = MaxNLocator(4)
    bar.update_ticks()
    bar.set_label(label, color=GREY, size=TEXT_SIZE)


def _map(name: str) -> Colormap:
    return mpl.colormaps[name].with_extremes(bad=_FAILED)
