"""A structure: the atoms of one frame, its cell and its labels, checked once where they enter."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.checks import require_finite
from potentia.errors import DataError
from potentia.potentials.ase_labels import LabelKeys, Notes, labels_of
from potentia.potentials.cell import checked_cell
from potentia.potentials.stress import stress_matrix, voigt_from_matrix

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Structure"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Structure:
    """The atoms of one frame with the labels that were calculated for them. Atoms are counted from 0.

    Lists are accepted for arrays and copied. A structure does not change: `dataclasses.replace` makes another one.

    Raises:
        DataError: a shape, a number or the cell cannot be; the message names file, frame and atom.

    >>> molecule = Structure([[0, 0, 0], [0.74, 0, 0]], ["H", "H"], energy=-31.7)
    >>> molecule.n_atoms, molecule.has_forces(), molecule.is_periodic()
    (2, False, False)
    """

    positions: NDArray[np.float64]
    """Å; atoms may be anywhere, also outside the cell.  [atoms, 3]"""
    species: list[str]
    """Chemical symbol of each atom; other names are allowed.  [atoms]"""
    energy: float | None = None
    """Total energy of all atoms together (eV), not per atom."""
    forces: NDArray[np.float64] | None = None
    """eV/Å.  [atoms, 3]"""
    cell: NDArray[np.float64] | None = None
    """Rows are the lattice vectors, Å.  [3, 3]"""
    pbc: NDArray[np.bool_] = field(default=None)  # type: ignore[arg-type]  # the default depends on the cell
    """Along which lattice vectors the structure repeats: by default all with a cell, none without.  [3]"""
    name: str | None = None
    """What to call it in tables."""
    _: KW_ONLY
    stress: NDArray[np.float64] | None = None
    """1/volume · dE/dstrain, eV/Å³: positive in tension, as in ASE. Voigt (6,) is accepted.  [3, 3]"""
    weight: float = 1.0
    """Weight in the loss, not negative."""
    info: dict[str, Any] = field(default_factory=dict)
    """Whatever else is known of the frame."""
    source: str | None = None
    """Where it came from, for error messages: "a.xyz, frame 3" (frames are counted from 0)."""

    def __post_init__(self) -> None:
        where = self.source or self.name or ""
        positions = _positions(self.positions, where)
        cell, pbc = checked_cell(self.cell, self.pbc, where)
        stress = None if self.stress is None else stress_matrix(self.stress, where)
        if stress is not None and not pbc.all():
            raise DataError(f"stress needs a cell that is periodic in all three directions{_in(where)}")
        checked = {
            "positions": positions,
            "species": _species(self.species, len(positions), where),
            "energy": None if self.energy is None else _number("energy (eV)", self.energy, where),
            "forces": None if self.forces is None else _forces(self.forces, positions.shape, where),
            "cell": cell,
            "pbc": pbc,
            "stress": stress,
            "weight": _weight(self.weight, where),
            "info": dict(self.info or {}),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        formula = "".join(f"{symbol}{count}" for symbol, count in Counter(self.species).items())
        there = {"energy": self.has_energy(), "forces": self.has_forces(), "stress": self.has_stress()}
        labels = [name for name, has in there.items() if has]
        return f"Structure({', '.join([formula, *labels])}; {self.label})"

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.species)

    @property
    def label(self) -> str:
        """Name, else source, else "structure"."""
        return self.name or self.source or "structure"

    @property
    def volume(self) -> float:
        """Volume of the cell (Å³).

        Raises:
            DataError: the structure does not repeat in all three directions.
        """
        if self.cell is None or not self.pbc.all():
            raise DataError(f"volume needs a cell that is periodic in all three directions{_in(self.label)}")
        return abs(float(np.linalg.det(self.cell)))

    def has_energy(self) -> bool:
        """Whether there is an energy."""
        return self.energy is not None

    def has_forces(self) -> bool:
        """Whether there are forces."""
        return self.forces is not None

    def has_stress(self) -> bool:
        """Whether there is a stress."""
        return self.stress is not None

    def is_periodic(self) -> bool:
        """Whether it repeats in any direction."""
        return bool(self.pbc.any())

    @classmethod
    def from_atoms(cls, atoms: Atoms, *, source: str | None = None, keys: LabelKeys | None = None) -> Structure:
        """Take over an ASE Atoms object with the labels on it: see `LabelKeys` for where they may stand.

        No calculation is started, and constraints change no force.

        Warns:
            PotentiaWarning: labels on the object differ, do not belong to its geometry, or are not recognised.
        """
        notes = Notes()
        structure = cls._from_atoms(atoms, source, keys or LabelKeys(), notes)
        notes.warn()
        return structure

    @classmethod
    def _from_atoms(
        cls, atoms: Atoms, source: str | None, keys: LabelKeys, notes: Notes, *, as_read: bool = False
    ) -> Structure:
        labels = labels_of(atoms, keys, notes, source or "these atoms", as_read=as_read)
        cell = atoms.cell.array
        name = labels.info.pop("name", source if as_read else None)
        return cls(
            positions=atoms.positions,
            species=atoms.get_chemical_symbols(),
            energy=labels.energy,
            forces=labels.forces,
            cell=cell if cell.any() else None,
            pbc=atoms.pbc,
            name=None if name is None else str(name),
            stress=labels.stress,
            weight=labels.weight,
            info=labels.info,
            source=source,
        )

    def to_atoms(self) -> Atoms:
        """Return an ASE Atoms object whose SinglePointCalculator holds the labels.

        Raises:
            DataError: a species is not a chemical element.
        """
        from ase import Atoms
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.data import atomic_numbers

        unknown = [s for s in self.species if s not in atomic_numbers]
        if unknown:
            raise DataError(f"species {unknown[0]!r} is not a chemical element, as ASE needs{_in(self.label)}")
        extra = {} if self.name is None else {"name": self.name}
        weight = {} if self.weight == 1.0 else {"weight": self.weight}
        atoms = Atoms(self.species, self.positions, cell=self.cell, pbc=self.pbc, info=self.info | extra | weight)
        stress = None if self.stress is None else voigt_from_matrix(self.stress)
        if self.has_energy() or self.has_forces() or self.has_stress():
            atoms.calc = SinglePointCalculator(atoms, energy=self.energy, forces=self.forces, stress=stress)
        return atoms


def _in(where: str) -> str:
    return f" in {where}" if where else ""


def _floats(wanted: str, value: ArrayLike, where: str) -> NDArray[np.float64]:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{wanted}, and made of numbers{_in(where)}: {error}") from None


def _positions(value: ArrayLike, where: str) -> NDArray[np.float64]:
    array = _floats("positions must be (N, 3)", value, where)
    if array.size == 0:
        raise DataError(f"a structure needs at least one atom, positions are empty{_in(where)}")
    if array.ndim != 2 or array.shape[1] != 3:
        raise DataError(f"positions must be (N, 3), got {array.shape}{_in(where)}")
    require_finite("positions", array, where)
    return array


def _forces(value: ArrayLike, shape: tuple[int, ...], where: str) -> NDArray[np.float64]:
    array = _floats(f"forces shape must be {shape}", value, where)
    if array.shape != shape:
        raise DataError(f"forces shape {array.shape} must match the {shape} of the positions{_in(where)}")
    require_finite("forces", array, where)
    return array


def _species(value: list[str], n_atoms: int, where: str) -> list[str]:
    if isinstance(value, str):
        raise DataError(f"species must be a list with one symbol per atom, got the string {value!r}{_in(where)}")
    species = list(value)
    if len(species) != n_atoms:
        raise DataError(f"species length {len(species)} must match the {n_atoms} positions{_in(where)}")
    for atom, symbol in enumerate(species):
        if not isinstance(symbol, str) or not symbol:
            raise DataError(f"species must be symbols such as 'Ti', got {symbol!r} for atom {atom}{_in(where)}")
    return [str(symbol) for symbol in species]


def _number(name: str, value: Any, where: str) -> float:
    if isinstance(value, bool | str):
        raise DataError(f"{name} must be a number, got {value!r}{_in(where)}")
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise DataError(f"{name} must be a number, got {value!r}{_in(where)}") from None
    if not math.isfinite(result):
        raise DataError(f"{name} is not finite, but {result}{_in(where)}: repair or leave out this frame")
    return result


def _weight(value: Any, where: str) -> float:
    weight = _number("weight", value, where)
    if weight < 0:
        raise DataError(f"weight must not be negative, got {weight}{_in(where)}")
    return weight
