"""Data of which the truth is known: a model driven at random, as windows for a network or as logs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.checks import choice, did_you_mean, integer, number
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.excitation import FINE, Excitation, default_excitation, run
from potentia.dynamics.logs import LOG_SUFFIXES, Log, write_log
from potentia.dynamics.rollout import RolloutSettings
from potentia.dynamics.signals import Signal
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError, DataError, warn_user
from potentia.seeding import stream

__all__ = [
    "SimulationSettings",
    "simulate_dataset",
    "simulate_logs",
    "write_logs",
]

Floats: TypeAlias = NDArray[np.float64]
Law: TypeAlias = Callable[[Floats], Mapping[str, ArrayLike]]
"""Features [runs, features] → parameters by name, each of [runs, *shape] or [*shape]."""


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
    _tell_beyond_bounds(spec, [fixed])
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


@dataclass(frozen=True, kw_only=True)
class SimulationSettings:
    """Logs to simulate."""

    n_logs: int = 8
    """How many."""
    duration: float = 20.0
    """Of each (s)."""
    dt: float = 0.05
    """From row to row (s)."""
    seed: int = 0
    """Of all that is drawn."""
    excitation: Excitation | None = None
    """Where runs begin and what drives them; None for `default_excitation`."""
    features: Mapping[str, Signal] = field(default_factory=dict)
    """Columns beside states and controls, such as what a camera tells of the ground; a law of the parameters takes them
    in this order."""
    noise: Mapping[str, float] = field(default_factory=dict)
    """State, control or feature → standard deviation of what its sensor adds, in its unit; the system does not feel
    it."""
    integration: RolloutSettings = FINE
    """How a step is solved."""

    def __post_init__(self) -> None:
        integer("n_logs", self.n_logs, low=1)
        if number("duration", self.duration) <= 0:
            raise ConfigError(f"duration must be greater than 0 s, got {self.duration}")
        if not 0 < number("dt", self.dt) <= self.duration:
            raise ConfigError(f"dt must be greater than 0 and at most duration={self.duration} s, got {self.dt}")
        for key, sigma in self.noise.items():
            number(f"noise of {key}", sigma, low=0)


def simulate_logs(
    spec: ModelSpec,
    params: Mapping[str, ArrayLike] | Law | None = None,
    settings: SimulationSettings | None = None,
) -> list[Log]:
    """Return logs of a model with known parameters.

    Args:
        spec: The model.
        params: Parameters by name, each [*shape] or [logs, *shape], where those that are left out have their defaults;
            or a law that gives them for the features of each row; or None for the defaults.
        settings: What is simulated; ``SimulationSettings()`` if None.

    Raises:
        ConfigError: a name is unknown.
        DataError: a run diverges.
    """
    settings = SimulationSettings() if settings is None else settings
    n, seed = settings.n_logs, settings.seed
    times: Floats = np.arange(int(settings.duration / settings.dt + 1e-6) + 1, dtype=np.float64) * settings.dt
    drawn = [one.draw(times, n, stream(seed, "feature", key)) for key, one in settings.features.items()]
    columns = np.stack(drawn, -1) if drawn else None  # [logs, rows, features]
    by_row = _params_by_row(spec, params, columns, len(times))
    _tell_beyond_bounds(spec, by_row)
    drive = default_excitation(spec) if settings.excitation is None else settings.excitation
    states, controls = run(
        spec, lambda row: by_row[min(row, len(by_row) - 1)], drive, times, n, seed, settings.integration
    )
    names = (*spec.state_names, *spec.control_names, *settings.features)
    for key in settings.noise:
        if key not in names:
            raise ConfigError(f"noise: {key!r} is no state, control or feature{did_you_mean(key, names)}")
    exact = np.concatenate([states, controls, *([] if columns is None else [columns])], 2)
    sigma = np.array([settings.noise.get(key, 0.0) for key in names])
    seen = exact + sigma * stream(seed, "sensors").standard_normal(exact.shape)
    return [Log(f"log-{k:03d}", times, dict(zip(names, seen[k].T, strict=True))) for k in range(n)]


def write_logs(folder: str | os.PathLike[str], logs: Sequence[Log], suffix: str = ".csv") -> list[Path]:
    """Write logs into a folder, which is made, each under its name; return the files.

    Raises:
        ConfigError: the suffix is none of ``.csv``, ``.json`` and ``.npz``.
        OSError: a file could not be written.
    """
    choice("suffix", suffix, LOG_SUFFIXES)
    paths = [Path(folder) / f"{log.name}{suffix}" for log in logs]
    for path, log in zip(paths, logs, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_log(path, log)
    return paths


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
    found = {key: np.array(given.get(key, value), dtype=np.float64) for key, value in spec.default_params.items()}
    for key, values in found.items():
        if not np.isfinite(values).all():
            raise ConfigError(f"parameter {key!r} of model {spec.name!r} must be finite numbers, got {values}")
    return found


def _params_by_row(
    spec: ModelSpec, params: Mapping[str, ArrayLike] | Law | None, columns: Floats | None, rows: int
) -> list[dict[str, Floats]]:
    """Return all parameters of each row; of one row where they are the same in all."""
    if not callable(params) or columns is None:
        return [_params_of(spec, params, columns)]
    return [_params_of(spec, params, columns[:, row]) for row in range(rows)]


def _tell_beyond_bounds(spec: ModelSpec, by_row: Sequence[Mapping[str, Floats]]) -> None:
    """Warn of parameters that a network of this model could never find."""
    told = []
    for one in spec.parameters:
        low, high = one.bounds
        values = np.stack([row[one.name] for row in by_row])
        beyond = (values < low) | (values > high)
        if beyond.any():
            told.append(f"{one.name} = {values[beyond][0]:.6g}, whose bounds are {low.min():g} and {high.max():g}")
    if told:
        warn_user(
            f"parameters of model {spec.name!r} beyond their bounds: {'; '.join(told)}: no network finds them unless "
            "its bounds are widened"
        )


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
