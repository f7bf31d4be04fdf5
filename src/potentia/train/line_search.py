"""How far to go along a direction: a line search for the strong Wolfe conditions.

Nocedal and Wright, Numerical Optimization (2nd edition, 2006), algorithms 3.5 and 3.6 as one loop: the bracket that
algorithm 3.6 makes smaller is, in algorithm 3.5, still open to the far side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

__all__ = ["Trial", "strong_wolfe"]

DECREASE = 1e-4
"""The loss must fall by this part of what the slope at the start promises (c₁)."""
CURVATURE = 0.9
"""The slope must become less steep than this part of the one at the start (c₂)."""
SHRINK = 0.25
"""Of the way to a point where the loss is not finite, so much is tried next."""


class Trial(NamedTuple):
    """A point on the line."""

    step: float
    """Distance from the start in units of the direction."""
    value: float
    """The loss there."""
    slope: float
    """Derivative of the loss by the step."""
    gradient: Tensor
    """Gradient by the parameters, [numbers]."""

    @property
    def finite(self) -> bool:
        """Whether loss and slope are finite."""
        return math.isfinite(self.value) and math.isfinite(self.slope)


def strong_wolfe(look: Callable[[float], Trial], start: Trial, step: float, evaluations: int) -> Trial | None:
    """Return a point of much smaller loss and slope, or None where ``evaluations`` trials have found no smaller loss.

    Args:
        look: Step → the point there; it need not be finite.
        start: The point at step 0; its slope must be negative.
        step: The first step to try.
        evaluations: So many trials at most. When they are used up, the lowest point will do.
    """
    low, high = start, None  # what is wanted lies between them; no high end: anywhere beyond low
    for _ in range(evaluations):
        trial = look(step)
        promised = start.value + DECREASE * step * start.slope
        previous = low
        if not trial.finite or trial.value > promised or trial.value >= low.value:
            high = trial
        elif abs(trial.slope) <= -CURVATURE * start.slope:
            return trial
        else:
            far = math.inf if high is None else high.step
            low, high = trial, previous if trial.slope * (far - previous.step) >= 0 else high
        step = _beyond(previous, low) if high is None else _between(low, high)
    return None if low is start else low


def _between(low: Trial, high: Trial) -> float:
    """Return a step inside the bracket, not too near to its ends."""
    width = high.step - low.step
    if not high.finite:
        return low.step + SHRINK * width
    part = (_cubic_minimum(low, high) - low.step) / width
    return low.step + width * (min(max(part, 0.1), 0.9) if math.isfinite(part) else 0.5)


def _beyond(previous: Trial, last: Trial) -> float:
    """Return a step farther out, where the loss still falls at the last one."""
    guess = _cubic_minimum(previous, last)
    return min(max(guess, 2 * last.step), 10 * last.step) if math.isfinite(guess) else 10 * last.step


def _cubic_minimum(one: Trial, two: Trial) -> float:
    """Return the minimum of the cubic with these two values and slopes (eq. 3.59), NaN where it has none."""
    width = two.step - one.step
    d1 = one.slope + two.slope - 3 * (two.value - one.value) / width
    radicand = d1 * d1 - one.slope * two.slope
    if radicand < 0:
        return math.nan
    d2 = math.copysign(math.sqrt(radicand), width)
    denominator = two.slope - one.slope + 2 * d2
    return two.step - width * (two.slope + d2 - d1) / denominator if denominator else math.nan
