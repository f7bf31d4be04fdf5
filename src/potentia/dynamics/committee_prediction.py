"""What several networks predict for windows: the mean, the spread, and intervals where they are calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.dynamics.committee_calibration import half_widths, wrapped
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.sensitivities import entry_names
from potentia.dynamics.spec import ModelSpec
from potentia.ensemble import SpreadCalibration
from potentia.errors import NotFittedError

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
        """Spread of the members.  [windows, steps, states]"""
        return np.asarray(self.member_states.std(0))

    @cached_property
    def params(self) -> dict[str, Floats]:
        """Mean over the members.  [windows, *shape] each"""
        return {name: values.mean(0) for name, values in self.member_params.items()}

    @cached_property
    def params_std(self) -> dict[str, Floats]:
        """Spread of the members.  [windows, *shape] each"""
        return {name: values.std(0) for name, values in self.member_params.items()}

    @cached_property
    def half_width(self) -> Floats:
        """Half of the interval around each state that holds it with the level of the calibration.

        [windows, steps, states]

        Raises:
            NotFittedError: the committee is not calibrated.
        """
        if self.calibration is None:
            text = "this committee has no intervals yet; call `calibrate` with held-out windows first"
            raise NotFittedError(text, page="dynamics.md#committees-and-intervals")
        return half_widths(self.calibration, self.states_std)

    def frame(self) -> pd.DataFrame:
        """Return a row for each window: spreads of the last state ``std_<state>``, means and spreads of parameters.

        Where the committee is calibrated, the half-widths of the last state too: ``half_width_<state>``.
        """
        columns = {f"std_{name}": self.states_std[:, -1, k] for k, name in enumerate(self.spec.state_names)}
        if self.calibration is not None:
            columns |= {f"half_width_{name}": self.half_width[:, -1, k] for k, name in enumerate(self.spec.state_names)}
        windows = len(self.states)
        flat = {
            kind: np.concatenate([values[key].reshape(windows, -1) for key in self.spec.param_keys], axis=1)
            for kind, values in (("mean", self.params), ("std", self.params_std))
        }  # [windows, entries] each
        for k, entry in enumerate(entry_names(self.spec)):
            columns |= {entry: flat["mean"][:, k], f"std_of_{entry}": flat["std"][:, k]}
        return pd.DataFrame(columns, index=pd.RangeIndex(windows, name="window"))

    def coverage(self, data: FeatureDataset) -> pd.DataFrame:
        """Return a row for each state: the share of targets that count within the intervals, and their mean half-width.

        Args:
            data: The windows that were predicted.
        """
        error = np.abs(wrapped(data.targets - self.states, self.spec.angles))[data.counted]  # [targets, states]
        width = self.half_width[data.counted]
        return pd.DataFrame(
            {"coverage": (error <= width).mean(0), "half_width": width.mean(0)},
            index=pd.Index(self.spec.state_names, name="state"),
        )
