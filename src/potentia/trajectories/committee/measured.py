"""Errors of the mean of several surrogates at each time, beside their spread, as error bars are learned by it."""

from __future__ import annotations

from potentia.ensemble import Errors, HeldOut
from potentia.trajectories.committee.prediction import CommitteePrediction
from potentia.trajectories.committee.windows import TimeWindows
from potentia.trajectories.dataset import Trajectories
from potentia.trajectories.ensembles import ensemble_from

__all__ = ["held_out"]


def held_out(predicted: CommitteePrediction, part: Trajectories, windows: TimeWindows) -> HeldOut:
    """Return what the members say of held-out trajectories behind the first time, whose state is given.

    Raises:
        DataError: a state has no logarithm where those are learned, or a member predicts what is not finite.
    """
    scale = predicted.scale
    scale.require(part)
    found = ensemble_from("this committee", scale(predicted.member_states), part, scale)
    residual, spread = (values.reshape(len(part), -1, part.n_quantities) for values in found.foretold())
    group, later = part.group, part.times[1:]
    steps = windows.names(later).tolist()
    errors = {
        name: Errors(residual[..., k : k + 1], spread[..., k : k + 1], group, steps, scale.unit)
        for k, name in enumerate(part.labels)
    }
    return HeldOut(errors, windows.table(later), part.marks(), windows.edges)
