"""Outliers: energies far from a smooth function of the surroundings, and forces that few potentials gain by.

The smooth function is linear in the summed features of the atoms of each species and in their numbers, so composition
makes no outliers. It is fitted with weights 1/|residual| (least absolute deviations): a few
wrong energies do not turn it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentia.potentials.quality.findings import ERROR, NOTE, WARNING, Finding, Severity, counted, places_of
from potentia.potentials.quality.frames import Frames
from potentia.potentials.quality.survey import Survey
from potentia.potentials.quality.units import ENERGY_UNITS, nearest

__all__ = ["EnergyFit", "energy_fit", "outlier_findings"]

CHECK = "outliers"
ROUNDS = 12
"""Fits with weights renewed."""
RIDGE = 1e-9
"""Added to the normal equations of columns of unit length, times the largest eigenvalue."""
NORMAL = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""
UNIT = 1.1
"""An energy in another unit is that many times the expected one, up to this factor."""


@dataclass(frozen=True, eq=False)
class EnergyFit:
    """Energies beside the smooth fit."""

    residual: NDArray[np.float64]
    """Label less fit, eV/atom; NaN without label.  [frames]"""
    expected: NDArray[np.float64]
    """The fit, total energy in eV.  [frames]"""
    spread: NDArray[np.float64]
    """Robust standard deviation of the residual, eV/atom; larger where forces are, as the surface is steep and the
    fit poor there.  [frames]"""


def energy_fit(frames: Frames, seen: Survey) -> EnergyFit | None:
    """Fit the energies; None with fewer than twice as many of them as there are species."""
    per_atom = frames.energy / frames.n_atoms
    known = np.isfinite(per_atom)
    if known.sum() < 2 * len(frames.species) + 2:
        return None
    parts = frames.counts / frames.n_atoms[:, None]
    columns = np.concatenate([parts, seen.sums / frames.n_atoms[:, None]], axis=1)
    offset = parts @ _fitted(parts[known], per_atom[known], np.median(per_atom[known]))
    fit = offset + columns @ _fitted(columns[known], (per_atom - offset)[known], 0.0)
    residual = per_atom - fit
    middle = float(np.median(residual[known]))
    spread = NORMAL * float(np.median(np.abs(residual[known] - middle)))
    force = np.fmin(frames.force, seen.model_force)  # neither may be wrong
    usual = float(np.nanmedian(force)) if np.isfinite(force).any() else 0.0
    steep = np.fmax(1.0, force / usual) if usual > 0 else np.ones(len(frames))
    return EnergyFit(residual - middle, fit * frames.n_atoms, spread * steep)


def outlier_findings(frames: Frames, fit: EnergyFit | None) -> list[Finding]:
    """Tell energies that are off, and very large forces."""
    return [*([] if fit is None else _energies(frames, fit)), *_forces(frames)]


def _energies(frames: Frames, fit: EnergyFit) -> list[Finding]:
    off = np.abs(fit.residual) > np.maximum(frames.settings.least_outlying, frames.settings.outlying * fit.spread)
    places = np.flatnonzero(off)
    if not len(places):
        return []
    by_unit: dict[str, list[int]] = {}
    for k in places[np.argsort(-np.abs(fit.residual[places]))].tolist():
        by_unit.setdefault(_unit_of(float(frames.energy[k] / fit.expected[k])), []).append(k)
    return [_told(frames, fit, unit, members) for unit, members in by_unit.items()]


def _unit_of(ratio: float) -> str:
    """Return the unit that an energy so many times the expected one is in, or nothing."""
    found = nearest(ratio, ENERGY_UNITS, UNIT) if ratio > 0 else []
    return found[0] if found else ""


def _told(frames: Frames, fit: EnergyFit, unit: str, members: list[int]) -> Finding:
    worst = float(np.abs(fit.residual[members]).max())
    text = (
        f"energies of {counted(len(members), 'frame')} are far off what all others tell, by up to {worst:.3g} eV/atom"
    )
    severity: Severity = WARNING
    advice = "see whether these calculations have converged, and to the same state; leave those out that have not"
    if unit:
        text, severity = f"energies of {counted(len(members), 'frame')} are in {unit}, by what all others tell", ERROR
        advice = "convert them to eV"
    return Finding(
        check=CHECK, severity=severity, text=text, advice=advice, places=places_of(frames.structures, members)
    )


def _forces(frames: Frames) -> list[Finding]:
    large: NDArray[np.bool_] = frames.largest_force > frames.settings.large_force
    if not large.any():
        return []
    places = np.flatnonzero(large)
    places = places[np.argsort(-frames.largest_force[places])]
    text = (
        f"{counted(len(places), 'frame has', 'frames have')} forces above {frames.settings.large_force:g} eV/Å, "
        f"the largest {frames.largest_force[places[0]]:.3g} eV/Å"
    )
    advice = "nothing, if close contacts are meant to be learned; else leave them out by max_forces"
    return [
        Finding(
            check=CHECK, severity=NOTE, text=text, advice=advice, places=places_of(frames.structures, places.tolist())
        )
    ]


def _fitted(columns: NDArray[np.float64], values: NDArray[np.float64], begin: float) -> NDArray[np.float64]:
    """Return the coefficients by least absolute deviations; at first, residuals are those from ``begin``."""
    scale = np.linalg.norm(columns, axis=0)
    scaled = columns / np.where(scale > 0, scale, 1.0)
    found: NDArray[np.float64] = np.zeros(columns.shape[1])
    residual: NDArray[np.float64] = values - begin
    for _ in range(ROUNDS):
        size = np.abs(residual)
        weight = 1 / np.maximum(size, max(float(np.median(size)), 1e-12))
        weighted = scaled * weight[:, None]
        gram = weighted.T @ scaled
        gram[np.diag_indices_from(gram)] += RIDGE * np.linalg.eigvalsh(gram)[-1]
        found = np.asarray(np.linalg.solve(gram, weighted.T @ values), dtype=np.float64)
        residual = values - scaled @ found
    return np.asarray(found / np.where(scale > 0, scale, 1.0))
