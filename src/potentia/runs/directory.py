"""The directory of one training: what its files are called, and that no two trainings share one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from potentia.errors import ConfigError, FileFormatError
from potentia.storage import load_json, write_text
from potentia.train import newest_checkpoint
from potentia.train.history import export
from potentia.yaml_files import read_yaml, write_yaml

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunDirectory"]


@dataclass(frozen=True)
class RunDirectory:
    """A directory that one training has for itself; whoever makes it owns it.

    >>> RunDirectory(Path("runs/water")).model.name
    'model.safetensors'
    """

    path: Path
    """Where it is."""

    @classmethod
    def new(
        cls,
        parent: str | os.PathLike[str],
        name: str = "run",
        begun: time.struct_time | None = None,
        ending: str = "",
    ) -> Self:
        """Make ``<parent>/<name>_<date>-<time><ending>``, with a number behind it where that is taken.

        Of several processes at the same time each gets its own.

        Args:
            parent: Made if it is not there.
            name: Beginning of its name.
            begun: Local time in its name; now if None.
            ending: End of its name.
        """
        parent = Path(parent)
        parent.mkdir(parents=True, exist_ok=True)
        stem, tries = f"{name}_{time.strftime('%Y%m%d-%H%M%S', begun or time.localtime())}{ending}", 0
        while True:
            path = parent / (f"{stem}_{tries:02d}" if tries else stem)
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
        if not found.settings.is_file():
            raise FileFormatError(f"{path} is no directory of a run: there is no {found.settings.name} in it")
        return found

    @property
    def settings(self) -> Path:
        """What was asked for, with every default: ``family``, ``data``, the recipe, ``training``."""
        return self.path / "settings.yaml"

    @property
    def provenance(self) -> Path:
        """Versions, seed, host, hash of the data."""
        return self.path / "provenance.json"

    @property
    def history(self) -> Path:
        """One row for each epoch."""
        return self.path / "history.csv"

    @property
    def model(self) -> Path:
        """The trained estimator."""
        return self.path / "model.safetensors"

    @property
    def losses(self) -> Path:
        """Figure of the losses over epochs."""
        return self.path / "losses.png"

    @property
    def checkpoints(self) -> Path:
        """All that a training needs to go on."""
        return self.path / "checkpoints"

    @property
    def members(self) -> Path:
        """Where members of a committee have their files."""
        return self.checkpoints

    @property
    def newest_checkpoint(self) -> Path | None:
        """The checkpoint that had come farthest; None where there is none."""
        return newest_checkpoint(self.checkpoints)

    @property
    def report(self) -> Path:
        """The run as one page."""
        return self.path / "report.html"

    def table(self, name: str) -> Path:
        """Return the file of a table, such as ``"errors"`` of what was held out."""
        return self.path / f"{name}.csv"

    @property
    def tables(self) -> dict[str, Path]:
        """Name → file of each table that is there, the history not among them."""
        return {path.stem: path for path in sorted(self.path.glob("*.csv")) if path != self.history}

    @property
    def is_trained(self) -> bool:
        """Whether the training has come to its end."""
        return self.model.is_file()

    def read_settings(self) -> dict[str, Any]:
        """Read what was asked for."""
        return read_yaml(self.settings)

    def read_provenance(self) -> dict[str, Any]:
        """Read what the run depends on besides its settings."""
        found: dict[str, Any] = load_json(self.provenance)
        return found

    def read_history(self) -> pd.DataFrame:
        """Read the history: one row for each epoch, NaN where there is no value."""
        import pandas as pd  # takes a third of a second, which a process that only trains should not pay

        return pd.read_csv(self.history, index_col="epoch")

    def begin(self, settings: Mapping[str, Any], provenance: Mapping[str, Any], *, resumed: bool = False) -> None:
        """Write what is known before the first epoch; the settings last: a directory that has them can be resumed.

        Raises:
            ConfigError: another run has begun here since it was found empty, and this one is not ``resumed``.
        """
        try:
            self.provenance.touch(exist_ok=resumed)  # who makes it has the directory
        except FileExistsError:
            raise ConfigError(f"another run has begun in {self.path}: choose another run_dir") from None
        self.checkpoints.mkdir(exist_ok=True)
        write_text(self.provenance, json.dumps(provenance, indent=1) + "\n")
        write_yaml(self.settings, settings)

    def begun(self) -> dict[Path, str]:
        """Return what `begin` has written before, by file; nothing where no run has begun."""
        files = (self.provenance, self.settings)
        return {file: file.read_text(encoding="utf-8") for file in files if file.is_file()}

    def withdraw(self, before: Mapping[Path, str]) -> None:
        """Take back what `begin` has written for a run that was refused; one with a checkpoint can go on, and stays.

        Args:
            before: What `begun` had returned; where that was nothing, the directory is removed if it is empty then.
        """
        for file, text in before.items():
            write_text(file, text)
        own = {self.settings, self.provenance}
        if before or (self.checkpoints.is_dir() and set(self.checkpoints.iterdir()) - own):
            return
        for file in (self.settings, self.provenance):
            file.unlink(missing_ok=True)
        for folder in (self.checkpoints, self.path):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def write_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write one row for each completed epoch."""
        export(history, csv_path=self.history)

    def write_table(self, name: str, content: pd.DataFrame) -> None:
        """Write a table, without its index."""
        write_text(self.table(name), content.to_csv(index=False, lineterminator="\n"))
