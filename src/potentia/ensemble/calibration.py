"""Intervals from the spread of members: what was learned of each quantity, and which members it belongs to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.calibration import Calibration, group_names
from potentia.errors import DataError, FileFormatError
from potentia.storage import read_json, write_json

__all__ = ["CALIBRATION", "ByGroup", "SpreadCalibration"]

CALIBRATION = "calibration.json"
"""Name of its file beside the members."""
KIND = "calibration of a committee"
BY_GROUP = "by group"


@final
@dataclass(frozen=True, eq=False)
class ByGroup(Calibration):
    """Calibrations of groups whose spreads have sizes of their own, such as the steps of a roll-out.

    >>> from potentia.calibration import NormalCalibration
    >>> widths = ByGroup({"step 1": NormalCalibration(1.0), "step 2": NormalCalibration(3.0)})
    >>> widths.half_width([0.1, 0.1, 0.1], 0.9, ["step 1", "step 2", "step 3"]).round(3)
    array([0.164, 0.493,   inf])
    """

    groups: Mapping[str, Calibration]
    """Group → its calibration; nothing is known of other groups, so their intervals are infinite."""

    def half_width(
        self, spread: ArrayLike | None, level: float, groups: Sequence[str] | NDArray[np.str_] | None = None
    ) -> NDArray[np.float64]:
        """Return the half-widths of each entry of the first axis by its group.

        Raises:
            DataError: spreads or groups are missing, or a spread is negative or not finite.
        """
        if spread is None or groups is None:
            raise DataError("this calibration goes by the spread and by groups: give both")
        values = np.asarray(spread, dtype=np.float64)
        names, width = group_names(groups, values.shape[:1]), np.full(values.shape, np.inf)
        for name, one in self.groups.items():
            here = names == name
            width[here] = one.half_width(values[here], level)
        return width

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {"method": BY_GROUP, "groups": {name: one.to_plain() for name, one in self.groups.items()}}


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SpreadCalibration:
    """What makes intervals of the spreads of some members."""

    level: float
    """Share of the true values that intervals are to hold."""
    of: Mapping[str, Calibration]
    """Quantity → its calibration."""
    members: tuple[str, ...]
    """Marks of the members it was learned with, sorted."""
    blocks: int
    """How many independent pieces it was learned from, such as windows or simulations."""
    seen: tuple[str, ...] = ()
    """Marks of what it was learned from, where they are kept: how good it is, is measured on others."""
    edges: tuple[float, ...] = ()
    """Where intervals go by parts of a line, such as windows of time: their ends."""

    def along(self, quantity: str, spread: NDArray[np.float64], steps: Sequence[str]) -> NDArray[np.float64]:
        """Return half-widths for spreads [pieces, steps, …]; infinite where a spread is not finite.

        Args:
            quantity: Which.
            spread: Of the members.
            steps: What was learned of each step stands under its name; of others nothing is known.
        """
        by_step, known = np.moveaxis(spread, 1, 0), np.moveaxis(np.isfinite(spread), 1, 0)
        width = self.of[quantity].half_width(np.where(known, by_step, 0.0), self.level, steps)
        return np.moveaxis(np.where(known, width, np.inf), 0, 1)

    def is_of(self, marks: Sequence[str]) -> bool:
        """Whether it was learned with members of these marks."""
        return sorted(marks) == sorted(self.members)

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain values; `from_plain` is the inverse."""
        return {
            "level": self.level,
            "of": {name: one.to_plain() for name, one in self.of.items()},
            "members": list(self.members),
            "blocks": self.blocks,
            "seen": list(self.seen),
            "edges": list(self.edges),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the calibration that `to_plain` has written down."""
        return cls(
            level=float(plain["level"]),
            of={name: _restored(one) for name, one in plain["of"].items()},
            members=tuple(plain["members"]),
            blocks=int(plain["blocks"]),
            seen=tuple(plain["seen"]),
            edges=tuple(map(float, plain["edges"])),
        )

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write a file of strict JSON, whole or not at all."""
        write_json(path, KIND, self.to_plain())

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file of `to_json`.

        Raises:
            FileFormatError: the file is cut off, or foreign.
        """
        found = read_json(path, KIND)
        try:
            return cls.from_plain(found)
        except KeyError as error:
            raise FileFormatError(f"{path} lacks {error}: calibrate again") from None


def _restored(plain: Mapping[str, Any]) -> Calibration:
    if plain.get("method") != BY_GROUP:
        return Calibration.from_plain(plain)
    return ByGroup({name: Calibration.from_plain(one) for name, one in plain["groups"].items()})
