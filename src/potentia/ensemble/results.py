"""What the training of a committee returns: one record for each member, and tables of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd

from potentia.ensemble.members import COMPLETED, FAILED, MemberResult

__all__ = ["CommitteeTrainResult"]

Record = TypeVar("Record", bound=MemberResult)
FILES = ("model_path", "history_json_path", "history_csv_path", "summary_path", "checkpoint_dir")
COLUMNS = ("seed", "split_seed", "device", "status", *FILES, "error")


@dataclass(frozen=True)
class CommitteeTrainResult(Generic[Record]):
    """Members of a committee as they stand after a training."""

    output_dir: Path
    """Where their files are."""
    metadata_path: Path
    """The record of all of them."""
    members: Sequence[Record]
    """The record of each."""
    execution_mode: str
    """``"sequential"``, ``"parallel"`` or ``"batched"``."""

    @property
    def completed_members(self) -> list[Record]:
        """Members that are trained."""
        return [member for member in self.members if member.status == COMPLETED]

    @property
    def failed_members(self) -> list[Record]:
        """Members whose training has failed."""
        return [member for member in self.members if member.status == FAILED]

    @property
    def resumable(self) -> bool:
        """Whether some member waits to be trained, or trained further, by the same call."""
        return len(self.completed_members) < len(self.members)

    @property
    def first_seed(self) -> int:
        """Seed of the first member."""
        return self.members[0].seed

    @property
    def stats(self) -> dict[str, dict[str, float]]:
        """Mean, std (divided by the number), min, max and number n of each metric over completed members.

        Values that are not finite are left out.
        """
        found: dict[str, dict[str, float]] = {}
        for name in self._metrics(self.completed_members):
            values = np.array([member.metrics.get(name, np.nan) for member in self.completed_members], dtype=float)
            values = values[np.isfinite(values)]
            if len(values):
                found[name] = {
                    "mean": float(values.mean()),
                    "std": float(values.std()),
                    "min": float(values.min()),
                    "max": float(values.max()),
                    "n": len(values),
                }
        return found

    def to_dataframe(self) -> pd.DataFrame:
        """Return a row for each member: where it is, how it ended, and its metrics."""
        metrics = self._metrics(self.members)
        rows: list[dict[str, Any]] = []
        for member in self.members:
            row: dict[str, Any] = {"member": member.member_index}
            row |= {name: _text(getattr(member, name)) for name in COLUMNS}
            rows.append(row | {name: member.metrics.get(name, np.nan) for name in metrics})
        return pd.DataFrame(rows, columns=["member", *COLUMNS, *metrics])

    def comparison(self) -> pd.DataFrame:
        """Return a row for each member, without where its files are."""
        return self.to_dataframe().drop(columns=[*FILES, "error"])

    def __str__(self) -> str:
        lines = ["Training statistics:"]
        lines += [f"  {name}: {s['mean']:.6g} ± {s['std']:.2g}" for name, s in self.stats.items()]
        lines += [
            f"  completed_members: {len(self.completed_members)} of {len(self.members)}",
            f"  failed_members: {len(self.failed_members)}",
            f"  execution_mode: {self.execution_mode}",
            f"  output_dir: {self.output_dir}",
        ]
        return "\n".join(lines)

    @staticmethod
    def _metrics(members: Sequence[Record]) -> list[str]:
        return list(dict.fromkeys(name for member in members for name in member.metrics))


def _text(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
