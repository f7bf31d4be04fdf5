"""Directions without effect in a form that people can read, and parameters that are held to take them away."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.dynamics.sensitivities import entry_names
from potentia.dynamics.spec import ModelSpec

__all__ = ["chosen_gauge", "sparse_directions", "written"]

Floats: TypeAlias = NDArray[np.float64]
NEAR = 1e-3
"""How far an exponent may be from a small fraction to be written as one."""


def sparse_directions(basis: Floats) -> Floats:
    """Return directions that span the same space and have few entries each, the largest of each being 1 or −1.

    The rows are brought to reduced echelon form, each pivot the largest entry that is left. The first entry of each is
    positive, and rows are in the order of their first entries: of equal pivots, rounding decides.

    >>> import numpy as np
    >>> mixed = np.array([[1.0, -1.0, 2.0, 2.0], [1.0, -1.0, -2.0, -2.0]])  # of a/b and of c d
    >>> sparse_directions(mixed)
    array([[ 1., -1.,  0.,  0.],
           [ 0.,  0.,  1.,  1.]])
    >>> sparse_directions(-mixed[::-1])  # the same space
    array([[ 1., -1.,  0.,  0.],
           [ 0.,  0.,  1.,  1.]])
    """
    rows = basis.copy()
    pivots: list[int] = []
    for k in range(len(rows)):
        left = np.abs(rows[k:])
        left[:, pivots] = 0.0
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        rows[[k, k + int(row)]] = rows[[k + int(row), k]]
        rows[k] /= rows[k, column]
        for other in range(len(rows)):
            if other != k:
                rows[other] -= rows[other, column] * rows[k]
        pivots.append(int(column))
    rows[np.abs(rows) < 1e-9] = 0.0
    if not len(rows):
        return rows
    first = (rows != 0).argmax(axis=1)  # column of the first entry
    largest = np.abs(rows).max(axis=1) * np.sign(rows[np.arange(len(rows)), first])
    found: Floats = (rows / largest[:, None])[np.argsort(first, kind="stable")] + 0.0  # no negative zeros
    return found


def written(direction: Floats, entries: Sequence[str], least: float = 0.05) -> str:
    """Return a direction as the powers of a factor that its entries change by; small parts are left out.

    >>> import numpy as np
    >>> written(np.array([1.0, -1.0, 0.5, 0.0]), ["mu", "C_Sf", "h", "m"])
    'mu·c, C_Sf·c^-1, h·c^(1/2)'
    """
    largest = np.abs(direction).max(initial=0.0) or 1.0
    parts = direction / largest
    return ", ".join(
        f"{name}·c{_power(float(part))}" for name, part in zip(entries, parts, strict=True) if abs(part) >= least
    )


def chosen_gauge(spec: ModelSpec, null: Floats) -> tuple[str, ...]:
    """Return parameters that, when held, leave no direction without effect: those of the model where they suffice."""
    if not len(null):
        return ()
    owners = [name.partition("[")[0] for name in entry_names(spec)]
    chosen: list[str] = []
    candidates = [*spec.gauge, *sorted(set(owners) - set(spec.gauge), key=lambda key: -_weight(null, owners, key))]
    rank = 0
    for key in candidates:
        columns = [k for k, owner in enumerate(owners) if owner in {*chosen, key}]
        reached = int(np.linalg.matrix_rank(null[:, columns], tol=1e-3))
        if reached > rank:
            chosen.append(key)
            rank = reached
        if rank == len(null):
            break
    return tuple(chosen)


def _weight(null: Floats, owners: Sequence[str], key: str) -> float:
    return float(np.linalg.norm(null[:, [owner == key for owner in owners]]))


def _power(part: float) -> str:
    if abs(part - 1.0) < NEAR:
        return ""
    fraction = Fraction(part).limit_denominator(6)
    exact = abs(float(fraction) - part) < NEAR and fraction != 0
    if not exact:
        return f"^{part:.2g}"
    return f"^{fraction}" if fraction.denominator == 1 else f"^({fraction})"
