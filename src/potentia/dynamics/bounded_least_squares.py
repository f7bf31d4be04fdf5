"""Least squares inside a box: damped Gauss–Newton steps on the triangle that a QR decomposition leaves of the Jacobian.

The engine's `LevenbergMarquardt` trains weights without bounds through JᵀJ, which squares the condition number; the
parameters of a model are few, bounded, and may differ a thousandfold in effect. So here steps are solved from R of
J = Q R, and a bound that a step would cross is held while the other parameters move on (an active set; J. Nocedal and
S. J. Wright, Numerical Optimization (2006), 16.7). The damping is D. W. Marquardt's (1963), with the scale of each
column as J. J. Moré (1978) has it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Linearised", "Problem", "Solved", "minimise", "step_in_box"]

Floats: TypeAlias = NDArray[np.float64]

FIRST_DAMPING = 1e-3
LARGEST_DAMPING = 1e16
GOOD, POOR = 0.75, 0.25
"""Parts of the promised decrease above and below which the damping changes."""


@dataclass(frozen=True, eq=False)
class Linearised:
    """Residuals near a point: their sum of squares is ``constant`` + ``‖triangle · step + residual‖²``."""

    triangle: Floats
    """R of the Jacobian by the places.  [entries, entries]"""
    residual: Floats
    """Qᵀ of the residuals.  [entries]"""


class Problem(ABC):
    """Residuals as functions of places in the box [0, 1]; what else is fitted (initial states) it carries itself."""

    @abstractmethod
    def cost(self, places: Floats) -> float:
        """Return half the sum of the squared residuals; not finite where a roll-out diverges."""

    @abstractmethod
    def linearised(self, places: Floats) -> Linearised:
        """Return the residuals near these places."""

    @abstractmethod
    def trial(self, places: Floats, step: Floats) -> float:
        """Return the cost after a step from where the problem was linearised last."""

    @abstractmethod
    def accept(self) -> None:
        """Keep what the last trial has moved besides the places."""


@dataclass(frozen=True, eq=False)
class Solved:
    """Where a minimisation has ended."""

    places: Floats
    """[entries]"""
    cost: float
    """Half the sum of the squared residuals."""
    linearised: Linearised
    """At the end."""
    iterations: int
    """Steps that were taken."""
    converged: bool
    """Whether no step would bring more."""
    reason: str
    """Why it has ended."""


def minimise(problem: Problem, places: Floats, *, max_iterations: int, tolerance: float) -> Solved:
    """Return the nearest minimum inside the box; the cost at ``places`` must be finite.

    Args:
        problem: What is small at the end.
        places: Where to begin, in [0, 1].
        max_iterations: Steps at most.
        tolerance: It has ended when a step that is hardly damped moves no place farther than this.
    """
    cost, damping = problem.cost(places), FIRST_DAMPING
    near = problem.linearised(places)
    scale = np.zeros(len(places))
    for iteration in range(max_iterations):
        scale = np.maximum(scale, np.linalg.norm(near.triangle, axis=0))
        floor = np.maximum(scale, 1e-12 * max(scale.max(initial=0.0), np.finfo(np.float64).tiny))
        while True:
            step = step_in_box(near, math.sqrt(damping) * floor, -places, 1.0 - places)
            promised = _promised(near, step)
            length = float(np.abs(step).max(initial=0.0))
            if length <= tolerance and damping <= FIRST_DAMPING:
                return Solved(places, cost, near, iteration, True, "the next step is shorter than the tolerance")
            reached = problem.trial(np.clip(places + step, 0.0, 1.0), step)
            if reached < cost:
                break
            damping = max(4.0 * damping, 1e-12)
            if damping > LARGEST_DAMPING or length <= tolerance * 1e-3:
                return Solved(places, cost, near, iteration, True, "no damped step lowers the cost")
        problem.accept()
        places = np.clip(places + step, 0.0, 1.0)
        damping = _followed(damping, cost - reached, promised)
        cost, near = reached, problem.linearised(places)
    return Solved(places, cost, near, max_iterations, False, f"stopped after {max_iterations} iterations")


def step_in_box(near: Linearised, damping: Floats, low: Floats, high: Floats) -> Floats:
    """Return the damped step between ``low`` ≤ 0 and ``high`` ≥ 0, entries that would leave held at their ends."""
    n = len(damping)
    matrix = np.concatenate((near.triangle, np.diag(damping)))
    wanted = np.concatenate((-near.residual, np.zeros(n)))
    step, free = np.zeros(n), np.ones(n, dtype=bool)
    slope = -matrix.T @ wanted
    free &= ~(((low >= 0) & (slope > 0)) | ((high <= 0) & (slope < 0)))  # at a bound, and pushed outwards
    for _ in range(2 * n + 2):
        if free.any():
            rest = wanted - matrix[:, ~free] @ step[~free]
            inner = np.linalg.lstsq(matrix[:, free], rest, rcond=None)[0]
            bounded = np.clip(inner, low[free], high[free])
            step[free] = bounded
            if (bounded != inner).any():
                free[np.flatnonzero(free)[bounded != inner]] = False
                continue
        slope = matrix.T @ (matrix @ step - wanted)
        back = ~free & (((step <= low) & (slope < 0)) | ((step >= high) & (slope > 0))) & (low < high)
        if not back.any():
            break
        free[np.argmax(np.where(back, np.abs(slope), -1.0))] = True
    return step


def _promised(near: Linearised, step: Floats) -> float:
    after = near.triangle @ step + near.residual
    return 0.5 * float(near.residual @ near.residual - after @ after)


def _followed(damping: float, brought: float, promised: float) -> float:
    """Damp less where a step has brought what it promised, and more where it has not."""
    if brought > GOOD * promised:
        return max(damping / 10.0, 1e-20)
    return 4.0 * damping if brought < POOR * promised else damping
