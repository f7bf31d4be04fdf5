"""Forces that are exactly zero: on the atoms that a constraint has held, or in frames whose forces were never written.

Forces also vanish by symmetry. Then they add up to zero over all atoms, and those of a model vanish there, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from potentia.potentials.quality.findings import ERROR, NOTE, Finding, Place, counted, place_of, places_of
from potentia.potentials.quality.frames import Frames
from potentia.potentials.quality.survey import Survey
from potentia.potentials.structure import Structure

__all__ = ["constrained", "zero_force_findings"]

CHECK = "zero forces"
EXPECTED = 0.3
"""A force of zero is an error where the model has this part of the usual one."""


def zero_force_findings(frames: Frames, seen: Survey) -> list[Finding]:
    """Tell forces of zero that cannot be."""
    usual = _usual(frames)
    expected = seen.zeroed_force > EXPECTED * usual if usual > 0 else np.zeros(len(frames), dtype=np.bool_)
    return [*constrained(frames.structures, frames.settings.net_force, expected), *_whole(frames, seen)]


def constrained(
    structures: Sequence[Structure], net_force: float, expected: NDArray[np.bool_] | None = None
) -> list[Finding]:
    """Tell frames with forces of zero on some atoms that cannot be.

    Args:
        structures: the frames.
        net_force: forces that add up to more than this, in eV/Å and as part of their sum of lengths, lack some.
        expected: Whether a model has forces where a frame has zeros; None without a model.  [frames]
    """
    found: list[Place] = []
    for k, s in enumerate(structures):
        if s.forces is None:
            continue
        size = np.linalg.norm(s.forces, axis=1)  # [atoms]
        zero = np.flatnonzero(size == 0)
        net = float(np.linalg.norm(s.forces.sum(axis=0)))
        lacking = net > net_force * max(1.0, float(size.sum())) or (expected is not None and bool(expected[k]))
        if 0 < len(zero) < s.n_atoms and lacking:
            found.append(place_of(s, k, zero.tolist()))
    if not found:
        return []
    such = counted(len(found), "frame")
    text = f"forces are exactly zero on some atoms of {such}, where neither balance nor symmetry wants it"
    advice = (
        "if they were written with constraints, write them with get_forces(apply_constraint=False), or leave the "
        "forces of these frames out"
    )
    return [Finding(check=CHECK, severity=ERROR, text=text, advice=advice, places=tuple(found))]


def _usual(frames: Frames) -> float:
    moving = frames.force[frames.force > 0]
    return float(np.median(moving)) if len(moving) else 0.0


def _whole(frames: Frames, seen: Survey) -> list[Finding]:
    zero = (frames.force == 0) & (frames.n_atoms > 1)
    if not zero.any():
        return []
    wrong = zero & (seen.model_force > EXPECTED * _usual(frames))  # a comparison with NaN is false
    told = []
    if wrong.any():
        such = counted(int(wrong.sum()), "frame")
        text = f"all forces are exactly zero in {such}, where a model of the others has forces"
        told.append((ERROR, wrong, text, "leave the forces of these frames out, or compute them"))
    if (zero & ~wrong).any():
        text = f"all forces are exactly zero in {counted(int((zero & ~wrong).sum()), 'frame')}"
        told.append((NOTE, zero & ~wrong, text, "nothing, if symmetry says so; else leave the forces out"))
    return [
        Finding(
            check=CHECK, severity=severity, text=text, advice=advice,
            places=places_of(frames.structures, np.flatnonzero(which).tolist()),
        )
        for severity, which, text, advice in told
    ]  # fmt: skip
