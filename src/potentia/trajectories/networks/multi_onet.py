"""DeepONet with several outputs (Lu, Jin, Pang, Zhang and Karniadakis, Nat. Mach. Intell. 3, 218 (2021))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from potentia.checks import choice, integer
from potentia.nn import ACTIVATION_MODULES, dense
from potentia.trajectories.networks.base import NetworkConfig, Shape, SurrogateNetwork
from potentia.trajectories.networks.time_features import time_features

__all__ = ["MultiONetConfig", "MultiONetwork"]


@dataclass(frozen=True, kw_only=True)
class MultiONetConfig(NetworkConfig):
    """Settings of a DeepONet with several outputs."""

    hidden_size: int = 100
    """Nodes of a hidden layer, of branch and trunk."""
    branch_hidden_layers: int = 5
    """Hidden layers of the branch, which sees the initial state."""
    trunk_hidden_layers: int = 5
    """Hidden layers of the trunk, which sees the time."""
    output_factor: int = 10
    """Products that are summed up for each quantity."""
    params_branch: bool = True
    """Whether the branch sees the parameters; else the trunk does, and has to be evaluated for each trajectory."""
    activation: str = "relu"
    """Activation behind each hidden layer, one of `potentia.nn.ACTIVATION_MODULES`."""

    time_cosines: int = 0
    """Cosines of the time that the trunk sees besides the time itself, see `time_features`: some tens of them where
    states change fast."""

    def __post_init__(self) -> None:
        integer("time_cosines", self.time_cosines, low=0)
        for name in ("hidden_size", "branch_hidden_layers", "trunk_hidden_layers", "output_factor"):
            integer(name, self.__dict__[name], low=1)
        choice("activation", self.activation, list(ACTIVATION_MODULES))

    def build(self, shape: Shape) -> MultiONetwork:
        """Return the network; its weights are drawn from torch's generators."""
        return MultiONetwork(self, shape)


class MultiONetwork(SurrogateNetwork):
    """x_q(u) = Σ_f branch_qf(x₀, p)·trunk_qf(u), with the parameters p in one of the two.

    With p in the branch, N trajectories at T common times cost N rows of the branch and T of the trunk instead of N·T
    of each. Therefore it is trained on whole trajectories then, see `scattered`.
    """

    points: ClassVar[bool] = True

    def __init__(self, config: MultiONetConfig, shape: Shape) -> None:
        super().__init__(config.hard_initial_condition)
        self.factors = (shape.n_quantities, config.output_factor)
        self.params_branch = config.params_branch
        self.time_cosines = config.time_cosines
        self.factorises = config.params_branch or shape.n_parameters == 0
        in_branch, in_trunk = (shape.n_parameters, 0) if config.params_branch else (0, shape.n_parameters)
        n_out = shape.n_quantities * config.output_factor
        width = config.hidden_size
        branch = [shape.n_quantities + in_branch, *[width] * config.branch_hidden_layers, n_out]
        trunk = [1 + config.time_cosines + in_trunk, *[width] * config.trunk_hidden_layers, n_out]
        self.branch = dense(branch, config.activation)
        self.trunk = dense(trunk, config.activation)

    @property
    def scattered(self) -> bool:
        """Whether points are drawn one by one: not where whole trajectories cost less."""
        return not self.factorises

    def evolve(self, initial: Tensor, times: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the states at ``times`` [trajectories, times, quantities]."""
        of_branch, of_trunk = initial, time_features(times, self.time_cosines)
        if parameters is not None and self.params_branch:
            of_branch = torch.cat((initial, parameters), dim=1)
        elif parameters is not None:
            shape = (len(initial), times.shape[-1])
            of_each = parameters[:, None].expand(*shape, -1)
            of_trunk = torch.cat((of_trunk.expand(*shape, -1), of_each), dim=2)
        branch = self.branch(of_branch).unflatten(-1, self.factors)  # [trajectories, quantities, factors]
        trunk = self.trunk(of_trunk).unflatten(-1, self.factors)  # [(trajectories,) times, quantities, factors]
        if trunk.ndim == 3:
            return torch.einsum("nqf,tqf->ntq", branch, trunk)
        return torch.einsum("nqf,ntqf->ntq", branch, trunk)
