"""Windows cut from logs: what cannot be used is counted by reason, and never used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.checks import choice, did_you_mean, integer, number
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.logs import Log
from potentia.dynamics.plausibility import unit_suspicion
from potentia.dynamics.resampling import Grid, grid_of, recorded_step
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError, DataError, warn_user
from potentia.seeding import stream

__all__ = ["REASONS", "Rule", "WindowSettings", "Windows", "cut_windows"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Rule = Literal["head", "random"]

REASONS = ("gap", "not_finite", "wrong_unit", "out_of_range", "slow")
"""Why a window is left out; the first that holds is counted."""
SAME = 1e-3
"""Recorded steps that differ by less than this part of one are the same."""
SHOWN = 8
"""Logs that a message tells of one by one."""
FINER = 0.9
"""A step that is shorter than this part of the recorded one is refused."""


@dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """How logs are cut."""

    horizon: int
    """Steps of a window."""
    stride: int = 1
    """Steps from the beginning of a window to that of the next; windows share rows where it is less than the
    horizon."""
    dt: float | Literal["log"] | None = None
    """Length of a step (s); ``"log"`` for the rows as they are, however far apart; None for the step of the logs, which
    must be the same in all. Rows are left out where a step is a whole number of them, else states are interpolated."""
    dt_hundredths: int | None = None
    """The same as a whole number of hundredths of a second."""
    history: int = 0
    """Steps before the first state that are kept."""
    min_speed: float | None = None
    """Windows in which the speed is less at any time are left out (m/s); None for that of the model."""
    max_gap: float = 1.5
    """Rows that are farther apart than so many steps (of ``dt``, or of the log where that is longer) have a gap between
    them."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """State, control or feature → lowest and highest value that can be true."""
    features: tuple[str, ...] | Literal["*"] = ()
    """Columns that are kept besides, at the first state; ``"*"`` for all that are neither state nor control."""
    check_units: bool = True
    """Whether logs are left out whose numbers look like degrees or km/h."""

    def __post_init__(self) -> None:
        integer("horizon", self.horizon, low=1)
        integer("stride", self.stride, low=1)
        integer("history", self.history, low=0)
        if self.dt is not None and self.dt_hundredths is not None:
            raise ConfigError("give dt (s) or dt_hundredths, not both")
        if self.dt_hundredths is not None:
            integer("dt_hundredths", self.dt_hundredths, low=1)
        if self.dt is not None and self.dt != "log" and number("dt", self.dt) <= 0:
            raise ConfigError(f"dt must be greater than 0 (s), got {self.dt}: write 0.05 for 20 Hz")
        if self.min_speed is not None:
            number("min_speed", self.min_speed, low=0)
        number("max_gap", self.max_gap, low=1)
        if isinstance(self.features, str) and self.features != "*":
            raise ConfigError(f"features must be names of columns, or '*', got {self.features!r}")
        for key, bounds in self.ranges.items():
            if len(bounds) != 2 or not bounds[0] < bounds[1]:
                raise ConfigError(f"range of {key!r} must be a lower and a greater upper bound, got {bounds!r}")

    @property
    def step(self) -> float | Literal["log"] | None:
        """Length of a step (s), however it was given."""
        return self.dt if self.dt_hundredths is None else self.dt_hundredths / 100


@dataclass(frozen=True, eq=False)
class Windows:
    """What logs gave."""

    dataset: FeatureDataset
    """The windows."""
    counts: pd.DataFrame
    """Windows by log (rows) and fate: ``kept``, one column for each reason, ``too_short``, which is 1 where the log
    has no room for any, and ``over_limit`` where fewer were asked for."""
    suspicions: Mapping[str, str] = field(default_factory=dict)
    """Log → what looked like a wrong unit in it."""


@dataclass(frozen=True, eq=False)
class _Cut:
    """Windows of a log."""

    grid: Grid
    first: NDArray[np.int64]
    """Row of the first state.  [kept]"""
    counts: dict[str, int]
    suspicion: str | None


def cut_windows(
    logs: Sequence[Log],
    spec: ModelSpec,
    settings: WindowSettings,
    *,
    samples: int | None = None,
    rule: Rule = "head",
    seed: int = 0,
) -> Windows:
    """Return windows of all logs, log by log in the order of time.

    Pose and velocity of the first state are of the same row, and history and features end before the first step:
    nothing of the time that is to be predicted is in them. All targets were recorded; no window is filled up.

    Args:
        logs: Each is a group of its own.
        spec: The model whose states and controls are columns of the logs.
        settings: How they are cut.
        samples: Windows that are kept, of all logs together; None for all.
        rule: Which of them: the first ones, or ones drawn at random, in the order of time all the same.
        seed: Of the draw.

    Raises:
        DataError: a column is missing, logs have different steps and ``dt`` is not given, ``dt`` is less than the step
            of a log, or no window is left.
        ConfigError: a setting does not fit the model.

    Warns:
        PotentiaWarning: logs are left out whose numbers look like another unit.
    """
    choice("rule", rule, ("head", "random"))
    if samples is not None:
        integer("samples", samples, low=1)
    if not logs:
        raise DataError("there are no logs to cut windows from")
    features = _feature_names(logs, spec, settings)
    _require_known(spec, settings, features)
    dt = _step_of(logs, settings)
    cuts = _limited([_cut(log, spec, settings, features, dt) for log in logs], samples, rule, seed)
    counts = pd.DataFrame([cut.counts for cut in cuts], index=pd.Index([log.name for log in logs], name="log"))
    suspicions = {log.name: cut.suspicion for log, cut in zip(logs, cuts, strict=True) if cut.suspicion}
    told = [f"{log.where}: {cut.suspicion}" for log, cut in zip(logs, cuts, strict=True) if cut.suspicion]
    if not counts["kept"].any():
        lost = "; ".join([*_fates(counts), *told[:SHOWN]])
        text = f"no window is left of {len(logs)} logs ({lost}): {_advice(counts, settings)}"
        raise DataError(text, page="dynamics.md#data")
    if told:
        warn_user(f"logs are left out (with check_units off they are kept): {'; '.join(told)}")
    return Windows(_dataset(logs, cuts, spec, settings, features, dt), counts, suspicions)


def _feature_names(logs: Sequence[Log], spec: ModelSpec, settings: WindowSettings) -> tuple[str, ...]:
    known = {*spec.state_names, *spec.control_names}
    if settings.features != "*":
        return tuple(settings.features)
    names = tuple(key for key in logs[0].columns if key not in known)
    for log in logs[1:]:
        other = sorted(set(log.columns) - known ^ set(names))
        if other:
            raise DataError(
                f"features='*', but {other[0]!r} is a column of only one of {logs[0].where} and {log.where}: name the "
                "features that are meant"
            )
    return names


def _require_known(spec: ModelSpec, settings: WindowSettings, features: Sequence[str]) -> None:
    known = (*spec.state_names, *spec.control_names, *features)
    for key in settings.ranges:
        if key not in known:
            raise ConfigError(f"ranges: {key!r} is no state, control or feature{did_you_mean(key, known)}")
        if any(one.name == key and one.angle for one in spec.states):
            raise ConfigError(f"ranges: {key!r} is a heading, which goes on counting: it has no range")
    if settings.min_speed and spec.speed is None:
        raise ConfigError(f"min_speed={settings.min_speed}: model {spec.name!r} has no state that is a speed")


def _step_of(logs: Sequence[Log], settings: WindowSettings) -> float | None:
    """Return the length of a step, None for the rows as they are (s)."""
    if settings.step == "log":
        return None
    recorded = {log.where: recorded_step(log.time) for log in logs if len(log) > 1}
    if not recorded:
        rows = ", ".join(log.where for log in logs[:SHOWN])
        raise DataError(f"no log has more than one row ({rows}): there is nothing to cut windows from")
    if settings.step is None:
        usual, wanted = sorted(recorded.items(), key=lambda one: one[1])[len(recorded) // 2]
        for where, own in recorded.items():
            if abs(own - wanted) > SAME * wanted:
                raise DataError(
                    f"{where} has a row each {own:.6g} s, {usual} each {wanted:.6g} s: say which dt windows should "
                    "have, or 'log' as dt for the rows as they are"
                )
        return float(np.median(list(recorded.values())))
    for where, own in recorded.items():
        if settings.step < own * FINER:
            raise DataError(
                f"{where} has a row each {own:.6g} s, so a dt of {settings.step:.6g} s would invent states between "
                f"them: choose dt of at least {max(recorded.values()):.6g}"
            )
    return float(settings.step)


def _cut(log: Log, spec: ModelSpec, settings: WindowSettings, features: Sequence[str], dt: float | None) -> _Cut:
    own = recorded_step(log.time)
    longest = max(dt or 0.0, own) if len(log) > 1 else 1.0
    grid = grid_of(log, spec, features, dt, settings.max_gap * longest)
    suspicion = unit_suspicion(log, spec) if settings.check_units else None
    last = len(grid.states) - settings.horizon
    first = np.arange(settings.history, max(last, 0), settings.stride)  # [windows]
    fates = dict.fromkeys(("kept", *REASONS), 0)
    left = np.ones(len(first), dtype=bool)
    for reason, wrong in _faults(grid, spec, settings, features, first, suspicion).items():
        fates[reason] = int((left & wrong).sum())
        left &= ~wrong
    fates["kept"] = int(left.sum())
    return _Cut(grid, first[left], {**fates, "too_short": int(not len(first))}, suspicion)


def _limited(cuts: list[_Cut], samples: int | None, rule: Rule, seed: int) -> list[_Cut]:
    """Leave out windows before their numbers are copied."""
    n = sum(len(cut.first) for cut in cuts)
    if samples is None or samples >= n:
        return cuts
    chosen = np.zeros(n, dtype=bool)
    chosen[np.arange(samples) if rule == "head" else stream(seed, "samples").permutation(n)[:samples]] = True
    limited, begin = [], 0
    for cut in cuts:
        first = cut.first[chosen[begin : begin + len(cut.first)]]
        over = len(cut.first) - len(first)
        begin += len(cut.first)
        limited.append(replace(cut, first=first, counts={**cut.counts, "kept": len(first), "over_limit": over}))
    return limited


def _faults(
    grid: Grid,
    spec: ModelSpec,
    settings: WindowSettings,
    features: Sequence[str],
    first: NDArray[np.int64],
    suspicion: str | None,
) -> dict[str, Flags]:
    """Return which windows have which fault.  Reason → [windows]"""
    begin, end = first - settings.history, first + settings.horizon  # its first and its last row
    tables = [
        (spec.state_names, grid.states, begin, end + 1),
        (spec.control_names, grid.controls, begin, end),
        (features, grid.features, first, first + 1),
    ]
    unknown, beyond, slow = (np.zeros(len(first), dtype=bool) for _ in range(3))
    for names, table, low, high in tables:
        unknown |= _any(~np.isfinite(table).all(1, keepdims=True)[:, 0], low, high)
        outside = [
            _outside(table[:, names.index(key)], bounds) for key, bounds in settings.ranges.items() if key in names
        ]
        for rows in outside:
            beyond |= _any(rows, low, high)
    if spec.speed is not None:
        least = spec.min_speed if settings.min_speed is None else settings.min_speed
        speed = grid.states[:, spec.state_names.index(spec.speed)]
        slow |= _any((speed > -least) & (speed < least), begin, end + 1)
    return {
        "gap": _any(grid.broken, begin, end),
        "not_finite": unknown,
        "wrong_unit": np.full(len(first), suspicion is not None),
        "out_of_range": beyond,
        "slow": slow,
    }


def _outside(values: Floats, bounds: tuple[float, float]) -> Flags:
    return (values < bounds[0]) | (values > bounds[1])


def _any(rows: Flags, begin: NDArray[np.int64], end: NDArray[np.int64]) -> Flags:
    """Return whether any row from ``begin`` to before ``end`` is set.  [windows]"""
    total = np.concatenate(([0], rows.cumsum()))
    return np.asarray(total[end] > total[begin])


def _dataset(
    logs: Sequence[Log],
    cuts: Sequence[_Cut],
    spec: ModelSpec,
    settings: WindowSettings,
    features: Sequence[str],
    dt: float | None,
) -> FeatureDataset:
    def taken(name: str, begin: int, rows: int) -> Floats:
        parts = [_stretches(getattr(cut.grid, name), cut.first + begin, rows) for cut in cuts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    past, ahead = settings.history, settings.horizon
    initial = taken("states", 0, 1)  # [windows, 1, states]
    turns = np.where(spec.angles, 2 * np.pi * np.round(initial / (2 * np.pi)), 0.0)  # headings begin near 0
    before = np.concatenate((taken("states", -past, past) - turns, taken("controls", -past, past)), 2) if past else None
    targets = taken("states", 1, ahead)
    targets -= turns
    steps = np.asarray(dt, dtype=np.float64) if dt is not None else taken("steps", 0, ahead)
    return FeatureDataset(
        initial_states=(initial - turns)[:, 0],
        controls=taken("controls", 0, ahead),
        targets=targets,
        dt=steps,
        state_names=spec.state_names,
        control_names=spec.control_names,
        features=taken("features", 0, 1)[:, 0] if features else None,
        feature_names=tuple(features),
        history=before,
        group=np.repeat(np.arange(len(cuts)), [len(cut.first) for cut in cuts]),
        group_names=tuple(log.name for log in logs),
    )


def _stretches(table: Floats, begin: NDArray[np.int64], rows: int) -> Floats:
    """Return so many rows from each beginning on.  [windows, rows, ...]"""
    columns = table.shape[1:]
    width = int(np.prod(columns, dtype=np.int64))
    if not len(begin) or not width:
        return np.zeros((len(begin), rows, *columns))
    flat = np.ascontiguousarray(table).reshape(-1)
    every = np.lib.stride_tricks.sliding_window_view(flat, rows * width)[::width]  # [beginnings, numbers], no copy
    return np.asarray(every[begin].reshape(-1, rows, *columns))


def _fates(counts: pd.DataFrame) -> list[str]:
    """Return for each log how many windows were left out for which reason, of the first ones."""
    found = [
        f"{log}: {', '.join(f'{n} {reason}' for reason, n in row.items() if n)}"
        for log, row in counts.head(SHOWN).iterrows()
    ]
    return [*found, f"{len(counts) - SHOWN} logs more"] if len(counts) > SHOWN else found


def _advice(counts: pd.DataFrame, settings: WindowSettings) -> str:
    """Return what to try against the reason that took most."""
    worst = str(counts.drop(columns="kept").sum().idxmax())
    return {
        "gap": f"choose a shorter horizon, or max_gap above {settings.max_gap:g}",
        "not_finite": "repair the columns with NaN, or leave them out",
        "wrong_unit": "say the units in columns.yaml, or switch check_units off where they are right",
        "out_of_range": "widen ranges",
        "slow": "lower min_speed",
        "too_short": "choose a shorter horizon or history, or a smaller dt",
    }[worst]
