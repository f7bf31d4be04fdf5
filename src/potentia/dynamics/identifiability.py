"""Which combinations of parameters the data can determine: the Fisher information of roll-outs, taken apart.

Parameters whose bounds are above 0 are varied by a factor, the others along the range between their bounds: so a
direction reads as a product of powers (``mu^-1 C_Sf C_Sr``), and a singular value as what the data say about a change
of 100 %. Directions without any effect are named; no data can tell their parameters apart, and a gauge (some of
them held at a value) takes the choice away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from potentia.checks import integer, number
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.losses import state_scales
from potentia.dynamics.null_directions import chosen_gauge, sparse_directions, written
from potentia.dynamics.parameter_box import vector_of
from potentia.dynamics.rollout import RolloutSettings
from potentia.dynamics.sensitivities import entry_names, rollout_jacobian, windows_at_a_time
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.vector import unflatten_params
from potentia.errors import ConfigError, DataError
from potentia.evaluate import as_text, readable
from potentia.seeding import stream
from potentia.storage import write_json

__all__ = ["IdentifiabilityReport", "IdentifiabilitySettings", "identifiability"]

Floats: TypeAlias = NDArray[np.float64]
LEAST_PART = 1e-3
"""Part of a null direction below which an entry does not belong to it."""


@dataclass(frozen=True, kw_only=True)
class IdentifiabilitySettings:
    """Settings of `identifiability`."""

    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    """How the equations are solved."""
    noise: tuple[float, ...] | None = None
    """Standard deviation of the measured states (their units), one for each; None: unknown, only what has no effect at
    all is found, and errors are those of a measurement that is off by what the states of a window change."""
    tolerance: float = 1e-9
    """Part of the largest singular value below which a direction has no effect."""
    largest_error: float = 1.0
    """Where the noise is given: a parameter is identifiable when its relative standard error (or that in parts of its
    range) is below this."""
    windows: int = 512
    """So many windows are looked at, drawn from all."""
    seed: int = 0
    """Of the drawn windows."""

    def __post_init__(self) -> None:
        for value in self.noise or ():
            if number("noise", value, low=0) == 0:
                raise ConfigError("noise must be above 0 for each state; leave it out where it is not known")
        number("tolerance", self.tolerance, low=0, high=1)
        number("largest_error", self.largest_error, low=0)
        integer("windows", self.windows, low=1)
        integer("seed", self.seed)


@dataclass(frozen=True, eq=False)
class IdentifiabilityReport:
    """What the data say about each parameter, and about each direction among them."""

    model: str
    """Name of the model."""
    entries: tuple[str, ...]
    """Names of the entries of the parameters."""
    relative: NDArray[np.bool_]
    """Whether an entry was varied by a factor, or along its range.  [entries]"""
    singular_values: Floats
    """Of the scaled Jacobian, from the largest.  [entries]"""
    directions: Floats
    """Row k belongs to singular value k.  [entries, entries]"""
    rank: int
    """Directions that have an effect."""
    null_directions: Floats
    """Changes without effect, as few entries each as there are.  [directions, entries]"""
    errors: Floats
    """Smallest standard error that any unbiased estimate can have, relative or in parts of the range; infinite without
    effect.  [entries]"""
    identifiable: dict[str, bool]
    """Parameter → whether the data determine all of its entries."""
    gauge: tuple[str, ...]
    """Parameters to hold so that the data determine the others; those of the model where they suffice."""
    noise_given: bool
    """Whether errors are those of the noise of the data."""
    windows: int
    """Windows that were looked at."""

    def frame(self) -> pd.DataFrame:
        """Return a row for each entry: ``parameter``, ``error``, ``error_is``, ``null_part``, ``identifiable``."""
        parts = np.linalg.norm(self.directions[self.rank :], axis=0)
        return pd.DataFrame(
            {
                "parameter": [name.partition("[")[0] for name in self.entries],
                "error": self.errors,
                "error_is": np.where(self.relative, "relative", "of the range"),
                "null_part": parts,
                "identifiable": [self.identifiable[name.partition("[")[0]] for name in self.entries],
            },
            index=pd.Index(self.entries, name="entry"),
        )

    def direction_frame(self) -> pd.DataFrame:
        """Return a row for each direction: its singular value, and what changes in it."""
        return pd.DataFrame(
            {
                "singular_value": self.singular_values,
                "has_effect": np.arange(len(self.entries)) < self.rank,
                "direction": [written(row, self.entries) for row in self.directions],
            }
        )

    def combinations(self) -> list[str]:
        """Return a sentence for each null direction."""
        return [f"{written(row, self.entries)} has no effect" for row in self.null_directions]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON: None where an error is infinite."""
        return {
            "model": self.model,
            "windows": self.windows,
            "noise_given": self.noise_given,
            "rank": self.rank,
            "entries": list(self.entries),
            "singular_values": self.singular_values.tolist(),
            "null_directions": [
                {name: float(part) for name, part in zip(self.entries, row, strict=True) if abs(part) > LEAST_PART}
                for row in self.null_directions
            ],
            "combinations": self.combinations(),
            "errors": {
                name: float(error) if math.isfinite(error) else None
                for name, error in zip(self.entries, self.errors, strict=True)
            },
            "identifiable": dict(self.identifiable),
            "gauge": list(self.gauge),
        }

    def write(self, path: str) -> None:
        """Write the plain values as JSON, whole or not at all."""
        write_json(path, "identifiability", self.to_dict())

    def text(self) -> str:
        """Return the report for people."""
        lines = [
            f"{self.model}: {self.windows} windows determine {self.rank} of {len(self.entries)} directions",
            *(f"  {sentence}" for sentence in self.combinations()),
        ]
        if self.gauge:
            lines.append(f"  hold {', '.join(self.gauge)} to make the rest unique")
        table = self.frame()
        shown = pd.DataFrame(
            {
                "standard error": [
                    f"{readable(100 * error)} %{'' if how == 'relative' else ' of its range'}"
                    if math.isfinite(error)
                    else "∞"
                    for error, how in zip(table["error"], table["error_is"], strict=True)
                ],
                "identifiable": np.where(table["identifiable"], "yes", "no"),
            },
            index=table.index,
        )
        return "\n".join([*lines, "", as_text(shown)])


def identifiability(
    spec: ModelSpec,
    dataset: FeatureDataset,
    params: Mapping[str, ArrayLike],
    settings: IdentifiabilitySettings | None = None,
) -> IdentifiabilityReport:
    """Return what roll-outs of these windows tell about the parameters, near ``params``.

    Args:
        spec: The model; parameters in its constants are not looked at.
        dataset: Windows; of their targets only the mask is used, and the spread where the noise is not known.
        params: Where to look, the same for all windows [*shape] or one for each [windows, *shape].
        settings: What is looked at; ``IdentifiabilitySettings()`` if None.

    Raises:
        ConfigError: a parameter is missing, or ``noise`` has another number of states.
        DataError: roll-outs diverge with these parameters.
    """
    settings = IdentifiabilitySettings() if settings is None else settings
    relative = np.concatenate([np.full(one.size, bool((one.bounds[0] > 0).all())) for one in spec.parameters])
    triangle, windows = _triangle(spec, dataset, params, relative, settings)
    _, sizes, directions = np.linalg.svd(triangle)
    rank = int((sizes > settings.tolerance * sizes.max(initial=0.0)).sum())
    null = sparse_directions(directions[rank:])
    lost = np.linalg.norm(directions[rank:], axis=0) > LEAST_PART
    errors = np.sqrt(((directions[:rank] / sizes[:rank, None]) ** 2).sum(0))
    errors[lost] = np.inf
    known = errors <= settings.largest_error if settings.noise is not None else ~lost
    sections = np.split(known, np.cumsum([one.size for one in spec.parameters])[:-1])
    return IdentifiabilityReport(
        model=spec.name,
        entries=tuple(entry_names(spec)),
        relative=relative,
        singular_values=sizes,
        directions=directions,
        rank=rank,
        null_directions=null,
        errors=errors,
        identifiable={key: bool(part.all()) for key, part in zip(spec.param_keys, sections, strict=True)},
        gauge=chosen_gauge(spec, directions[rank:]),
        noise_given=settings.noise is not None,
        windows=windows,
    )


def _triangle(
    spec: ModelSpec,
    dataset: FeatureDataset,
    params: Mapping[str, ArrayLike],
    relative: NDArray[np.bool_],
    settings: IdentifiabilitySettings,
) -> tuple[Floats, int]:
    """Return R of the scaled Jacobian [entries, entries], and how many windows it is of."""
    scales = _scales(spec, dataset, settings)
    vector = np.array(
        np.broadcast_to(vector_of(spec, _by_window(spec, params, len(dataset))), (len(dataset), len(relative)))
    )
    chosen = np.arange(len(dataset))
    if len(dataset) > settings.windows:
        drawn = stream(settings.seed, "windows of the identifiability").permutation(len(dataset))
        chosen = np.sort(drawn[: settings.windows])
    low, high = (np.concatenate([one.bounds[side].ravel() for one in spec.parameters]) for side in (0, 1))
    size = windows_at_a_time(dataset.n_steps, len(spec.states), len(relative))
    found = torch.zeros(0, len(relative), dtype=torch.float64)
    for begin in range(0, len(chosen), size):
        part = dataset.take(chosen[begin : begin + size])
        own = vector[chosen[begin : begin + size]]
        rows = _rows(spec, part, own, np.where(relative, own, high - low), scales, settings)
        found = torch.linalg.qr(torch.cat((found, rows)), mode="r").R
    triangle = np.zeros((max(len(found), len(relative)), len(relative)))
    triangle[: len(found)] = found.numpy()
    return triangle[: len(relative)], len(chosen)


def _rows(
    spec: ModelSpec,
    part: FeatureDataset,
    vector: Floats,
    unit: Floats,
    scales: Floats,
    settings: IdentifiabilitySettings,
) -> torch.Tensor:
    params = unflatten_params(torch.as_tensor(vector), spec.param_keys, spec.param_shapes)
    start, controls = torch.as_tensor(part.initial_states), torch.as_tensor(part.controls)
    lengths = torch.as_tensor(np.array(part.step_lengths))
    found = rollout_jacobian(spec, start, controls, params, lengths, settings.rollout)
    counted = torch.as_tensor(part.counted)[..., None, None]
    columns = found.by_params * torch.as_tensor(unit)[:, None, None, :] / torch.as_tensor(scales)[:, None]
    rows = torch.where(counted, columns, 0.0).flatten(0, 2)
    if not bool(torch.isfinite(rows).all()):
        raise DataError(
            f"roll-outs of model {spec.name!r} diverge with these parameters: take more substeps or shorter windows"
        )
    return rows


def _by_window(spec: ModelSpec, params: Mapping[str, ArrayLike], windows: int) -> dict[str, Floats]:
    """Return all parameters with a leading axis, so that those of windows and those of all may stand together."""
    found = {}
    for one in spec.parameters:
        if one.name in params:
            value = np.asarray(params[one.name], dtype=np.float64)
            if value.shape not in {one.shape, (windows, *one.shape)}:
                raise DataError(
                    f"parameter {one.name!r} must have shape {one.shape} or {(windows, *one.shape)}, got {value.shape}"
                )
            found[one.name] = np.broadcast_to(value, (windows, *one.shape))
    return found


def _scales(spec: ModelSpec, dataset: FeatureDataset, settings: IdentifiabilitySettings) -> Floats:
    if settings.noise is None:
        return state_scales(dataset, spec)
    if len(settings.noise) != len(spec.states):
        raise ConfigError(
            f"noise must be one number for each of the states {', '.join(spec.state_names)}, got {settings.noise}"
        )
    return np.array(settings.noise, dtype=np.float64)
