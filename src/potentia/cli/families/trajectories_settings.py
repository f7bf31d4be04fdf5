"""Settings of the training of a surrogate of trajectories, as they stand in a file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from potentia.cli.families.one_file import OneFileSettings
from potentia.errors import ConfigError
from potentia.trajectories.committee import TrajectoryCommittee
from potentia.trajectories.committee.committee import require_fit
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.networks.base import NetworkConfig
from potentia.trajectories.scaling import Preprocessing
from potentia.trajectories.surrogates import SURROGATES
from potentia.trajectories.training_config import TrajectoryTrainingConfig

__all__ = ["TrajectorySettings"]


@dataclass(frozen=True, kw_only=True)
class TrajectorySettings(OneFileSettings):
    """The training of a surrogate of trajectories."""

    network: NetworkConfig
    """Settings of the network; their class says which surrogate it is."""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    """What states, parameters and times go through."""
    training: TrajectoryTrainingConfig
    """How to train."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.untrained()
        if self.committee is not None:
            require_fit(self.committee)

    @property
    def config(self) -> TrajectoryTrainingConfig:
        """Settings of the training."""
        return self.training

    def trained_by(self, config: TrajectoryTrainingConfig) -> Self:
        """Return them with other settings of the training."""
        return replace(self, training=config)

    def untrained(self) -> TrajectorySurrogate:
        """Return the surrogate.

        Raises:
            ConfigError: no surrogate has such a network.
        """
        for cls in SURROGATES.values():
            if cls.config_class is type(self.network):
                return cls(self.network, preprocessing=self.preprocessing)
        raise ConfigError(f"network: no surrogate is made of {type(self.network).__name__}")

    def untrained_committee(self) -> TrajectoryCommittee:
        """Return the committee."""
        return TrajectoryCommittee(self.untrained())
