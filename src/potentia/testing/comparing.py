"""How a broken law is told: its name, where it is broken and by how much; and derivatives by differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

__all__ = ["STEPS", "require", "require_close", "require_same", "slopes"]

Floats: TypeAlias = NDArray[np.float64]

STEPS = np.array([-2.0, -1.0, 1.0, 2.0])
"""Where a central difference of fourth order looks, in lengths of a step."""
_WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12


def slopes(values: ArrayLike, step: float) -> Floats:
    """Return derivatives of what has ``values`` [..., 4] at `STEPS` times ``step``.  [...]

    >>> slopes((3 + 0.1 * STEPS) ** 4, 0.1).round(9)
    np.float64(108.0)
    """
    found: Floats = np.asarray(values, dtype=np.float64) @ _WEIGHTS / step
    return found


def require(law: str, holds: bool, told: str) -> None:
    """Raise an `AssertionError` that names the law, unless it holds."""
    if not holds:
        raise AssertionError(f"{law}: {told}")


def require_close(law: str, found: ArrayLike, expected: ArrayLike, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Raise an `AssertionError` unless all numbers agree to ``atol`` + ``rtol`` · |expected|; NaN never does.

    >>> require_close("a law", [1.0, 2.5], [1.0, 2.0], rtol=0.1)
    Traceback (most recent call last):
    AssertionError: a law: off by 0.5 at (1,), 2.5 instead of 2, where 0.2 is allowed
    """
    one, other = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    require(law, one.shape == other.shape, f"shape {one.shape} instead of {other.shape}")
    allowed = atol + rtol * np.abs(other)
    error = np.abs(one - other)
    if (error <= allowed).all():
        return
    excess = np.where(np.isnan(error), np.inf, error - allowed)
    place = np.unravel_index(int(excess.argmax()), one.shape)
    where = f" at {tuple(int(k) for k in place)}" if one.ndim else ""
    told = f"off by {error[place]:.3g}{where}, {one[place]:.6g} instead of {other[place]:.6g}"
    raise AssertionError(f"{law}: {told}, where {allowed[place]:.2g} is allowed")


def require_same(law: str, found: object, expected: object, where: str = "") -> None:
    """Raise an `AssertionError` unless nested dicts, lists, tensors and arrays agree to the last bit.

    >>> require_same("a law", {"w": [1.0, 2.0]}, {"w": [1.0, 3.0]})
    Traceback (most recent call last):
    AssertionError: a law: 2.0 instead of 3.0 at /w/1
    """
    place = f" at {where}" if where else ""
    require(law, type(found) is type(expected), f"{type(found).__name__} instead of {type(expected).__name__}{place}")
    match found, expected:
        case Mapping(), Mapping():
            require(law, list(found) == list(expected), f"names {list(found)} instead of {list(expected)}{place}")
            for name in found:
                require_same(law, found[name], expected[name], f"{where}/{name}")
        case list() | tuple(), list() | tuple():
            require(law, len(found) == len(expected), f"{len(found)} instead of {len(expected)}{place}")
            for k, pair in enumerate(zip(found, expected, strict=True)):
                require_same(law, *pair, f"{where}/{k}")
        case (Tensor(), Tensor()) | (np.ndarray(), np.ndarray()):
            require(law, _bits(found) == _bits(expected), f"other bits{place}")
        case _:
            require(law, repr(found) == repr(expected), f"{found!r} instead of {expected!r}{place}")  # NaN is NaN


def _bits(array: Any) -> tuple[str, tuple[int, ...], bytes]:
    own = array.detach().cpu().contiguous().numpy() if isinstance(array, Tensor) else array
    return str(own.dtype), own.shape, own.tobytes()
