"""Error bars of a committee of operators on held-out fields: channel by channel, and over the steps of a roll-out."""

from __future__ import annotations

from matplotlib.figure import Figure

from potentia.operators.committee import MeasuredBars, OperatorCommittee
from potentia.operators.dataset import Samples
from potentia.plots import Line, LinePanel, line_panels
from potentia.report import Section, error_bar_section, foreseen, no_error_bars

__all__ = ["HOW", "error_bars_of"]

HOW = (
    "Several have: `potentia init DATA --members 4` and `train`, or `OperatorCommittee` in Python; report on that run, "
    "or on its directory of members."
)
DRAWN = 3
"""Channels whose spread is drawn over the steps."""


def error_bars_of(committee: OperatorCommittee | None, held_out: Samples | None) -> Section:
    """Return the section on the error bars of a committee, on simulations that it was not calibrated on."""
    members = 0 if committee is None else len(committee.load_members())
    if committee is None or members < 2:
        return no_error_bars(HOW)
    if held_out is None:
        return Section("Error bars").says(f"Nothing was measured of the spread of {members} members, for want of data.")
    found = committee.error_bars(held_out)
    said = f"The spread of {members} members beside the errors of their mean, in {found.samples} held-out samples."
    if found.left_out:
        said += f" {found.left_out} more are left out: the calibration was learned from them."
    pairs = {f"field {name}": (one.error, one.spread) for name, one in found.errors.items()}
    section = error_bar_section(said, foreseen(pairs), found.drawn() or None)
    section.table("What error bars hold", found.coverage.set_index("channel"))
    section.says(
        "Raw error bars are the spread, taken for a standard deviation: one of them should hold 68 % of the errors, "
        "two of them 95 %."
    )
    section.figure(_over_steps(found), "Error of the mean and spread of the members over the steps of a roll-out.")
    return section.table("By step of the roll-out", found.by_step.set_index("channel"), folded=True)


def _over_steps(found: MeasuredBars) -> Figure:
    panels = []
    for channel in list(found.errors)[:DRAWN]:
        own = found.by_step[found.by_step["channel"] == channel]
        lines = [
            Line(label="error (RMSE)", x=own["time"], y=own["RMSE"]),
            Line(label="spread", x=own["time"], y=own["spread"], dash=(0, (3, 1.5))),
        ]
        panels.append(LinePanel(title=f"field {channel}", x_label="time", y_label="unit of the data", lines=lines))
    return line_panels(panels)
