"""The directory of one training of an operator: what its files are called; each holds one thing, written whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from potentia import runs
from potentia.operators.diagnostics import Diagnosis
from potentia.storage import write_text
from potentia.train import StepNames, newest_checkpoint

__all__ = ["TOKENIZER", "RunDirectory"]

TOKENIZER = "tokenizer.safetensors"
"""Name of the file of a tokenizer in a directory of its own."""


@dataclass(frozen=True)
class RunDirectory(runs.RunDirectory):
    """Checkpoints are in it too: ``epoch_1.pt``, ``step_200.pt``, ``best_model.pt``.

    >>> RunDirectory(Path("checkpoints/noa")).checkpoints.name
    'noa'
    """

    @property
    def checkpoints(self) -> Path:
        """The directory itself."""
        return self.path

    @property
    def members(self) -> Path:
        """Where members of a committee have their files, apart from those of the run."""
        return self.path / "members"

    @property
    def newest_checkpoint(self) -> Path | None:
        """The checkpoint that had come farthest; None where there is none."""
        return newest_checkpoint(self.checkpoints, StepNames())

    @property
    def diagnosis(self) -> Path:
        """Figures of the diagnosis; its report and its figure have the same name with ``.txt`` and ``.png``."""
        return self.path / "diagnosis.json"

    def write_diagnosis(self, found: Diagnosis) -> None:
        """Write figures, report and figure of a diagnosis."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.diagnosis, json.dumps(found.to_dict(), indent=1) + "\n")
        write_text(self.diagnosis.with_suffix(".txt"), f"{found}\n")
        found.plot(self.diagnosis.with_suffix(".png"))
