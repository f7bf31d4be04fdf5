"""What the data doctor has found: findings and tables, as text, JSON or one HTML page."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from potentia.config import to_dict
from potentia.errors import DataError
from potentia.potentials.quality.consistency import Following
from potentia.potentials.quality.findings import Finding
from potentia.potentials.quality.in_words import coverage_in_words, distances_in_words
from potentia.potentials.quality.settings import CheckSettings
from potentia.storage import write_json

__all__ = ["DataReport"]

KIND, VERSION = "data report", 1


@dataclass(frozen=True, kw_only=True, eq=False)
class DataReport:
    """Findings about a data set, the worst first, and the tables behind them."""

    findings: tuple[Finding, ...]
    """Errors, warnings, notes."""
    settings: CheckSettings
    """When something was told."""
    sources: pd.DataFrame
    """A row for each file: frames, atoms, and the frames with energy, forces, stress."""
    coverage: pd.DataFrame
    """The same for each group, and how many frames can have a stress."""
    elements: pd.DataFrame
    """A row for each species: frames, atoms, part of all atoms, frames of training and held out."""
    references: pd.DataFrame
    """A row for each species: energy of the free atom as given, and as fitted (eV)."""
    distances: pd.DataFrame
    """A row for each two species: how close they come, where (Å)."""
    copies: pd.DataFrame
    """A row for each two frames that are the same structure."""
    near_copies: pd.DataFrame
    """A row for each test structure with a training structure too near: see `Duplicates.table`."""
    outside: pd.DataFrame
    """A row for each test atom outside of what training has seen: see `Extrapolated.table`."""
    frames: pd.DataFrame
    """A row for each frame, in the order of the input: ``file``, ``index``, ``part``, ``group``, ``atoms``, ``energy``
    (eV), ``energy_per_atom`` and ``energy_off`` (from what all others tell; eV/atom), ``force`` (root mean square of
    the components), ``largest_force`` and ``model_force`` (eV/Å), ``force_cosine`` (between forces and those of a
    linear model fitted to all)."""
    followed: Mapping[str, Following]
    """``"energy"`` and ``"stress"`` beside what the linear model says of them."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What a training would go wrong by."""
        return self._graded("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is likely a mistake."""
        return self._graded("warning")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is worth knowing."""
        return self._graded("note")

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by name but the one of all frames."""
        return {
            "sources": self.sources, "coverage": self.coverage, "elements": self.elements,
            "references": self.references, "distances": self.distances, "copies": self.copies,
            "near_copies": self.near_copies, "outside": self.outside,
        }  # fmt: skip

    @property
    def headline(self) -> str:
        """What was looked at and how much was found, in one line."""
        counts = [f"{len(found)} {name}{'s' * (len(found) != 1)}" for name, found in (
            ("error", self.errors), ("warning", self.warnings), ("note", self.notes),
        )]  # fmt: skip
        return f"{len(self.frames):,} frames, {int(self.frames['atoms'].sum()):,} atoms: {', '.join(counts)}"

    def __str__(self) -> str:
        distances = distances_in_words(self.distances, self.frames)
        tables = [coverage_in_words(self.coverage).to_string(), distances.to_string(float_format="{:.3f}".format)]
        return "\n".join([self.headline, *map(str, self.findings), "", "\n\n".join(tables)])

    def is_fit(self, *, strict: bool = False) -> bool:
        """Whether nothing speaks against training: no errors, and no warnings either if ``strict``."""
        return not (self.errors or (strict and self.warnings))

    def raise_for_errors(self, *, strict: bool = False) -> None:
        """Stop where there are errors.

        Args:
            strict: Whether to stop where there are warnings, too.

        Raises:
            DataError: there are some; the message has all of them.
        """
        if not self.is_fit(strict=strict):
            told = [*self.errors, *(self.warnings if strict else ())]
            raise DataError("the data are not fit to train on\n" + "\n".join(map(str, told)))

    def plain(self) -> dict[str, Any]:
        """Return findings, settings and tables as plain values."""
        return {
            "frames": len(self.frames),
            "atoms": int(self.frames["atoms"].sum()),
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "notes": len(self.notes),
            "findings": [finding.plain() for finding in self.findings],
            "settings": to_dict(self.settings),
            "tables": {name: _records(table) for name, table in self.tables.items()},
        }

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file, whole or not at all."""
        write_json(path, KIND, self.plain(), VERSION)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one HTML page with tables and pictures that needs no other file, whole or not at all."""
        from potentia.potentials.quality.page import page_of  # and with it matplotlib

        page_of(self.headline, self.findings, self.tables, self.frames, self.followed).write(path)

    def _graded(self, severity: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == severity)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows with their index; what is not finite is null."""
    frame = table if table.index.name is None else table.reset_index()
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return records
