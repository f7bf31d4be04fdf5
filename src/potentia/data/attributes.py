"""Attributes of HDF5 files as plain values."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["plain_attribute"]


def plain_attribute(value: Any) -> Any:
    """Return an attribute as text, number, or list of these."""
    match value:
        case bytes():
            return value.decode()
        case np.ndarray() | np.generic():
            return plain_attribute(value.tolist())
        case list():
            return [plain_attribute(item) for item in value]
    return value
