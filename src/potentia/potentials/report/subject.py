"""What a report is about: one potential, or a committee, read from its file or directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from potentia.ensemble import METADATA
from potentia.potentials.committee.calibration import CommitteeCalibration
from potentia.potentials.committee.potential import TorchCommitteePotential
from potentia.potentials.estimator import TorchANNPotential
from potentia.potentials.fitted import FittedPotential
from potentia.potentials.histories import rows_of
from potentia.potentials.predicting import Predictor
from potentia.potentials.predictions import PredictOut
from potentia.potentials.results import TrainOut
from potentia.potentials.simulation import SimulationModel
from potentia.potentials.structure import Structure
from potentia.runs.models import kind_of

__all__ = ["Subject"]


@dataclass(frozen=True, eq=False)
class Subject:
    """One potential or several that are asked together."""

    path: Path
    """File of the potential or of the committee; of a directory, that of the first member."""
    potentials: Sequence[TorchANNPotential]
    """One, or the members."""
    calibration: CommitteeCalibration | None = None
    """Of a committee, where there is one."""

    @classmethod
    def of(cls, path: Path) -> Subject:
        """Read the file of a potential, or the file or directory of a committee.

        Raises:
            FileFormatError: it is neither.
            NotFittedError: no member of the committee is trained.
        """
        if (path / METADATA).is_file():
            committee = TorchCommitteePotential.from_directory(path, "cpu")
            path = Path(committee.member_model_paths[0])
        elif kind_of(path) == TorchCommitteePotential.kind:
            committee = TorchCommitteePotential.from_file(path, "cpu")
        else:
            return cls(path, [TorchANNPotential.from_file(path, "cpu")])
        return cls(path, committee.load_members(), committee.calibration)

    @cached_property
    def model(self) -> SimulationModel:
        """All members."""
        return SimulationModel.joined([potential.simulation_model() for potential in self.potentials])

    def simulation_model(self) -> SimulationModel:
        """Return all members, for simulations."""
        return self.model

    @property
    def first(self) -> FittedPotential:
        """The potential, or the first member."""
        return self.potentials[0].fitted()

    @property
    def record(self) -> dict[str, Any]:
        """How it was trained; of a committee, its first member."""
        return self.first.record

    @property
    def name(self) -> str:
        """What it is, in words."""
        elements = ", ".join(self.model.descriptor.species)
        count = len(self.potentials)
        return f"Potential of {elements}" if count == 1 else f"Committee of {count} potentials of {elements}"

    def history(self) -> TrainOut:
        """Return the history of the training; it has no rows where none was kept."""
        return TrainOut(rows_of(self.record.get("training_history", {})), seed=self.record.get("seed"))

    def predict(
        self, structures: Sequence[Structure], *, forces: bool = False, stress: bool = False
    ) -> list[PredictOut]:
        """Return what each member says."""
        model = self.model
        asked = Predictor(
            model.descriptor, model.networks, model.atomic_energies[0], forces, stress,
            seen=model.seen, repulsion=model.repulsion,
        )  # fmt: skip
        return asked.structures(structures)
