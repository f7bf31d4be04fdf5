"""What the checks look at: frames with their labels as columns, their groups, and the parts they fall into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from potentia.data import Split
from potentia.potentials.groups import group_of
from potentia.potentials.parity import NO_GROUP
from potentia.potentials.quality.settings import CheckSettings
from potentia.potentials.structure import Structure

__all__ = ["Frames"]


@dataclass(frozen=True, eq=False)
class Frames:
    """All frames, those of training and those held out."""

    structures: Sequence[Structure]
    split: Split
    """Which are trained on and which are held out."""
    group_key: str
    """What names the group of a frame: see `group_of`."""
    atomic_energies: Mapping[str, float]
    """Energy of the free atom of each species (eV); empty where they are not known."""
    settings: CheckSettings

    def __len__(self) -> int:
        return len(self.structures)

    @cached_property
    def species(self) -> tuple[str, ...]:
        """All species, sorted."""
        return tuple(sorted({name for s in self.structures for name in s.species}))

    @cached_property
    def counts(self) -> NDArray[np.float64]:
        """Atoms of each species.  [frames, species]"""
        rows = [Counter(s.species) for s in self.structures]
        return np.array([[row[name] for name in self.species] for row in rows], dtype=np.float64)

    @cached_property
    def n_atoms(self) -> NDArray[np.int64]:
        """[frames]"""
        return np.array([s.n_atoms for s in self.structures], dtype=np.int64)

    @cached_property
    def energy(self) -> NDArray[np.float64]:
        """Total energy, eV; NaN where there is none.  [frames]"""
        return np.array([np.nan if s.energy is None else s.energy for s in self.structures], dtype=np.float64)

    @cached_property
    def force(self) -> NDArray[np.float64]:
        """Root mean square of the force components, eV/Å; NaN where there are no forces.  [frames]"""
        sizes = [np.nan if s.forces is None else np.sqrt(np.mean(s.forces**2)) for s in self.structures]
        return np.array(sizes, dtype=np.float64)

    @cached_property
    def largest_force(self) -> NDArray[np.float64]:
        """Length of the longest force, eV/Å; NaN where there are none.  [frames]"""
        sizes = [np.nan if s.forces is None else np.linalg.norm(s.forces, axis=1).max() for s in self.structures]
        return np.array(sizes, dtype=np.float64)

    @cached_property
    def virial(self) -> NDArray[np.float64]:
        """Stress times volume, eV; NaN where there is no stress.  [frames, 3, 3]"""
        nothing = np.full((3, 3), np.nan)
        return np.array([nothing if s.stress is None else s.stress * s.volume for s in self.structures])

    @cached_property
    def groups(self) -> list[str]:
        """The group of each frame.  [frames]"""
        return [group_of(s, self.group_key) or NO_GROUP for s in self.structures]

    @cached_property
    def parts(self) -> NDArray[np.str_]:
        """``"train"``, ``"test"`` or ``""``.  [frames]"""
        named = np.full(len(self), "", dtype="<U5")
        named[self.split.train], named[self.split.test] = "train", "test"
        return named
