"""What windows a run was made of, as its provenance tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from potentia.dynamics.dataset import FeatureDataset

__all__ = ["told"]


def told(parts: Mapping[str, FeatureDataset]) -> dict[str, Any]:
    """Return hash, sizes and logs of windows, by the name of their part."""
    return {
        name: {
            "sha256": windows.mark(),
            "windows": len(windows),
            "steps": windows.n_steps,
            "logs": list(windows.group_names),
        }
        for name, windows in parts.items()
    }
