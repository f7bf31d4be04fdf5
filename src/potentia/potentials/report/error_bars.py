"""Error bars of a committee of potentials on a part: of energies, and of forces by species."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from potentia.potentials.committee.calibration import CommitteeCalibration, force_spread
from potentia.potentials.committee.errors import CommitteeErrors, ForceErrors
from potentia.potentials.parity import require_rows
from potentia.potentials.report.measured import Measured
from potentia.report import Section, error_bar_section, foreseen
from potentia.words import COVERAGE

__all__ = ["HOW", "error_bars_of"]

HOW = "Several have: `potentia init DATA --members 4`, `train`, `calibrate` with held-out data, and report on that run."


def error_bars_of(name: str, measured: Measured, calibration: CommitteeCalibration | None) -> Section:
    """Return the section on the error bars of a committee, on structures that it was not calibrated on."""
    said = f"The spread of {len(measured.members)} members beside the errors of their mean, in the part “{name}”."
    if calibration is None:
        return error_bar_section(said, foreseen(_pairs(_errors(measured))), None)
    new = calibration.unseen(measured.structures)
    if not new.any():
        text = f"All {len(new)} structures of the part “{name}” are those that the calibration was learned from."
        return Section("Error bars").says(text)
    if not new.all():
        said += f" {int((~new).sum())} more are left out: the calibration was learned from them."
    errors = _errors(measured).part(new)
    section = error_bar_section(said, foreseen(_pairs(errors)), errors.bars(calibration))
    measured_then = pd.DataFrame.from_dict(dict(calibration.measured), orient="index").rename_axis("of")
    level = f"{100 * calibration.level:g} %"
    name = f"Calibration: intervals at {level}, as measured when they were learned"
    return section.table(name, measured_then, meant=COVERAGE)


def _errors(measured: Measured) -> CommitteeErrors:
    parity = measured.parity
    forces = None
    if parity.force_ref is not None and parity.force_pred is not None:
        atoms, spread = require_rows(parity).force_atoms, force_spread(measured.forces.std(0))
        forces = ForceErrors(parity.force_pred - parity.force_ref, spread, atoms.species, atoms.row)
    return CommitteeErrors(parity.energy_pred - parity.energy_ref, measured.energies.std(0), forces)


def _pairs(errors: CommitteeErrors) -> dict[str, tuple[ArrayLike, ArrayLike]]:
    """Return sizes of errors and spreads."""
    pairs: dict[str, tuple[ArrayLike, ArrayLike]] = {"energy": (np.abs(errors.energy), errors.energy_spread)}
    if errors.forces is not None:
        pairs["force"] = (np.linalg.norm(errors.forces.error, axis=1), errors.forces.spread)
    return pairs
