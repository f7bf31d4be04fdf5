"""The trainable parameters of a model as one vector, for methods that think in vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from potentia.train import distributed

__all__ = ["FlatParameters", "real_view"]


class FlatParameters:
    """Parameters of any shape as one vector of float64, [numbers]; a complex number counts as two.

    >>> flat = FlatParameters([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(1, 1))])
    >>> flat.read()
    tensor([0., 0., 1.], dtype=torch.float64)
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._sizes = [real_view(p).numel() for p in self._parameters]

    def read(self) -> Tensor:
        """Return a copy of the parameters, [numbers]."""
        return self._joined([p.detach() for p in self._parameters])

    @torch.no_grad()
    def write(self, vector: Tensor) -> None:
        """Give the parameters the values of ``vector``, rounded to their own type."""
        for parameter, part in zip(self._parameters, vector.split(self._sizes), strict=True):
            real = real_view(parameter)
            real.copy_(part.view_as(real))

    def gradient(self, loss: Tensor) -> Tensor:
        """Return the gradient of a loss that was computed at the present parameters, [numbers].

        It goes through ``parameter.grad``, as in every other stepper; a parameter that the loss does not see has zero.
        """
        for parameter in self._parameters:
            parameter.grad = None
        loss.backward()
        distributed.sum_gradients(self._parameters)
        return self._joined([torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters])

    def _joined(self, tensors: Sequence[Tensor]) -> Tensor:
        return torch.cat([real_view(tensor).reshape(-1) for tensor in tensors]).to(torch.float64)


def real_view(tensor: Tensor) -> Tensor:
    """Return the same numbers as real ones, a complex number as two."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
