"""Errors of the mean of several operators at each lead time, beside their spread, as error bars are learned by it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from potentia.ensemble import Errors, HeldOut, step_name
from potentia.operators.committee.prediction import CommitteePrediction
from potentia.operators.dataset import Samples
from potentia.seeding import stream

__all__ = ["errors_of", "held_out"]

CELLS = 64
"""Of a field with more points so many are looked at, drawn for each simulation: points beside each other are alike."""


def held_out(predicted: CommitteePrediction, samples: Samples) -> HeldOut:
    """Return what the members say of held-out simulations, at each lead time by itself."""
    steps = np.arange(1, samples.steps + 1)
    table = pd.DataFrame({"step": steps, "time": steps * predicted.time_step}, index=[*map(step_name, steps.tolist())])
    return HeldOut(errors_of(predicted, samples), table, samples.marks())


def errors_of(predicted: CommitteePrediction, samples: Samples) -> dict[str, Errors]:
    """Return the errors of each channel at points that are drawn."""
    whole = (predicted.fields, predicted.fields_std, samples.fields)
    found, spread, truth = (
        one.reshape(*one.shape[:3], -1)[:, 1:] for one in whole
    )  # [samples, steps, channels, points]
    n, points = len(found), found.shape[-1]
    if points > CELLS:
        order = stream(0, "points of error bars").random((n, points)).argsort(1)[:, :CELLS]
        places = np.sort(order, axis=1)[:, None, None]
        found, spread, truth = (np.take_along_axis(one, places, axis=3) for one in (found, spread, truth))
    error, wide = found.astype(np.float64) - truth, spread.astype(np.float64)
    steps = [step_name(step + 1) for step in range(samples.steps)]
    return {
        channel: Errors(error[:, :, k], wide[:, :, k], samples.group, steps, "unit of the data")
        for k, channel in enumerate(predicted.channels)
    }
