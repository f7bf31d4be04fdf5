"""The directory of one training run of dynamics: its name, and the files that only this family writes."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from potentia import runs
from potentia.dynamics.run_config import RunConfig
from potentia.errors import FileFormatError
from potentia.train import export

__all__ = ["RunDirectory"]

RESULTS = "results"


@dataclass(frozen=True)
class RunDirectory(runs.RunDirectory):
    """``results/<model>/run_<date>-<time>``, with ``_ablation_<mode>`` and a number where they are needed.

    >>> RunDirectory(Path("results/unicycle/run_20260102-030405")).parameters.name
    'pct_predicted_params.json'
    """

    @classmethod
    def of_model(
        cls,
        root: str | os.PathLike[str],
        model: str,
        feature_mode: str | None = None,
        begun: time.struct_time | None = None,
    ) -> Self:
        """Make a directory that was not there; of several processes at the same time each gets its own.

        Args:
            root: Directory with ``results/``.
            model: Name of the model.
            feature_mode: Mode of the features, where it is not the one that is taken without asking.
            begun: Local time in its name; now if None.
        """
        ending = f"_ablation_{feature_mode}" if feature_mode else ""
        return cls.new(Path(root) / RESULTS / model, "run", begun, ending)

    @property
    def metrics(self) -> Path:
        """Records of batches and epochs, one line each."""
        return self.path / "metrics.jsonl"

    @property
    def loss_history(self) -> Path:
        """Columns of the history by epoch."""
        return self.path / "loss_history.json"

    @property
    def losses(self) -> Path:
        """Figure of the losses over epochs."""
        return self.path / "pct_network_loss.png"

    @property
    def parameters(self) -> Path:
        """What the network predicts, over all windows."""
        return self.path / "pct_predicted_params.json"

    @property
    def best_parameters(self) -> Path:
        """The whole summary of the best weights, where windows were held out to choose them by."""
        return self.path / "best_predicted_params.json"

    @property
    def identifiability(self) -> Path:
        """Which parameters the data can tell."""
        return self.path / "identifiability.json"

    def weights(self, which: str) -> Path:
        """Return the file of the ``"last"`` or ``"best"`` weights, as programs without torch read them."""
        return self.path / f"params_{which}.msgpack"

    def windows(self, part: str) -> Path:
        """Return the file of predicted parameters of each window of ``"training"`` or ``"validation"``."""
        return self.path / f"predicted_params_{part}.npz"

    def evaluation(self, part: str) -> Path:
        """Return the table of errors of ``"training"`` or ``"validation"``, beside baselines."""
        return self.path / f"metrics_{part}.csv"

    def analysis(self, part: str) -> Path:
        """Return the directory of figures of ``"training"`` or ``"validation"``."""
        return self.path / "analysis" / part

    def read_config(self) -> RunConfig:
        """Read the settings of the run.

        Raises:
            FileFormatError: it is a run of another family.
        """
        blocks = self.read_settings()
        if blocks.get("family") != "dynamics":
            raise FileFormatError(f"{self.path} is a run of {blocks.get('family')}, not of dynamics")
        return RunConfig.from_blocks(blocks)

    def write_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write a row for each completed epoch, and the same by columns."""
        super().write_history(history)
        export(history, self.loss_history)
