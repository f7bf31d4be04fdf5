"""Sums over the pairs of each centre, by torch_scatter when it is installed and by torch itself when not."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import Tensor

__all__ = ["scatter_available", "sum_by_centre"]


def scatter_available() -> bool:
    """Whether torch_scatter (the extra ``[pyg]``) is installed."""
    return importlib.util.find_spec("torch_scatter") is not None


def sum_by_centre(values: Tensor, start: Tensor, centre: Tensor) -> Tensor:
    """Sum rows of ``values`` [pairs, ...] over each centre, in the order of the pairs.  [atoms, ...]

    ``start`` [atoms + 1] points at the first pair of each centre; ``centre`` [pairs] is the same in long form. The sums
    can be differentiated any number of times.
    """
    if scatter_available():
        summed: Tensor = _SegmentSum.apply(values, start, centre)
        return summed
    return torch.zeros((len(start) - 1, *values.shape[1:]), dtype=values.dtype, device=values.device).index_add(
        0, centre, values
    )


class _SegmentSum(torch.autograd.Function):
    """`torch_scatter.segment_csr` with a backward pass that can be differentiated again; its own cannot."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, start: Tensor, centre: Tensor) -> Tensor:
        from torch_scatter import segment_csr

        ctx.save_for_backward(centre)
        summed: Tensor = segment_csr(values.contiguous(), start, reduce="sum")
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (centre,) = ctx.saved_tensors
        return gradient.index_select(0, centre), None, None
