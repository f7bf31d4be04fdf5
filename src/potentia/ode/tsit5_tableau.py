"""The fifth-order method of seven stages with a free interpolant (Ch. Tsitouras, Comput. Math. Appl. 62, 770, 2011)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from potentia.ode.problem import Rates

__all__ = ["ERROR", "INTERPOLANT", "NODES", "ORDER", "WEIGHTS", "combination", "interpolate", "polynomial", "stages"]

ORDER = 5

NODES = (0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0)
"""c₂ to c₇: the times of the stages in parts of the step."""

WEIGHTS: tuple[tuple[float, ...], ...] = (
    (0.161,),
    (-0.008480655492356989, 0.335480655492357),
    (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
    (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
    (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
    (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
)
"""a₂ to a₇; the last row is also the step: its stage is the first one of the next step."""

ERROR = (
    -0.00178001105222577714,
    -0.0008164344596567469,
    0.007880878010261995,
    -0.1447110071732629,
    0.5823571654525552,
    -0.45808210592918697,
    1 / 66,
)
"""Weights of the difference between the steps of fifth and fourth order."""


def _product(one: float, other: float) -> tuple[float, ...]:
    """Return the coefficients of (θ − one)(θ − other)."""
    return 1.0, -one - other, one * other


def _interpolant() -> tuple[tuple[float, ...], ...]:
    """Return the weights of k₁ to k₇ for θ, θ², θ³, θ⁴, multiplied out of the factors in the paper."""
    square = (1.0, 0.0, 0.0)  # θ²
    factors: list[tuple[float, tuple[float, ...], tuple[float, ...]]] = [
        (-1.0530884977290216, (1, -1.3299890189751412, 0), (1, -1.4364028541716351, 0.7139816917074209)),
        (0.1017, square, (1, -2.1966568338249754, 1.2949852507374631)),
        (2.490627285651252793, square, (1, -2.38535645472061657, 1.57803468208092486)),
        (-16.54810288924490272, square, _product(1.21712927295533244, 0.61620406037800089)),
        (47.37952196281928122, square, _product(1.203071208372362603, 0.658047292653547382)),
        (-34.87065786149660974, square, _product(1.2, 2 / 3)),
        (2.5, square, _product(1.0, 0.6)),
    ]
    expanded = [factor * np.polymul(left, right)[::-1][1:] for factor, left, right in factors]  # from θ to θ⁴
    return tuple(tuple(float(value) for value in row) for row in np.array(expanded).T)


INTERPOLANT = _interpolant()
"""Weights of the stages for each power of θ in y(t + θh) = y + h Σ θᵈ Σ w k; the first power is k₁ alone."""


def combination(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    """Return Σ w k.  [members, states]

    One sum after the other: element by element, so that no member's bits depend on another one, and on a CPU as fast
    as one product with stacked slopes, forward and backward.
    """
    total = slopes[0] * weights[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        total = torch.add(total, slope, alpha=weight)
    return total


def stages(
    rates: Rates, t: Tensor, h: Tensor, state: Tensor, slope: Tensor, constants: tuple[Tensor, ...]
) -> tuple[list[Tensor], Tensor]:
    """Return k₁ to k₇ and the state after the step, each [members, states].

    Args:
        rates: Right-hand side.
        t: Time at the beginning of the step.  [members], float64
        h: Length of the step.  [members], float64
        state: State at ``t``.  [members, states]
        slope: Rates at ``t``, which are k₁.  [members, states]
        constants: Of the rates.
    """
    size = h.to(state.dtype)[:, None]
    nodes = (t + torch.outer(h.new_tensor(NODES), h)).to(state.dtype)  # [6, members]
    slopes, reached = [slope], state
    for number, weights in enumerate(WEIGHTS):
        reached = torch.addcmul(state, size, combination(weights, slopes))
        slopes.append(rates(nodes[number], reached, *constants))
    return slopes, reached


def polynomial(h: Tensor, state: Tensor, slopes: Sequence[Tensor]) -> Tensor:
    """Return the coefficients of 1, θ, θ², θ³, θ⁴ inside a step.  [members, 5, states]"""
    size = h.to(state.dtype)[:, None]
    higher = [size * combination(weights, slopes) for weights in INTERPOLANT[1:]]
    return torch.stack([state, size * slopes[0], *higher], 1)


def interpolate(coefficients: Tensor, theta: Tensor) -> Tensor:
    """Return the states at parts θ [rows] of the steps with these coefficients [rows, 5, states].  [rows, states]"""
    c0, c1, c2, c3, c4 = coefficients.unbind(1)
    theta = theta[:, None]
    value = torch.addcmul(c3, theta, c4)
    for lower in (c2, c1, c0):
        value = torch.addcmul(lower, theta, value)
    return value
