"""A log on the steps that windows need: rows taken as they are where that is possible, else states interpolated.

Controls are held from row to row, so over a longer step they are averaged: the impulse stays what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.dynamics.logs import Log, unwrapped
from potentia.dynamics.spec import ModelSpec

__all__ = ["Grid", "grid_of", "recorded_step"]

Floats: TypeAlias = NDArray[np.float64]

EVEN = 1e-3
"""Steps that differ by less than this part of one count as equal."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Rows of a log."""

    states: Floats
    """Angles without jumps.  [rows, states]"""
    controls: Floats
    """Mean of what was held from the row to the next.  [rows, controls]"""
    features: Floats
    """The last ones that were known.  [rows, features]"""
    steps: Floats
    """Time from each row to the next; of the last row NaN (s).  [rows]"""
    broken: NDArray[np.bool_]
    """Whether there is a gap between a row and the next; after the last row there is.  [rows]"""


def recorded_step(time: Floats) -> float:
    """Return the time between two rows: the mean where they are evenly spaced, else the median; NaN for one row (s)."""
    steps = np.diff(time)
    if not len(steps):
        return float("nan")
    middle = float(np.median(steps))
    return float(steps.mean()) if _even(steps, middle) else middle


def grid_of(log: Log, spec: ModelSpec, features: Sequence[str], dt: float | None, gap: float) -> Grid:
    """Return the log on steps of ``dt`` (s), or on its own rows where that is None; no step goes across a gap.

    Args:
        log: The log.
        spec: Whose states and controls its columns are.
        features: Columns that are kept besides.
        dt: Length of a step (s).
        gap: Rows that are farther apart have a gap between them (s).

    Raises:
        DataError: a column is missing.
    """
    states = [
        unwrapped(log.column(one.name)) if one.angle else log.column(one.name) for one in spec.states
    ]  # the heading of a log goes on counting
    table = np.stack(states, -1)  # [rows, states]
    controls = _stacked([log.column(name) for name in spec.control_names], len(log))
    columns = _stacked([log.column(name) for name in features], len(log))
    ends = np.append(np.flatnonzero(np.diff(log.time) > gap) + 1, len(log))
    parts = [slice(int(first), int(end)) for first, end in zip(np.append(0, ends[:-1]), ends, strict=True)]
    return _joined([_part(log.time[own], table[own], controls[own], columns[own], dt) for own in parts])


def _part(time: Floats, states: Floats, controls: Floats, features: Floats, dt: float | None) -> Grid:
    """Return the rows of a stretch without gaps."""
    steps = np.diff(time)
    every = 1 if dt is None else _every(steps, dt)
    if every:
        wanted = slice(None, None, every)
        held = _means(controls, every)
        chosen = time[wanted] if dt is None else np.arange(len(states[wanted]), dtype=np.float64) * np.float64(dt)
        return _grid(chosen, states[wanted], held, features[wanted])
    assert dt is not None
    places = time[0] + np.arange(int((time[-1] - time[0]) / dt + EVEN) + 1) * dt
    places[-1] = min(places[-1], time[-1])
    moved = np.stack([np.interp(places, time, column) for column in states.T], -1)
    known = np.searchsorted(time, places, side="right") - 1
    return _grid(places, moved, _averages(time, controls, places), features[known])


def _every(steps: Floats, dt: float) -> int:
    """Return how many rows a step of ``dt`` has; 0 where they do not fit."""
    if not len(steps):
        return 1
    middle = float(np.median(steps))
    ratio = dt / middle
    fits = _even(steps, middle) and abs(ratio - round(ratio)) <= EVEN
    return max(round(ratio), 1) if fits else 0


def _even(steps: Floats, middle: float) -> bool:
    return bool((np.abs(steps - middle) <= EVEN * middle).all())


def _means(controls: Floats, every: int) -> Floats:
    """Return the mean of each ``every`` rows; NaN for the last ones where they are fewer.  [steps, controls]"""
    if every == 1:
        return controls
    rows = -(-len(controls) // every)
    filled = np.full((rows * every, controls.shape[1]), np.nan)
    filled[: len(controls)] = controls
    return np.asarray(filled.reshape(rows, every, -1).mean(1))


def _averages(time: Floats, controls: Floats, places: Floats) -> Floats:
    """Return the mean of what was held between two places; NaN for the last.  [places, controls]"""
    lengths = np.diff(time)[:, None]
    held = controls[:-1]
    known = np.isfinite(held)
    impulse = _integral(time, np.where(known, held, 0.0) * lengths, places)
    unknown = _integral(time, ~known * lengths, places)
    span = np.diff(places)[:, None]
    means = np.where(unknown > EVEN * span, np.nan, impulse / span)
    return np.concatenate((means, np.full((1, controls.shape[1]), np.nan)))


def _integral(time: Floats, pieces: Floats, places: Floats) -> Floats:
    """Return what the pieces between the times add up to between the places.  [places − 1, columns]"""
    total = np.concatenate((np.zeros((1, pieces.shape[1])), pieces.cumsum(0)))
    return np.diff(_stacked([np.interp(places, time, column) for column in total.T], len(places)), axis=0)


def _grid(time: Floats, states: Floats, controls: Floats, features: Floats) -> Grid:
    broken = np.zeros(len(time), dtype=bool)
    broken[-1] = True
    return Grid(states, controls, features, np.append(np.diff(time), np.nan), broken)


def _joined(parts: Sequence[Grid]) -> Grid:
    if len(parts) == 1:
        return parts[0]
    names = ("states", "controls", "features", "steps", "broken")
    return Grid(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _stacked(columns: Sequence[Floats], rows: int) -> Floats:
    """Return columns beside each other, also where there are none.  [rows, columns]"""
    return np.stack(columns, -1) if columns else np.zeros((rows, 0))
