"""Error bars of a committee on a part: what share of the errors they hold, and whether they know the large ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from potentia.coverage import caught, rank_correlation
from potentia.potentials.committee.calibrating import ErrorBars
from potentia.potentials.committee.calibration import CommitteeCalibration, force_spread
from potentia.potentials.parity import require_rows
from potentia.potentials.report.measured import Measured
from potentia.report import Section

__all__ = ["error_bar_section"]


def error_bar_section(name: str, measured: Measured, calibration: CommitteeCalibration | None) -> Section:
    """Return the section on the error bars of a committee."""
    section = Section("Error bars")
    section.says(
        f"The spread of {len(measured.members)} members beside the errors of their mean, in the part “{name}”."
    )
    parity, std = measured.parity, measured.energies.std(0)
    energy = parity.energy_pred - parity.energy_ref
    pairs = {"energy": (np.abs(energy), std)}
    if parity.force_ref is not None and parity.force_pred is not None:
        length = np.linalg.norm(parity.force_pred - parity.force_ref, axis=1)
        pairs["force"] = (length, force_spread(measured.forces.std(0)))
    rows = [
        {
            "of": quantity,
            "rank correlation of spread and error": rank_correlation(error, spread),
            "worst 1 % among the 10 % least sure": caught(error, spread),
        }
        for quantity, (error, spread) in pairs.items()
    ]
    section.table("Whether large errors are foreseen", pd.DataFrame(rows).set_index("of"))
    if calibration is None:
        return section.says("The committee is not calibrated, so its spread is no interval: see `calibrate`.")
    bars = [ErrorBars.measured("energy", "eV/atom", energy, std, calibration.energy, calibration.level)]
    if calibration.forces is not None and parity.force_ref is not None and parity.force_pred is not None:
        atoms = require_rows(parity).force_atoms
        residual, spread = parity.force_pred - parity.force_ref, pairs["force"][1]
        known = (calibration.forces, calibration.level, atoms.species, atoms.row)
        bars.append(ErrorBars.measured("force", "eV/Å", residual, spread, *known))
    measured_then = pd.DataFrame.from_dict(dict(calibration.measured), orient="index").rename_axis("of")
    section.table(
        f"Calibration: intervals at {100 * calibration.level:g} %, as measured when they were learned", measured_then
    )
    for one in bars:
        section.figure(one.plot(), f"Reliability of the intervals of {one.quantity} errors.")
        section.table(f"Coverage of {one.quantity} errors ({one.unit})", one.coverage.set_index("group"))
    return section.says(
        "Structures that the calibration was learned from are covered too well: hold some out for this."
    )
