"""Logs whose numbers look like another unit than the model's: degrees for radians, km/h for m/s."""

from __future__ import annotations

import numpy as np

from potentia.dynamics.logs import Log
from potentia.dynamics.motion import Motion
from potentia.dynamics.resampling import recorded_step
from potentia.dynamics.spec import ModelSpec

__all__ = ["unit_suspicion"]

LARGE_ANGLE = 1.6
"""Steering and slip angles beyond this (rad) are rare."""
RARE = 0.02
"""Part of the rows that may be so all the same, as in a spin."""
COMPARED = 0.5
"""Time over which a way is compared with the speed (s)."""
FAR_OFF = 1.5
"""A speed that differs by this factor from the way over the time is no error of measurement."""
DEGREES = 180 / np.pi
TURNS = (0.05, 2.0)
"""Turns of the way (rad) that the heading is compared with: smaller ones are noise, larger ones could be the others."""


def unit_suspicion(log: Log, spec: ModelSpec) -> str | None:
    """Return what looks like a wrong unit, and None where nothing does."""
    for one in spec.states:
        values = log.column(one.name)
        values = values[np.isfinite(values)]
        if one.unit == "rad" and not one.angle and len(values) and (np.abs(values) > LARGE_ANGLE).mean() > RARE:
            return f"{one.name!r} reaches {np.abs(values).max():.3g}, which looks like degrees; it must be in rad"
        jumps = np.abs(np.diff(values))
        if one.angle and ((jumps > 330) & (jumps < 361)).any():
            return f"{one.name!r} jumps by {jumps.max():.3g}, which looks like degrees; it must be in rad"
    return _speed_suspicion(log, spec) or _heading_suspicion(log, spec)


def _speed_suspicion(log: Log, spec: ModelSpec) -> str | None:
    """Compare the speed with the way over half a second: a position may be noisy, or newer less often than each row."""
    if spec.speed is None or not {"x", "y"} <= set(spec.state_names) or len(log) < 2:
        return None
    apart = min(max(round(COMPARED / recorded_step(log.time)), 1), len(log) - 1)  # rows
    first, last = slice(None, -apart), slice(apart, None)
    x, y, v = log.column("x"), log.column("y"), np.abs(log.column(spec.speed))
    way = np.hypot(x[last] - x[first], y[last] - y[first]) / (log.time[last] - log.time[first])
    speed = (v[first] + v[last]) / 2
    moving = np.isfinite(way) & np.isfinite(speed) & (speed > max(spec.min_speed, 0.5)) & (way > 0)
    if not moving.any():
        return None
    ratio = float(np.median(speed[moving] / way[moving]))
    if 1 / FAR_OFF <= ratio <= FAR_OFF:
        return None
    looks = " (km/h has 3.6)" if abs(ratio - 3.6) < 0.5 else ""
    return f"{spec.speed!r} is {ratio:.3g} times the way over the time{looks}; it must be in m/s, x and y in m"


def _heading_suspicion(log: Log, spec: ModelSpec) -> str | None:
    """Compare how far the heading turns with how far the way does, over half a second each."""
    motion = Motion.of(spec)
    if motion is None or motion.heading is None or len(log) < 3:
        return None
    name = spec.state_names[motion.heading]
    apart = max(round(COMPARED / recorded_step(log.time)), 1)  # rows
    if len(log) <= 2 * apart:
        return None
    x, y = (log.column(spec.state_names[k]) for k in (motion.x, motion.y))
    course = np.arctan2(y[apart:] - y[:-apart], x[apart:] - x[:-apart])
    turned = np.abs(np.angle(np.exp(1j * (course[apart:] - course[:-apart]))))
    heading = np.abs(log.column(name)[2 * apart :] - log.column(name)[: -2 * apart]) / 2
    compared = np.isfinite(heading) & (turned > TURNS[0]) & (turned < TURNS[1])
    if not compared.any():
        return None
    ratio = float(np.median(heading[compared] / turned[compared]))
    if not DEGREES / 2 < ratio < DEGREES * 2:
        return None
    return f"{name!r} turns {ratio:.3g} times as far as the way, which looks like degrees; it must be in rad"
