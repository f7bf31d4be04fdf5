"""Forces that are exactly zero: on the atoms that a constraint has held, or in frames whose forces were never written.

Forces also vanish by symmetry. On some atoms they do so together with the sum over all; in a whole frame, where a model
of the other frames says so, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from potentia.potentials.quality.findings import ERROR, NOTE, Finding, Place, place_of, places_of
from potentia.potentials.quality.frames import Frames
from potentia.potentials.quality.survey import Survey
from potentia.potentials.structure import Structure

__all__ = ["constrained", "zero_force_findings"]

CHECK = "zero forces"
EXPECTED = 0.3
"""A frame without forces is an error where the model has this part of the usual force."""


def zero_force_findings(frames: Frames, seen: Survey) -> list[Finding]:
    """Tell forces of zero that cannot be."""
    return [*constrained(frames.structures, frames.settings.net_force), *_whole(frames, seen)]


def constrained(structures: Sequence[Structure], net_force: float) -> list[Finding]:
    """Tell frames with forces of zero on some atoms, while the others do not add up to zero.

    Args:
        structures: the frames.
        net_force: forces that add up to more than this, in eV/Å and as part of their sum of lengths, lack some.
    """
    found: list[Place] = []
    for k, s in enumerate(structures):
        if s.forces is None:
            continue
        size = np.linalg.norm(s.forces, axis=1)  # [atoms]
        zero = np.flatnonzero(size == 0)
        net = float(np.linalg.norm(s.forces.sum(axis=0)))
        if 0 < len(zero) < s.n_atoms and net > net_force * max(1.0, float(size.sum())):
            found.append(place_of(s, k, zero.tolist()))
    if not found:
        return []
    text = f"forces are exactly zero on some atoms of {len(found)} frames, while the others do not add up to zero"
    advice = (
        "if they were written with constraints, write them with get_forces(apply_constraint=False), or leave the "
        "forces of these frames out"
    )
    return [Finding(check=CHECK, severity=ERROR, text=text, advice=advice, places=tuple(found))]


def _whole(frames: Frames, seen: Survey) -> list[Finding]:
    zero = (frames.force == 0) & (frames.n_atoms > 1)
    if not zero.any():
        return []
    moving = frames.force[frames.force > 0]
    usual = float(np.median(moving)) if len(moving) else 0.0
    wrong = zero & (seen.model_force > EXPECTED * usual)  # a comparison with NaN is false
    told = []
    if wrong.any():
        text = f"all forces are exactly zero in {int(wrong.sum())} frames, where a model of the others has forces"
        told.append((ERROR, wrong, text, "leave the forces of these frames out, or compute them"))
    if (zero & ~wrong).any():
        text = f"all forces are exactly zero in {int((zero & ~wrong).sum())} frames"
        told.append((NOTE, zero & ~wrong, text, "nothing, if symmetry says so; else leave the forces out"))
    return [
        Finding(
            check=CHECK, severity=severity, text=text, advice=advice,
            places=places_of(frames.structures, np.flatnonzero(which).tolist()),
        )
        for severity, which, text, advice in told
    ]  # fmt: skip
