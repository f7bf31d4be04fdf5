"""The end of a training in which too many steps were not finite."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from potentia.errors import TrainingError
from potentia.train import Callback, Run

__all__ = ["BadSteps", "bad_steps_in"]

ENOUGH = 50
"""So many steps tell."""
_COUNT = "bad_steps"


class BadSteps(Callback):
    """Counts steps that were left out, over all epochs, and ends the training where they are too many.

    Args:
        fraction: More than this part of the steps, of `ENOUGH` or more, are too many.
    """

    def __init__(self, fraction: float) -> None:
        self.fraction = fraction

    def on_batch(self, run: Run) -> None:
        """Look at the step.

        Raises:
            TrainingError: there were too many.
        """
        bad = bad_steps_in(run.memory)
        if run.bad_in_a_row:
            bad += 1
            run.memory[_COUNT] = torch.tensor(bad)
        steps = run.epoch * run.batches + run.batch
        if steps >= ENOUGH and bad > self.fraction * steps:
            rate = run.learning_rate
            raise TrainingError(
                f"{bad} of {steps} steps were not finite, more than {self.fraction:.0%}: lower lr (now {rate:.3g}) by "
                "a factor of 3, roll out shorter windows (bptt_window), and look for values that are far off"
            )


def bad_steps_in(memory: Mapping[str, Tensor]) -> int:
    """Return how many steps a run has left out so far; ``memory`` is that of the run."""
    return int(memory[_COUNT]) if _COUNT in memory else 0
