"""What the training of an estimator hands back, whatever the family: its history, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

__all__ = ["Outcome"]


class Outcome(Protocol):
    """What everybody asks of a training."""

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """One row for each epoch."""

    @property
    def ended(self) -> str:
        """Why it ended before its last epoch; empty if it did not."""

    @property
    def resumable(self) -> bool:
        """Whether it has only paused."""
