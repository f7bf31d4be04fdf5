"""Neural operators on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from potentia import runs
from potentia.cli.families.base import Family, Look
from potentia.cli.families.files import family_of_hdf5, own_file, write_table
from potentia.cli.families.one_file import OneFile
from potentia.cli.families.operators_settings import OperatorSettings
from potentia.cli.lines import Lines
from potentia.errors import ConfigError
from potentia.operators.advice import advise
from potentia.operators.alignment import Alignment
from potentia.operators.baselines import baselines_of
from potentia.operators.dataset import OperatorData
from potentia.operators.estimator import NeuralOperator
from potentia.operators.evaluation import evaluate
from potentia.operators.hdf5 import read_operator_data
from potentia.operators.networks.fno import FNOConfig
from potentia.operators.networks.u_afno import UAFNOConfig
from potentia.operators.run_directory import RunDirectory
from potentia.operators.training_config import FREE, OperatorTrainingConfig
from potentia.storage import replacing
from potentia.train import Forecast

__all__ = ["FAMILY"]

COLUMNS = ["rel_l2", "nrmse", "vrmse", "one_step_vrmse", "valid_time"]


@dataclass(frozen=True)
class OperatorJob(runs.Job[runs.Trained]):
    """Fields and an operator that is to learn them."""

    settings: OperatorSettings
    data: OperatorData
    alignment: Alignment | None = None
    """With the tokenizer that the settings name."""
    allow_changes: tuple[str, ...] = ()
    """Settings that may be others than those of the checkpoint that is resumed."""

    def mark(self) -> dict[str, Any]:
        """Return hash and sizes."""
        return {"sha256": self.data.mark(), "samples": {name: len(part) for name, part in self.data.parts().items()}}

    def forecast(self) -> Forecast:
        """Measure how long the training would take."""
        return self.settings.untrained().forecast(self.data, self.settings.config, alignment=self.alignment)

    def train(self, directory: runs.RunDirectory, resume_from: Path | None) -> runs.Trained:
        """Train, or go on."""
        settings, operator = self.settings, self.settings.untrained()
        config = replace(settings.config, checkpoint_dir=str(directory.checkpoints))
        first = None if settings.start is None or resume_from is not None else settings.start.init_from
        out = operator.train(
            self.data,
            config,
            resume_from,
            init_from=first,
            alignment=self.alignment,
            allow_changes=self.allow_changes,
            callbacks=[] if settings.lines is None else [Lines(config.epochs, settings.lines.every)],
        )
        advice = [str(one) for one in advise(out, config, self.alignment)]
        return runs.Trained(operator, out, None if out.resumable else _errors(operator, self.data), advice=advice)


class OperatorFamily(Family):
    """From fields and parameters to later fields."""

    name = "operators"
    settings_class = OperatorSettings
    kinds = frozenset({NeuralOperator.kind})
    free = FREE
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

    def job(self, settings: OperatorSettings) -> OperatorJob:
        """Read the fields, and the tokenizer if there is one.

        Raises:
            ConfigError: the operator to begin with is not there.
        """
        first = None if settings.start is None else settings.start.init_from
        if first is not None and not Path(first).is_file():
            raise ConfigError(f"init_from: there is no operator {first} to begin with")
        alignment = None if settings.alignment is None else settings.alignment.build()
        return OperatorJob(settings, read_operator_data(own_file(settings.files, self.name)), alignment)

    def predict(self, model: Path, data: Sequence[Path], out: Path | None) -> pd.DataFrame:
        """Roll out the held-out samples; the table has mean and spread of each field, ``.npz`` has the fields."""
        given = read_operator_data(own_file(data, self.name))
        part = given.test
        fields = NeuralOperator.load(model).predict(part.initial, part.parameters, part.steps)
        flat = fields.reshape(*fields.shape[:3], -1).astype(np.float64)  # [samples, steps + 1, channels, points]
        sample, step, channel = (index.ravel() for index in np.indices(flat.shape[:3]))
        table = pd.DataFrame(
            {
                "sample": sample,
                "step": step,
                "time": step * given.time_step,
                "channel": np.array(given.channels)[channel],
                "mean": flat.mean(-1).ravel(),
                "deviation": flat.std(-1).ravel(),
            }
        )
        if out is not None and out.suffix == ".npz":
            with replacing(out) as temporary, temporary.open("xb") as file:
                np.savez(file, fields=fields, parameters=part.parameters, time_step=given.time_step)
        elif out is not None:
            write_table(out, table, also=(".npz",))
        return table

    def evaluate(self, model: Path, data: Sequence[Path]) -> pd.DataFrame:
        """Compare with the held-out part; baselines are fitted to the training part."""
        return _errors(NeuralOperator.load(model), read_operator_data(own_file(data, self.name)))


def _errors(operator: NeuralOperator, data: OperatorData) -> pd.DataFrame:
    scores = evaluate({"operator": operator, **baselines_of(data)}, data).scores
    return scores[COLUMNS].reset_index()


FAMILY = OperatorFamily()
