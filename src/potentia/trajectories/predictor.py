"""What can be evaluated: anything that predicts trajectories from initial states, as surrogates and baselines do."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.errors import DataError
from potentia.trajectories.dataset import Trajectories

__all__ = ["Floats", "Predictor", "predicted"]

Floats: TypeAlias = NDArray[np.float64]


class Predictor(Protocol):
    """A surrogate, a baseline, or a flow that is known exactly."""

    def predict(self, initial_states: Floats, times: Floats, parameters: Floats | None = None, /) -> Floats:
        """Return the states at ``times``, in physical units.

        Args:
            initial_states: States at the first time of the data set.  [trajectories, quantities]
            times: The same for all [times], or of each trajectory [trajectories, times].
            parameters: [trajectories, parameters], None where the system has none.

        Returns:
            [trajectories, times, quantities]
        """


def predicted(name: str, predictor: Predictor, part: Trajectories) -> Floats:
    """Return what ``predictor`` says of the trajectories of ``part`` at all of its times.

    Raises:
        DataError: the prediction does not have the shape of the states.
    """
    found = np.asarray(predictor.predict(part.initial_states, part.times, part.parameters), dtype=np.float64)
    if found.shape != part.states.shape:
        raise DataError(
            f"{name}.predict must return (trajectories, times, quantities) = {part.states.shape}, got {found.shape}"
        )
    return found
