"""Drawing samples by their errors: those that are predicted badly come more often."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.train.callbacks import Callback
from potentia.train.run import Run

__all__ = ["ErrorScores", "weights_by_error"]

_SCORES, _SUMS, _COUNTS = "error_scores", "error_score_sums", "error_score_counts"
_LEAST = 1e-12


class ErrorScores(Callback):
    """Keeps a score of each sample: the mean of its errors in the last epoch that drew it, 1 before the first.

    The scores are part of the run, so a resumed one draws what the unbroken one would have drawn.

    Args:
        n: Number of samples.
        order: The samples in the order in which their scores are kept in the run; None for that of their numbers. A
            run resumed with other numbers for the same samples goes on if this names them in the same order.
            [samples]
    """

    def __init__(self, n: int, order: NDArray[np.int64] | None = None) -> None:
        self.n = n
        self._place = torch.arange(n)  # where the score of each sample is kept
        if order is not None:
            self._place[torch.from_numpy(order)] = torch.arange(n)

    def on_batch(self, run: Run) -> None:
        """Take in the errors of a batch."""
        if run.scores is None:
            return
        samples, errors = (part.detach().cpu() for part in run.scores)
        sums = run.memory.get(_SUMS, torch.zeros(self.n, dtype=torch.float64))
        counts = run.memory.get(_COUNTS, torch.zeros(self.n, dtype=torch.float64))
        places = self._place[samples]
        run.memory[_SUMS] = sums.index_add(0, places, errors.double())
        run.memory[_COUNTS] = counts.index_add(0, places, torch.ones(len(samples), dtype=torch.float64))

    def on_epoch(self, run: Run) -> None:
        """Give the samples of this epoch their new scores; the others keep the old ones."""
        if _SUMS not in run.memory:
            return
        sums, counts = run.memory.pop(_SUMS), run.memory.pop(_COUNTS)
        run.memory[_SCORES] = torch.where(counts > 0, sums / counts.clamp_min(1), self._kept(run))

    def scores(self, run: Run) -> torch.Tensor:
        """Return the present scores.  [samples]"""
        return self._kept(run)[self._place]

    def _kept(self, run: Run) -> torch.Tensor:
        return run.memory.get(_SCORES, torch.ones(self.n, dtype=torch.float64))


def weights_by_error(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights with mean 1 in proportion to the scores; all 1 if no score is above 0.  [samples]

    >>> weights_by_error(np.array([4.0, 1.0])), weights_by_error(np.array([0.0, np.nan]))
    (array([1.6, 0.4]), array([1., 1.]))
    """
    usable = np.where(np.isfinite(scores), np.maximum(scores, 0.0), 0.0)
    if not usable.any():
        return np.ones_like(usable)
    usable = np.maximum(usable, _LEAST)
    weights: NDArray[np.float64] = usable / usable.mean()
    return weights
