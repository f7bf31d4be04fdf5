"""Neural operators on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from potentia.cli.families.base import Family, Look
from potentia.cli.families.committees import FREE_OF_MEMBERS, as_committee, calibrated, committee_in
from potentia.cli.families.files import family_of_hdf5, own_file, write_table
from potentia.cli.families.one_file import OneFile
from potentia.cli.families.operators_jobs import OperatorJob, job_of
from potentia.cli.families.operators_models import opened
from potentia.cli.families.operators_settings import OperatorSettings
from potentia.operators.committee import OperatorCommittee
from potentia.operators.dataset import OperatorData
from potentia.operators.estimator import NeuralOperator
from potentia.operators.hdf5 import read_operator_data
from potentia.operators.networks.fno import FNOConfig
from potentia.operators.networks.u_afno import UAFNOConfig
from potentia.operators.run_directory import RunDirectory
from potentia.operators.training_config import FREE, OperatorTrainingConfig
from potentia.storage import replacing

__all__ = ["FAMILY"]


class OperatorFamily(Family):
    """From fields and parameters to later fields."""

    name = "operators"
    settings_class = OperatorSettings
    kinds = frozenset({NeuralOperator.kind, OperatorCommittee.kind})
    free = FREE
    free_besides = FREE_OF_MEMBERS
    directory = RunDirectory

    def recognises(self, paths: Sequence[Path]) -> bool:
        """Whether there are fields over time, or what makes them again."""
        return family_of_hdf5(paths[0]) == self.name

    def look(self, paths: Sequence[Path], named: Sequence[str]) -> Look:
        """Look at fields."""
        data = read_operator_data(own_file(paths, self.name))
        n, steps, grid = len(data.train), data.train.steps, data.train.grid
        epochs = int(np.clip(20_000 // n, 10, 200))
        settings = OperatorSettings(
            data=OneFile(file=named[0]),
            network=FNOConfig(width=24 if n >= 100 else 12, modes=max(min(8, min(grid) // 2), 1)),
            training=OperatorTrainingConfig(
                epochs=epochs, batch_size=4, lr=1e-3, bptt_window=min(8, steps), seed=1, show_progress=True
            ),
        )
        parts = ", ".join(f"{name} {len(part)}" for name, part in data.parts().items())
        saw = (
            f"{data.name}: samples: {parts}; {steps} steps of {data.time_step:g}",
            f"grid {' × '.join(map(str, grid))}, channels {', '.join(data.channels)}; "
            f"parameters: {', '.join(data.space.names) or 'none'}",
        )
        shown = {
            "data": ("file",),
            "network": ("width", "modes", "layers", "isotropic"),
            "training": (
                "epochs", "batch_size", "lr", "bptt_window", "teacher_start", "early_stop_patience", "seed", "device",
                "show_progress",
            ),
        }  # fmt: skip
        why = {
            "network": f"One of {FNOConfig.__name__} and, on two axes, {UAFNOConfig.__name__}",
            "network.modes": "Waves kept along each axis; a grid needs twice as many points",
            "training.epochs": f"Epochs; a longer training is better, of {n} samples",
        }
        return Look(saw, settings, shown, why)

    def as_committee(self, look: Look, members: int) -> Look:
        """Return settings of a committee, whose error bars are learned from the held-out part."""
        return as_committee(look, members)

    def job(self, settings: OperatorSettings) -> OperatorJob:
        """Read the fields, and the tokenizer if there is one."""
        return job_of(settings, self.name)

    def predict(self, model: Path, data: Sequence[Path], out: Path | None) -> pd.DataFrame:
        """Roll out the held-out samples; the table has mean and spread of each field, ``.npz`` has the fields."""
        given = self._read(data)
        found = opened(model).predict(given)
        if out is not None and out.suffix == ".npz":
            with replacing(out) as temporary, temporary.open("xb") as file:
                arrays = {"fields": found.fields, **found.bars, "parameters": given.test.parameters}
                np.savez(file, time_step=given.time_step, **arrays)  # type: ignore[arg-type]  # allow_pickle by name
        elif out is not None:
            write_table(out, found.table, also=(".npz",))
        return found.table

    def evaluate(self, model: Path, data: Sequence[Path]) -> pd.DataFrame:
        """Compare with the held-out part; baselines are fitted to the training part."""
        return opened(model).errors(self._read(data))

    def tables(self, model: Path, data: Sequence[Path]) -> Mapping[str, pd.DataFrame]:
        """Compare with the held-out part; of a committee, also tell what its error bars hold."""
        return opened(model).tables(self._read(data))

    def calibrate(self, model: Path, data: Sequence[Path], level: float) -> Mapping[str, pd.DataFrame]:
        """Learn the error bars of a committee from half of the held-out part, and write them into its file."""
        return calibrated(committee_in(model, OperatorCommittee, "operator"), model, self._read(data).test, level)

    def _read(self, data: Sequence[Path]) -> OperatorData:
        return read_operator_data(own_file(data, self.name))


FAMILY = OperatorFamily()
