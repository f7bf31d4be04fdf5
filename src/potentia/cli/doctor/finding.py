"""What was found about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor."""

    name: str
    """What was looked at."""
    state: Literal["ok", "absent", "warning", "broken"]
    """``"absent"`` is an optional part that nobody has installed; ``"broken"`` sets the exit code."""
    text: str
    """What was found."""
    advice: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        told = f"{self.state:8}{self.name}: {self.text}"
        return f"{told}\n        → {self.advice}" if self.advice else told
