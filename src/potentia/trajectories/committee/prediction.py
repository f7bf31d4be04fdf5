"""What several surrogates predict: states in the mean, their spread, intervals where it is calibrated."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.ensemble import SpreadCalibration, learned_calibration, require_several, told_infinite
from potentia.trajectories.committee.windows import TimeWindows
from potentia.trajectories.ensembles import spread_of
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.state_table import state_table

__all__ = ["CommitteePrediction"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class CommitteePrediction:
    """States of all members; mean, spread and intervals are taken on the scale on which the members have learned."""

    member_states: Floats = field(repr=False)
    """In physical units.  [members, trajectories, times, quantities]"""
    times: Floats = field(repr=False)
    """Shared [times], or of each trajectory [trajectories, times]."""
    labels: tuple[str, ...]
    """Names of the quantities."""
    scale: ErrorScale
    """log10 of the states, where members have learned that, or the states."""
    calibration: SpreadCalibration | None = field(default=None, repr=False)
    """What makes intervals of the spread."""

    @cached_property
    def states(self) -> Floats:
        """Mean over the members, in physical units; of logarithms, that is the geometric mean.

        [trajectories, times, quantities]
        """
        alone = len(self.member_states) == 1
        return self.member_states[0] if alone else self.scale.physical(self._said.mean(axis=0))

    @cached_property
    def spread(self) -> Floats:
        """Standard deviation over the members, divided by their number less one, as in a study.

        Of log10 of the states it is in dex, else in the unit of the states.

        [trajectories, times, quantities]

        Raises:
            ConfigError: there is one member only.
        """
        require_several(len(self.member_states))
        return spread_of(self._said)

    @cached_property
    def half_width(self) -> Floats:
        """Half of the interval that holds the true value with the level of the calibration, in the unit of the spread.

        Before and behind the times that were calibrated it is infinite.  [trajectories, times, quantities]

        Raises:
            NotFittedError: the committee is not calibrated.

        Warns:
            PotentiaWarning: there are times that were not calibrated.
        """
        known = learned_calibration(self.calibration, "trajectories", page="trajectories.md#committees-and-error-bars")
        spread = self.spread
        each = np.broadcast_to(self.times, spread.shape[:2]).ravel()  # [trajectories · times]
        windows = TimeWindows(known.edges).names(each)
        found = [known.of[name].half_width(spread[..., k].ravel(), known.level, windows)
                 for k, name in enumerate(self.labels)]  # fmt: skip
        width = np.stack(found, axis=-1).reshape(spread.shape)
        told_infinite(width, known.level, "times", "trajectories")
        return width

    @property
    def low(self) -> Floats:
        """Lower ends of the intervals, in physical units.  [trajectories, times, quantities]"""
        return self.scale.physical(self.scale(self.states) - self.half_width)

    @property
    def high(self) -> Floats:
        """Upper ends of the intervals, in physical units.  [trajectories, times, quantities]"""
        return self.scale.physical(self.scale(self.states) + self.half_width)

    def frame(self) -> pd.DataFrame:
        """Return a row for each trajectory and time: the states, and of each quantity ``…_spread``.

        Where the committee is calibrated, ``…_half_width``, ``…_low``, ``…_high`` and ``level`` stand behind them.
        """
        arrays = {} if len(self.member_states) < 2 else {"spread": self.spread}
        if self.calibration is not None:
            arrays |= {"half_width": self.half_width, "low": self.low, "high": self.high}
        table = state_table(self.states, self.times, self.labels)
        more = {
            f"{name}_{what}": values[..., k].ravel()
            for k, name in enumerate(self.labels)
            for what, values in arrays.items()
        }
        level = {} if self.calibration is None else {"level": self.calibration.level}
        return pd.concat([table, pd.DataFrame(more, index=table.index)], axis=1).assign(**level)

    @cached_property
    def _said(self) -> Floats:
        return self.scale(self.member_states)
