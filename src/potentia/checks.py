"""Checks at the border: each says what was wanted, what came, and what to do."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.errors import ConfigError, DataError

__all__ = ["array_of_shape", "choice", "did_you_mean", "integer", "number", "one_file", "require_finite"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known spelling, else the list of known names."""
    known = list(known)
    return _nearest(name, known) or f"; known: {', '.join(known)}"


def choice(name: str, value: object, known: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``known``, else raise `ConfigError` with the nearest spelling."""
    if isinstance(value, str) and value in known:
        return value
    listed = ", ".join(repr(k) for k in known)
    hint = _nearest(value, known) if isinstance(value, str) else ""
    raise ConfigError(f"{name} must be one of {listed}, got {value!r}{hint}")


def _nearest(name: str, known: Sequence[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known spelling, nothing where none is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def integer(name: str, value: object, *, low: int | None = None, high: int | None = None) -> int:
    """Return ``value`` if it is an integer (no bool) in ``[low, high]``, else raise `ConfigError`."""
    bounds = _bounds(low, high)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ConfigError(f"{name} must be an integer{bounds}, got {value!r}")
    if (low is not None and value < low) or (high is not None and value > high):
        raise ConfigError(f"{name} must be an integer{bounds}, got {value!r}")
    return int(value)


def number(name: str, value: object, *, low: float | None = None, high: float | None = None) -> float:
    """Return ``value`` as float if it is a finite number in ``[low, high]``, else raise `ConfigError`."""
    bounds = _bounds(low, high)
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise ConfigError(f"{name} must be a number{bounds}, got {value!r}")
    result = float(value)
    if not math.isfinite(result) or (low is not None and result < low) or (high is not None and result > high):
        raise ConfigError(f"{name} must be a finite number{bounds}, got {value!r}")
    return result


def array_of_shape(
    name: str, value: ArrayLike, shape: tuple[int | None, ...], axes: str, where: str = ""
) -> NDArray[np.float64]:
    """Return ``value`` as float64 of the given shape (None = any length), else raise `DataError`.

    ``axes`` names the axes for the message, e.g. ``"(atoms, 3)"``; ``where`` says in which file and frame.
    """
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"`{name}` must be numbers of shape {axes}{_place(where)}: {error}") from None
    if array.ndim != len(shape) or any(
        want is not None and want != got for want, got in zip(shape, array.shape, strict=True)
    ):
        wanted = "" if None in shape else f" = {shape}"
        raise DataError(f"`{name}` must have shape {axes}{wanted}, got {array.shape}{_place(where)}")
    return array


def one_file(paths: Sequence[Path]) -> Path:
    """Return the file of data of a family whose data are one.

    Raises:
        ConfigError: there are several.
    """
    if len(paths) != 1:
        raise ConfigError(f"a data set of this family is one file, got {len(paths)}: {', '.join(map(str, paths))}")
    return paths[0]


def require_finite(name: str, array: NDArray[np.float64], where: str = "") -> None:
    """Raise `DataError` naming the first row with NaN or infinity in it."""
    bad = ~np.isfinite(array)
    if not bad.any():
        return
    first = tuple(int(k) for k in np.argwhere(np.atleast_1d(bad))[0])
    row = f"atom {first[0]}" if array.ndim and array.shape[-1:] == (3,) and array.ndim == 2 else f"entry {first}"
    place = "" if array.ndim == 0 else f" at {row}"
    raise DataError(f"`{name}` is not finite{place}{_place(where)}: repair or leave out this frame")


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" between {low} and {high}"
    if low is not None:
        return f" of at least {low}"
    return "" if high is None else f" of at most {high}"


def _place(where: str) -> str:
    return f" in {where}" if where else ""
