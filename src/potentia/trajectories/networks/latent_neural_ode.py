"""A latent state that moves by a learned differential equation (Chen et al., arXiv:1806.07366)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from potentia.checks import choice, integer
from potentia.errors import DataError
from potentia.nn import ACTIVATION_MODULES, dense
from potentia.ode import Method, Solution, Tsit5, solve
from potentia.trajectories.networks.base import Shape
from potentia.trajectories.networks.coders import LatentConfig, LatentNetwork

__all__ = ["Flow", "LatentNeuralODEConfig", "LatentNeuralODENetwork"]


@dataclass(frozen=True, kw_only=True)
class LatentNeuralODEConfig(LatentConfig):
    """Settings of a network with dz/du = f(z, parameters)."""

    coder_width: int = 64
    """Nodes in each hidden layer of the encoder, and of the decoder."""
    ode_layers: int = 4
    """Hidden layers of f behind its first one."""
    ode_width: int = 64
    """Nodes in each of them."""
    ode_activation: str = "relu"
    """After each hidden layer of f. A smooth one, such as ``"tanh"``, lets an adaptive solver take longer steps."""
    ode_tanh_reg: bool = True
    """Whether f is bounded: r tanh(f/r), where r is learned and begins at 1."""
    encode_params: bool = False
    """Whether the parameters go into the encoder; else they go into f."""
    solver: Method = field(default_factory=lambda: Tsit5(rtol=1e-6, atol=1e-6, max_steps=1000))
    """How the equation is solved, in u: `potentia.ode` has the choice."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("ode_layers", "ode_width"):
            integer(name, getattr(self, name), low=1)
        choice("ode_activation", self.ode_activation, list(ACTIVATION_MODULES))

    def build(self, shape: Shape) -> LatentNeuralODENetwork:
        """Return the network; its weights are drawn from torch's generators."""
        return LatentNeuralODENetwork(self, shape)


class Flow(nn.Module):
    """Rates of the latent state, the same at every time.

    Args:
        config: Settings.
        n_parameters: Numbers that f sees besides the latent state.
    """

    def __init__(self, config: LatentNeuralODEConfig, n_parameters: int) -> None:
        super().__init__()
        self.n_latent, self.n_parameters = config.latent_features, n_parameters
        self.first = nn.Linear(self.n_latent + n_parameters, config.ode_width)
        sizes = [*[config.ode_width] * (config.ode_layers + 1), self.n_latent]
        self.others = nn.Sequential(ACTIVATION_MODULES[config.ode_activation](), *dense(sizes, config.ode_activation))
        self.bound = nn.Parameter(torch.ones(())) if config.ode_tanh_reg else None

    def drive(self, parameters: Tensor | None) -> tuple[Tensor, ...]:
        """Return what the parameters add to the first layer: the same in every step.  [trajectories, nodes]"""
        if not self.n_parameters or parameters is None:
            return ()
        return (functional.linear(parameters, self.first.weight[:, self.n_latent :], self.first.bias),)

    def forward(self, t: Tensor, latent: Tensor, *drive: Tensor) -> Tensor:
        """Return the rates at latent states.  [trajectories, latent features] both"""
        ahead = self.first.weight[:, : self.n_latent].T
        begun = torch.addmm(drive[0] if drive else self.first.bias, latent, ahead)
        rates: Tensor = self.others(begun)
        return rates if self.bound is None else self.bound * torch.tanh(rates / self.bound)


class LatentNeuralODENetwork(LatentNetwork):
    """Encoder, differential equation, decoder.

    Where the equation of a trajectory cannot be solved its states are NaN from there on; the others are not touched.

    Args:
        config: Settings.
        shape: Sizes that the data set.
    """

    def __init__(self, config: LatentNeuralODEConfig, shape: Shape) -> None:
        super().__init__(config, shape, parameters_encoded=config.encode_params)
        self.solver = config.solver
        self.flow = Flow(config, 0 if self.parameters_encoded else shape.n_parameters)

    def move(self, latent: Tensor, initial: Tensor, times: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the solution at ``times``, in any order.  [trajectories, times, latent features]"""
        return self._solution(latent, times, parameters).states

    def require_solved(self, initial: Tensor, times: Tensor, parameters: Tensor | None) -> None:
        """Raise `DataError` that names the trajectories whose equation cannot be solved, and why."""
        with torch.no_grad():
            failed = self._solution(self.encode(initial, parameters), times, parameters).failures()
        if failed:
            first = list(failed.items())[:5]
            named = ", ".join(f"{member} ({status.name.lower().replace('_', ' ')})" for member, status in first)
            raise DataError(
                f"the latent equation of {len(failed)} of {len(initial)} trajectories has no solution: trajectory "
                f"{named}{', ...' if len(failed) > 5 else ''}; ask for times nearer to the initial one, or train with "
                f"another solver (now {self.solver})"
            )

    def _solution(self, latent: Tensor, times: Tensor, parameters: Tensor | None) -> Solution:
        if bool((times < 0).any()):
            raise DataError(
                f"the latent equation begins at the initial state, u = 0, and cannot be asked before it, got "
                f"u = {float(times.min()):g}"
            )
        ascending, order = times.sort(dim=-1, stable=True)
        found = solve(self.flow, latent, ascending, self.solver, start=0.0, constants=self.flow.drive(parameters))
        back = order.argsort(-1).expand(len(latent), -1)
        states = found.states.gather(1, back[..., None].expand(-1, -1, found.states.shape[-1]))
        return Solution(states, found.status, found.steps, found.rejected)
