"""What the laws of committees ask of each family: small data, a short training, and what members say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from operators import fields_data
from potentia.dynamics import DynamicsParameterNet, DynamicsTrainingConfig, FeatureSettings, get_model_spec
from potentia.dynamics.committee import DynamicsCommittee
from potentia.dynamics.simulator import simulate_dataset
from potentia.ensemble import CommitteeConfig
from potentia.operators import NeuralOperator, OperatorCommittee
from potentia.trajectories import FullyConnected, FullyConnectedConfig, TrajectoryTrainingConfig
from potentia.trajectories.committee import TrajectoryCommittee
from trajectories import decays

UNICYCLE = get_model_spec("unicycle")


class Kind(ABC):
    """A family whose committees keep the laws."""

    committee: ClassVar[type[Any]]
    one: ClassVar[type[Any]]
    """Class of the members that are trained here."""
    pieces: ClassVar[str]
    """What is held out, in words."""
    foreign: ClassVar[str]
    """What a single model says that is given a file of several."""
    held_out: Any
    """300 pieces that no training has seen."""

    @abstractmethod
    def untrained(self) -> Any:
        """Return one model."""

    @abstractmethod
    def settings(self, **changed: Any) -> Any:
        """Return settings of a short training from the seed 3."""

    @abstractmethod
    def data(self, **changed: Any) -> tuple[Any, ...]:
        """Return what a training of one model is given besides settings; ``fewer=True`` makes others."""

    @abstractmethod
    def ask(self, model: Any) -> Any:
        """Return what a model or a committee says of five pieces."""

    @abstractmethod
    def members_said(self, answer: Any) -> np.ndarray:
        """Return what each member said, from the answer of a committee."""

    def train(self, folder, members=3, config=None, *, fewer=False, **how):
        found = self.committee(self.untrained())
        wanted = CommitteeConfig(members, output_dir=folder, **how)
        data, *validation = self.data(fewer=fewer)
        return found, found.train(data, config or self.settings(), wanted, *validation)

    def alone(self, **changed):
        found = self.untrained()
        data, *validation = self.data()
        found.train(data, self.settings(**changed), *validation)
        return found


class Operators(Kind):
    committee, one, pieces = OperatorCommittee, NeuralOperator, "simulations"
    foreign = "holds a committee of operators, not a neural operator"
    held_out = fields_data.waves(300, first_group=1000, seed=9)

    def untrained(self):
        return NeuralOperator(fields_data.NETWORK)

    def settings(self, **changed):
        return fields_data.settings(**{"epochs": 2, **changed})

    def data(self, *, fewer=False):
        return (fields_data.data(n_train=8 if fewer else 10),)

    def ask(self, model):
        return model.predict(self.held_out.initial[:5], self.held_out.parameters[:5], 4)

    def members_said(self, answer):
        return answer.member_fields


class Trajectories(Kind):
    committee, one, pieces = TrajectoryCommittee, FullyConnected, "trajectories"
    foreign = "holds a committee of trajectory surrogates, not a fully_connected"
    held_out = decays.decays(300, "held out", parameters=1)
    network = FullyConnectedConfig(hidden_size=8, num_hidden_layers=1, activation="tanh")

    def untrained(self):
        return FullyConnected(self.network)

    def settings(self, **changed):
        return TrajectoryTrainingConfig(**{"epochs": 8, "batch_size": 32, "seed": 3, "learning_rate": 1e-2} | changed)

    def data(self, *, fewer=False):
        return (decays.data(n_train=8 if fewer else 24, parameters=1),)

    def ask(self, model):
        held = self.held_out
        return model.predict(held.initial_states[:5], held.times, held.parameters[:5])

    def members_said(self, answer):
        return answer.member_states


class Dynamics(Kind):
    committee, one, pieces = DynamicsCommittee, DynamicsParameterNet, "windows"
    foreign = "holds a committee of parameter networks, not a dynamics parameter network"

    @staticmethod
    def windows(n, seed):
        truth = {"k_turn": 1.2, "drag": 0.1}
        return simulate_dataset(UNICYCLE, truth, windows=n, horizon=5, seed=seed, noise=0.1, features=2)

    def __init__(self):
        self.held_out = self.windows(300, 3)

    def untrained(self):
        return DynamicsParameterNet(UNICYCLE, hidden=(8,), features=FeatureSettings(mode="features+state"))

    def settings(self, **changed):
        return DynamicsTrainingConfig(**{"epochs": 3, "batch_size": 32, "learning_rate": 0.02, "seed": 3} | changed)

    def data(self, *, fewer=False):
        return self.windows(32 if fewer else 64, 0), self.windows(16, 1)

    def ask(self, model):
        return model.predict(self.held_out.take(slice(0, 5)))

    def members_said(self, answer):
        return answer.member_states


KINDS = (Trajectories, Dynamics, Operators)
