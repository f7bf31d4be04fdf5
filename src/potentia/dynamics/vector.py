"""Parameters as one flat vector and back: in the order of their names, arrays in C order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from potentia.errors import ConfigError, DataError

__all__ = ["flatten_bounds", "flatten_params", "unflatten_params"]

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]


def flatten_bounds(
    keys: Sequence[str], bounds: Mapping[str, tuple[ArrayLike, ArrayLike]], shapes: Shapes
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper bounds of the entries; one bound may stand for all entries of a parameter.

    >>> flatten_bounds(["a", "b"], {"a": (0.0, 1.0), "b": (-1.0, [2.0, 3.0])}, {"a": (), "b": (2,)})
    (array([ 0., -1., -1.]), array([1., 2., 3.]))
    """
    sides = []
    for side in (0, 1):
        parts = [np.broadcast_to(np.asarray(bounds[key][side], dtype=np.float64), shapes[key]).ravel() for key in keys]
        sides.append(np.concatenate(parts))
    low, high = sides
    if not (low < high).all():
        raise ConfigError("each lower bound must be less than the upper bound")
    return low, high


def flatten_params(params: Mapping[str, Tensor], keys: Sequence[str], shapes: Shapes) -> Tensor:
    """Return the entries of all parameters behind each other.  [..., entries]"""
    parts = []
    for key in keys:
        tensor, n_axes = params[key], len(shapes[key])
        leading = tensor.shape[: tensor.ndim - n_axes]
        if tuple(tensor.shape[tensor.ndim - n_axes :]) != tuple(shapes[key]):
            raise DataError(f"parameter {key!r} must have shape (..., {shapes[key]}), got {tuple(tensor.shape)}")
        parts.append(tensor.reshape(*leading, -1))
    return torch.cat(parts, dim=-1)


def unflatten_params(vector: Tensor, keys: Sequence[str], shapes: Shapes) -> dict[str, Tensor]:
    """Return the parameters of a vector [..., entries], each [..., *shape]; the inverse of `flatten_params`."""
    sizes = [int(np.prod(shapes[key], dtype=np.int64)) for key in keys]
    if vector.shape[-1] != sum(sizes):
        raise DataError(f"a vector of parameters must have {sum(sizes)} entries, got {vector.shape[-1]}")
    parts = torch.split(vector, sizes, dim=-1)
    leading = vector.shape[:-1]
    return {key: part.reshape((*leading, *shapes[key])) for key, part in zip(keys, parts, strict=True)}
