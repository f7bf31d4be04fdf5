"""What several operators predict: fields in the mean, their spread at each point, intervals where it is calibrated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.ensemble import SpreadCalibration, learned_calibration, require_several, step_name, told_infinite
from potentia.operators.field_table import field_table, over_points

__all__ = ["CommitteePrediction"]

Fields: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class CommitteePrediction:
    """Roll-outs of all members, in physical units; spreads are divided by the number of members."""

    member_fields: Fields = field(repr=False)
    """[members, samples, steps + 1, channels, *grid]"""
    channels: tuple[str, ...]
    """Names of the fields."""
    time_step: float
    """Time between two fields."""
    calibration: SpreadCalibration | None = field(default=None, repr=False)
    """What makes intervals of the spread."""

    @cached_property
    def fields(self) -> Fields:
        """Mean over the members; the first are the initial ones.  [samples, steps + 1, channels, *grid]"""
        return self._over_members(np.mean)

    @cached_property
    def fields_std(self) -> Fields:
        """Spread of the members, 0 at the beginning.  [samples, steps + 1, channels, *grid]

        Raises:
            ConfigError: there is one member only.
        """
        require_several(len(self.member_fields))
        return self._over_members(np.std)

    @cached_property
    def half_width(self) -> Fields:
        """Half of the interval that holds the true value at a point with the level of the calibration.

        Of the initial fields it is 0, and infinite behind the last step that was calibrated.

        [samples, steps + 1, channels, *grid]

        Raises:
            NotFittedError: the committee is not calibrated.

        Warns:
            PotentiaWarning: there are more steps than were calibrated.
        """
        known = learned_calibration(self.calibration, "simulations", page="operators.md#committees-and-error-bars")
        spread = self.fields_std.astype(np.float64)
        width = np.zeros_like(self.fields_std)
        steps = [step_name(step) for step in range(1, spread.shape[1])]
        for k, channel in enumerate(self.channels):
            width[:, 1:, k] = known.along(channel, spread[:, 1:, k], steps)
        told_infinite(width, known.level, f"{len(steps)} steps", "simulations")
        return width

    def frame(self) -> pd.DataFrame:
        """Return a row for each sample, step and channel, as `field_table`, with ``spread``, its root mean square.

        Where the committee is calibrated, ``half_width`` is the mean over the points, and ``level`` stands beside it.
        """
        table = field_table(self.fields, self.channels, self.time_step)
        if len(self.member_fields) > 1:
            table["spread"] = np.sqrt(np.square(over_points(self.fields_std)).mean(-1)).ravel()
        if self.calibration is not None:
            table["half_width"] = over_points(self.half_width).mean(-1).ravel()
            table["level"] = self.calibration.level
        return table

    def _over_members(self, figure: Callable[..., NDArray[np.float64]]) -> Fields:
        """Return a figure over the members, sample after sample: in double precision all are too large at once."""
        found = np.empty(self.member_fields.shape[1:], dtype=np.float32)
        with np.errstate(invalid="ignore"):  # a member may have left the numbers, of which `predict` has warned
            for n in range(len(found)):
                found[n] = figure(self.member_fields[:, n], axis=0, dtype=np.float64)
        return found
