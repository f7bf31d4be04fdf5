"""Intervals from the spread of a committee: learned from held-out windows, state by state."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.calibration import Calibration, SplitConformal
from potentia.checks import choice
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.errors import DataError, FileFormatError
from potentia.storage import read_json, write_json

__all__ = ["CALIBRATION", "CommitteeCalibration", "wrapped"]

Floats: TypeAlias = NDArray[np.float64]

CALIBRATION = "calibration.json"
"""Name of its file beside the members."""
KIND = "calibration of dynamics"


@dataclass(frozen=True, eq=False)
class CommitteeCalibration:
    """What makes intervals of the spreads of some members."""

    level: float
    """Share of the true states that intervals are to hold."""
    by_state: Mapping[str, Calibration]
    """State → its calibration."""
    without_spread: tuple[str, ...]
    """States on which all members agree: their intervals are all of one width."""
    members: tuple[str, ...]
    """Marks of the members it was learned with."""
    windows: int
    """Windows it was learned from."""

    @classmethod
    def learned(
        cls,
        members: Sequence[DynamicsParameterNet],
        data: FeatureDataset,
        *,
        level: float,
        blocks: Literal["windows", "logs"],
    ) -> Self:
        """Learn from held-out windows; see `DynamicsCommittee.calibrate`.

        Raises:
            DataError: members cannot simulate a window to its end.
        """
        by_log = choice("blocks", blocks, ("windows", "logs")) == "logs"
        states = np.stack([member.predict(data) for member in members])  # [members, windows, steps, states]
        error = wrapped(data.targets - states.mean(0), members[0].spec_.angles)[data.counted]  # [targets, states]
        spread = states.std(0)[data.counted]
        if not np.isfinite(error).all():
            raise DataError("some windows cannot be simulated to their end by all members: leave them out")
        window = np.broadcast_to(np.arange(len(data))[:, None], data.counted.shape)[data.counted]
        block = data.groups[window] if by_log else window
        alike = [name for k, name in enumerate(data.state_names) if not spread[:, k].any()]
        method = SplitConformal()
        found = {
            name: method.fit(error[:, k], None if name in alike else spread[:, k], blocks=block, levels=(level,))
            for k, name in enumerate(data.state_names)
        }
        return cls(level, found, tuple(alike), tuple(mark_of(member) for member in members), len(data))

    def half_width(self, spread: Floats) -> Floats:
        """Return the half-widths for spreads.  [windows, steps, states] both"""
        widths = np.empty_like(spread)
        for k, (name, one) in enumerate(self.by_state.items()):
            given = None if name in self.without_spread else spread[..., k]
            widths[..., k] = one.half_width(given, self.level)
        return widths

    def is_of(self, members: Sequence[DynamicsParameterNet]) -> bool:
        """Whether it was learned with members of these weights."""
        return sorted(mark_of(member) for member in members) == sorted(self.members)

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write a file of strict JSON, whole or not at all."""
        content = {
            "level": self.level,
            "by_state": {name: one.to_plain() for name, one in self.by_state.items()},
            "without_spread": list(self.without_spread),
            "members": list(self.members),
            "windows": self.windows,
        }
        write_json(path, KIND, content)

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file of `to_json`.

        Raises:
            FileFormatError: the file is cut off, or foreign.
        """
        found = read_json(path, KIND)
        try:
            by_state = {name: Calibration.from_plain(one) for name, one in found["by_state"].items()}
            alike, members = tuple(found["without_spread"]), tuple(found["members"])
            return cls(float(found["level"]), by_state, alike, members, int(found["windows"]))
        except KeyError as error:
            raise FileFormatError(f"{path} lacks {error}: calibrate again") from None


def wrapped(difference: Floats, angles: Sequence[bool]) -> Floats:
    """Return differences [..., states] with those of angles between −π and π."""
    turned = np.remainder(difference + np.pi, 2 * np.pi) - np.pi
    return np.where(np.asarray(angles), turned, difference)


def mark_of(member: DynamicsParameterNet) -> str:
    """Return a mark of all weights: the same network, the same mark."""
    digest = hashlib.sha256()
    for name, tensor in sorted(member.network_.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
