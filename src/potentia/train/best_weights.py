"""The weights of the best epoch, kept in memory and in the checkpoints, to be returned at the end."""

from __future__ import annotations

import torch

from potentia.train.callbacks import Callback
from potentia.train.run import Run

__all__ = ["BestWeights", "settle_on"]

_PREFIX = "best_weights/"
_EPOCH = "best_weights_epoch"


class BestWeights(Callback):
    """Keeps what was scored in the epoch with the lowest monitored value, averaged weights if there are any.

    So the choice goes by the same measure in all epochs, the last one included, and a resumed run knows it too.
    """

    def on_epoch(self, run: Run) -> None:
        """Take a copy if this epoch is the best so far."""
        if run.best.epoch != run.epoch:
            return
        scored = {**run.model.state_dict(), **run.average_weights}
        run.memory[_EPOCH] = torch.tensor(run.epoch)
        run.memory |= {_PREFIX + name: tensor.detach().clone() for name, tensor in scored.items()}

    def take(self, run: Run) -> bool:
        """Give the model the best weights for good, and return whether they are there.

        They are not where no epoch had a value, or where the best epoch has been trained without this callback.
        """
        if _EPOCH not in run.memory or int(run.memory[_EPOCH]) != run.best.epoch:
            return False
        run.model.load_state_dict({name: run.memory[_PREFIX + name] for name in run.model.state_dict()})
        return True


def settle_on(run: Run, best: BestWeights | None) -> int:
    """Give the model the weights that are handed back, the best or else the averaged ones, and return their epoch."""
    if best is not None and best.take(run):
        return run.best.epoch
    run.take_average()
    return run.epoch
