"""What the members of an ensemble say together: their mean and spread on the scale of the errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from potentia.errors import DataError
from potentia.trajectories.dataset import Trajectories
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.predictor import Floats, Predictor, predicted

__all__ = ["Ensemble", "ensemble_from", "ensemble_of", "spread_of"]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """What the members say together, on the scale of the errors.  [trajectories, times, quantities] each"""

    mean: Floats
    """Over members."""
    spread: Floats
    """Standard deviation over members, divided by their number less one."""
    truth: Floats
    """What was to be predicted."""

    @property
    def errors(self) -> Floats:
        """Sizes of the errors of the mean."""
        return np.abs(self.mean - self.truth)

    def foretold(self) -> tuple[Floats, Floats]:
        """Return errors (with sign) and spreads of what was not given.  [trajectories, times · quantities] each"""
        residual, spread = (
            values[:, 1:].reshape(len(self.mean), -1) for values in (self.mean - self.truth, self.spread)
        )
        return residual, spread


def spread_of(said: Floats) -> Floats:
    """Return how far members differ [members, …]: the standard deviation, divided by their number less one."""
    found: Floats = said.std(axis=0, ddof=1)
    return found


def ensemble_of(
    name: str, members: Sequence[Predictor], part: Trajectories, scale: ErrorScale
) -> tuple[Ensemble, Floats]:
    """Return what the members say together of ``part``, and what the first says alone, on the scale.

    Raises:
        DataError: there are less than two members, or one of them predicts what is not finite.
    """
    if len(members) < 2:
        raise DataError(f"the ensemble of {name} must have two members or more, got {len(members)}")
    said = np.stack([scale(predicted(f"member {k} of {name}", one, part)) for k, one in enumerate(members)])
    return ensemble_from(name, said, part, scale), said[0]


def ensemble_from(name: str, said: Floats, part: Trajectories, scale: ErrorScale) -> Ensemble:
    """Return what members together say of ``part``.

    Args:
        name: What they are called.
        said: What each says, on the scale.  [members, trajectories, times, quantities]
        part: The truth.
        scale: Of the errors.

    Raises:
        DataError: a member predicts what is not finite.
    """
    bad = ~np.isfinite(said)
    if bad.any():
        k, n, t, q = np.argwhere(bad)[0].tolist()
        raise DataError(
            f"member {k} of {name} predicts no finite {part.labels[q]} of trajectory {n} at step {t} "
            f"({int(bad.sum())} in all): train it again, or leave it out"
        )
    return Ensemble(said.mean(axis=0), spread_of(said), scale(part.states))
