"""The directory of one training run: a name that nobody else has, and what its files are called."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from potentia.errors import ConfigError, FileFormatError
from potentia.storage import load_json

__all__ = ["RunDirectory"]

RESULTS = "results"


@dataclass(frozen=True)
class RunDirectory:
    """``results/<model>/run_<date>-<time>``, with ``_ablation_<mode>`` and a number where they are needed.

    >>> RunDirectory(Path("results/unicycle/run_20260102-030405")).parameters.name
    'pct_predicted_params.json'
    """

    path: Path
    """Where it is."""

    @classmethod
    def new(
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
        stamp = time.strftime("%Y%m%d-%H%M%S", begun or time.localtime())
        name = f"run_{stamp}" + (f"_ablation_{feature_mode}" if feature_mode else "")
        parent = Path(root) / RESULTS / model
        parent.mkdir(parents=True, exist_ok=True)
        tries = 0
        while True:
            path = parent / (f"{name}_{tries:02d}" if tries else name)
            try:
                path.mkdir(exist_ok=False)  # who makes it has it: asking first whether it is there would be a race
            except FileExistsError:
                tries += 1
            else:
                return cls(path.absolute())

    @classmethod
    def given(cls, path: str | os.PathLike[str]) -> Self:
        """Make the directory that was asked for, or take it if it is empty.

        Raises:
            ConfigError: there is something in it, or it is a file.
        """
        directory = Path(path)
        if directory.is_file():
            raise ConfigError(f"{directory} is a file: choose a run_dir that is new, or an empty folder")
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ConfigError(f"{directory} is not empty: resume what is there, or choose another run_dir")
        return cls(directory.absolute())

    @classmethod
    def existing(cls, path: str | os.PathLike[str]) -> Self:
        """Return the directory of a run that has been made before.

        Raises:
            FileFormatError: there is none.
        """
        found = cls(Path(path).absolute())
        if not found.config.is_file():
            raise FileFormatError(f"{path} is no directory of a run: there is no {found.config.name} in it")
        return found

    @property
    def config(self) -> Path:
        """Settings of the run."""
        return self.path / "config.json"

    @property
    def provenance(self) -> Path:
        """Versions, seed, host, hashes of the data."""
        return self.path / "provenance.json"

    @property
    def metrics(self) -> Path:
        """Records of batches and epochs, one line each."""
        return self.path / "metrics.jsonl"

    @property
    def loss_history(self) -> Path:
        """Columns of the history by epoch."""
        return self.path / "loss_history.json"

    @property
    def loss_figure(self) -> Path:
        """Losses over epochs."""
        return self.path / "pct_network_loss.png"

    @property
    def checkpoints(self) -> Path:
        """Weights, state of the optimizer and all else that a training needs to go on."""
        return self.path / "checkpoints"

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

    def weights(self, which: str, suffix: str) -> Path:
        """Return the file of the ``"last"`` or ``"best"`` weights, ``".safetensors"`` or ``".msgpack"``."""
        return self.path / f"params_{which}{suffix}"

    def windows(self, part: str) -> Path:
        """Return the file of predicted parameters of each window of ``"training"`` or ``"validation"``."""
        return self.path / f"predicted_params_{part}.npz"

    def evaluation(self, part: str) -> Path:
        """Return the table of errors of ``"training"`` or ``"validation"``, beside baselines."""
        return self.path / f"metrics_{part}.csv"

    def analysis(self, part: str) -> Path:
        """Return the directory of figures of ``"training"`` or ``"validation"``."""
        return self.path / "analysis" / part

    def settings(self) -> dict[str, object]:
        """Read the settings of the run."""
        found: dict[str, object] = load_json(self.config)
        return found

    def data(self) -> dict[str, str]:
        """Read the hash of the windows that the run was begun with, by the name of their part."""
        found = load_json(self.provenance)["data"]
        return {part: str(told["sha256"]) for part, told in found.items()}
