"""Errors of the mean of several networks at each step, beside their spread, as error bars are learned by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.dynamics.committee.prediction import CommitteePrediction
from potentia.dynamics.dataset import FeatureDataset
from potentia.ensemble import Errors, HeldOut, step_name

__all__ = ["held_out", "wrapped"]

Floats: TypeAlias = NDArray[np.float64]


def held_out(predicted: CommitteePrediction, windows: FeatureDataset) -> HeldOut:
    """Return what the members say of held-out windows, state by state and at each step by itself."""
    error = wrapped(predicted.states - windows.targets, predicted.spec.angles)  # [windows, steps, states]
    error[~windows.counted] = np.nan
    numbers = np.arange(1, windows.n_steps + 1)
    steps = [*map(step_name, numbers.tolist())]
    table = pd.DataFrame({"step": numbers, "time": windows.step_lengths.mean(0).cumsum()}, index=steps)
    errors = {
        state.name: Errors(
            error[..., k : k + 1], predicted.states_std[..., k : k + 1], windows.group, steps, state.unit or "1"
        )
        for k, state in enumerate(predicted.spec.states)
    }
    return HeldOut(errors, table, windows.marks())


def wrapped(difference: Floats, angles: Sequence[bool]) -> Floats:
    """Return differences [..., states] with those of angles between −π and π."""
    turned = np.remainder(difference + np.pi, 2 * np.pi) - np.pi
    return np.where(np.asarray(angles), turned, difference)
