"""What a network sees of a window: columns of the user, the state at its begin, what happened before; standardised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.checks import choice, did_you_mean, integer
from potentia.config import from_dict, to_dict
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError, DataError

__all__ = ["MODES", "FeatureMap", "FeatureSettings"]

Floats: TypeAlias = NDArray[np.float64]
Mode = Literal["auto", "none", "features", "features+state", "history", "features+history"]

MODES = ("auto", "none", "features", "features+state", "history", "features+history")
"""What a network may see."""
CONSTANT = 1e-12
"""A deviation that is smaller than this part of the largest value is rounding: the column counts as constant."""


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """Settings of what a network sees; positions and headings it sees only where they are asked for by name."""

    mode: Mode = "auto"
    """``"none"``: nothing, the parameters are constants. ``"features"``: the columns of the user. ``"features+state"``:
    these and the first state. ``"history"``: the last states and controls, and the first state, which is the newest of
    them. ``"features+history"``: all of that. ``"auto"``: ``"features+state"`` where there are columns, else
    ``"history"`` where there is one, else ``"none"``."""
    history: int | None = None
    """Steps of the history that are seen, the newest ones; None for all that the windows have."""
    context: tuple[str, ...] | None = None
    """Names of the states that are seen, of the first state and of the history; None for all that are no pose. An angle
    of the pose that is asked for is seen as its sine and cosine."""

    def __post_init__(self) -> None:
        choice("mode", self.mode, MODES)
        if self.history is not None:
            integer("history", self.history, low=1)
        if self.context is not None:
            object.__setattr__(self, "context", tuple(self.context))

    def resolved(self, dataset: FeatureDataset, spec: ModelSpec) -> Self:
        """Return the settings with mode, history and context as these windows have them.

        Raises:
            ConfigError: the context names no state.
            DataError: the windows lack what the mode needs.
        """
        names = tuple(variable.name for variable in spec.states if not variable.pose)
        context = names if self.context is None else self.context
        for name in context:
            if name not in spec.state_names:
                raise ConfigError(
                    f"context: model {spec.name!r} has no state {name!r}{did_you_mean(name, spec.state_names)}"
                )
        mode = self.mode
        if mode == "auto":
            mode = "features+state" if dataset.feature_names else "history" if dataset.past else "none"
        if "features" in mode and not dataset.feature_names:
            raise DataError(
                f"feature mode {mode!r} needs columns of features, and these windows have none: cut them with "
                "`features` that name columns of the logs"
            )
        past = 0
        if "history" in mode:
            past = dataset.past if self.history is None else self.history
            if not 0 < past <= dataset.past:
                raise DataError(
                    f"feature mode {mode!r} needs a history of {max(past, 1)} steps, and these windows have "
                    f"{dataset.past}: cut them with a longer `history`"
                )
        return replace(self, mode=mode, history=past or None, context=context)


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Windows as rows of numbers with mean 0 and deviation 1 over the training part.

    A column that is constant in the training part is 0 in all others too: nothing could be learned about it.
    """

    settings: FeatureSettings
    """With a mode that is not ``"auto"``."""
    feature_names: tuple[str, ...]
    """Columns of the user that are seen."""
    states: tuple[tuple[str, bool], ...]
    """Name of each state that is seen, and whether it is by sine and cosine."""
    control_names: tuple[str, ...]
    """Those of the model."""
    centre: Floats = field(repr=False)
    """Means of the training part.  [inputs]"""
    slope: Floats = field(repr=False)
    """Of a column that is constant it is 0, of others 1/deviation.  [inputs]"""

    @classmethod
    def fit(cls, dataset: FeatureDataset, spec: ModelSpec, settings: FeatureSettings) -> Self:
        """Return the map whose means and deviations are those of these windows: the training part.

        Raises:
            ConfigError: the settings name no state of the model.
            DataError: the windows lack what the settings need.
        """
        found = settings.resolved(dataset, spec)
        columns = dataset.feature_names if "features" in found.mode else ()
        seen = _seen(spec, found)
        fresh = cls(found, columns, seen, spec.control_names, np.zeros(0), np.zeros(0))
        rows = fresh.raw(dataset)  # [windows, inputs]
        largest = np.abs(rows).max(0, initial=0.0)
        spread = rows.std(0)
        varies = spread > CONSTANT * largest
        slope = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
        return replace(fresh, centre=rows.mean(0), slope=slope)

    @property
    def n_inputs(self) -> int:
        """Numbers that a network sees of a window."""
        return len(self.centre)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each input; ``v[-2]`` is the state v two steps before the first state."""
        now = [part for name, by_angle in self.states for part in _parts(name, by_angle)]
        past = range(-(self.settings.history or 0), 0)
        before = [f"{name}[{k}]" for k in past for name in (*now, *self.control_names)]
        return (*self.feature_names, *(now if self.settings.mode not in {"none", "features"} else ()), *before)

    def matrix(self, dataset: FeatureDataset) -> Floats:
        """Return what a network sees.  [windows, inputs]

        Raises:
            DataError: the windows are of another model, or lack columns or history.
        """
        rows: Floats = (self.raw(dataset) - self.centre) * self.slope
        return rows

    def raw(self, dataset: FeatureDataset) -> Floats:
        """Return the inputs before they are standardised.  [windows, inputs]"""
        parts = [np.zeros((len(dataset), 0))]
        if self.feature_names:
            parts.append(self._columns(dataset))
        if self.states and self.settings.mode not in {"none", "features"}:
            parts.append(self._shown(dataset.initial_states, dataset.state_names))
        past = self.settings.history
        if past:
            parts.append(self._history(dataset, past))
        return np.concatenate(parts, axis=1)

    def _columns(self, dataset: FeatureDataset) -> Floats:
        for name in self.feature_names:
            if name not in dataset.feature_names:
                known = did_you_mean(name, dataset.feature_names) if dataset.feature_names else "; they have none"
                raise DataError(f"the windows lack the feature {name!r} that was trained on{known}")
        assert dataset.features is not None
        return dataset.features[:, [dataset.feature_names.index(name) for name in self.feature_names]]

    def _history(self, dataset: FeatureDataset, past: int) -> Floats:
        if dataset.past < past:
            raise DataError(
                f"the windows have a history of {dataset.past} steps, trained were {past}: cut them with a longer one"
            )
        if dataset.control_names != self.control_names:
            raise DataError(f"the windows have the controls {dataset.control_names}, not {self.control_names}")
        assert dataset.history is not None
        newest, n_states = dataset.history[:, -past:], len(dataset.state_names)
        shown = self._shown(newest[..., :n_states], dataset.state_names)
        return np.concatenate((shown, newest[..., n_states:]), axis=-1).reshape(len(dataset), -1)

    def _shown(self, states: Floats, names: Sequence[str]) -> Floats:
        """Return the seen entries of states [..., states].  [..., seen]"""
        parts = [np.zeros((*states.shape[:-1], 0))]
        for name, by_angle in self.states:
            if name not in names:
                raise DataError(f"the windows lack the state {name!r} that was trained on{did_you_mean(name, names)}")
            value = states[..., names.index(name), None]
            parts += [np.sin(value), np.cos(value)] if by_angle else [value]
        return np.concatenate(parts, axis=-1)

    def to_state(self) -> dict[str, Any]:
        """Return plain values that `from_state` takes."""
        return {
            "settings": to_dict(self.settings),
            "feature_names": list(self.feature_names),
            "states": [[name, by_angle] for name, by_angle in self.states],
            "control_names": list(self.control_names),
            "centre": self.centre.tolist(),
            "slope": self.slope.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the map that `to_state` has described."""
        return cls(
            from_dict(FeatureSettings, state["settings"]),
            tuple(state["feature_names"]),
            tuple((name, by_angle) for name, by_angle in state["states"]),
            tuple(state["control_names"]),
            np.array(state["centre"], dtype=np.float64),
            np.array(state["slope"], dtype=np.float64),
        )


def _seen(spec: ModelSpec, settings: FeatureSettings) -> tuple[tuple[str, bool], ...]:
    if settings.mode in {"none", "features"}:
        return ()
    by_angle = {variable.name: variable.angle and variable.pose for variable in spec.states}
    return tuple((name, by_angle[name]) for name in settings.context or ())


def _parts(name: str, by_angle: bool) -> tuple[str, ...]:
    return (f"sin({name})", f"cos({name})") if by_angle else (name,)
