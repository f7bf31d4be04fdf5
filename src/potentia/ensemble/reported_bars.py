"""Error bars of a committee on what was held out, as a section of its report: by quantity, and along the time."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from potentia.ensemble.calibrated import CalibratedCommittee
from potentia.ensemble.measured import MeasuredBars
from potentia.plots import Line, LinePanel, line_panels
from potentia.report import Section, error_bar_section, foreseen, no_error_bars
from potentia.words import COVERAGE

__all__ = ["error_bars_of"]

HOW = (
    "Several have: `potentia init DATA --members 4` and `train`, or `{committee}` in Python; report on that run, or on "
    "its directory of members."
)
DRAWN = 3
"""Quantities that are drawn: those with the largest errors."""


def error_bars_of(
    kind: type[CalibratedCommittee[Any, Any]],
    committee: CalibratedCommittee[Any, Any] | None,
    held_out: Any | None,
) -> Section:
    """Return the section on the error bars of a committee, on pieces that it was not calibrated on.

    Args:
        kind: Class of committees of the family.
        committee: The committee; None for a single model.
        held_out: The pieces; None where there are none to measure on.
    """
    members = 0 if committee is None else len(committee.load_members())
    if committee is None or members < 2:
        return no_error_bars(HOW.format(committee=kind.__name__))
    if held_out is None:
        return Section("Error bars").says(f"Nothing was measured of the spread of {members} members, for want of data.")
    found, words = committee.error_bars(held_out), kind.words
    said = f"The spread of {members} members beside the errors of their mean, in {found.samples} held-out samples."
    if found.left_out:
        said += f" {found.left_out} more are left out: the calibration was learned from them."
    shown = _largest(found)
    pairs = {f"{words.of} {name}": one.rows()[:2] for name, one in found.errors.items() if one.spread.any()}
    bars = [one for name, one in zip(found.bars, found.drawn(), strict=True) if name in shown]
    section = error_bar_section(said, foreseen(pairs), bars or None)
    section.table("What error bars hold", found.coverage.set_index(words.quantity), meant=COVERAGE)
    section.says(
        "Raw error bars are the spread, taken for a standard deviation: one of them should hold 68 % of the errors, "
        "two of them 95 %."
    )
    section.figure(_over_time(found, shown), f"Error of the mean and spread of the members, by {words.steps}.")
    return section.table(f"By {words.steps}", found.by_step.set_index(words.quantity), meant=COVERAGE, folded=True)


def _largest(found: MeasuredBars) -> list[str]:
    """Return the quantities that are drawn, in their order."""
    sizes = {name: float(np.nanmean(one.error**2)) for name, one in found.errors.items()}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:DRAWN]
    return [name for name in sizes if name in largest]


def _over_time(found: MeasuredBars, shown: list[str]) -> Figure:
    panels = []
    for name in shown:
        own = found.by_step[found.by_step[found.words.quantity] == name]
        lines = [
            Line(label="error (RMSE)", x=own["time"], y=own["RMSE"]),
            Line(label="spread", x=own["time"], y=own["spread"], dash=(0, (3, 1.5))),
        ]
        unit = found.errors[name].unit
        title = f"{found.words.of} {name}"
        panels.append(LinePanel(title=title, x_label=found.words.time, y_label=unit, lines=lines))
    return line_panels(panels)
