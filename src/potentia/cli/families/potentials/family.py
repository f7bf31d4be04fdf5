"""What the commands ask of potentials, alone or in a committee: data, training, predictions, errors, export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pandas as pd
from ase.io import write

from potentia.cli.families.base import Family, Look
from potentia.cli.families.committees import several
from potentia.cli.families.files import hdf5_keys, write_table
from potentia.cli.families.potentials.data import database_among, structures_in
from potentia.cli.families.potentials.jobs import job_of
from potentia.cli.families.potentials.look import look_at_structures
from potentia.cli.families.potentials.models import Predicted, opened, opened_committee
from potentia.cli.families.potentials.settings import PotentialSettings
from potentia.potentials.committee import TorchCommitteeConfig, TorchCommitteePotential
from potentia.potentials.training import KIND
from potentia.potentials.training_config import DECISIVE, TorchTrainingConfig
from potentia.runs import Job, Trained
from potentia.storage import replacing

__all__ = ["FAMILY"]

STRUCTURES = (".xyz", ".extxyz")
"""Endings of files that structures with predictions as their labels are written to."""


class Potentials(Family):
    """Neural network potentials of the ænet kind."""

    name = "potentials"
    settings_class = PotentialSettings
    kinds = frozenset({KIND, TorchCommitteePotential.kind})
    exports: ClassVar[Mapping[str, str]] = {
        "aenet": "networks of ænet, .nn.ascii and .nn, with the proof that they agree"
    }
    free = frozenset(set(TorchTrainingConfig.__dataclass_fields__) - set(DECISIVE))
    free_besides = frozenset({"committee.max_parallel", "committee.devices", "committee.threads_per_member"})

    def recognises(self, paths: Sequence[Path]) -> bool:
        """Whether this may be what ASE reads, which it alone knows, or a data set of structures."""
        if database_among(paths) is not None:
            return True
        return not any(path.suffix in {".csv", ".npz"} or hdf5_keys(path) for path in paths)

    def look(self, paths: Sequence[Path], named: Sequence[str]) -> Look:
        """Look at structures."""
        return look_at_structures(paths, named)

    def as_committee(self, look: Look, members: int) -> Look:
        """Return settings of a committee."""
        assert isinstance(look.settings, PotentialSettings)
        committee = TorchCommitteeConfig(num_members=members)
        settings = replace(look.settings, committee=committee)
        told = "Files, seen by neither, that error bars are learned from, and on half of them measured"
        return several(look, settings, (*look.shown["data"], "calibrate"), told)

    def job(self, settings: PotentialSettings) -> Job[Trained]:
        """Read or open the structures."""
        return job_of(settings)

    def predict(self, model: Path, data: Sequence[Path], out: Path | None) -> pd.DataFrame:
        """Predict energies, forces, and stress where there is a volume; with the spread of a committee."""
        found = opened(model).predict(structures_in(data))
        if out is not None and out.suffix in STRUCTURES:
            _write_structures(out, found)
        elif out is not None:
            write_table(out, found.table, also=STRUCTURES)
        return found.table

    def evaluate(self, model: Path, data: Sequence[Path]) -> pd.DataFrame:
        """Compare with the labels of structures."""
        return self.tables(model, data)["errors"]

    def tables(self, model: Path, data: Sequence[Path]) -> Mapping[str, pd.DataFrame]:
        """Compare with the labels of structures; of a calibrated committee, also what its intervals hold."""
        return opened(model).tables(structures_in(data))

    def calibrate(self, model: Path, data: Sequence[Path], level: float) -> Mapping[str, pd.DataFrame]:
        """Learn the error bars of a committee, and write them into its file."""
        committee = opened_committee(model)
        found = committee.calibrate(structures_in(data), level=level)
        committee.save(model)
        return found.tables()

    def _export(self, model: Path, to: str, out: Path) -> Sequence[Path]:
        return opened(model).export(out)


def _write_structures(out: Path, found: Predicted) -> None:
    with replacing(out) as temporary:
        write(temporary, found.frames(), format="extxyz")


FAMILY = Potentials()
