"""Energies, forces and stress against a linear model of the forces: wrong signs and units, of all frames or of some.

Of the set as a whole: energies and stress that the model has never seen must follow it, with the right sign and about
the right size. Of single frames: their forces and stress must not point the other way than the model's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentia.potentials.quality.findings import ERROR, NOTE, Finding, counted, places_of
from potentia.potentials.quality.frames import Frames
from potentia.potentials.quality.survey import Survey
from potentia.potentials.quality.units import ENERGY_UNITS, FITTING_UNITS, FORCE_UNITS, STRESS_UNITS, nearest
from potentia.seeding import stream

__all__ = ["MODEL", "Following", "consistency_findings", "energies_following", "stress_following"]

CHECK = "signs and units"
MODEL = "a linear model of the forces"
FEWEST = 30
"""Pairs of frames, or components of the stress, needed to believe a ratio."""
PAIRS_PER_FRAME = 4
MOVING = 0.4
"""Frames whose forces, or the model's, are below this part of the usual size are not asked for their direction: small
forces are where the model is wrong. On 7,815 frames of TiO2, 1 turns with 0.2, none with 0.3."""
SURE = 0.95
"""Part of the components of the stress that must agree on the sign before single frames are asked."""
WIDE = 2.5
"""Units within this factor of what the model says are named; it is not exact."""


@dataclass(frozen=True, eq=False)
class Following:
    """Labels beside what the model says, as differences that know of no zero."""

    modelled: NDArray[np.float64]
    """[points]"""
    labelled: NDArray[np.float64]
    """In the same order.  [points]"""

    @property
    def _large(self) -> NDArray[np.bool_]:
        size = np.abs(self.modelled)
        return np.asarray((size > 0) & (size >= np.median(size))) if len(size) else np.zeros(0, dtype=np.bool_)

    @property
    def enough(self) -> bool:
        """Whether there are enough points to go by."""
        return int(self._large.sum()) >= FEWEST

    @property
    def ratio(self) -> float:
        """Median of label over model, where the model is large; 1 is right."""
        return float(np.median(self.labelled[self._large] / self.modelled[self._large]))

    @property
    def same_sign(self) -> float:
        """Part of those points whose ratio has the sign of the median."""
        return float((self.labelled * self.modelled * self.ratio > 0)[self._large].mean())


def energies_following(frames: Frames, seen: Survey) -> Following:
    """Return differences of energies (eV/atom) between frames of one composition, drawn at random."""
    labelled, modelled = frames.energy / frames.n_atoms, seen.energy / frames.n_atoms
    by_composition: dict[tuple[int, ...], list[int]] = {}
    for k in np.flatnonzero(np.isfinite(labelled) & np.isfinite(modelled)).tolist():
        by_composition.setdefault(seen.fingerprints.compositions[k], []).append(k)
    first, second = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for composition, members in by_composition.items():
        size = (2, PAIRS_PER_FRAME * len(members))
        one, other = np.array(members)[stream(0, "pairs of energies", *composition).integers(len(members), size=size)]
        first.append(one)
        second.append(other)
    i, j = np.concatenate(first), np.concatenate(second)
    return Following(modelled[i] - modelled[j], labelled[i] - labelled[j])


def stress_following(frames: Frames, seen: Survey) -> Following:
    """Return components of the virials (eV/atom), less their medians: an offset, as of a pressure, is no matter."""
    labelled, modelled = _virials(frames, seen)
    known = np.isfinite(labelled).all(axis=1) & np.isfinite(modelled).all(axis=1)
    return Following(modelled[known].ravel(), labelled[known].ravel())


def consistency_findings(frames: Frames, seen: Survey, *, units_told: bool) -> list[Finding]:
    """Tell signs and units that do not fit.

    Args:
        frames: All frames.
        seen: What a pass over them has brought.
        units_told: Whether steps between neighbouring frames have told it of the whole set already, more exactly.
    """
    settings = frames.settings
    if seen.model is None or seen.model.agreement < settings.least_agreement:
        return [_no_model(seen)]
    found = [*_force_signs(frames, seen), *_force_units(frames, seen)]
    energy, stress = energies_following(frames, seen), stress_following(frames, seen)
    if units_told:
        return found
    if _wrong(energy, settings.energy_factor, settings.same_sign):  # forces may be: stress cannot be told from them
        per_atom = {"energies per atom instead of total": 1 / float(np.median(frames.n_atoms))}
        with_forces = np.flatnonzero(np.isfinite(frames.force) & np.isfinite(frames.energy)).tolist()
        found.append(_of_all(frames, energy, "energies", "forces", FITTING_UNITS | per_atom, with_forces))
    elif _wrong(stress, settings.stress_factor, settings.same_sign):
        units = {f"stress in {unit}": value for unit, value in STRESS_UNITS.items()}
        units |= {f"energies and forces in {unit}": 1 / value for unit, value in ENERGY_UNITS.items()}
        with_stress = np.flatnonzero(np.isfinite(frames.virial).all(axis=(1, 2))).tolist()
        found.append(_of_all(frames, stress, "stress", "stress", units, with_stress))
    elif stress.enough and stress.same_sign > SURE:
        found.extend(_stress_signs(frames, seen))
    return found


def _no_model(seen: Survey) -> Finding:
    text = f"signs and units could not be compared by {MODEL}: "
    text += (
        "frames with forces are too few"
        if seen.model is None
        else f"it does not follow them (cosine {seen.model.agreement:.2f})"
    )
    advice = "nothing, if neighbouring frames are compared; else look at signs and units yourself"
    if seen.model is not None:
        advice = "see whether forces belong to their frames and atoms: even a poor model should follow them"
    return Finding(check=CHECK, severity=NOTE, text=text, advice=advice)


def _wrong(following: Following, factor: float, same_sign: float) -> bool:
    if not following.enough or following.same_sign < same_sign:
        return False
    return not 1 / factor < following.ratio < factor


def _of_all(
    frames: Frames, following: Following, what: str, signed: str, units: Mapping[str, float], places: Sequence[int]
) -> Finding:
    ratio = following.ratio
    causes = [f"the sign of the {signed}"] if ratio < 0 else []
    if not 1 / frames.settings.stress_factor < abs(ratio) < frames.settings.stress_factor:
        causes.append(" or ".join(nearest(abs(ratio), units, WIDE)) or f"the unit of {what} or forces")
    text = f"{what} are {ratio:.3g} times what {MODEL} says, and 1 is right; likely: {' and '.join(causes)}"
    advice = (
        "convert to eV, eV/Å and eV/Å³; forces are −dE/dx, stress is positive in tension as in ASE "
        "(VASP and LAMMPS have the opposite)"
    )
    return Finding(check=CHECK, severity=ERROR, text=text, advice=advice, places=places_of(frames.structures, places))


def _moving(frames: Frames, seen: Survey) -> NDArray[np.bool_]:
    """Whether forces of a frame, and the model's, are large enough to have a direction.  [frames]"""
    usual = float(np.nanmedian(seen.model_force))
    return np.asarray((frames.force > MOVING * usual) & (seen.model_force > MOVING * usual))


def _force_signs(frames: Frames, seen: Survey) -> list[Finding]:
    turned = np.flatnonzero(_moving(frames, seen) & (seen.force_cosine < frames.settings.opposite)).tolist()
    if not turned:
        return []
    text = f"forces of {counted(len(turned), 'frame')} point against those of all others (by {MODEL})"
    return [
        Finding(
            check=CHECK, severity=ERROR, text=text, places=places_of(frames.structures, turned),
            advice="turn their sign if they are gradients: forces are −dE/dx; else leave these forces out",
        )
    ]  # fmt: skip


def _force_units(frames: Frames, seen: Survey) -> list[Finding]:
    parallel = np.abs(seen.force_cosine) > frames.settings.parallel
    usual = float(np.nanmedian(seen.model_force))
    there = parallel & (frames.force > 0) & (seen.model_force > MOVING * usual)
    ratio = np.where(there, frames.force, 1.0) / np.where(there, seen.model_force, 1.0)
    off = np.flatnonzero(np.abs(np.log(ratio)) > np.log(frames.settings.force_factor)).tolist()
    if not off:
        return []
    middle = float(np.median(ratio[off]))
    units = " or ".join(nearest(middle, {f"forces in {unit}": value for unit, value in FORCE_UNITS.items()}, WIDE))
    text = f"forces of {counted(len(off), 'frame')} are {middle:.3g} times what those of all others tell (by {MODEL})"
    text += f"; likely: {units}" if units else ""
    return [
        Finding(
            check=CHECK, severity=ERROR, text=text, places=places_of(frames.structures, off),
            advice="convert the forces of these frames to eV/Å",
        )
    ]  # fmt: skip


def _stress_signs(frames: Frames, seen: Survey) -> list[Finding]:
    labelled, modelled = _virials(frames, seen)
    size = np.linalg.norm(modelled, axis=1)
    cosine = (labelled * modelled).sum(axis=1) / np.maximum(size * np.linalg.norm(labelled, axis=1), 1e-300)
    large = size > 2 * float(np.nanmedian(size))
    turned = np.flatnonzero(large & (cosine < frames.settings.opposite)).tolist()
    if not turned:
        return []
    text = f"the stress of {counted(len(turned), 'frame')} has the opposite sign of that of all others (by {MODEL})"
    return [
        Finding(
            check=CHECK, severity=ERROR, text=text, places=places_of(frames.structures, turned),
            advice="turn its sign: stress is positive in tension, as in ASE; VASP and LAMMPS have the opposite",
        )
    ]  # fmt: skip


def _virials(frames: Frames, seen: Survey) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return virials of labels and model, eV/atom, each component less its median.  [frames, 9] both"""
    both = np.stack([frames.virial, seen.virial]).reshape(2, len(frames), 9) / frames.n_atoms[:, None]
    known = np.isfinite(both).all(axis=(0, 2))
    if known.any():
        both -= np.median(both[:, known], axis=1, keepdims=True)
    return both[0], both[1]
