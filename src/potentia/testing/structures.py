"""The same structure once more: moved, turned, mirrored, in another order, by other images of its atoms, repeated."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.potentials.structure import Structure
from potentia.seeding import stream

__all__ = ["MIRROR", "deformed", "other_images", "reordered", "repeated", "turn"]

MIRROR = np.diag([1.0, -1.0, 1.0])
"""A mirror across y.  [3, 3]"""


def turn(seed: int = 0) -> NDArray[np.float64]:
    """Return a random rotation.  [3, 3]"""
    q, _ = np.linalg.qr(stream(seed, "turn").normal(size=(3, 3)))
    return np.asarray(q * np.sign(np.linalg.det(q)))


def deformed(structure: Structure, matrix: ArrayLike, shift: ArrayLike = 0.0) -> Structure:
    """Return it without labels, each position x at matrix·x + shift and the lattice with them.

    Args:
        structure: What to turn, mirror, strain or move.
        matrix: [3, 3]
        shift: Å.  [3]
    """
    by = np.asarray(matrix, dtype=np.float64).T
    cell = None if structure.cell is None else structure.cell @ by
    return _without_labels(structure, positions=structure.positions @ by + np.asarray(shift, np.float64), cell=cell)


def reordered(structure: Structure, order: ArrayLike) -> Structure:
    """Return it without labels, its atoms in another order [atoms]."""
    places = np.asarray(order)
    names = [structure.species[k] for k in places]
    return _without_labels(structure, positions=structure.positions[places], species=names)


def other_images(structure: Structure, seed: int = 0) -> Structure:
    """Return it without labels, each atom moved by lattice vectors along which the structure repeats."""
    if structure.cell is None:
        return _without_labels(structure)
    cells = stream(seed, "images").integers(-3, 4, (structure.n_atoms, 3)) * structure.pbc
    return _without_labels(structure, positions=structure.positions + cells @ structure.cell)


def repeated(structure: Structure, times: tuple[int, int, int]) -> Structure:
    """Return a supercell without labels: all atoms in their order, and again for each image."""
    if structure.cell is None:
        return _without_labels(structure)
    images = np.array(list(itertools.product(*map(range, times))))
    positions = (structure.positions + (images @ structure.cell)[:, None]).reshape(-1, 3)
    cell = np.diag(times) @ structure.cell
    return _without_labels(structure, positions=positions, species=structure.species * len(images), cell=cell)


def _without_labels(structure: Structure, **changed: object) -> Structure:
    labels = dict.fromkeys(("energy", "forces", "stress"))
    return replace(structure, **{**labels, **changed})  # type: ignore[arg-type]  # checked there
