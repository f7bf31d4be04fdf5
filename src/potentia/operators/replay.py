"""Solving again what a file holds, and proof that it comes out as it did when the file was made."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.errors import DataError
from potentia.operators.hdf5 import read_record
from potentia.operators.record import CHECK_STEPS, Record, Run

__all__ = ["Replayer", "Verification"]


@dataclass(frozen=True)
class Verification:
    """How far states solved again are from those that were stored."""

    samples: int
    """Samples that were compared."""
    exact: int
    """Samples that are equal to the last bit."""
    difference: float
    """Largest difference, as part of the largest value of that sample's stored state."""
    worst: int
    """Sample with that difference."""
    changed: tuple[int, ...]
    """Samples whose settings or drawn weights are not those that the file was made with."""
    tolerance: float
    """Difference up to which it passes."""

    @property
    def passed(self) -> bool:
        """Whether everything is as it was."""
        return not self.changed and self.difference <= self.tolerance


class Replayer:
    """Trajectories from parameters, initial fields and seeds, by the system that made a record.

    On one machine and with one number of threads they are equal to the last bit; elsewhere rounding may differ, which
    `verify` measures.
    """

    def __init__(self, record: Record) -> None:
        if record.run is None or record.seeds is None:
            raise DataError(f"{record.name} does not say which system made it, so it cannot be solved again")
        self.record = record
        self.run: Run = record.run
        self.seeds: NDArray[np.uint64] = record.seeds

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Return the replayer of a file of `write_record`."""
        return cls(read_record(path))

    def rollout(
        self,
        parameters: ArrayLike | Mapping[str, ArrayLike],
        initial: ArrayLike,
        steps: int | None = None,
        seeds: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Return trajectories from any initial fields.  [samples, steps + 1, channels, *grid]

        Args:
            parameters: Rows of values, or a mapping by name.  [samples, parameters]
            initial: [samples, channels, *grid]
            steps: None is as many as the record has.
            seeds: Of the noise, and of weights where each sample has its own; needed where there are such.  [samples]
        """
        fields = np.ascontiguousarray(initial, dtype=np.float32)
        match parameters:
            case Mapping():
                values = self.record.space.array(parameters)
                values = np.ascontiguousarray(np.broadcast_to(values, (len(fields), values.shape[1])))
            case _:
                values = np.asarray(parameters, dtype=np.float64)
        if seeds is None and self.run.build().needs_seeds:
            raise DataError(f"{self.run.system} draws noise or weights for each sample: give their `seeds`")
        known = np.zeros(len(fields), np.uint64) if seeds is None else np.asarray(seeds, dtype=np.uint64)
        return self.run.trajectories(fields, values, known, steps)

    def samples(self, which: Sequence[int] | NDArray[np.int64], steps: int | None = None) -> NDArray[np.float32]:
        """Return trajectories of samples of the record.  [samples, steps + 1, channels, *grid]"""
        rows = np.asarray(which, dtype=np.int64)
        return self.run.trajectories(self.record.initial[rows], self.record.values[rows], self.seeds[rows], steps)

    def verify(self, which: Sequence[int] | None = None, *, tolerance: float = 1e-4) -> Verification:
        """Solve some samples, or all, again and compare them with the states and check sums that were stored."""
        rows = np.arange(len(self.record)) if which is None else np.asarray(which, dtype=np.int64)
        if not len(rows):
            raise DataError(f"{self.record.name}: there is no sample to verify")
        stored = self.record.check[rows].reshape(len(rows), -1)
        again = self.samples(rows, min(CHECK_STEPS, self.run.steps))[:, -1].reshape(len(rows), -1)
        same = (again == stored) | (np.isnan(again) & np.isnan(stored))
        with np.errstate(invalid="ignore"):  # samples that went wrong are compared too
            away = np.where(same, 0.0, np.abs(again.astype(np.float64) - stored)).max(1)
            away = np.where(same.all(1), 0.0, away / np.maximum(np.abs(stored).max(1), 1e-30))
        away = np.nan_to_num(away, nan=np.inf)
        changed: tuple[int, ...] = ()
        if self.record.digests is not None:
            differs = (self.run.digests(self.seeds[rows]) != self.record.digests[rows]).any(1)
            changed = tuple(rows[differs].tolist())
        worst = int(away.argmax())
        return Verification(len(rows), int(same.all(1).sum()), float(away[worst]), int(rows[worst]), changed, tolerance)
