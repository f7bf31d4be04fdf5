"""Plain tables (Markdown) and numbers in them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["number", "ratio", "table"]


def number(value: float | None) -> str:
    """Return three digits, or a dash for nothing.

    >>> number(0.01234), number(1234.5), number(277_000.0), number(None)
    ('0.0123', '1,234', '277,000', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")


def ratio(value: float | None) -> str:
    """Return how many times, or a dash for nothing."""
    return "–" if value is None else f"{number(value)}×"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with columns of one width, the first flush left, the others flush right."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(3, *(_width(cell) for cell in column)) for column in columns]
    lines = [_line(head, widths), "|" + "|".join(_rule(k, width) for k, width in enumerate(widths)) + "|"]
    return "\n".join(lines + [_line(row, widths) for row in rows])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    blanks = [" " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)]
    padded = [
        cell + blank if k == 0 else blank + cell for k, (cell, blank) in enumerate(zip(cells, blanks, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"


def _rule(column: int, width: int) -> str:
    return "-" * (width + 2) if column == 0 else "-" * (width + 1) + ":"


def _width(text: str) -> int:
    return sum(not unicodedata.combining(character) for character in text)
