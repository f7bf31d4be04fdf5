"""Potentials on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from ase.io import write

from potentia.cli.families.base import Family, Look
from potentia.cli.families.files import expanded, hdf5_keys, write_table
from potentia.cli.families.potentials_errors import error_rows, labelled_errors
from potentia.cli.families.potentials_look import look_at_structures
from potentia.cli.families.potentials_settings import PotentialSettings
from potentia.potentials.estimator import TorchANNPotential
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.predictions import PredictOut
from potentia.potentials.structure import Structure
from potentia.potentials.training import KIND
from potentia.potentials.training_config import DECISIVE, TorchTrainingConfig
from potentia.runs import Job, RunDirectory, Trained, mark_of_files
from potentia.storage import replacing
from potentia.train import Forecast
from potentia.train.checkpoint import load_checkpoint

__all__ = ["FAMILY"]

STRUCTURES = (".xyz", ".extxyz")
"""Endings of files that structures with predictions as their labels are written to."""


@dataclass(frozen=True)
class PotentialJob(Job[Trained]):
    """Structures and a potential that is to learn them."""

    settings: PotentialSettings
    structures: Sequence[Structure]
    """What is trained on, and chosen by."""
    held_out: Sequence[Structure]
    """What is looked at once, at the end."""

    def mark(self) -> dict[str, Any]:
        """Return hash and sizes of the files, and how many structures there are."""
        counts = {"train": len(self.structures), "test": len(self.held_out)}
        return {**mark_of_files(self.settings.files), "structures": counts}

    def forecast(self) -> Forecast:
        """Measure how long the training would take."""
        config = replace(self.settings.training, checkpoint_dir=None, show_progress=False)
        return self.settings.untrained().forecast(self.structures, config)

    def train(self, directory: RunDirectory, resume_from: Path | None) -> Trained:
        """Train, or go on to as many epochs in all."""
        potential, training = self.settings.untrained(), self.settings.training
        before = 0 if resume_from is None else load_checkpoint(resume_from).run["epoch"]
        config = replace(
            training,
            iterations=max(training.iterations - before, 0),
            checkpoint_dir=str(directory.checkpoints),
            output_dir=str(directory.path),
        )
        out = potential.train(self.structures, config, resume_from)
        if out.resumable:
            return Trained(potential, out, None)
        rows = [] if out.test_parity is None else error_rows("validation", out.test_parity)
        rows += labelled_errors("test", potential, self.held_out) if self.held_out else []
        return Trained(potential, out, pd.DataFrame(rows) if rows else None)


class Potentials(Family):
    """Neural network potentials of the ænet kind."""

    name = "potentials"
    settings_class = PotentialSettings
    kinds = frozenset({KIND})
    exports: ClassVar[Mapping[str, str]] = {
        "aenet": "networks of ænet, .nn.ascii and .nn, with the proof that they agree"
    }
    free = frozenset(set(TorchTrainingConfig.__dataclass_fields__) - set(DECISIVE))

    def recognises(self, paths: Sequence[Path]) -> bool:
        """Whether this may be what ASE reads: it alone knows."""
        return not any(path.suffix in {".csv", ".npz"} or hdf5_keys(path) for path in paths)

    def look(self, paths: Sequence[Path], named: Sequence[str]) -> Look:
        """Look at structures."""
        return look_at_structures(paths, named)

    def job(self, settings: PotentialSettings) -> Job[Trained]:
        """Read the structures."""
        train, test = (read_structures(expanded(part)) for part in (settings.data.train, settings.data.test))
        return PotentialJob(settings, train.structures, test.structures)

    def predict(self, model: Path, data: Sequence[Path], out: Path | None) -> pd.DataFrame:
        """Predict energies, forces, and stress where there is a volume."""
        structures = read_structures(data).structures
        found = TorchANNPotential.load(model).predict(structures, eval_forces=True, eval_stress=True)
        table = found.to_dataframe()
        if out is not None and out.suffix in STRUCTURES:
            _write_structures(out, found)
        elif out is not None:
            write_table(out, table, also=STRUCTURES)
        return table

    def evaluate(self, model: Path, data: Sequence[Path]) -> pd.DataFrame:
        """Compare with the labels of structures."""
        return pd.DataFrame(labelled_errors("data", TorchANNPotential.load(model), read_structures(data).structures))

    def _export(self, model: Path, to: str, out: Path) -> Sequence[Path]:
        written = TorchANNPotential.load(model).to_aenet_ascii(out)
        return [*written.values(), *(path.with_suffix("") for path in written.values())]


def _write_structures(out: Path, found: PredictOut) -> None:
    with replacing(out) as temporary:
        write(temporary, [one.to_atoms() for one in found.to_structures()], format="extxyz")


FAMILY = Potentials()
