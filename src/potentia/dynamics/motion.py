"""Which states of a model say where a vehicle is and how it moves, by their names and kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.dynamics.spec import ModelSpec

__all__ = ["Motion"]

Floats: TypeAlias = NDArray[np.float64]

TURN_RATES = ("psi_dot", "r", "omega", "yaw_rate")
SLIP = "beta"


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Numbers of the states that describe a motion in the plane; None where the model has no such state."""

    x: int
    """First position (m)."""
    y: int
    """Second position (m)."""
    heading: int | None
    """Direction in which the vehicle points (rad)."""
    speed: int | None
    """Along the course, or forwards where there is a velocity to the side (m/s)."""
    sideways: int | None
    """Velocity to the left (m/s)."""
    slip: int | None
    """From the heading to the course (rad)."""
    turn: int | None
    """Rate of the heading (rad/s)."""

    @classmethod
    def of(cls, spec: ModelSpec) -> Self | None:
        """Return the motion of a model, None if it has no two positions.

        Positions are the first two states of the pose that are no angles, the heading is its first angle; turn rate
        (``psi_dot``, ``r``, ``omega`` or ``yaw_rate``), slip (``beta``) and ``vx``, ``vy`` are known by name.
        """
        names = spec.state_names
        places = [k for k, one in enumerate(spec.states) if one.pose and not one.angle]
        headings = [k for k, one in enumerate(spec.states) if one.pose and one.angle]
        if len(places) < 2:
            return None
        forward = "vx" if "vx" in names else spec.speed
        turns = [names.index(name) for name in TURN_RATES if name in names]
        return cls(
            x=places[0],
            y=places[1],
            heading=headings[0] if headings else None,
            speed=None if forward is None else names.index(forward),
            sideways=names.index("vy") if "vy" in names else None,
            slip=names.index(SLIP) if SLIP in names else None,
            turn=turns[0] if turns else None,
        )

    def velocity(self, states: Floats) -> tuple[Floats, Floats]:
        """Return speed over ground (m/s) and course (rad) of states [..., states]; heading and speed are needed."""
        assert self.heading is not None
        assert self.speed is not None
        heading, forward = states[..., self.heading], states[..., self.speed]
        if self.sideways is not None:
            side = states[..., self.sideways]
            return np.hypot(forward, side), heading + np.arctan2(side, forward)
        return forward, heading + (states[..., self.slip] if self.slip is not None else 0.0)

    def side_acceleration(self, states: Floats) -> Floats | None:
        """Return speed times turn rate (m/s²) of states [..., states]; None where one of them is not a state.  [...]"""
        if self.speed is None or self.turn is None:
            return None
        found: Floats = states[..., self.speed] * states[..., self.turn]
        return found
