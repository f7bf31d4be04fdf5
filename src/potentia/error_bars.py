"""Error bars of one quantity, measured on errors that they were not learned from: numbers, tables and a figure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.calibration import Calibration
from potentia.coverage import caught, coverage_by_size, coverage_table, miscalibration_area, rank_correlation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ErrorBars", "bar_tables"]

LEVELS = (0.5, 0.68, 0.9, 0.95)
"""Levels at which coverage is told, beside the one asked for."""


@final
@dataclass(frozen=True, eq=False)
class ErrorBars:
    """How good the intervals of one quantity are, on errors that they were not learned from."""

    quantity: str
    """Such as ``"energy"``, ``"force"`` or ``"state v"``."""
    unit: str
    level: float
    coverage: pd.DataFrame
    """Which share of the errors is covered at several levels, for all and by group: see `coverage_table`."""
    by_spread: pd.DataFrame
    """Coverage of small and of large spreads: see `coverage_by_size`."""
    by_error: pd.DataFrame
    """Coverage of small and of large errors, of which the largest are covered least."""
    caught: float
    """Share of the worst 1 % of the errors (of a vector: its length) that is among the 10 % of largest spread."""
    rank_correlation: float
    """Spearman's, of the sizes of the errors with the spreads."""
    miscalibration_area: float
    """Between observed and nominal coverage over all levels: 0 is right, 0.5 the worst."""
    RMSE: float
    """Of the errors, in the unit."""

    @classmethod
    def measured(  # all that belongs to the errors of a quantity
        cls,
        quantity: str,
        unit: str,
        residual: NDArray[np.float64],
        spread: NDArray[np.float64],
        calibration: Calibration,
        level: float,
        groups: NDArray[np.str_] | None = None,
        blocks: NDArray[np.int64] | None = None,
    ) -> Self:
        """Measure ``calibration`` on errors that it was not learned from; arguments as for `coverage_table`."""
        new = (residual, spread, calibration)
        size = np.abs(residual) if residual.shape == spread.shape else np.linalg.norm(residual, axis=1)
        return cls(
            quantity=quantity,
            unit=unit,
            level=level,
            coverage=coverage_table(*new, sorted({*LEVELS, level}), groups, blocks),
            by_spread=coverage_by_size(*new, level, groups=groups),
            by_error=coverage_by_size(*new, level, by="error", groups=groups),
            caught=caught(size, spread),
            rank_correlation=rank_correlation(size, spread),
            miscalibration_area=miscalibration_area(*new, groups),
            RMSE=float(np.sqrt(np.mean(residual**2))),
        )

    @property
    def at_level(self) -> pd.DataFrame:
        """The rows of `coverage` at the level that was asked for."""
        return self.coverage[self.coverage["level"] == self.level].reset_index(drop=True)

    def plain(self) -> dict[str, float]:
        """Return the figures that tell of it in short."""
        row = self.at_level.iloc[0]
        found = {name: float(row[name]) for name in ("coverage", "error", "half_width", "n")}
        names = ("caught", "rank_correlation", "miscalibration_area", "RMSE")
        return found | {name: float(getattr(self, name)) for name in names}

    def plot(self, outfile: str | os.PathLike[str] | None = None) -> Figure:
        """Draw coverage over level, and widths over the widths needed: see `potentia.plots.reliability`."""
        from potentia.plots import reliability

        return reliability(self.coverage, self.by_spread, quantity=self.quantity, unit=self.unit, outfile=outfile)

    def __str__(self) -> str:
        lines = [f"{self.quantity}: RMSE {self.RMSE:.4g} {self.unit}; intervals at {100 * self.level:g} % cover"]
        for row in self.at_level.to_dict("records"):
            lines.append(
                f"  {row['group']:<6} {100 * row['coverage']:5.1f} ± {100 * row['error']:.1f} % of {row['n']:,} errors,"
                f" mean half-width {row['half_width']:.4g} {self.unit}"
            )
        lines.append(
            f"  of the worst 1 % of errors, {100 * self.caught:.0f} % are among the most uncertain 10 %; rank "
            f"correlation {self.rank_correlation:.2f}; miscalibration area {self.miscalibration_area:.3f}"
        )
        return "\n".join(lines)


def bar_tables(bars: Sequence[ErrorBars], measured_on: int, left_out: int) -> dict[str, pd.DataFrame]:
    """Return ``"calibration"``, a row for each quantity, and ``"coverage"`` at several levels, by group too.

    Args:
        bars: Of each quantity.
        measured_on: How many pieces they were measured on.
        left_out: How many were left out, because they were learned from.
    """
    counts = {"measured_on": measured_on, "left_out": left_out}
    rows = [{"quantity": one.quantity, "unit": one.unit, "level": one.level, **counts, **one.plain()} for one in bars]
    coverage = [one.coverage.assign(quantity=one.quantity) for one in bars]
    joined = pd.concat(coverage, ignore_index=True)
    return {
        "calibration": pd.DataFrame(rows),
        "coverage": joined[["quantity", *(name for name in joined.columns if name != "quantity")]],
    }
