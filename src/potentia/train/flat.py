"""The trainable parameters of a model as one vector, for methods that think in vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from potentia.train import distributed
from potentia.train.real import real_view

__all__ = ["FlatParameters"]


class FlatParameters:
    """Parameters of any shape as one vector, [numbers]; a complex number counts as two.

    Args:
        parameters: What is laid end to end.
        dtype: Of the vector; None for that of the parameters, which must share one.

    >>> flat = FlatParameters([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(1, 1))])
    >>> flat.read()
    tensor([0., 0., 1.], dtype=torch.float64)
    """

    def __init__(self, parameters: Sequence[nn.Parameter], dtype: torch.dtype | None = torch.float64) -> None:
        self._parameters = list(parameters)
        self._sizes = [real_view(p.detach()).numel() for p in self._parameters]
        self._dtype = dtype

    def read(self) -> Tensor:
        """Return a copy of the parameters, [numbers]."""
        return self._joined([p.detach() for p in self._parameters])

    @torch.no_grad()
    def write(self, vector: Tensor) -> None:
        """Give the parameters the values of ``vector``, rounded to their own type."""
        torch._foreach_copy_([real_view(p.detach()) for p in self._parameters], self.real_parts(vector))

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return the part of each parameter in ``vector`` [numbers] in its shape, as views."""
        parts = zip(self._parameters, self.real_parts(vector), strict=True)
        return [torch.view_as_complex(part) if p.is_complex() else part for p, part in parts]

    def real_parts(self, vector: Tensor) -> list[Tensor]:
        """Return the part of each parameter in ``vector`` [numbers] as real numbers, as views."""
        parts = zip(self._parameters, vector.split(self._sizes), strict=True)
        return [part.view_as(real_view(p.detach())) for p, part in parts]

    def forget_gradients(self) -> None:
        """Let the next gradients be those of one loss."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def gradients(self, out: Tensor | None = None) -> Tensor:
        """Return ``parameter.grad`` of all, [numbers]; a parameter that the loss does not see has zero.

        They are written to ``out``, which has the type of the parameters, where it is given.
        """
        return self._joined([torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters], out)

    def gradient(self, loss: Tensor) -> Tensor:
        """Return the gradient of a loss that was computed at the present parameters, [numbers].

        It goes through ``parameter.grad``, as in every other stepper; a parameter that the loss does not see has zero.
        """
        self.forget_gradients()
        loss.backward()
        distributed.sum_gradients(self._parameters)
        return self.gradients()

    def _joined(self, tensors: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
        joined = torch.cat([real_view(tensor).reshape(-1) for tensor in tensors], out=out)
        return joined if self._dtype is None else joined.to(self._dtype)
