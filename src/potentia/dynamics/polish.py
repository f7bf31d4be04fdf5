"""Constant parameters fitted to roll-outs: the best that one set of numbers can do, and how well the data know them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from potentia.checks import choice, did_you_mean, integer, number
from potentia.dynamics.bounded_least_squares import Floats, Solved, minimise
from potentia.dynamics.dataset import FeatureDataset, truncate_dataset_timesteps
from potentia.dynamics.fit_rows import Prior, RolloutProblem
from potentia.dynamics.losses import state_scales
from potentia.dynamics.parameter_box import ParameterBox, params_of, vector_of
from potentia.dynamics.rollout import RolloutSettings
from potentia.dynamics.sensitivities import entry_names
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError, DataError, TrainingError
from potentia.seeding import stream

__all__ = ["ConstantFit", "FitSettings", "fit_constant"]

AT_BOUND = 1e-6
"""Part of the range between the bounds that is taken for the bound itself."""
UNKNOWN = 1e-10
"""Part of the largest singular value below which a direction is not determined."""


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Settings of `fit_constant`."""

    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    """How the equations are solved."""
    noise: tuple[float, ...] | None = None
    """Standard deviation of the measured states (their units), one for each; None: unknown, and residuals are divided
    by what the states of a window change."""
    initial_states: Literal["given", "fitted"] = "given"
    """``"fitted"``: the initial states are measurements with the noise of the targets, and are fitted beside the
    parameters. Where they are noisy, parameters are biased without."""
    gauge: Literal["fix", "free"] = "fix"
    """``"fix"`` holds parameters that no data can tell from others at their start."""
    fixed: Mapping[str, ArrayLike] = field(default_factory=dict)
    """Parameters that are held at these values."""
    priors: Mapping[str, tuple[ArrayLike, ArrayLike]] = field(default_factory=dict)
    """Parameters that are known beforehand: mean and standard deviation. Without ``noise`` they weigh against the
    residuals that a fit without them has left."""
    warm_up: tuple[int, ...] = ()
    """Horizons (steps) that are fitted one after the other before the whole one: short ones forgive bad starts."""
    starts: int = 1
    """Beginnings: the first at the start, the others drawn between the bounds; the lowest cost is kept."""
    max_iterations: int = 100
    """Steps at most, for each beginning and horizon."""
    tolerance: float = 1e-12
    """A fit has ended when a step is shorter than this part of the ranges between the bounds."""
    seed: int = 0
    """Of the drawn beginnings."""

    def __post_init__(self) -> None:
        choice("initial_states", self.initial_states, ("given", "fitted"))
        choice("gauge", self.gauge, ("fix", "free"))
        for value in self.noise or ():
            if number("noise", value, low=0) == 0:
                raise ConfigError("noise must be above 0 for each state; leave it out where it is not known")
        for horizon in self.warm_up:
            integer("warm_up", horizon, low=1)
        integer("starts", self.starts, low=1)
        integer("max_iterations", self.max_iterations, low=1)
        number("tolerance", self.tolerance, low=0)
        integer("seed", self.seed)


@dataclass(frozen=True, eq=False)
class ConstantFit:
    """Constant parameters with their errors."""

    params: dict[str, Floats]
    """Every parameter of the model, also those that were held.  [*shape] each"""
    cost: float
    """Half the sum of the squared scaled residuals, priors included."""
    rms: float
    """Root of the squared scaled residuals over what is left of their number after the fitted ones; about 1 where the
    noise was given and the model is right."""
    entries: tuple[str, ...]
    """Names of the entries that were fitted."""
    values: Floats
    """[entries]"""
    covariance: Floats
    """Of the entries; infinite where the data do not determine one, 0 at a bound.  [entries, entries]"""
    at_bounds: dict[str, str]
    """Entries that ended at a bound → ``"lower"`` or ``"upper"``."""
    undetermined: int
    """Directions of the entries, not at bounds, that the data do not determine."""
    initial_states: Floats = field(repr=False)
    """Those of the data, or fitted.  [windows, states]"""
    iterations: int
    """Steps of the fit that was kept."""
    converged: bool
    """Whether no step would bring more."""
    reason: str
    """Why it has ended."""
    costs: tuple[float, ...]
    """Of each beginning; infinite where roll-outs diverge."""

    @property
    def errors(self) -> Floats:
        """Standard error of each entry.  [entries]"""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> Floats:
        """Of the entries; NaN where one has no finite error.  [entries, entries]"""
        errors = np.where(np.isfinite(self.errors) & (self.errors > 0), self.errors, np.nan)
        found: Floats = np.where(np.isfinite(self.covariance), self.covariance, np.nan) / np.outer(errors, errors)
        return found

    def frame(self) -> pd.DataFrame:
        """Return a row for each entry: ``value``, ``error``, ``relative_error``, ``at_bound``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = self.errors / np.abs(self.values)
        bounds = [self.at_bounds.get(name, "") for name in self.entries]
        columns = {"value": self.values, "error": self.errors, "relative_error": relative, "at_bound": bounds}
        return pd.DataFrame(columns, index=pd.Index(self.entries, name="parameter"))


def fit_constant(
    spec: ModelSpec,
    dataset: FeatureDataset,
    settings: FitSettings | None = None,
    start: Mapping[str, ArrayLike] | None = None,
) -> ConstantFit:
    """Return the constant parameters whose roll-outs are nearest to the targets, between the bounds of the model.

    Args:
        spec: The model.
        dataset: Windows to fit.
        settings: What is fitted, and how; ``FitSettings()`` if None.
        start: Where to begin; the defaults of the model if None.

    Raises:
        ConfigError: a name is unknown, or nothing is left to fit.
        TrainingError: roll-outs diverge at every beginning.
    """
    settings = FitSettings() if settings is None else settings
    free, held = _split(spec, settings, start)
    scales = _scales(spec, dataset, settings)
    prior = _prior(free, settings)
    if prior is not None and settings.noise is None:
        plain = fit_constant(spec, dataset, replace(settings, priors={}), start)
        left = RolloutProblem(free, dataset, scales, settings.rollout)
        box = ParameterBox.of(free)
        scales = scales * _spread_of(left, box.places(vector_of(free, plain.params)))
    begin = vector_of(free, free.default_params)
    found, problem, costs = _best(free, dataset, scales, settings, prior, begin)
    return _result(free, held, problem, found, settings, tuple(costs))


def _split(
    spec: ModelSpec, settings: FitSettings, start: Mapping[str, ArrayLike] | None
) -> tuple[ModelSpec, dict[str, Floats]]:
    """Return the model with its free parameters, their defaults where to begin, and the values of the others."""
    named = {"start": start or {}, "fixed": settings.fixed, "priors": settings.priors}
    for setting, values in named.items():
        for key in values:
            if key not in spec.param_keys:
                raise ConfigError(f"{setting} names the parameter {key!r}{did_you_mean(key, spec.param_keys)}")
    moved = spec if start is None else spec.with_defaults(_inside(spec, start))
    gauge = spec.gauge if settings.gauge == "fix" else ()
    held = {key: moved.parameter(key).values for key in gauge}
    for key, value in settings.fixed.items():
        held[key] = np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), spec.parameter(key).shape))
    if len(held) == len(spec.parameters):
        raise ConfigError(f"model {spec.name!r}: every parameter is fixed; leave at least one to fit")
    for key in settings.priors:
        if key in held:
            raise ConfigError(
                f"priors names {key!r}, which is held at {held[key].tolist()}: take it out of one of them"
            )
    return moved.with_fixed(held), held


def _inside(spec: ModelSpec, start: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    """Return beginnings between the bounds; one that is outside by rounding goes to the bound."""
    found = {}
    for key, value in start.items():
        low, high = spec.parameter(key).bounds
        given = np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), spec.parameter(key).shape))
        room = 1e-6 * (high - low)
        if not ((given >= low - room) & (given <= high + room)).all():
            raise ConfigError(f"start of parameter {key!r} must lie within [{low}, {high}], got {given}")
        found[key] = np.clip(given, low, high)
    return found


def _scales(spec: ModelSpec, dataset: FeatureDataset, settings: FitSettings) -> Floats:
    if dataset.state_names != spec.state_names or dataset.control_names != spec.control_names:
        raise DataError(
            f"the windows have states {dataset.state_names} and controls {dataset.control_names}, model {spec.name!r} "
            f"has {spec.state_names} and {spec.control_names}"
        )
    if settings.noise is None:
        return state_scales(dataset, spec)
    if len(settings.noise) != len(spec.states):
        raise ConfigError(
            f"noise must be one number for each of the states {', '.join(spec.state_names)}, got {settings.noise}"
        )
    return np.array(settings.noise, dtype=np.float64)


def _prior(free: ModelSpec, settings: FitSettings) -> Prior | None:
    if not settings.priors:
        return None
    mean, sigma = [], []
    for parameter in free.parameters:
        centre, width = settings.priors.get(parameter.name, (parameter.values, np.inf))
        mean.append(np.broadcast_to(np.asarray(centre, dtype=np.float64), parameter.shape).ravel())
        sigma.append(np.broadcast_to(np.asarray(width, dtype=np.float64), parameter.shape).ravel())
        if not (sigma[-1] > 0).all():
            raise ConfigError(f"priors of {parameter.name!r} must have standard deviations above 0")
    return Prior(np.concatenate(mean), np.concatenate(sigma))


def _spread_of(problem: RolloutProblem, places: Floats) -> Floats:
    """Return the root of the mean squared scaled residual of each state, above 0.  [states]"""
    squares = problem.residuals(places).square().sum((0, 1)).numpy()
    found: Floats = np.sqrt(squares * squares.size / problem.rows)
    return np.maximum(found, 1e-12)


def _best(
    free: ModelSpec,
    dataset: FeatureDataset,
    scales: Floats,
    settings: FitSettings,
    prior: Prior | None,
    begin: Floats,
) -> tuple[Solved, RolloutProblem, list[float]]:
    """Fit from each beginning, and return the one with the lowest cost, its problem, and all costs."""
    box, best, costs = ParameterBox.of(free), None, []
    for number_of_start in range(settings.starts):
        places = box.places(begin)
        if number_of_start:
            places = stream(settings.seed, "beginning of a fit", number_of_start).uniform(0.05, 0.95, len(begin))
        beginning = places
        for horizon in (*settings.warm_up, dataset.n_steps):
            part = truncate_dataset_timesteps(dataset, horizon)
            fitted = settings.initial_states == "fitted"
            problem = RolloutProblem(free, part, scales, settings.rollout, prior, fitted)
            places = min((places, beginning), key=problem.cost)  # what suits few steps may fly off in more
            if not math.isfinite(problem.cost(places)):
                costs.append(math.inf)
                break
            found = minimise(problem, places, max_iterations=settings.max_iterations, tolerance=settings.tolerance)
            places = found.places
        else:
            costs.append(found.cost)
            if best is None or found.cost < best[0].cost:
                best = (found, problem)
    if best is None:
        raise TrainingError(
            f"roll-outs of model {free.name!r} diverge at every beginning: take more substeps, shorter windows, a "
            "min_speed, or warm_up=(1, ...)"
        )
    return *best, costs


def _result(
    free: ModelSpec,
    held: dict[str, Floats],
    problem: RolloutProblem,
    found: Solved,
    settings: FitSettings,
    costs: tuple[float, ...],
) -> ConstantFit:
    box, names = ParameterBox.of(free), entry_names(free)
    values = box.values(found.places)
    sides = np.where(found.places < AT_BOUND, "lower", np.where(found.places > 1 - AT_BOUND, "upper", ""))
    inside = sides == ""
    mean_square = problem.squares(found.places) / max(problem.rows - int(inside.sum()), 1)
    factor = 1.0 if settings.noise is not None else mean_square
    covariance, undetermined = _covariance(found.linearised.triangle[:, inside], factor)
    slopes = box.slopes(found.places)
    whole = np.zeros((len(values), len(values)))
    whole[np.ix_(inside, inside)] = covariance * np.outer(slopes[inside], slopes[inside])
    return ConstantFit(
        params={**params_of(free, values), **{key: value.copy() for key, value in held.items()}},
        cost=found.cost,
        rms=math.sqrt(mean_square),
        entries=tuple(names),
        values=values,
        covariance=whole,
        at_bounds={name: str(side) for name, side in zip(names, sides, strict=True) if side},
        undetermined=undetermined,
        initial_states=problem.initial.numpy().copy(),
        iterations=found.iterations,
        converged=found.converged,
        reason=found.reason,
        costs=costs,
    )


def _covariance(triangle: Floats, factor: float) -> tuple[Floats, int]:
    """Return factor · (RᵀR)⁻¹ with infinite entries where a direction is not determined, and how many there are."""
    n = triangle.shape[1]
    if not n:
        return np.zeros((0, 0)), 0
    _, sizes, directions = np.linalg.svd(triangle, full_matrices=False)
    known: NDArray[np.bool_] = sizes > UNKNOWN * sizes.max(initial=np.finfo(np.float64).tiny)
    covariance: Floats = factor * (directions[known].T / sizes[known] ** 2) @ directions[known]
    lost = np.flatnonzero(np.linalg.norm(directions[~known], axis=0) > 1e-3)
    covariance[lost, :] = np.inf
    covariance[:, lost] = np.inf
    return covariance, int((~known).sum())
