"""Laws of networks on fields: gradients, samples that do not see each other, fields that are moved."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from potentia.operators.networks.base import FieldNetwork
from potentia.testing.comparing import require, require_close

__all__ = [
    "check_field_network",
    "every_parameter_has_a_gradient",
    "moved_fields_give_moved_fields",
    "samples_do_not_see_each_other",
]


def check_field_network(network: FieldNetwork, fields: Tensor, parameters: Tensor | None = None) -> None:
    """Check the laws that hold for every network.

    Args:
        network: Of float64, its weights away from 0, also those that begin there.
        fields: [samples, channels, *grid], float64
        parameters: Embedded ones [samples, parameters]; None where there are none.

    Raises:
        AssertionError: a law is broken; the message names it.

    >>> from potentia.operators import FNOConfig
    >>> from potentia.operators.networks.base import FieldShape
    >>> network = FNOConfig(width=4, modes=2, layers=1).build(FieldShape(2, 1, 0)).double()
    >>> check_field_network(network, torch.randn(3, 2, 8, dtype=torch.float64))
    """
    every_parameter_has_a_gradient(network, fields, parameters)
    samples_do_not_see_each_other(network, fields, parameters)


def every_parameter_has_a_gradient(network: FieldNetwork, fields: Tensor, parameters: Tensor | None = None) -> None:
    """Nothing is learned by a weight that the fields do not depend on."""
    values = dict(network.named_parameters())
    loss = network(fields, parameters).square().mean()
    gradients = torch.autograd.grad(loss, list(values.values()), allow_unused=True)
    for name, gradient in zip(values, gradients, strict=True):
        seen = gradient is not None and float(gradient.abs().max()) > 0
        require("every parameter has a gradient", seen, f"{name} has none")


def samples_do_not_see_each_other(network: FieldNetwork, fields: Tensor, parameters: Tensor | None = None) -> None:
    """A sample gives the same fields alone and among others."""
    with torch.no_grad():
        whole = network(fields, parameters)
        for n in range(len(fields)):
            given = None if parameters is None else parameters[n : n + 1]
            found = network(fields[n : n + 1], given)[0]
            require_close(f"samples do not see each other, {n}", found, whole[n], rtol=1e-10, atol=1e-10)


def moved_fields_give_moved_fields(
    network: FieldNetwork, fields: Tensor, parameters: Tensor | None, shifts: Sequence[int]
) -> None:
    """On a periodic grid, fields moved by whole points along each axis give the fields moved alike.

    A network that is told places, or has a coarser grid inside that ``shifts`` are no multiples of, does not keep this.
    """
    axes = tuple(range(2, fields.ndim))
    with torch.no_grad():
        found = network(fields.roll(tuple(shifts), axes), parameters)
        wanted = network(fields, parameters).roll(tuple(shifts), axes)
    require_close("moved fields give moved fields", found, wanted, rtol=1e-10, atol=1e-10)
