"""Settings of the training of a potential, as they stand in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from potentia.cli.families.base import FamilySettings, require_free
from potentia.cli.families.files import anchored, expanded
from potentia.errors import ConfigError, DataError
from potentia.potentials.committee import TorchCommitteeConfig, TorchCommitteePotential
from potentia.potentials.descriptors.settings import AnyDescriptor
from potentia.potentials.estimator import TorchANNPotential
from potentia.potentials.repulsion import ZBL
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.runs import RunDirectory
from potentia.seeding import fresh_seed

__all__ = ["PotentialSettings", "StructureFiles"]


@dataclass(frozen=True, kw_only=True)
class StructureFiles:
    """Where the structures are."""

    train: tuple[str, ...]
    """Files to train on, of which a part is held out: extended XYZ, XSF and what ASE reads; folders; patterns. Or one
    HDF5 data set, which is read as it is needed."""
    test: tuple[str, ...] = ()
    """Files that are held out as a whole, and looked at once, at the end."""
    calibrate: tuple[str, ...] = ()
    """Files, seen by neither, that error bars of a committee are learned from, and on half of them measured."""


@dataclass(frozen=True, kw_only=True)
class PotentialSettings(FamilySettings):
    """The training of a neural network potential."""

    data: StructureFiles
    """Structures with their labels."""
    descriptor: AnyDescriptor
    """What the networks see of an atom; ``class`` names a registered descriptor of your own."""
    arch: Mapping[str, tuple[tuple[int, str], ...]]
    """Hidden layers of each species: [nodes, activation] of each."""
    repulsion: ZBL | None = None
    """What keeps atoms apart at distances that no data tell of."""
    committee: TorchCommitteeConfig | None = None
    """Several potentials that are trained side by side, their spread as error bar; null for one."""
    init_from: str | None = None
    """Run, potential or checkpoint whose weights are the first ones, to fine-tune it; null for new weights."""
    training: TorchTrainingConfig = field(default_factory=TorchTrainingConfig)
    """How to train."""

    def __post_init__(self) -> None:
        require_free(self.training, {"checkpoint_dir": "checkpoints", "output_dir": "."})
        if self.committee is not None:
            require_free(self.committee, {"output_dir": None}, block="committee")
            if self.init_from is not None:
                raise ConfigError("init_from begins with one potential, and a committee has several: leave one out")
        elif self.data.calibrate:
            raise ConfigError("data.calibrate is for the error bars of a committee: leave it out, or add `committee`")
        self.untrained()

    def untrained(self) -> TorchANNPotential:
        """Return the potential."""
        return TorchANNPotential(self.arch, self.descriptor.build(), repulsion=self.repulsion)

    def untrained_committee(self) -> TorchCommitteePotential:
        """Return the committee."""
        return TorchCommitteePotential(self.arch, self.descriptor.build(), repulsion=self.repulsion)

    def at(self, root: Path) -> Self:
        """Return them with relative paths taken from a directory."""
        parts = {name: tuple(anchored(path, root) for path in part) for name, part in self.data.__dict__.items()}
        begins = None if self.init_from is None else anchored(self.init_from, root)
        return replace(self, data=StructureFiles(**parts), init_from=begins)

    def seeded(self, seed: int | None) -> Self:
        """Return them with a seed in any case."""
        if self.training.seed is not None:
            return self
        return replace(self, training=replace(self.training, seed=fresh_seed() if seed is None else seed))

    @property
    def seed(self) -> int | None:
        """Seed of the training."""
        return self.training.seed

    @property
    def files(self) -> Sequence[Path]:
        """All files of structures."""
        return [*expanded(self.data.train), *expanded(self.data.test), *expanded(self.data.calibrate)]

    @property
    def first_weights(self) -> Path | None:
        """File of the weights that a training begins with.

        Raises:
            DataError: there is none.
        """
        if self.init_from is None:
            return None
        found = Path(self.init_from)
        found = RunDirectory.existing(found).model if found.is_dir() else found
        if not found.is_file():
            raise DataError(
                f"init_from: there is no file {found}; it must be a trained run, a potential or a checkpoint"
            )
        return found
