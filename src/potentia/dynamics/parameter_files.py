"""Predicted parameters in files: a summary as JSON, those of each window as NumPy arrays."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentia.dynamics.summary import ParameterSummary
from potentia.storage import replacing, write_text

__all__ = ["summary_content", "write_content", "write_parameter_windows"]


def summary_content(
    summary: ParameterSummary, identifiable: Mapping[str, bool] | None, *, flat: bool
) -> dict[str, Any]:
    """Return what a file of predicted parameters holds, as plain values.

    Args:
        summary: Of the windows.
        identifiable: Parameter → whether the data determine it; None where that was not looked at.
        flat: Only the mean of each parameter: ``{name: mean}``.
    """
    if flat:
        return summary.means()
    content = summary.to_dict()
    for name, columns in content["params"].items():
        columns["identifiable"] = None if identifiable is None else identifiable[name]
        columns["unit"] = summary.spec.parameter(name).unit
    return content


def write_content(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write plain values as strict JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_parameter_windows(path: str | os.PathLike[str], params: Mapping[str, NDArray[np.float64]]) -> None:
    """Write the parameters of each window, [windows, *shape] each, to an ``.npz`` file, whole or not at all."""
    with replacing(path) as temporary, temporary.open("xb") as file:
        np.savez(file, allow_pickle=False, **params)
