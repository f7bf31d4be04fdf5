"""A latent state that moves on a polynomial of u."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from potentia.checks import choice, integer
from potentia.errors import ConfigError
from potentia.nn import dense
from potentia.trajectories.networks.base import Shape
from potentia.trajectories.networks.coders import LatentConfig, LatentNetwork

__all__ = ["LatentPolyConfig", "LatentPolyNetwork", "powers"]

BASES = ("monomial", "chebyshev", "legendre")
COEFFICIENT_INPUTS = ("parameters", "state")


@dataclass(frozen=True, kw_only=True)
class LatentPolyConfig(LatentConfig):
    """Settings of a network with z(u) = z₀ + Σ c φ(u)."""

    degree: int = 2
    """Of the polynomial."""
    basis: str = "monomial"
    """φ: ``"monomial"``, uᵈ; ``"chebyshev"`` or ``"legendre"``, those polynomials on [0, 1] less their value at 0.

    High powers of u are nearly the same function; the others differ well at every degree.
    """
    coeff_network: bool = False
    """Whether the coefficients come from a network; else all trajectories share them."""
    coeff_inputs: str = "parameters"
    """What that network sees: ``"parameters"``, or ``"state"``: the initial state, and parameters where there are."""
    coeff_width: int = 32
    """Nodes in each of its hidden layers."""
    coeff_layers: int = 4
    """Its hidden layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("degree", "coeff_width", "coeff_layers"):
            integer(name, getattr(self, name), low=1)
        choice("basis", self.basis, BASES)
        choice("coeff_inputs", self.coeff_inputs, COEFFICIENT_INPUTS)

    def build(self, shape: Shape) -> LatentPolyNetwork:
        """Return the network; its weights are drawn from torch's generators."""
        return LatentPolyNetwork(self, shape)


class LatentPolyNetwork(LatentNetwork):
    """Encoder, polynomial, decoder.

    Args:
        config: Settings.
        shape: Sizes that the data set.

    Raises:
        ConfigError: the coefficients are to come from parameters that there are not.
    """

    def __init__(self, config: LatentPolyConfig, shape: Shape) -> None:
        super().__init__(config, shape, parameters_encoded=not config.coeff_network)
        self.basis = config.basis
        self.sizes = (config.latent_features, config.degree)
        self.sees_state = config.coeff_inputs == "state"
        if config.coeff_network and not self.sees_state and not shape.n_parameters:
            raise ConfigError(
                "coeff_network needs parameters, and this data has none: set coeff_inputs='state', or leave it off"
            )
        self.coefficients: nn.Sequential | None = None
        if config.coeff_network:
            n_inputs = shape.n_parameters + (shape.n_quantities if self.sees_state else 0)
            hidden = [config.coeff_width] * config.coeff_layers
            self.coefficients = dense([n_inputs, *hidden, config.latent_features * config.degree], config.activation)
        else:
            bound = config.degree**-0.5
            self.shared = nn.Parameter(torch.empty(self.sizes).uniform_(-bound, bound))  # [latent features, degree]

    def move(self, latent: Tensor, initial: Tensor, times: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the polynomial at ``times``.  [trajectories, times, latent features]"""
        basis = powers(times, self.sizes[1], self.basis)  # [times, degree] or [trajectories, times, degree]
        if self.coefficients is None:
            way = basis @ self.shared.T
        else:
            seen = [part for part in (initial if self.sees_state else None, parameters) if part is not None]
            own = self.coefficients(torch.cat(seen, -1)).unflatten(-1, self.sizes)
            way = basis @ own.transpose(1, 2)
        return latent[:, None] + way


def powers(u: Tensor, degree: int, basis: str) -> Tensor:
    """Return φ₁ to φ of ``degree`` at u, each 0 at u = 0.  [..., degree]"""
    if basis == "monomial":
        return u[..., None] ** torch.arange(1, degree + 1, device=u.device)
    x = 2 * u - 1
    before, now, at_zero = torch.ones_like(x), x, -1.0
    columns = [x + 1]
    for n in range(1, degree):
        if basis == "chebyshev":
            before, now = now, 2 * x * now - before
        else:
            before, now = now, ((2 * n + 1) * x * now - n * before) / (n + 1)
        at_zero = -at_zero
        columns.append(now - at_zero)
    return torch.stack(columns, -1)
