"""What several networks predict for windows: the mean, the spread, and intervals where they are calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.dynamics.sensitivities import entry_names
from potentia.dynamics.spec import ModelSpec
from potentia.ensemble import SpreadCalibration, learned_calibration, require_several, step_name, told_infinite

__all__ = ["CommitteePrediction"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class CommitteePrediction:
    """States and parameters of windows as the members see them; spreads are divided by the number of members."""

    spec: ModelSpec = field(repr=False)
    """The model."""
    member_states: Floats = field(repr=False)
    """[members, windows, steps, states]"""
    member_params: Mapping[str, Floats] = field(repr=False)
    """[members, windows, *shape] each"""
    calibration: SpreadCalibration | None = None
    """What makes intervals of the spread."""

    @cached_property
    def states(self) -> Floats:
        """Mean over the members.  [windows, steps, states]"""
        return np.asarray(self.member_states.mean(0))

    @cached_property
    def states_std(self) -> Floats:
        """Spread of the members.  [windows, steps, states]

        Raises:
            ConfigError: there is one member only.
        """
        require_several(len(self.member_states))
        with np.errstate(invalid="ignore"):  # a member may have left the numbers, of which `predict` has warned
            return np.asarray(self.member_states.std(0))

    @cached_property
    def params(self) -> dict[str, Floats]:
        """Mean over the members.  [windows, *shape] each"""
        return {name: values.mean(0) for name, values in self.member_params.items()}

    @cached_property
    def params_std(self) -> dict[str, Floats]:
        """Spread of the members.  [windows, *shape] each

        Raises:
            ConfigError: there is one member only.
        """
        require_several(len(self.member_states))
        return {name: values.std(0) for name, values in self.member_params.items()}

    @cached_property
    def half_width(self) -> Floats:
        """Half of the interval around each state that holds it with the level of the calibration.

        Behind the last step that was calibrated it is infinite.  [windows, steps, states]

        Raises:
            NotFittedError: the committee is not calibrated.

        Warns:
            PotentiaWarning: there are steps that were not calibrated.
        """
        known = learned_calibration(self.calibration, "windows", page="dynamics.md#committees-and-intervals")
        spread = self.states_std
        steps = [step_name(step) for step in range(1, spread.shape[1] + 1)]
        found = [known.along(name, spread[..., k], steps) for k, name in enumerate(self.spec.state_names)]
        width = np.stack(found, axis=-1)
        told_infinite(width, known.level, f"{len(steps)} steps", "windows")
        return width

    def frame(self) -> pd.DataFrame:
        """Return a row for each window: the mean of each entry of the parameters; of several members, spreads too.

        Those of the parameters are ``std_of_<entry>``, those of the last state ``std_<state>``; where the committee is
        calibrated, its half-widths are ``half_width_<state>``, and ``level`` stands beside them.
        """
        windows, states = len(self.states), self.spec.state_names
        columns: dict[str, Floats] = {}
        several = len(self.member_states) > 1
        if several:
            columns |= {f"std_{name}": self.states_std[:, -1, k] for k, name in enumerate(states)}
        if self.calibration is not None:
            columns |= {f"half_width_{name}": self.half_width[:, -1, k] for k, name in enumerate(states)}
            columns["level"] = np.full(windows, self.calibration.level)
        mean, std = (self._entries(of) for of in (self.params, self.params_std if several else self.params))
        for k, entry in enumerate(entry_names(self.spec)):
            columns |= {entry: mean[:, k]} | ({f"std_of_{entry}": std[:, k]} if several else {})
        return pd.DataFrame(columns, index=pd.RangeIndex(windows, name="window"))

    def _entries(self, params: Mapping[str, Floats]) -> Floats:
        """Return parameters as one table.  [windows, entries]"""
        return np.concatenate([params[key].reshape(len(self.states), -1) for key in self.spec.param_keys], axis=1)
