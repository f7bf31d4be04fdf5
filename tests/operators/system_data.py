"""Initial fields and parameters of a system, drawn."""

from __future__ import annotations

import numpy as np

from potentia.operators.systems import FieldSystem

GRIDS = {"random_conv": (16, 12), "gray_scott": (16, 12), "burgers": (64,)}


def some(one: FieldSystem, n: int, *, grid=None, seed=0):
    """Initial fields and parameters."""
    fields = one.initial(n, grid or GRIDS[one.name], seed)
    return fields, one.space.values(np.random.default_rng(seed).random((n, len(one.space))))
