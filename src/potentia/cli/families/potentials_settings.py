"""Settings of the training of a potential, as they stand in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from potentia.cli.families.base import FamilySettings, require_free
from potentia.cli.families.files import anchored, expanded
from potentia.errors import ConfigError
from potentia.potentials.descriptors import ChebyshevDescriptor
from potentia.potentials.estimator import TorchANNPotential
from potentia.potentials.repulsion import ZBL
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.seeding import fresh_seed
from potentia.train.device import DTYPES

__all__ = ["Descriptor", "PotentialSettings", "StructureFiles"]


@dataclass(frozen=True, kw_only=True)
class StructureFiles:
    """Where the structures are."""

    train: tuple[str, ...]
    """Files to train on, of which a part is held out: extended XYZ, XSF and what ASE reads; folders; patterns."""
    test: tuple[str, ...] = ()
    """Files that are held out as a whole, and looked at once, at the end."""


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """The surroundings of an atom as numbers: the Chebyshev descriptor of ænet."""

    species: tuple[str, ...]
    """Chemical species; their order is part of the model."""
    rad_order: int
    """Highest order of the radial expansion."""
    rad_cutoff: float
    """Radial cutoff (Å)."""
    ang_order: int
    """Highest order of the angular expansion."""
    ang_cutoff: float
    """Angular cutoff (Å)."""
    min_cutoff: float = 0.55
    """Neighbours at this distance or closer are not seen (Å)."""
    device: str = "cpu"
    """torch device on which features are computed."""
    dtype: Literal["float64", "float32"] = "float64"
    """Precision of the features."""
    kernels: Literal["auto", "numba", "torch"] = "auto"
    """``"numba"`` (CPU only), ``"torch"`` (any device), or ``"auto"``: Numba where it can."""

    def build(self) -> ChebyshevDescriptor:
        """Return the descriptor."""
        if self.dtype not in DTYPES:
            raise ConfigError(f"dtype must be float64 or float32, got {self.dtype!r}")
        return ChebyshevDescriptor(**{**self.__dict__, "dtype": DTYPES[self.dtype]})


@dataclass(frozen=True, kw_only=True)
class PotentialSettings(FamilySettings):
    """The training of a neural network potential."""

    data: StructureFiles
    """Structures with their labels."""
    descriptor: Descriptor
    """What the networks see of an atom."""
    arch: Mapping[str, tuple[tuple[int, str], ...]]
    """Hidden layers of each species: [nodes, activation] of each."""
    repulsion: ZBL | None = None
    """What keeps atoms apart at distances that no data tell of."""
    training: TorchTrainingConfig = field(default_factory=TorchTrainingConfig)
    """How to train."""

    def __post_init__(self) -> None:
        require_free(self.training, {"checkpoint_dir": "checkpoints", "output_dir": "."})
        self.untrained()

    def untrained(self) -> TorchANNPotential:
        """Return the potential."""
        return TorchANNPotential(self.arch, self.descriptor.build(), repulsion=self.repulsion)

    def at(self, root: Path) -> Self:
        """Return them with relative paths of data taken from a directory."""
        train, test = (tuple(anchored(path, root) for path in part) for part in (self.data.train, self.data.test))
        return replace(self, data=StructureFiles(train=train, test=test))

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
        return [*expanded(self.data.train), *expanded(self.data.test)]
