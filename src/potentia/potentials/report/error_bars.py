"""Error bars of a committee of potentials on a part: of energies, and of forces by species."""

from __future__ import annotations

import numpy as np
import pandas as pd

from potentia.error_bars import ErrorBars
from potentia.potentials.committee.calibration import CommitteeCalibration, force_spread
from potentia.potentials.parity import require_rows
from potentia.potentials.report.measured import Measured
from potentia.report import Section, error_bar_section, foreseen
from potentia.words import COVERAGE

__all__ = ["HOW", "error_bars_of"]

HOW = "Several have: `potentia init DATA --members 4`, `train`, `calibrate` with held-out data, and report on that run."


def error_bars_of(name: str, measured: Measured, calibration: CommitteeCalibration | None) -> Section:
    """Return the section on the error bars of a committee."""
    said = f"The spread of {len(measured.members)} members beside the errors of their mean, in the part “{name}”."
    parity, std = measured.parity, measured.energies.std(0)
    energy = parity.energy_pred - parity.energy_ref
    pairs = {"energy": (np.abs(energy), std)}
    if parity.force_ref is not None and parity.force_pred is not None:
        length = np.linalg.norm(parity.force_pred - parity.force_ref, axis=1)
        pairs["force"] = (length, force_spread(measured.forces.std(0)))
    if calibration is None:
        return error_bar_section(said, foreseen(pairs), None)
    bars = [ErrorBars.measured("energy", "eV/atom", energy, std, calibration.energy, calibration.level)]
    if calibration.forces is not None and parity.force_ref is not None and parity.force_pred is not None:
        atoms = require_rows(parity).force_atoms
        residual, spread = parity.force_pred - parity.force_ref, pairs["force"][1]
        known = (calibration.forces, calibration.level, atoms.species, atoms.row)
        bars.append(ErrorBars.measured("force", "eV/Å", residual, spread, *known))
    section = error_bar_section(said, foreseen(pairs), bars)
    measured_then = pd.DataFrame.from_dict(dict(calibration.measured), orient="index").rename_axis("of")
    level = f"{100 * calibration.level:g} %"
    name = f"Calibration: intervals at {level}, as measured when they were learned"
    return section.table(name, measured_then, meant=COVERAGE)
