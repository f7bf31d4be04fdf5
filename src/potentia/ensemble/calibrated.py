"""Committees whose error bars are learned from held-out pieces and measured on others; all of it goes into one file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from potentia.calibration import SplitConformal
from potentia.ensemble.calibration import SpreadCalibration
from potentia.ensemble.estimators import EstimatorCommittee, Model
from potentia.ensemble.held_out import HeldOut, Words
from potentia.ensemble.learning import Method, learned, require_enough
from potentia.ensemble.measured import CalibrateResult, MeasuredBars, measured
from potentia.ensemble.resampling import learned_from
from potentia.errors import DataError
from potentia.estimator import Estimator

__all__ = ["CalibratedCommittee", "Pieces"]


class Pieces(Protocol):
    """What is held out: simulations, trajectories."""

    @property
    def group(self) -> NDArray[np.int64]:
        """Number of what a piece follows from; those of one are not independent.  [pieces]"""

    def take(self, which: Any) -> Self:
        """Return some of the pieces."""

    def marks(self) -> Sequence[str]:
        """Return a mark of each piece.  [pieces]"""

    def __len__(self) -> int: ...


Held = TypeVar("Held", bound=Pieces)


class CalibratedCommittee(EstimatorCommittee[Model], Estimator, Generic[Model, Held]):
    """A family says what members tell of held-out pieces, and what these are called."""

    words: ClassVar[Words]

    @abstractmethod
    def _asked(self, pieces: Held, calibration: SpreadCalibration | None) -> HeldOut:
        """Ask all members for held-out pieces; of a calibration, take the steps that it knows."""

    @abstractmethod
    def mean(self) -> Any:
        """Return what the members say in the mean as a predictor, such as `evaluate` takes."""

    @classmethod
    @abstractmethod
    def _restored(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> Model:
        """Return a member from the recipe of the committee, and what it has learned itself."""

    def calibrate(
        self,
        samples: Held,
        *,
        level: float = 0.9,
        method: Method | None = None,
        measure: float = 0.5,
        seed: int = 0,
    ) -> CalibrateResult:
        """Learn from what was held out how wide intervals must be, and keep that with the members.

        Each quantity and each step (lead times of roll-outs, windows of time of trajectories) is learned by itself:
        errors grow in time, and faster or slower than the spread.

        Args:
            samples: Held-out pieces, used neither to train nor to choose the weights.
            level: Share of the true values that intervals are to hold.
            method: `SplitConformal` (None is that), by the errors themselves, or `Scaling`, one factor.
            measure: Part of them, drawn by what they follow from, that it is measured on instead.
            seed: Of this draw.

        Raises:
            DataError: there are less than two that are independent, or members have no answer for any.
            ConfigError: there is one member only.

        Warns:
            PotentiaWarning: there are too few for this level, or members have no answer for some.
        """
        require_enough(samples.group, self.words)
        groups, owner = np.unique(samples.group, return_inverse=True)
        known = learned_from(len(groups), measure, seed)[owner]  # [samples]
        own = self._asked(samples.take(known), None)
        found = learned(own, SplitConformal() if method is None else method, level, self._marks(), self.words)
        bars = measured(self._asked(samples.take(~known), found), found, self.words, int(known.sum()))
        self._keep(found)
        places = [np.flatnonzero(part).tolist() for part in (known, ~known)]
        return CalibrateResult(found, bars, *places)

    def error_bars(self, samples: Held) -> MeasuredBars:
        """Measure what share of the errors the spread holds, and, where it is calibrated, the intervals.

        What the calibration was learned from is left out.

        Args:
            samples: Held-out pieces.

        Raises:
            DataError: none is left.
            ConfigError: there is one member only.
        """
        seen = () if self.calibration is None else self.calibration.seen
        new = np.array([mark not in seen for mark in samples.marks()], dtype=bool)
        if not new.any():
            raise DataError(
                f"all {len(samples)} {self.words.pieces} are those that the calibration was learned from, or there are "
                "none: hold others out to measure it on"
            )
        held = self._asked(samples.take(new), self.calibration)
        return measured(held, self.calibration, self.words, int((~new).sum()))

    def to(self, device: str) -> Self:
        """Return the same trained committee with its members on another device."""
        members = self.load_members()
        moved = self._like(members[0])
        moved.member_model_paths, moved.directory = list(self.member_model_paths), self.directory
        moved.calibration = self.calibration
        moved._members = [member.to(device) for member in members]
        return moved

    def learned(self) -> dict[str, Any]:
        """Return what each member has learned, and the calibration: `save` writes all members into one file."""
        calibration = None if self.calibration is None else self.calibration.to_plain()
        return {"members": [member.learned() for member in self.load_members()], "calibration": calibration}

    @classmethod
    def from_parts(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        """Build a trained committee, on the CPU, from `recipe` and `learned`."""
        members = [cls._restored(recipe, one) for one in learned["members"]]
        for member in members:
            member.fitted().record.update(learned.get("record", {}))  # what was noted when it was saved
        committee = cls._like(members[0])
        committee._members = members
        if learned["calibration"] is not None:
            committee.calibration = SpreadCalibration.from_plain(learned["calibration"])
        return committee
