"""The calibration of a committee: from the spread of its members to intervals, for energies per atom and for forces.

It belongs to the members that it was learned with, and names them by marks of their weights.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from potentia.calibration import Calibration
from potentia.ensemble import mark_of_weights
from potentia.errors import ConfigError, FileFormatError
from potentia.potentials.datasets.contents import geometry_marks
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.structure import Structure
from potentia.storage import read_json, write_json

__all__ = ["CALIBRATION", "CommitteeCalibration", "force_spread"]

CALIBRATION = "calibration.json"
"""Name of the file in the directory of a committee."""
KIND, VERSION = "committee calibration", 1


@final
@dataclass(frozen=True, eq=False)
class CommitteeCalibration:
    """Intervals that hold a stated share of the errors of a committee's mean."""

    energy: Calibration
    """From the spread of the energy per atom (eV/atom)."""
    forces: Calibration | None
    """From the `force_spread` of an atom, for each component of its force (eV/Å), by species; None where no structure
    held out had forces."""
    level: float
    """Share of the errors that the intervals in tables and results shall hold."""
    members: tuple[str, ...]
    """Marks of the members it was learned with (`mark_of_weights`), sorted."""
    seen: tuple[str, ...]
    """Marks of the structures that it was learned from (`geometry_marks`), sorted."""
    measured: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What was found on other structures: for ``"energy"`` and ``"forces"`` coverage at the level, its standard error,
    and more, by name."""

    def energy_half_width(self, std_per_atom: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return half-widths at the level, eV/atom, from the members' standard deviations of the energy per atom."""
        return self.energy.half_width(std_per_atom, self.level)

    def force_half_width(self, forces_std: NDArray[np.float64], species: Sequence[str]) -> NDArray[np.float64] | None:
        """Return the half-width at the level of each component of the force on an atom, eV/Å; None if not known.

        Args:
            forces_std: The members' standard deviations.  [atoms, 3]
            species: Species of each atom.  [atoms]

        Returns:
            One for the three components of an atom.  [atoms]
        """
        return None if self.forces is None else self.forces.half_width(force_spread(forces_std), self.level, species)

    def require_members(self, models: Sequence[AtomicNetworks], where: str) -> None:
        """Raise `ConfigError` unless it was learned with members of these weights; ``where`` says where it is from."""
        if sorted(mark_of_weights(model) for model in models) != list(self.members):
            raise ConfigError(
                f"the calibration of {where} was learned with other members ({len(self.members)}, here are "
                f"{len(models)}): call `calibrate` again, or load the committee it belongs to"
            )

    def unseen(self, structures: Sequence[Structure]) -> NDArray[np.bool_]:
        """Return which structures it was not learned from: only of these its intervals tell something.  [structures]"""
        seen = frozenset(self.seen)
        return np.array([mark not in seen for mark in geometry_marks(structures)], dtype=np.bool_)

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain values; `from_plain` is the inverse."""
        found = {
            kind: {name: value if math.isfinite(value) else None for name, value in values.items()}
            for kind, values in self.measured.items()
        }
        return {
            "level": self.level,
            "seen": list(self.seen),
            "members": list(self.members),
            "measured": found,
            "energy": self.energy.to_plain(),
            "forces": None if self.forces is None else self.forces.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the calibration that `to_plain` has written down."""
        forces = None if plain["forces"] is None else Calibration.from_plain(plain["forces"])
        measured = {
            kind: {name: math.nan if value is None else float(value) for name, value in values.items()}
            for kind, values in plain["measured"].items()
        }
        return cls(
            Calibration.from_plain(plain["energy"]), forces, float(plain["level"]), tuple(plain["members"]),
            tuple(plain["seen"]), measured,
        )  # fmt: skip

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write a file of strict JSON, whole or not at all."""
        write_json(path, KIND, self.to_plain(), VERSION)

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file of `to_json`.

        Raises:
            FileFormatError: the file is cut off, foreign, or of a newer version.
        """
        found = read_json(path, KIND, VERSION)
        try:
            return cls.from_plain(found)
        except KeyError as error:
            raise FileFormatError(f"{path} lacks {error} where each {KIND} has some: calibrate again") from None


def force_spread(forces_std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one spread for each atom, the root mean square over the components [atoms, 3]: it turns with the atoms."""
    return np.asarray(np.sqrt(np.mean(np.square(forces_std), axis=1)), dtype=np.float64)
