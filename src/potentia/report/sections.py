"""A section of a report: words, tables and figures in the order in which they are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from potentia.plots import Page
from potentia.words import worded

__all__ = ["Section"]


@dataclass
class Section:
    """A part of a report under one heading, filled from the top.

    >>> section = Section("Errors").says("Of the held-out part.")
    >>> frame = pd.DataFrame({"RMSE": [0.25, math.nan]}, index=pd.Index(["energy", "force"], name="quantity"))
    >>> section.table("Errors", frame).plain()["tables"]
    {'Errors': [{'quantity': 'energy', 'RMSE': 0.25}, {'quantity': 'force', 'RMSE': None}]}
    """

    title: str
    """Its heading."""
    _parts: list[Callable[[Page], None]] = field(default_factory=list, repr=False)
    _words: list[str] = field(default_factory=list, repr=False)
    _tables: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    def says(self, text: str) -> Section:
        """Add a paragraph, and return the section."""
        self._words.append(text)
        self._parts.append(lambda page: page.words(text))
        return self

    def table(
        self,
        name: str,
        frame: pd.DataFrame,
        *,
        shown: pd.DataFrame | None = None,
        folded: bool = False,
        texts: Collection[str] = (),
        meant: Mapping[str, str] | None = None,
    ) -> Section:
        """Add a table with a named index, and return the section.

        Args:
            name: Its caption, and its name for programs.
            frame: What programs get: numbers with all digits, under the names of metrics; people see them in words.
            shown: What people see, where that is not the same.
            folded: Whether it is shown when the reader opens it.
            texts: Columns that are read and not compared.
            meant: What names of metrics mean here, see `potentia.words.in_words`.
        """
        self._tables[name] = frame

        def put(page: Page) -> None:
            if folded:
                page.fold(name)
            seen = worded(frame if shown is None else shown, meant or {})
            page.table(seen, "" if folded else name, texts=texts)
            page.unfold()

        self._parts.append(put)
        return self

    def figure(self, figure: Figure, caption: str) -> Section:
        """Add a figure, and return the section."""
        self._parts.append(lambda page: page.figure(figure, caption))
        return self

    def onto(self, page: Page) -> None:
        """Put it onto a page."""
        page.section(self.title)
        for part in self._parts:
            part(page)

    def plain(self) -> dict[str, Any]:
        """Return words and tables as plain values; what is not finite is None."""
        tables = {name: _records(frame) for name, frame in self._tables.items()}
        return {"title": self.title, "words": list(self._words), "tables": tables}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows with their index in front."""
    rows = frame.reset_index().to_dict("records")
    return [{str(name): _finite(value) for name, value in row.items()} for row in rows]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
