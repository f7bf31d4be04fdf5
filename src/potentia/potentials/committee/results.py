"""What the training of a committee of potentials returns, with the history of each member."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

from potentia.ensemble import CommitteeTrainResult, MemberResult
from potentia.errors import NotFittedError
from potentia.potentials.results import TrainOut

__all__ = ["TorchCommitteeMemberResult", "TorchCommitteeTrainResult", "metrics_of"]


@final
@dataclass(frozen=True)
class TorchCommitteeMemberResult(MemberResult):
    """Record of one potential of a committee."""

    @cached_property
    def trainout(self) -> TrainOut:
        """Its history, tables and figures, read from its ``history.json``.

        Raises:
            NotFittedError: it has none yet.
        """
        if not self.history_json_path.is_file():
            raise NotFittedError(f"member {self.member_index} has no history: it is {self.status}")
        return TrainOut.from_file(self.history_json_path)


@final
@dataclass(frozen=True)
class TorchCommitteeTrainResult(CommitteeTrainResult[TorchCommitteeMemberResult]):
    """Members of a committee of potentials as they stand after a training."""

    train_indices: Sequence[int]
    """Places of the training structures in the input, counted from 0; a member sees a part of them if so asked."""
    test_indices: Sequence[int]
    """Places of the structures that all members hold out."""

    @property
    def trainouts(self) -> list[TrainOut]:
        """Histories of the completed members."""
        return [member.trainout for member in self.completed_members]


def metrics_of(out: TrainOut, best_val_loss: float) -> dict[str, float]:
    """Return the numbers by which members are compared: eV/atom, eV/Å; NaN where there are none."""
    stats = {name: out.stats.get(name, math.nan) for name in _ALWAYS} | out.stats
    names = {"train_energy_rmse": "final_RMSE_train", "test_energy_rmse": "final_RMSE_test"}
    names |= {"train_force_rmse": "final_RMSE_force_train", "test_force_rmse": "final_RMSE_force_test"}
    return {
        **stats,
        **{name: stats[same] for name, same in names.items()},
        "best_val_loss": best_val_loss if math.isfinite(best_val_loss) else math.nan,
        "epochs_recorded": float(len(out.history)),
    }


_ALWAYS = (
    "final_MAE_train", "final_RMSE_train", "final_MAE_test", "final_RMSE_test", "final_RMSE_force_train",
    "final_RMSE_force_test", "min_RMSE_test", "epoch_min_RMSE_test", "min_RMSE_force_test", "epoch_min_RMSE_force_test",
)  # fmt: skip
