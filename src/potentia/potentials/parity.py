"""Reference and prediction side by side, and which structures and atoms they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.errors import DataError
from potentia.potentials.groups import group_of
from potentia.potentials.structure import Structure

__all__ = ["NO_PREDICTIONS", "ForceAtoms", "ParityData", "ParityRows", "require_rows"]

NO_PREDICTIONS = "this TrainOut holds errors but no predictions; `train` returns one that has both"
"""What is said where predictions are asked for that nobody has made."""

NO_GROUP = "(no group)"
"""Group of a structure that names none."""


class ForceAtoms(NamedTuple):
    """Where each atom with a force label belongs."""

    row: NDArray[np.int64]
    """Row of its structure.  [atoms with forces]"""
    atom: NDArray[np.int64]
    """Its number in the structure, counted from 0.  [atoms with forces]"""
    species: NDArray[np.str_]
    """Its species.  [atoms with forces]"""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class ParityRows:
    """Which structures and atoms the values of a `ParityData` belong to, in the order of its rows."""

    places: NDArray[np.int64]
    """Place of each structure in the input, counted from 0.  [structures]"""
    identifiers: list[str]
    """Name or path of each structure, else ``structure_000007`` by its place.  [structures]"""
    species: list[list[str]]
    """Species of the atoms of each structure.  [structures]"""
    energy: NDArray[np.float64]
    """Label: total energy, eV.  [structures]"""
    has_forces: NDArray[np.bool_]
    """Whether the forces on its atoms are among the values, all of them and in the order of the structures."""
    groups: list[str]
    """What kind of structure it is.  [structures]"""

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.__dict__.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"the rows of a ParityData must have one entry for each structure, got {lengths}")

    def __len__(self) -> int:
        return len(self.identifiers)

    @classmethod
    def of(
        cls,
        structures: Iterable[Structure],
        places: Sequence[int] | ArrayLike,
        *,
        forces: bool,
        group_key: str = "config_type",
    ) -> ParityRows:
        """Describe ``structures``, given in the order of the rows.

        Args:
            structures: The structures with their labels.
            places: Place of each in the input, counted from 0.
            forces: Whether the forces of those that have any were predicted.
            group_key: What names the group: see `group_of`.
        """
        numbers = np.array(places, dtype=np.int64)
        items = [
            (
                s.name or s.source or f"structure_{place:06d}",
                list(s.species),
                np.nan if s.energy is None else s.energy,
                forces and s.has_forces(),
                group_of(s, group_key) or NO_GROUP,
            )
            for s, place in zip(structures, numbers.tolist(), strict=True)
        ]
        return cls(
            places=numbers,
            identifiers=[item[0] for item in items],
            species=[item[1] for item in items],
            energy=np.array([item[2] for item in items], dtype=np.float64),
            has_forces=np.array([item[3] for item in items], dtype=np.bool_),
            groups=[item[4] for item in items],
        )

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """Number of atoms of each structure.  [structures]"""
        return np.array([len(species) for species in self.species], dtype=np.int64)

    @property
    def force_atoms(self) -> ForceAtoms:
        """Structure, number and species of each atom with a force label."""
        rows = np.flatnonzero(self.has_forces)
        counts = self.n_atoms[rows]
        return ForceAtoms(
            row=np.repeat(rows, counts),
            atom=np.concatenate([np.arange(0), *(np.arange(n) for n in counts.tolist())]),
            species=np.array([name for row in rows.tolist() for name in self.species[row]], dtype=np.str_),
        )


@final
@dataclass(frozen=True, eq=False)
class ParityData:
    """Reference and prediction of one split, from a deterministic pass of the trained potential.

    Raises:
        DataError: a reference and its prediction differ in shape, one is there without the other, or ``rows`` do not
            fit them.
    """

    energy_ref: NDArray[np.float64]
    """eV/atom.  [structures]"""
    energy_pred: NDArray[np.float64]
    """eV/atom.  [structures]"""
    force_ref: NDArray[np.float64] | None = None
    """eV/Å, every component of every atom that has a force label; any shape."""
    force_pred: NDArray[np.float64] | None = None
    """eV/Å, of the same shape."""
    stress_ref: NDArray[np.float64] | None = None
    """eV/Å³, every component of every structure that has a stress label; any shape."""
    stress_pred: NDArray[np.float64] | None = None
    """eV/Å³, of the same shape."""
    rows: ParityRows | None = None
    """Which structures and atoms they belong to; tables and errors by group need it."""

    def __post_init__(self) -> None:
        for name in ("energy", "force", "stress"):
            reference, predicted = self.pair(name)
            shapes = [None if part is None else np.shape(part) for part in (reference, predicted)]
            if shapes[0] != shapes[1]:
                raise DataError(f"{name}_ref and {name}_pred must have one shape, got {shapes[0]} and {shapes[1]}")
        if self.rows is not None:
            _require_fit(self.rows, len(self.energy_ref), 0 if self.force_ref is None else np.size(self.force_ref))

    def pair(self, name: str) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        """Return reference and prediction of ``"energy"``, ``"force"`` or ``"stress"``."""
        pairs = {
            "energy": (self.energy_ref, self.energy_pred),
            "force": (self.force_ref, self.force_pred),
            "stress": (self.stress_ref, self.stress_pred),
        }
        return pairs[name]


def require_rows(data: ParityData) -> ParityRows:
    """Return the rows of ``data``, or raise `DataError` where they were not given."""
    if data.rows is None:
        raise DataError("these predictions do not say which structures they belong to: give ParityData its `rows`")
    return data.rows


def _require_fit(rows: ParityRows, energies: int, components: int) -> None:
    if len(rows) != energies:
        raise DataError(f"rows must name each of the {energies} structures, got {len(rows)}")
    wanted = 3 * int(rows.n_atoms[rows.has_forces].sum())
    if wanted != components:
        raise DataError(
            f"rows name {wanted} force components, but force_ref has {components}: `has_forces` must mark the "
            "structures whose forces are among the values"
        )
