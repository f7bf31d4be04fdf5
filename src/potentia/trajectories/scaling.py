"""States and parameters as networks see them: raised to a floor, log10, normalised; and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.checks import choice, number
from potentia.config import from_dict, to_dict
from potentia.errors import ConfigError, DataError
from potentia.trajectories.dataset import Trajectories
from potentia.trajectories.time_map import TimeMap

__all__ = ["Affine", "Preprocessing", "Scaling"]

Floats: TypeAlias = NDArray[np.float64]

NORMALISATIONS = ("minmax", "standardise", "disable")
CONSTANT = 1e-12
"""A spread that is smaller than this part of the values is rounding: the quantity counts as constant."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Settings of what states, parameters and times go through before a network sees them."""

    log10_transform: bool = True
    """Whether networks see log10 of the states."""
    log10_transform_params: bool = True
    """Whether networks see log10 of the parameters."""
    normalise: str = "minmax"
    """``"minmax"`` (the training part spans −1 to 1), ``"standardise"`` (mean 0, deviation 1) or ``"disable"``."""
    normalise_per_species: bool = False
    """Whether each quantity, and each parameter, has its own normalisation; else all have one."""
    tolerance: float | None = None
    """States below it are raised to it before the logarithm, in the unit of the states; None raises none."""
    log_timesteps: bool = False
    """Whether networks see the logarithm of time."""

    def __post_init__(self) -> None:
        choice("normalise", self.normalise, NORMALISATIONS)
        if self.tolerance is None:
            return
        number("tolerance", self.tolerance)
        if self.log10_transform and self.tolerance <= 0:
            raise ConfigError(f"tolerance must be above 0 where log10_transform is on, got {self.tolerance!r}")

    def fit(self, train: Trajectories, horizon: tuple[float, float]) -> Scaling:
        """Return the scaling whose statistics are those of the training part.

        Args:
            train: What a model is fitted to.
            horizon: First and last time of the whole set.

        Raises:
            DataError: a state or parameter has no logarithm, or the horizon has none.
        """
        time_map = TimeMap(*horizon, log=self.log_timesteps)
        fresh = Scaling(self, time_map, train.labels, train.parameter_labels, Affine.none(), Affine.none())
        seen = fresh.shown_states(torch.from_numpy(train.states)).numpy()
        states = self._normalisation(seen.reshape(-1, train.n_quantities))
        if train.parameters is None:
            return Scaling(self, time_map, train.labels, train.parameter_labels, states, None)
        shown = fresh.shown_parameters(torch.from_numpy(train.parameters)).numpy()
        return Scaling(self, time_map, train.labels, train.parameter_labels, states, self._normalisation(shown))

    def _normalisation(self, values: Floats) -> Affine:
        """Return the normalisation of values [rows, columns]."""
        axis = 0 if self.normalise_per_species else None
        match self.normalise:
            case "minmax":
                low, high = values.min(axis), values.max(axis)
                return Affine.of((high + low) / 2, (high - low) / 2)
            case "standardise":
                return Affine.of(values.mean(axis), values.std(axis))
        return Affine.none()


@dataclass(frozen=True, eq=False)
class Affine:
    """(x − centre)/spread, of all columns or of each."""

    centre: Tensor
    """Float64, [] or [columns]."""
    spread: Tensor
    """Never 0: where the values are constant it is 1, and they become 0.  Float64, [] or [columns]"""

    @classmethod
    def of(cls, centre: Floats | float, spread: Floats | float) -> Self:
        """Return it with spreads that can be divided by."""
        wide = np.where(spread > CONSTANT * np.abs(centre), spread, 1.0)
        return cls(torch.tensor(centre, dtype=torch.float64), torch.tensor(wide, dtype=torch.float64))

    @classmethod
    def none(cls) -> Self:
        """Return the one that changes nothing."""
        return cls.of(0.0, 1.0)

    def __call__(self, values: Tensor) -> Tensor:
        """Return normalised values [..., columns]."""
        return (values - self.centre.to(values)) / self.spread.to(values)

    def inverse(self, normalised: Tensor) -> Tensor:
        """Return the values [..., columns] of normalised ones."""
        return normalised * self.spread.to(normalised) + self.centre.to(normalised)

    def to_state(self) -> dict[str, Tensor]:
        """Return its tensors."""
        return {"centre": self.centre, "spread": self.spread}


@dataclass(frozen=True, eq=False)
class Scaling:
    """What `Preprocessing` has become on data: every map and its inverse.

    Its methods take tensors of any floating type on any device and return the same; what is coarser than single
    precision is computed in single precision.
    """

    preprocessing: Preprocessing
    """The settings."""
    time_map: TimeMap
    """Time to u."""
    labels: tuple[str, ...]
    """Names of the quantities."""
    parameter_labels: tuple[str, ...]
    """Names of the parameters, where they have some."""
    state_map: Affine
    """Normalisation of what `shown_states` returns."""
    parameter_map: Affine | None
    """Normalisation of what `shown_parameters` returns; None where the data have no parameters."""

    def states(self, physical: Tensor) -> Tensor:
        """Return scaled states of physical ones [..., quantities].

        Raises:
            DataError: a state has no logarithm, or there are not as many quantities.
        """
        return self.state_map(self.shown_states(_fine(physical))).to(physical.dtype)

    def physical(self, scaled: Tensor) -> Tensor:
        """Return physical states of scaled ones [..., quantities]."""
        shown = self.state_map.inverse(_fine(scaled))
        return (torch.pow(10.0, shown) if self.preprocessing.log10_transform else shown).to(scaled.dtype)

    def parameters(self, physical: Tensor) -> Tensor:
        """Return scaled parameters of physical ones [..., parameters].

        Raises:
            DataError: a parameter has no logarithm, or the data had no parameters.
        """
        if self.parameter_map is None:
            raise DataError("parameters are given, but the training data had none: leave them out")
        return self.parameter_map(self.shown_parameters(_fine(physical))).to(physical.dtype)

    def times(self, physical: Tensor) -> Tensor:
        """Return u of times of any shape: 0 to 1 within the horizon, beyond it outside."""
        return self.time_map(physical)

    def shown_states(self, physical: Tensor) -> Tensor:
        """Return states [..., quantities] raised to the floor and in log10, as the settings want, not normalised."""
        if physical.shape[-1] != len(self.labels):
            raise DataError(f"states must have {len(self.labels)} quantities {self.labels}, got {physical.shape[-1]}")
        floor = self.preprocessing.tolerance
        raised = physical if floor is None else physical.clamp(min=floor)
        if not self.preprocessing.log10_transform:
            return raised
        _require_positive(raised, "states", self.labels, "tolerance to raise them, or log10_transform=False")
        return raised.log10()

    def shown_parameters(self, physical: Tensor) -> Tensor:
        """Return parameters [..., parameters], in log10 if the settings want it, not normalised."""
        names = self.parameter_labels
        if physical.shape[-1] != len(names):
            raise DataError(f"there must be {len(names)} parameters {names}, got {physical.shape[-1]}")
        if not self.preprocessing.log10_transform_params:
            return physical
        _require_positive(physical, "parameters", names, "log10_transform_params=False")
        return physical.log10()

    def to_state(self) -> dict[str, Any]:
        """Return plain values and tensors that `from_state` takes."""
        return {
            "preprocessing": to_dict(self.preprocessing),
            "horizon": [self.time_map.first, self.time_map.last],
            "labels": list(self.labels),
            "parameter_labels": list(self.parameter_labels),
            "states": self.state_map.to_state(),
            "parameters": None if self.parameter_map is None else self.parameter_map.to_state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the scaling that `to_state` has described."""
        preprocessing = from_dict(Preprocessing, state["preprocessing"])
        first, last = state["horizon"]
        return cls(
            preprocessing,
            TimeMap(first, last, log=preprocessing.log_timesteps),
            tuple(state["labels"]),
            tuple(state["parameter_labels"]),
            Affine(**state["states"]),
            None if state["parameters"] is None else Affine(**state["parameters"]),
        )


def _fine(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _require_positive(values: Tensor, what: str, names: tuple[str, ...], way_out: str) -> None:
    """Raise `DataError` where values [..., columns] have no logarithm, naming the worst column."""
    bad = (values <= 0).reshape(-1, len(names))
    counts = bad.sum(0).tolist()
    if not any(counts):
        return
    least = values.detach().reshape(-1, len(names)).amin(0).tolist()
    worst = int(np.argmin(least))
    others = sum(count > 0 for count in counts) - 1
    more = f", and {others} more like it" if others else ""
    raise DataError(
        f"log10 needs {what} above 0, but {names[worst]} has {counts[worst]} of {len(bad)} at or below 0 (minimum "
        f"{least[worst]:g}){more}: set {way_out}",
        page="trajectories.md#preprocessing",
    )
