"""What a prediction returns: energies, forces and stress by structure; and how much several predictions differ."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.errors import DataError, NotFittedError
from potentia.potentials.extrapolation import Extrapolated
from potentia.potentials.formats.predict_out import read_predict_out
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.structure import Structure

__all__ = ["PredictOut", "PredictOutAnalyzer", "Spread"]


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PredictOut:
    """Energies, and forces and stress if asked for: lists with one entry for each structure, in the order of the input.

    All energies are totals in eV; the properties give them per atom.

    >>> out = PredictOut(
    ...     coords=[np.zeros((2, 3))],
    ...     atom_types=[["H", "H"]],
    ...     atom_energies=[np.array([-15.8, -15.9])],
    ...     total_energy=[-31.7],
    ...     cohesive_energy=[-4.5],
    ...     structure_paths=["molecule.xsf"],
    ... )
    >>> len(out), out.num_atoms(0), out.total_energy_per_atom
    (1, 2, [-15.85])
    """

    coords: list[NDArray[np.float64]]
    """Positions, Å.  [atoms, 3]"""
    atom_types: list[list[str]]
    """Species of each atom.  [atoms]"""
    atom_energies: list[NDArray[np.float64]] | None
    """Energies of the atoms, eV; their sum is the total energy. None if a file does not tell them.  [atoms]"""
    total_energy: list[float]
    """Energy of all atoms together, eV, comparable to the labels."""
    cohesive_energy: list[float]
    """Total energy without the reference energies of the atoms, eV."""
    structure_paths: list[str]
    """Which structure it is: path, name, or ``structure_000007``."""
    forces: list[NDArray[np.float64]] | None = None
    """eV/Å; None if not asked for.  [atoms, 3]"""
    stress: list[NDArray[np.float64] | None] | None = None
    """1/volume · dE/dstrain, eV/Å³; None if not asked for, and for a structure without a volume.  [3, 3]"""
    timing: dict[str, float] = field(default_factory=dict)
    """Seconds: featurization, energy_eval, force_eval, total."""
    cells: list[NDArray[np.float64] | None] | None = None
    """Lattice vectors in rows, Å; None for a structure without.  [3, 3]"""
    pbc: list[NDArray[np.bool_]] | None = None
    """Along which lattice vectors each structure repeats; None where a file does not tell.  [3]"""
    extrapolated: Extrapolated | None = None
    """How far atoms are outside of what training has seen; None where that is not known."""

    def __post_init__(self) -> None:
        columns: dict[str, Sequence[object] | None] = {
            "atom_types": self.atom_types,
            "atom_energies": self.atom_energies,
            "total_energy": self.total_energy,
            "cohesive_energy": self.cohesive_energy,
            "structure_paths": self.structure_paths,
            "forces": self.forces,
            "stress": self.stress,
            "cells": self.cells,
            "pbc": self.pbc,
        }
        for name, column in columns.items():
            if column is not None and len(column) != len(self.coords):
                raise DataError(
                    f"{name} must have one entry for each of {len(self.coords)} structures, got {len(column)}"
                )

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read the output of ænet's Fortran program ``predict.x``; positions and forces have six decimals there.

        Raises:
            FileFormatError: the file is of another program, or cut off.
        """
        frames = read_predict_out(path)
        forces = [frame.forces for frame in frames if frame.forces is not None]
        atomic = [frame.atom_energies for frame in frames if frame.atom_energies is not None]
        return cls(
            coords=[frame.positions for frame in frames],
            atom_types=[frame.species for frame in frames],
            atom_energies=atomic if len(atomic) == len(frames) else None,
            total_energy=[frame.total_energy for frame in frames],
            cohesive_energy=[frame.cohesive_energy for frame in frames],
            structure_paths=[frame.file_name or f"structure_{k:06d}" for k, frame in enumerate(frames)],
            forces=forces if len(forces) == len(frames) else None,
            cells=[frame.cell for frame in frames],
        )

    def to_structures(self, directory: str | os.PathLike[str] | None = None) -> list[Structure]:
        """Return the structures with the predictions as their labels.

        A file of ``predict.x`` does not tell along which directions a structure repeats: the files in
        `structure_paths` do, and cell and periodicity are taken from there.

        Args:
            directory: What relative paths in `structure_paths` are relative to; the working directory if None.

        Raises:
            DataError: a file is needed and is not there, or holds another structure.
        """
        return [self._structure(i, Path() if directory is None else Path(directory)) for i in range(len(self))]

    @property
    def num_structures(self) -> int:
        """Number of structures."""
        return len(self.coords)

    def __len__(self) -> int:
        return len(self.coords)

    def num_atoms(self, i: int) -> int:
        """Return the number of atoms of the i-th structure."""
        return len(self.atom_types[i])

    @property
    def total_energy_per_atom(self) -> list[float]:
        """Total energies, eV/atom."""
        return [energy / len(types) for energy, types in zip(self.total_energy, self.atom_types, strict=True)]

    @property
    def cohesive_energy_per_atom(self) -> list[float]:
        """Cohesive energies, eV/atom."""
        return [energy / len(types) for energy, types in zip(self.cohesive_energy, self.atom_types, strict=True)]

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row for each structure: eV, eV/atom; with forces also the largest on any of its atoms (eV/Å).

        Where it is known what training has seen, the columns of `Extrapolated.columns` come after these.
        """
        columns: dict[str, Any] = {
            "identifier": pd.Series(self.structure_paths, dtype=str),
            "n_atoms": np.array([len(types) for types in self.atom_types], dtype=np.int64),
            "total_energy": np.array(self.total_energy, dtype=np.float64),
            "cohesive_energy": np.array(self.cohesive_energy, dtype=np.float64),
            "total_energy_per_atom": np.array(self.total_energy_per_atom, dtype=np.float64),
            "cohesive_energy_per_atom": np.array(self.cohesive_energy_per_atom, dtype=np.float64),
        }
        if self.forces is not None:
            largest = [np.linalg.norm(forces, axis=1).max() for forces in self.forces]  # over atoms
            columns["max_force"] = np.array(largest, dtype=np.float64)
        return pd.DataFrame(columns | ({} if self.extrapolated is None else self.extrapolated.columns()))

    def extrapolation(self) -> pd.DataFrame:
        """Return a row for each atom that is outside of what training has seen: see `Extrapolated.table`.

        Raises:
            NotFittedError: what training has seen is not known.
        """
        if self.extrapolated is None:
            raise NotFittedError(
                "this prediction does not know what training has seen: it comes from a file, or from a potential "
                "imported from ænet or saved by a release that did not keep it"
            )
        return self.extrapolated.table()

    def _structure(self, i: int, directory: Path) -> Structure:
        cell = None if self.cells is None else self.cells[i]
        pbc = None if self.pbc is None else self.pbc[i]
        if pbc is None:
            original = self._original(i, directory)
            cell, pbc = original.cell, original.pbc
        return Structure(
            self.coords[i],
            self.atom_types[i],
            energy=self.total_energy[i],
            forces=None if self.forces is None else self.forces[i],
            cell=cell,
            pbc=pbc,
            name=self.structure_paths[i],
            stress=None if self.stress is None else self.stress[i],
        )

    def _original(self, i: int, directory: Path) -> Structure:
        """Read the structure that was predicted, for its cell and periodicity."""
        path = directory / self.structure_paths[i]
        if not path.is_file():
            raise DataError(
                f"this prediction does not tell whether structure {i} is periodic, and its file {str(path)!r} is not "
                "there: give the `directory` that paths are relative to"
            )
        found = read_structures([path]).structures
        if len(found) != 1 or found[0].species != self.atom_types[i] or not self._same_cell(i, found[0]):
            raise DataError(f"{path} does not hold the structure that was predicted: atoms or cell differ")
        return found[0]

    def _same_cell(self, i: int, structure: Structure) -> bool:
        """Whether the cell is the one printed, to its eight decimals; that of an isolated structure means nothing."""
        printed = None if self.cells is None else self.cells[i]
        if printed is None or structure.cell is None or not structure.is_periodic():
            return True
        return bool(np.allclose(printed, structure.cell, rtol=0, atol=1e-6))

    def __repr__(self) -> str:
        given = ["energies"] + ["forces"] * (self.forces is not None) + ["stress"] * (self.stress is not None)
        atoms = sum(len(types) for types in self.atom_types)
        return f"PredictOut({self.num_structures} structures, {atoms} atoms: {', '.join(given)})"


class Spread(NamedTuple):
    """How far apart some values are."""

    min: float
    max: float
    avg: float
    std: float
    """Standard deviation over the values themselves (divided by their number)."""


@final
class PredictOutAnalyzer:
    """Several predictions of the same structures, for example by the members of a committee, side by side.

    Args:
        predictions: One prediction of each potential.

    Raises:
        DataError: there are none, or they are not of the same structures.

    >>> one, other = (
    ...     PredictOut(
    ...         coords=[np.zeros((2, 3))],
    ...         atom_types=[["H", "H"]],
    ...         atom_energies=None,
    ...         total_energy=[energy],
    ...         cohesive_energy=[-4.0],
    ...         structure_paths=["h2.xsf"],
    ...     )
    ...     for energy in (-30.0, -32.0)
    ... )
    >>> PredictOutAnalyzer([one, other]).energy_stats(0)
    Spread(min=-16.0, max=-15.0, avg=-15.5, std=0.5)
    """

    def __init__(self, predictions: Sequence[PredictOut]) -> None:
        if not predictions:
            raise DataError("PredictOutAnalyzer needs at least one PredictOut, got none")
        self.predictions = list(predictions)
        for k, other in enumerate(self.predictions):
            _require_same(self.predictions[0], other, k)

    @property
    def num_structures(self) -> int:
        """Number of structures."""
        return len(self.predictions[0])

    def num_atoms(self, i: int) -> int:
        """Return the number of atoms of the i-th structure."""
        return self.predictions[0].num_atoms(i)

    def energy_stats(self, i: int, normalize: bool = True) -> Spread:
        """Return how the total energy of the i-th structure is spread: eV/atom, or eV without ``normalize``."""
        energies = np.array([found.total_energy[i] for found in self.predictions])  # [predictions], eV
        energies = energies / self.num_atoms(i) if normalize else energies
        return Spread(*(float(value) for value in (energies.min(), energies.max(), energies.mean(), energies.std())))

    def all_energy_stats(self, normalize: bool = True) -> pd.DataFrame:
        """Return `energy_stats` of each structure: columns min, max, avg, std; index identifier."""
        index = pd.Index(self.predictions[0].structure_paths, name="identifier", dtype="str")
        rows = [self.energy_stats(i, normalize) for i in range(self.num_structures)]
        return pd.DataFrame(rows, columns=list(Spread._fields), index=index, dtype=float)

    def force_stats(self, i: int) -> NDArray[np.float64]:
        """Return the standard deviation of each force component in the i-th structure, eV/Å.  [atoms, 3]

        Raises:
            DataError: a prediction has no forces.
        """
        forces = [None if found.forces is None else found.forces[i] for found in self.predictions]
        without = [k for k, part in enumerate(forces) if part is None]
        if without:
            raise DataError(f"prediction {without[0]} has no forces: predict with eval_forces=True")
        stacked = np.array(forces, dtype=np.float64)  # [predictions, atoms, 3]
        return np.asarray(stacked.std(axis=0), dtype=np.float64)

    def force_uncertainty(self, i: int) -> NDArray[np.float64]:
        """Return the mean of `force_stats` over the components of each atom, eV/Å.  [atoms]

        Raises:
            DataError: a prediction has no forces.
        """
        return np.asarray(self.force_stats(i).mean(axis=1), dtype=np.float64)

    def __repr__(self) -> str:
        return f"PredictOutAnalyzer({len(self.predictions)} predictions of {self.num_structures} structures)"


def _require_same(first: PredictOut, other: PredictOut, k: int) -> None:
    if len(other) != len(first):
        raise DataError(
            f"prediction {k} is of {len(other)} structures, the first of {len(first)}: compare like with like"
        )
    for i, (one, two) in enumerate(zip(first.coords, other.coords, strict=True)):
        if first.atom_types[i] != other.atom_types[i] or not np.allclose(one, two, rtol=0, atol=1e-5):
            raise DataError(
                f"structure {i} of prediction {k} ({other.structure_paths[i]}) is not that of the first "
                f"({first.structure_paths[i]}): species or positions differ"
            )
