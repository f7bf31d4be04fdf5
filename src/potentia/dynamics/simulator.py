"""Data of which the truth is known: a model driven at random, as windows for a network or as logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from potentia.checks import did_you_mean, integer, number
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.rollout import RolloutSettings, rollout
from potentia.dynamics.signals import Follow, Signal, Smooth
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError, DataError
from potentia.seeding import stream

__all__ = ["Excitation", "default_excitation", "simulate_dataset"]

Floats: TypeAlias = NDArray[np.float64]
Law: TypeAlias = Callable[[Floats], Mapping[str, ArrayLike]]
"""Features [runs, features] → parameters by name, each of [runs, *shape] or [*shape]."""

FINE = RolloutSettings(substeps=10)


@dataclass(frozen=True, kw_only=True)
class Excitation:
    """Where runs begin and what drives them."""

    initial: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """State → interval that its first value is drawn from; states that are not named begin at 0."""
    controls: Mapping[str, Signal] = field(default_factory=dict)
    """Control → its signal; all of the model's are needed."""

    def require(self, spec: ModelSpec) -> None:
        """Check that the names are those of the model.

        Raises:
            ConfigError: a name is unknown, or a control has no signal.
        """
        for key in self.initial:
            if key not in spec.state_names:
                known = did_you_mean(key, spec.state_names)
                raise ConfigError(f"model {spec.name!r} has no state {key!r} to begin from{known}")
        for key in self.controls:
            if key not in spec.control_names:
                raise ConfigError(f"model {spec.name!r} has no control {key!r}{did_you_mean(key, spec.control_names)}")
        missing = [key for key in spec.control_names if key not in self.controls]
        if missing:
            raise ConfigError(f"model {spec.name!r}: say in Excitation(controls=...) what drives {', '.join(missing)}")


_SPEED = Follow(state="v", reference=Smooth(low=3.0, high=8.0, period=4.0), gain=2.0, low=-6.0, high=6.0)
_STEERING = Follow(state="delta", reference=Smooth(low=-0.25, high=0.25, period=1.5), gain=8.0, low=-3.0, high=3.0)

INITIAL: dict[str, tuple[float, float]] = {
    "psi": (-np.pi, np.pi),
    "v": (3.0, 8.0),
    "delta": (-0.15, 0.15),
}
"""State → where runs begin, for models that do not say otherwise; a car of a tenth of the size."""
CONTROLS: dict[str, Signal] = {
    "accel": _SPEED,
    "delta_dot": _STEERING,
    "psi_dot": Smooth(low=-1.0, high=1.0, period=2.0),
}
"""Control → what drives it."""


def default_excitation(spec: ModelSpec) -> Excitation:
    """Return what drives a model whose states and controls have the usual names: a lively drive that never stops.

    Raises:
        ConfigError: a control has another name.
    """
    unknown = [key for key in spec.control_names if key not in CONTROLS]
    if unknown:
        raise ConfigError(
            f"model {spec.name!r}: there is no usual drive for {', '.join(unknown)} (only for {', '.join(CONTROLS)}): "
            "give Excitation(initial=..., controls=...)"
        )
    return Excitation(
        initial={key: INITIAL[key] for key in spec.state_names if key in INITIAL},
        controls={key: CONTROLS[key] for key in spec.control_names},
    )


def simulate_dataset(
    spec: ModelSpec,
    params: Mapping[str, ArrayLike] | Law | None = None,
    *,
    windows: int = 256,
    horizon: int = 20,
    dt: float = 0.05,
    history: int = 0,
    seed: int = 0,
    noise: float | Mapping[str, float] = 0.0,
    features: int | ArrayLike | None = None,
    excitation: Excitation | None = None,
) -> FeatureDataset:
    """Return windows of a model with known parameters; each is a run, and a group, of its own.

    Args:
        spec: The model.
        params: Parameters by name, each [*shape] or [windows, *shape], where those that are left out have their
            defaults; or a law that gives them for features [windows, features]; or None for the defaults.
        windows: How many.
        horizon: Steps of a window.
        dt: Length of a step (s).
        history: Steps before the first state that are kept.
        seed: Of all that is drawn; more windows leave no window as it was.
        noise: Standard deviation of what is added to measured states: relative to how far each state moves in a
            window (a number), or in its unit (by name). The controls are exact.
        features: Columns beside the states: how many to draw from a normal distribution, or values
            [windows, features]; None for none.
        excitation: Where windows begin and what drives them; None for `default_excitation`.

    Raises:
        ConfigError: a name is unknown, or a number cannot be.
        DataError: a run diverges.

    >>> from potentia.dynamics import get_model_spec
    >>> data = simulate_dataset(get_model_spec("unicycle"), {"k_turn": 1.2}, windows=4, horizon=10)
    >>> data.targets.shape, data.control_names
    ((4, 10, 4), ('psi_dot', 'accel'))
    """
    n, steps = integer("windows", windows, low=1), integer("horizon", horizon, low=1)
    past = integer("history", history, low=0)
    columns = _features_of(features, n, seed)
    rows = past + steps + 1
    times: Floats = np.arange(rows, dtype=np.float64) * number("dt", dt)
    fixed = _params_of(spec, params, columns)
    drive = default_excitation(spec) if excitation is None else excitation
    states, controls = run(spec, lambda _: fixed, drive, times, n, seed)
    measured = states + _noise(spec, noise, states[:, past:], states.shape, seed)
    return FeatureDataset(
        initial_states=measured[:, past],
        controls=controls[:, past:-1],
        targets=measured[:, past + 1 :],
        dt=np.float64(dt),  # type: ignore[arg-type]  # an array of no axes
        state_names=spec.state_names,
        control_names=spec.control_names,
        features=columns,
        feature_names=() if columns is None else tuple(f"f{k}" for k in range(columns.shape[1])),
        history=np.concatenate((measured[:, :past], controls[:, :past]), 2) if past else None,
        group=np.arange(n),
        group_names=tuple(f"run-{k}" for k in range(n)),
    )


def run(
    spec: ModelSpec,
    params_at: Callable[[int], Mapping[str, Floats]],
    excitation: Excitation,
    times: Floats,
    runs: int,
    seed: int,
    integration: RolloutSettings = FINE,
) -> tuple[Floats, Floats]:
    """Return states [runs, rows, states] and the controls held from each row on [runs, rows, controls].

    Args:
        spec: The model.
        params_at: Row → all parameters by name, [runs, *shape] each.
        excitation: Where runs begin and what drives them.
        times: Of the rows, in equal steps (s).  [rows]
        runs: How many.
        seed: Of all that is drawn.
        integration: How a step is solved.

    Raises:
        ConfigError: a name is unknown.
        DataError: a run diverges.
    """
    excitation.require(spec)
    drawn = {key: signal.draw(times, runs, stream(seed, "control", key)) for key, signal in excitation.controls.items()}
    first = [
        stream(seed, "initial", key).uniform(*excitation.initial.get(key, (0.0, 0.0)), runs) for key in spec.state_names
    ]
    states = np.empty((runs, len(times), len(spec.states)))
    controls = np.empty((runs, len(times), len(spec.controls)))
    states[:, 0] = np.stack(first, -1)
    for k in range(len(times)):
        by_name = dict(zip(spec.state_names, states[:, k].T, strict=True))
        for place, key in enumerate(spec.control_names):
            controls[:, k, place] = excitation.controls[key].applied(drawn[key][:, k], by_name)
        if k + 1 < len(times):
            states[:, k + 1] = _step(
                spec, states[:, k], controls[:, k], params_at(k), times[k + 1] - times[k], integration
            )
    bad = ~np.isfinite(states).all(-1)
    if bad.any():
        which, row = (int(k) for k in np.argwhere(bad)[0])
        raise DataError(
            f"run {which} of model {spec.name!r} diverges after {times[row]:.3g} s: give other parameters, a calmer "
            "excitation, or more substeps"
        )
    return states, controls


@torch.no_grad()
def _step(
    spec: ModelSpec, states: Floats, controls: Floats, params: Mapping[str, Floats], dt: float, how: RolloutSettings
) -> Floats:
    given = {key: torch.from_numpy(value) for key, value in params.items()}
    held = torch.from_numpy(np.ascontiguousarray(controls[:, None]))
    found = rollout(spec, torch.from_numpy(np.ascontiguousarray(states)), held, given, float(dt), how)
    return np.asarray(found[:, 0].numpy())


def _params_of(
    spec: ModelSpec, params: Mapping[str, ArrayLike] | Law | None, columns: Floats | None
) -> dict[str, Floats]:
    """Return all parameters, defaults where they are not given."""
    if callable(params):
        if columns is None:
            raise ConfigError("a law of the parameters needs features: say how many, or give their values")
        params = params(columns)
    given = {} if params is None else params
    for key in given:
        if key not in spec.param_keys:
            raise ConfigError(f"model {spec.name!r} has no parameter {key!r}{did_you_mean(key, spec.param_keys)}")
    return {key: np.array(given.get(key, value), dtype=np.float64) for key, value in spec.default_params.items()}


def _features_of(features: int | ArrayLike | None, runs: int, seed: int) -> Floats | None:
    if features is None:
        return None
    values = np.asarray(features, dtype=np.float64)
    if values.ndim == 0:
        values = stream(seed, "features").standard_normal((runs, integer("features", features, low=1)))
    if values.ndim != 2 or len(values) != runs:
        raise DataError(f"`features` must have shape [windows, features] = [{runs}, any], got {values.shape}")
    return values


def _noise(
    spec: ModelSpec, noise: float | Mapping[str, float], moved: Floats, shape: tuple[int, ...], seed: int
) -> Floats:
    """Return what is added to the states.  [runs, rows, states]"""
    if isinstance(noise, Mapping):
        for key in noise:
            if key not in spec.state_names:
                raise ConfigError(
                    f"noise: model {spec.name!r} has no state {key!r}{did_you_mean(key, spec.state_names)}"
                )
        sigma = np.array([number(f"noise of {key}", noise.get(key, 0.0), low=0) for key in spec.state_names])
    else:
        sigma = number("noise", noise, low=0) * (moved[:, 1:] - moved[:, :1]).std((0, 1))
    return sigma * stream(seed, "noise").standard_normal(shape)
