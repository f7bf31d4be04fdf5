"""What a simulation does when atoms leave what the potential was trained on: warn, write the frame down, or stop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from potentia.checks import choice, number
from potentia.errors import ConfigError, DataError, warn_user
from potentia.potentials.extrapolation import Extrapolation
from potentia.potentials.fitted import require_ranges
from potentia.potentials.simulation import Simulated

__all__ = ["ACTIONS", "FeatureRanges", "Watch"]

ACTIONS = ("ignore", "warn", "log", "stop")
"""What may be done."""


class FeatureRanges(Protocol):
    """Knows which features the training had: an `Extrapolation`, say."""

    def excess(self, features: NDArray[np.float64], species: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return how far each atom is outside, 0 inside, in a unit of its own choice.  [atoms]

        ``features`` is [atoms, features]; ``species`` [atoms] is the index of each atom's species in the descriptor.
        """
        ...

    def worst_features(self, features: NDArray[np.float64], species: NDArray[np.int64]) -> list[str]:
        """Return the name of the feature that is farthest outside for each atom, empty inside.  [atoms]"""
        ...


class Watch:
    """Looks at the features of every step.

    Args:
        ranges: What the training had.
        action: ``"ignore"`` only counts, ``"warn"`` warns at the first frame that is outside, ``"log"`` appends every
            such frame to ``file``, ``"stop"`` raises `DataError`.
        threshold: Atoms are outside above this excess.
        file: For ``"log"``, an extended XYZ file; each atom's excess stands in its column ``extrapolation``.

    Raises:
        ConfigError: the action is unknown, or the file is missing or not used.
    """

    def __init__(
        self,
        ranges: FeatureRanges,
        action: str = "warn",
        threshold: float = 0.0,
        file: str | os.PathLike[str] | None = None,
    ) -> None:
        self.ranges, self.action = ranges, choice("action", action, ACTIONS)
        self.threshold = number("threshold", threshold, low=0.0)
        if (file is None) == (action == "log"):
            raise ConfigError(
                "action='log' needs the path of an .xyz file for the frames as `file`, e.g. 'outside.xyz'"
                if file is None
                else f"frames are written to {file} with action='log' only, not with {action!r}"
            )
        self.file = None if file is None else Path(file)
        self.count = 0
        """Frames that were outside."""
        self.features: list[str] = []
        """The worst feature of each atom of the last frame, empty where an atom is inside.  [atoms]"""

    @classmethod
    def of(
        cls,
        potential: Simulated,
        action: str = "warn",
        threshold: float = 0.0,
        file: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Watch for what the training of this potential or committee has not seen; excess is in standard deviations.

        Raises:
            NotFittedError: it is not trained, or what it has seen is not known.
        """
        model = potential.simulation_model()
        return cls(Extrapolation(model.descriptor, require_ranges(model.seen)), action, threshold, file)

    def look(self, atoms: Atoms, features: NDArray[np.float64], species: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return each atom's excess, and act if one is above the threshold.  [atoms]

        Raises:
            DataError: an atom is outside and the action is ``"stop"``.

        Warns:
            PotentiaWarning: an atom is outside for the first time and the action is ``"warn"``.
        """
        excess = self.ranges.excess(features, species)
        outside = np.flatnonzero(excess > self.threshold)
        self.features = self.ranges.worst_features(features, species) if excess.any() else [""] * len(excess)
        if not len(outside):
            return excess
        self.count += 1
        worst = int(excess.argmax())
        text = (
            f"{len(outside)} of {len(atoms)} atoms are outside of what the potential was trained on, the farthest atom "
            f"{worst} ({atoms.get_chemical_symbols()[worst]}) by {excess[worst]:.3g} in {self.features[worst]!r}"
        )
        if self.action == "stop":
            raise DataError(f"{text}: add such structures to the training, or allow a larger threshold")
        if self.action == "warn" and self.count == 1:
            warn_user(f"{text}; said once, `count` of the watch goes on")
        if self.file is not None:
            self._write(atoms, excess)
        return excess

    def _write(self, atoms: Atoms, excess: NDArray[np.float64]) -> None:
        frame = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        frame.set_array("extrapolation", excess)
        from ase.io import write

        write(self.file, frame, format="extxyz", append=True)
