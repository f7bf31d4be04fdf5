"""Stress as a 3×3 tensor in eV/Å³ with ASE's sign, from the ways in which files write it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.checks import require_finite
from potentia.errors import DataError

__all__ = ["matrix_from_voigt", "stress_from_virial", "stress_matrix", "voigt_from_matrix"]

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # xx yy zz yz xz xy, the order of ASE
_SKEW = 0.1
"""Part of the largest component by which a tensor may differ from its transpose (round-off, noise of a code)."""
_SKEW_FLOOR = 1e-3
"""The same, absolute (eV/Å³, 0.16 GPa), for structures without stress."""


def matrix_from_voigt(voigt: ArrayLike) -> NDArray[np.float64]:
    """Return the symmetric (3, 3) tensor of six components in ASE's order xx yy zz yz xz xy."""
    xx, yy, zz, yz, xz, xy = np.asarray(voigt, dtype=np.float64)
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def voigt_from_matrix(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the six components xx yy zz yz xz xy of a symmetric (3, 3) tensor."""
    return np.array([matrix[row, column] for row, column in _VOIGT])


def stress_matrix(value: ArrayLike, where: str = "", name: str = "stress", scale: float = 1.0) -> NDArray[np.float64]:
    """Return ``scale`` times ``value``, of shape (3, 3), (9,) or Voigt (6,), as a symmetric (3, 3) tensor.

    Raises:
        DataError: the shape is another, a component is not finite, or the tensor is not symmetric.
    """
    place = f" in {where}" if where else ""
    try:
        array = scale * np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be numbers of shape (3, 3) or Voigt (6,){place}: {error}") from None
    if array.shape == (6,):
        matrix = matrix_from_voigt(array)
    elif array.shape in {(3, 3), (9,)}:
        matrix = array.reshape(3, 3)
    else:
        raise DataError(f"{name} must be (3, 3) or Voigt (6,) in the order xx yy zz yz xz xy, got {array.shape}{place}")
    require_finite(name, matrix.ravel(), where)
    skew = float(np.abs(matrix - matrix.T).max())
    if skew > _SKEW * float(np.abs(matrix).max()) + _SKEW_FLOOR:
        raise DataError(
            f"{name} must be symmetric, but differs from its transpose by {skew:.3g}{place}: "
            f"check the order of its components\n{matrix}"
        )
    return (matrix + matrix.T) / 2


def stress_from_virial(virial: ArrayLike, volume: float, where: str = "", name: str = "virial") -> NDArray[np.float64]:
    """Return the stress −virial/volume (3, 3), eV/Å³, of a virial in eV.

    The sign is that of extended XYZ files (QUIP, GAP, GPUMD, MACE): virial = −volume · stress.

    Raises:
        DataError: as `stress_matrix`.
    """
    return stress_matrix(virial, where, name, scale=-1 / volume)
