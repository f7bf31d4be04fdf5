"""Forces and stress as a differentiable function of dE/dG: the VJP of the descriptor forward, its JVP backward.

Positions stand still while a potential is trained, so the descriptor is a fixed linear map from g = dE/dG to the
gradient by positions and strain; the gradient of any loss on forces or stress by g is that map transposed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.geometry import Geometry, Selection

__all__ = ["energy_gradient"]


class _EnergyGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, cotangent: Tensor, descriptor: Descriptor, geometry: Geometry, moments: Tensor, selection: Selection
    ) -> tuple[Tensor, Tensor]:
        ctx.fixed = (descriptor, geometry, moments, selection)
        return descriptor.vjp(geometry, moments, selection, cotangent.detach())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, shift: Tensor, strain: Tensor) -> tuple[Tensor, None, None, None, None]:
        descriptor, geometry, moments, selection = ctx.fixed
        return descriptor.jvp(geometry, moments, selection, shift, strain), None, None, None, None


def energy_gradient(
    cotangent: Tensor, descriptor: Descriptor, geometry: Geometry, moments: Tensor, selection: Selection
) -> tuple[Tensor, Tensor]:
    """Return dE/dx [atoms, 3] (eV/Å) and dE/dε [structures, 3, 3] (eV) for ``cotangent`` = dE/dG [atoms, features].

    Differentiable by ``cotangent`` once. Forces are -dE/dx, the stress is dE/dε divided by the volume.
    """
    gradient, strain = _EnergyGradient.apply(cotangent, descriptor, geometry, moments, selection)
    return gradient, strain
