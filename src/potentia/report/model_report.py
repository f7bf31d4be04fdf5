"""The report on one trained model: its sections, and the page and the JSON that are made of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from potentia.plots import Page
from potentia.report.sections import Section
from potentia.storage import write_json

__all__ = ["ModelReport"]

KIND, VERSION = "model report", 1


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelReport:
    """What is known of a trained model, and what was measured for the report."""

    title: str
    """What the model is."""
    family: str
    """``"potentials"``, ``"trajectories"``, ``"dynamics"`` or ``"operators"``."""
    headline: str
    """The model, its training and its held-out error in one line."""
    sections: Sequence[Section]
    """In the order of the page."""

    def __str__(self) -> str:
        return f"{self.title}\n{self.headline}"

    def plain(self) -> dict[str, Any]:
        """Return words and tables of all sections as plain values."""
        return {
            "title": self.title,
            "family": self.family,
            "headline": self.headline,
            "sections": [section.plain() for section in self.sections],
        }

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file, whole or not at all."""
        write_json(path, KIND, self.plain(), VERSION)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one HTML page that needs no other file, whole or not at all."""
        page = Page(self.title)
        page.words(self.headline)
        for section in self.sections:
            section.onto(page)
        page.write(path)
