"""Settings of the training of parameter networks of dynamics, as they stand in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from potentia.cli.families.base import FamilySettings, require_free
from potentia.cli.families.files import anchored, expanded
from potentia.config import to_dict
from potentia.dynamics.run_config import RunConfig
from potentia.ensemble import CommitteeConfig
from potentia.errors import ConfigError

__all__ = ["DynamicsSettings", "LogFiles"]


@dataclass(frozen=True, kw_only=True)
class LogFiles:
    """Where the logs are."""

    train: tuple[str, ...]
    """Folders, files or patterns of logs to train on."""
    validation: tuple[str, ...] = ()
    """Those of other logs, to choose the best weights by."""
    calibrate: tuple[str, ...] = ()
    """Again others, that error bars of a committee are learned from, and on half of their windows measured."""


@dataclass(frozen=True, kw_only=True)
class DynamicsSettings(FamilySettings):
    """The training of a network of parameters, through the simulation of a model."""

    data: LogFiles
    """Logs."""
    training: RunConfig
    """Model, windows, network and training."""
    committee: CommitteeConfig | None = None
    """Several networks that are trained side by side, their spread as error bar; null for one."""

    def __post_init__(self) -> None:
        if self.training.dataset or self.training.val_dataset:
            raise ConfigError("training: the logs stand under `data`, as train and validation")
        require_free(self.training, {"run_dir": None})
        if self.training.root != ".":
            raise ConfigError("training: paths begin at the folder of the file of settings: leave root out")
        if self.committee is not None:
            self._check_committee(self.committee)
        elif self.data.calibrate:
            raise ConfigError("data.calibrate is for the error bars of a committee: leave it out, or add `committee`")

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return what a run of dynamics has as the blocks of a file; all paths are absolute."""
        whole = replace(config.rooted(), run_dir=None)
        data = LogFiles(train=whole.dataset, validation=whole.val_dataset)
        return cls(data=data, training=replace(whole, dataset=(), val_dataset=()))

    @property
    def config(self) -> RunConfig:
        """Settings as a run of dynamics has them, with its logs."""
        return replace(self.training, dataset=self.data.train, val_dataset=self.data.validation)

    def at(self, root: Path) -> Self:
        """Return them with relative paths taken from a directory."""
        train, validation, calibrate = (
            _matching(part, root) for part in (self.data.train, self.data.validation, self.data.calibrate)
        )
        found = self.of(replace(self.config, dataset=train, val_dataset=validation, root=str(root)))
        return replace(found, data=replace(found.data, calibrate=calibrate), committee=self.committee)

    def plain(self) -> dict[str, Any]:
        """Return all of them as plain values, block by block."""
        blocks = self.config.blocks()
        del blocks["family"]
        if self.committee is not None:
            blocks["data"]["calibrate"] = list(self.data.calibrate)
            blocks["committee"] = to_dict(self.committee)
        return blocks

    def seeded(self, seed: int | None) -> Self:
        """Return them as they are: there always is a seed."""
        return self

    @property
    def seed(self) -> int | None:
        """Seed of the training."""
        return self.training.seed

    @property
    def files(self) -> Sequence[Path]:
        """All files of logs."""
        return expanded((*self.data.train, *self.data.validation, *self.data.calibrate))

    def _check_committee(self, wanted: CommitteeConfig) -> None:
        require_free(wanted, {"output_dir": None}, block="committee")
        wanted.require_separate("networks of dynamics")
        for name in ("wandb_project", "output"):
            if self.training.__dict__[name] is not None:
                raise ConfigError(f"training: {name} is of one network, and a committee has several: leave one out")


def _matching(paths: Sequence[str], root: Path) -> tuple[str, ...]:
    """Return paths from a directory on, and in place of a pattern the files that it fits."""
    found: list[str] = []
    for path in (anchored(one, root) for one in paths):
        pattern = not Path(path).exists() and any(sign in path for sign in "*?[")
        found += [str(file) for file in expanded([path])] if pattern else [path]
    return tuple(found)
