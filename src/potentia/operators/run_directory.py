"""The directory of one training of an operator: what its files are called; each holds one thing, written whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from potentia import runs
from potentia.errors import ConfigError
from potentia.operators.diagnostics import Diagnosis
from potentia.operators.estimator import NeuralOperator
from potentia.operators.results import TrainOut
from potentia.storage import write_text

__all__ = ["TOKENIZER", "RunDirectory"]

TOKENIZER = "tokenizer.safetensors"
"""Name of the file of a tokenizer in a directory of its own."""


@dataclass(frozen=True)
class RunDirectory(runs.RunDirectory):
    """Checkpoints are in it too: ``epoch_1.pt``, ``step_200.pt``, ``best_model.pt``.

    >>> RunDirectory(Path("checkpoints/noa")).model.name
    'operator.safetensors'
    """

    @classmethod
    def unused(cls, path: str | os.PathLike[str]) -> Self:
        """Make the directory.

        Raises:
            ConfigError: a run has been there before.
        """
        found = cls(Path(path))
        if found.settings.exists():
            raise ConfigError(
                f"{path} has a run in it: go on from one of its checkpoints (--resume {path}/epoch_N.pt), or choose "
                "another --checkpoint-dir"
            )
        found.path.mkdir(parents=True, exist_ok=True)
        return found

    @property
    def settings(self) -> Path:
        """What was asked for: data, network, training, alignment."""
        return self.path / "settings.json"

    @property
    def model(self) -> Path:
        """The trained operator."""
        return self.path / "operator.safetensors"

    @property
    def diagnosis(self) -> Path:
        """Figures of the diagnosis; its report and its figure have the same name with ``.txt`` and ``.png``."""
        return self.path / "diagnosis.json"

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write what was asked for."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.settings, json.dumps(settings, indent=1) + "\n")

    def write_training(self, operator: NeuralOperator, out: TrainOut) -> None:
        """Write what a training has brought."""
        self.write_history(out.history)
        out.plot_training_summary(self.losses)
        operator.save(self.model)

    def write_diagnosis(self, found: Diagnosis) -> None:
        """Write figures, report and figure of a diagnosis."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.diagnosis, json.dumps(found.to_dict(), indent=1) + "\n")
        write_text(self.diagnosis.with_suffix(".txt"), f"{found}\n")
        found.plot(self.diagnosis.with_suffix(".png"))
