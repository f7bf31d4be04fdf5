"""Error bars of a committee of dynamics on windows: state by state, those of places and headings in a table alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from potentia.dynamics.committee import DynamicsCommittee
from potentia.dynamics.committee_calibration import wrapped
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.spec import ModelSpec
from potentia.error_bars import ErrorBars
from potentia.report import Section, error_bar_section, foreseen
from potentia.words import COVERAGE

__all__ = ["error_bars_of", "moving_states"]

DRAWN = 3
"""States whose reliability is drawn."""


def moving_states(spec: ModelSpec) -> list[int]:
    """Return which states are neither place nor heading, or all if there are no others."""
    return [k for k, state in enumerate(spec.states) if not state.pose] or list(range(len(spec.states)))


def error_bars_of(part: str, windows: FeatureDataset, committee: DynamicsCommittee) -> Section:
    """Return the section on the error bars of a committee, on windows that it was not calibrated on."""
    found, calibration = committee.predict(windows), committee.calibration
    error = wrapped(found.states - windows.targets, found.spec.angles)
    known = windows.counted & np.isfinite(error).all(-1) & np.isfinite(found.states_std).all(-1)
    residual, spread = error[known], found.states_std[known]  # [targets, states]
    said = f"The spread of {len(found.member_states)} members beside the errors of their mean, in the part “{part}”."
    left = int(windows.counted.sum()) - len(residual)
    if left:
        said += f" {left:,} of {left + len(residual):,} states were not reached by all members and are left out."
    names = found.spec.state_names
    apart = [k for k in range(len(names)) if spread[:, k].any()]
    table = foreseen({f"state {names[k]}": (residual[:, k], spread[:, k]) for k in apart})
    if calibration is None:
        return error_bar_section(said, table, None)
    drawn = [k for k in moving_states(found.spec) if k in apart][:DRAWN]
    bars = [
        ErrorBars.measured(
            f"state {names[k]}",
            found.spec.states[k].unit or "1",
            residual[:, k],
            spread[:, k],
            calibration.of[names[k]],
            calibration.level,
            blocks=np.nonzero(known)[0],
        )
        for k in drawn
    ]
    section = error_bar_section(said, table, bars)
    table = found.coverage(windows)
    rows = [f"{one.name} ({one.unit})" if one.unit else one.name for one in found.spec.states]
    shown = table.set_axis(pd.Index(rows, name="state"))
    return section.table(f"All states at {100 * calibration.level:g} %", table, shown=shown, meant=COVERAGE)
