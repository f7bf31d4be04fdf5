"""What a report is about: one operator, or a committee, read from its file or directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from potentia.operators.baselines import Predictor
from potentia.operators.committee import OperatorCommittee
from potentia.operators.estimator import NeuralOperator
from potentia.report import expected_kind

__all__ = ["Reported"]


@dataclass(frozen=True, eq=False)
class Reported:
    """One operator or several that are asked together."""

    operator: NeuralOperator
    """The operator, or the first member."""
    file: Path
    """Where it is."""
    committee: OperatorCommittee | None = None
    """The committee, if it is one."""

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read the file of an operator or a committee, or the directory of a committee.

        Raises:
            FileFormatError: it is none of them.
            NotFittedError: no member of the committee is trained.
        """
        if path.is_dir():
            committee = OperatorCommittee.from_directory(path)
            return cls(committee.load_members()[0], committee.member_model_paths[0], committee)
        if expected_kind(path, {NeuralOperator.kind, OperatorCommittee.kind}) == NeuralOperator.kind:
            return cls(NeuralOperator.load(path), path)
        committee = OperatorCommittee.load(path)
        return cls(committee.load_members()[0], path, committee)

    @property
    def word(self) -> str:
        """What its predictions are called in tables."""
        return "operator" if self.committee is None else "committee"

    @property
    def title(self) -> str:
        """What it is, in words."""
        name = self.record.get("data", {}).get("name", "fields")
        if self.committee is None:
            return f"Neural operator of {name}"
        return f"Committee of {len(self.committee.load_members())} neural operators of {name}"

    @property
    def record(self) -> Mapping[str, Any]:
        """How it was trained; of a committee, how the first member was."""
        return self.operator.fitted().record

    @property
    def predictor(self) -> Predictor:
        """What is asked for fields; of a committee, the mean."""
        return self.operator if self.committee is None else self.committee.mean()
