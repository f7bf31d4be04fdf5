"""Tables of energies and forces, one row for each structure or atom, in files as ænet's ``train.x`` writes them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self, final

import numpy as np
import pandas as pd

from potentia.potentials.columns import (
    Kind,
    header_of,
    number_column,
    read_columns,
    text_column,
    whole_column,
    write_columns,
)
from potentia.potentials.parity import ParityData, require_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Energies", "force_table", "read_forces", "write_forces"]

PathLike = str | os.PathLike[str]

PATH = "Path-of-input-file"
_ENERGIES: dict[str, Kind] = {
    "Ref(eV)": number_column,
    "ANN(eV)": number_column,
    "#atoms": whole_column,
    "Ref(eV/atom)": number_column,
    "ANN(eV/atom)": number_column,
    "Ref-ANN(eV/atom)": number_column,
    "Cost-Func": number_column,
}
_FORCES: dict[str, Kind] = {
    "Structure": whole_column,
    "Atom": whole_column,
    "Species": text_column,
    **{f"{source}-F{axis}(eV/Ang)": number_column for source in ("Ref", "ANN") for axis in "xyz"},
    "|dF|(eV/Ang)": number_column,
    PATH: text_column,
}


@final
class Energies:
    """Energies of each structure of the training and the test set, as reference and potential have them.

    The columns are ``Ref(eV)``, ``ANN(eV)``, ``#atoms``, ``Ref(eV/atom)``, ``ANN(eV/atom)``, ``Ref-ANN(eV/atom)``,
    ``Cost-Func`` (Ref − ANN per atom times the energy scaling of the training), ``#El`` with the number of atoms of
    each element, and ``Path-of-input-file``. Files of ænet's ``train.x`` are read as well; they have seven digits and
    energies relative to free atoms.

    Args:
        path_train: File to read for the training set; None for an empty table.
        path_test: File to read for the test set; None for an empty table.

    Raises:
        FileFormatError: a file is no such table, or cut off.
    """

    def __init__(self, path_train: PathLike | None = None, path_test: PathLike | None = None) -> None:
        self.energies_train = _no_energies()
        self.energies_test = _no_energies()
        self.add_energies(path_train, path_test)

    @classmethod
    def of(cls, train: ParityData, test: ParityData | None, e_scaling: float) -> Self:
        """Make the tables of a training.

        Args:
            train: Predictions on the training set, with their rows.
            test: Predictions on the test set, if there is one.
            e_scaling: Energy scaling of the training, 1/eV.

        Raises:
            DataError: the predictions do not say which structures they belong to.
        """
        energies = cls()
        energies.energies_train = _energy_table(train, e_scaling)
        energies.energies_test = _no_energies() if test is None else _energy_table(test, e_scaling)
        energies._align()
        return energies

    @property
    def elements(self) -> list[str]:
        """Elements that have a column."""
        return [name[1:] for name in _element_columns(self.energies_train)]

    def add_energies(self, path_train: PathLike | None = None, path_test: PathLike | None = None) -> None:
        """Append the rows of more files, for example those of the other processes of a parallel ``train.x``.

        Raises:
            FileFormatError: a file is no such table, or cut off.
        """
        more = [None if path is None else _read_energies(path) for path in (path_train, path_test)]
        self.energies_train = _joined(self.energies_train, more[0])
        self.energies_test = _joined(self.energies_test, more[1])
        self._align()

    def write(self, directory: PathLike) -> list[Path]:
        """Write ``energies.train.0`` and ``energies.test.0`` with 17 digits into ``directory`` and return their paths.

        The directory is made if it does not exist. A set without structures gives a file without rows.
        """
        tables = {"energies.train.0": self.energies_train, "energies.test.0": self.energies_test}
        return _write(directory, tables)

    def plot_correlation(self, outfile: PathLike | None = None) -> Figure:
        """Draw predicted against reference energies (eV/atom), and write the figure if a file is named."""
        from potentia.potentials.error_figures import energy_figure

        sets = {"train": self.energies_train, "test": self.energies_test}
        groups = {name: (table["Ref(eV/atom)"], table["ANN(eV/atom)"]) for name, table in sets.items()}
        return energy_figure(groups, outfile)

    def __repr__(self) -> str:
        return f"Energies({len(self.energies_train)} training structures, {len(self.energies_test)} test structures)"

    def _align(self) -> None:
        """Give both tables the columns of all elements; an element that a table lacks has no atoms in it."""
        tables = (self.energies_train, self.energies_test)
        elements = list(dict.fromkeys(name for table in tables for name in _element_columns(table)))
        self.energies_train, self.energies_test = (
            table if _element_columns(table) == elements else _with_elements(table, elements) for table in tables
        )


def force_table(data: ParityData) -> pd.DataFrame:
    """Return reference and predicted force on each atom (eV/Å), and the length of their difference.

    ``Structure`` is the place of the structure in the input, ``Atom`` the number of the atom in it; both from 0.

    Raises:
        DataError: the predictions do not say which structures they belong to.
    """
    rows = require_rows(data)
    atoms = rows.force_atoms
    empty = np.empty((0, 3))
    reference, predicted = (
        empty if part is None else np.asarray(part, dtype=np.float64).reshape(-1, 3) for part in data.pair("force")
    )
    names = np.array(rows.identifiers, dtype=object)
    columns = [rows.places[atoms.row], atoms.atom, atoms.species.astype(object), *reference.T, *predicted.T]
    columns += [np.linalg.norm(predicted - reference, axis=1), names[atoms.row]]
    return pd.DataFrame(dict(zip(_FORCES, columns, strict=True))).astype({"Species": "str", PATH: "str"})


def write_forces(directory: PathLike, train: ParityData, test: ParityData | None) -> list[Path]:
    """Write ``forces.train.0`` and ``forces.test.0`` with 17 digits into ``directory`` and return their paths.

    The directory is made if it does not exist. A set without forces gives a file without rows.

    Raises:
        DataError: the predictions do not say which structures they belong to.
    """
    tables = {"forces.train.0": force_table(train)}
    tables["forces.test.0"] = tables["forces.train.0"].iloc[:0] if test is None else force_table(test)
    return _write(directory, tables)


def read_forces(path: PathLike) -> pd.DataFrame:
    """Read a file of `write_forces`; every number comes back exactly.

    Raises:
        FileFormatError: the file is no such table, or cut off.
    """
    header_of(path)
    return read_columns(path, _FORCES)


def _energy_table(data: ParityData, e_scaling: float) -> pd.DataFrame:
    rows = require_rows(data)
    n_atoms = rows.n_atoms
    difference = data.energy_ref - data.energy_pred  # [structures], eV/atom
    predicted = rows.energy - difference * n_atoms  # [structures], eV
    columns = dict(
        zip(
            _ENERGIES,
            [
                rows.energy,
                predicted,
                n_atoms,
                rows.energy / n_atoms,
                predicted / n_atoms,
                difference,
                difference * e_scaling,
            ],
            strict=True,
        )
    )
    for element in sorted({name for species in rows.species for name in species}):
        columns[f"#{element}"] = np.array([species.count(element) for species in rows.species], dtype=np.int64)
    return pd.DataFrame({**columns, PATH: pd.Series(rows.identifiers, dtype="str")})


def _read_energies(path: PathLike) -> pd.DataFrame:
    elements = [name for name in re.findall(r"\s(#\S+)", header_of(path)) if name != "#atoms"]
    return read_columns(path, {**_ENERGIES, **dict.fromkeys(elements, whole_column), PATH: text_column})


def _no_energies() -> pd.DataFrame:
    return _without_rows().copy()


@cache
def _without_rows() -> pd.DataFrame:
    columns = {name: np.empty(0, dtype=int if kind is whole_column else float) for name, kind in _ENERGIES.items()}
    return pd.DataFrame({**columns, PATH: pd.Series([], dtype="str")})


def _element_columns(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns if name not in _ENERGIES and name != PATH]


def _joined(table: pd.DataFrame, more: pd.DataFrame | None) -> pd.DataFrame:
    if more is None or table.empty:
        return table if more is None else more
    elements = list(dict.fromkeys([*_element_columns(table), *_element_columns(more)]))
    return pd.concat([_with_elements(part, elements) for part in (table, more)], ignore_index=True)


def _with_elements(table: pd.DataFrame, elements: list[str]) -> pd.DataFrame:
    """Order the columns and add those of the elements that have no atoms here."""
    counts = {name: table[name] if name in table else np.zeros(len(table), dtype=np.int64) for name in elements}
    return pd.DataFrame({**{name: table[name] for name in _ENERGIES}, **counts, PATH: table[PATH]})


def _write(directory: PathLike, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_columns(folder / name, table)
    return [folder / name for name in tables]
