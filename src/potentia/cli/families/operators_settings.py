"""Settings of the training of a neural operator, as they stand in a file."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal, Self

from potentia.checks import integer
from potentia.cli.families.files import anchored
from potentia.cli.families.one_file import OneFileSettings
from potentia.errors import ConfigError
from potentia.operators.alignment import Alignment
from potentia.operators.committee import OperatorCommittee
from potentia.operators.committee.member import require_fit
from potentia.operators.estimator import NeuralOperator
from potentia.operators.networks.base import FieldNetworkConfig
from potentia.operators.run_directory import TOKENIZER
from potentia.operators.tokenizer import BehaviorTokenizer
from potentia.operators.training_config import OperatorTrainingConfig

__all__ = ["AlignmentSettings", "FirstWeights", "LineSettings", "OperatorSettings", "load_tokenizer"]


@dataclass(frozen=True, kw_only=True)
class AlignmentSettings:
    """Terms of the loss that bring predictions near to what a tokenizer knows."""

    tokenizer: str
    """File of a trained tokenizer, or its directory."""
    lambda_commit: float = 0.5
    """Weight of L_commit, the square distance of latents of predicted trajectories to their codes."""
    lambda_latent: float = 0.0
    """Weight of L_latent, the square distance of projected features of the operator to the latents."""
    latent_sample_steps: int = 3
    """Steps of a roll-out whose features are averaged for it; -1 for all."""
    target: Literal["truth", "prediction"] = "truth"
    """Whose latents these are: of the true trajectory, or of the predicted one."""
    hidden: int = 512
    """Neurons of the projector."""

    def build(self) -> Alignment:
        """Read the tokenizer."""
        settings = {one.name: self.__dict__[one.name] for one in fields(self) if one.name != "tokenizer"}
        return Alignment(load_tokenizer(Path(self.tokenizer)), **settings)


@dataclass(frozen=True, kw_only=True)
class FirstWeights:
    """Whose weights are the first ones, instead of new ones."""

    init_from: str
    """A trained operator, or a checkpoint of one, with the same network; its normaliser is kept."""


@dataclass(frozen=True, kw_only=True)
class LineSettings:
    """Lines that tell how a training goes: one every so many steps, and two after each epoch."""

    every: int = 10
    """Steps between lines; 0 for those of epochs only."""

    def __post_init__(self) -> None:
        integer("every", self.every, low=0)


@dataclass(frozen=True, kw_only=True)
class OperatorSettings(OneFileSettings):
    """The training of a neural operator."""

    network: FieldNetworkConfig
    """Settings of the network, which makes one step."""
    training: OperatorTrainingConfig
    """How to train."""
    alignment: AlignmentSettings | None = None
    """A tokenizer to align with."""
    start: FirstWeights | None = None
    """An operator to begin with."""
    lines: LineSettings | None = None
    """Lines on the standard error stream, as they are known of this family."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.committee is None:
            return
        require_fit(self.committee, self.training)
        for name in ("start", "lines"):
            if self.__dict__[name] is not None:
                raise ConfigError(f"{name} is of one operator, and a committee has several: leave one of both out")

    @property
    def config(self) -> OperatorTrainingConfig:
        """Settings of the training."""
        return self.training

    def trained_by(self, config: OperatorTrainingConfig) -> Self:
        """Return them with other settings of the training."""
        return replace(self, training=config)

    def untrained(self) -> NeuralOperator:
        """Return the operator."""
        return NeuralOperator(self.network)

    def untrained_committee(self) -> OperatorCommittee:
        """Return the committee."""
        return OperatorCommittee(self.untrained())

    def at(self, root: Path) -> Self:
        """Return them with relative paths taken from a directory."""
        alignment, start, moved = self.alignment, self.start, super().at(root)
        return replace(
            moved,
            alignment=alignment and replace(alignment, tokenizer=anchored(alignment.tokenizer, root)),
            start=start and replace(start, init_from=anchored(start.init_from, root)),
        )


def load_tokenizer(path: Path) -> BehaviorTokenizer:
    """Read a tokenizer from its file or its directory.

    Raises:
        ConfigError: it is not there.
    """
    file = path / TOKENIZER if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(f"there is no tokenizer {file}: `potentia operators tokenizer` makes one")
    return BehaviorTokenizer.load(file)
