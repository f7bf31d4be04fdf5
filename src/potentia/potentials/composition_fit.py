"""Least squares of total energies over a stream of compositions: counts @ energies of the atoms = total energies.

A block of rows is appended to the triangle R of a QR decomposition, and the triangle is formed anew. So memory does not
grow with the number of samples, and no digits are lost as they are by normal equations, which square the condition
number. The right-hand side is carried along as one more column, so R also holds the residual.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from potentia.checks import did_you_mean, number
from potentia.errors import ConfigError, DataError
from potentia.potentials.compositions import Composition

__all__ = ["Fitted", "Sample", "StreamedFit"]

BLOCK = 1024
"""Samples appended to the triangle at a time."""


class Sample(NamedTuple):
    """A composition and its energy."""

    counts: Composition
    energy: float
    """Total, eV."""


class Fitted(NamedTuple):
    """Energies of the atoms, and how well they fit."""

    energies: dict[str, float]
    """By species, sorted; eV."""
    quality: dict[str, Any]
    """Plain values: what was free, rank, residual."""


class StreamedFit:
    """The triangle of [counts | energies] for all samples so far; its columns are the species as they come."""

    def __init__(self) -> None:
        self.n_samples = 0
        self._species: dict[str, int] = {}  # column of each
        self._waiting: list[Sample] = []
        self._rows = np.empty((0, 1))  # [rows, species and energy]

    def know(self, species: Iterable[str]) -> None:
        """Have columns for ``species`` even if no sample has them."""
        for name in species:
            self._species.setdefault(name, len(self._species))

    def add_all(self, samples: Iterable[Sample]) -> None:
        """Append samples."""
        for sample in samples:
            self.n_samples += 1
            self.know(sample.counts)
            self._waiting.append(sample)
            if len(self._waiting) == BLOCK:
                self._append()
        self._append()

    def solve(self, fixed: Mapping[str, float]) -> Fitted:
        """Return the energies of all species; those in ``fixed`` (eV) are as given.

        Raises:
            ConfigError: ``fixed`` names a species that no sample has, or is no number.
            DataError: the samples do not determine the energies.
        """
        order = sorted(self._species)
        known = _known(fixed, order)
        free = [name for name in order if name not in known]
        given = np.array(list(known.values()))  # [fixed], eV
        right = self._rows[:, -1] - self._columns(known) @ given  # [rows], eV
        matrix = self._columns(free)  # [rows, free]
        precision = max(self.n_samples, len(free)) * np.finfo(np.float64).eps
        found, _, rank, singular = np.linalg.lstsq(matrix, right, rcond=precision)
        if rank < len(free):
            text = self._underdetermined(matrix, free, precision)
            raise DataError(text, page="datasets.md#energies-of-free-atoms")
        residual = float(np.square(right - matrix @ found).sum())
        energies = known | dict(zip(free, found.tolist(), strict=True))
        quality = {
            "species_order": order,
            "fixed_atomic_energies": known,
            "free_species": free,
            "rank": int(rank),
            "residual_sum_squares": residual,
            "rmse": math.sqrt(residual / self.n_samples),
            "singular_values": singular.tolist(),
        }
        return Fitted({name: energies[name] for name in order}, quality)

    def _columns(self, names: Iterable[str]) -> NDArray[np.float64]:
        return self._rows[:, [self._species[name] for name in names]]

    def _append(self) -> None:
        width = len(self._species) + 1
        rows = np.zeros((len(self._rows) + len(self._waiting), width))
        old, new = np.split(rows, [len(self._rows)])
        old[:, : self._rows.shape[1] - 1] = self._rows[:, :-1]
        old[:, -1] = self._rows[:, -1]
        for row, sample in zip(new, self._waiting, strict=True):
            row[[self._species[name] for name in sample.counts]] = list(sample.counts.values())
            row[-1] = sample.energy
        self._waiting.clear()
        if len(rows) > width:
            rows = np.linalg.qr(rows).R
        self._rows = rows

    def _underdetermined(self, matrix: NDArray[np.float64], free: list[str], precision: float) -> str:
        _, singular, vectors = np.linalg.svd(matrix)
        rank = int((singular > precision * singular.max()).sum())
        loose = np.abs(vectors[rank:]).max(axis=0) > 1e-6  # [free]
        names = ", ".join(name for name, is_loose in zip(free, loose, strict=True) if is_loose)
        return (
            f"the system is underdetermined or rank-deficient: {self.n_samples} samples of rank {rank} do not "
            f"determine the energies of {names}; add samples of other compositions, or fix one (fixed_atomic_energies)"
        )


def _known(fixed: Mapping[str, float], species: list[str]) -> dict[str, float]:
    for name in fixed:
        if name not in species:
            raise ConfigError(f"fixed_atomic_energies contains unknown species {name!r}{did_you_mean(name, species)}")
    return {name: number(f"fixed_atomic_energies[{name!r}]", fixed[name]) for name in species if name in fixed}
