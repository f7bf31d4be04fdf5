"""Complex numbers as pairs of real ones, for what knows real vectors only."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["real_view"]


def real_view(tensor: Tensor) -> Tensor:
    """Return the same numbers as real ones, a complex number as two.

    >>> real_view(torch.tensor([1 + 2j])), real_view(torch.ones(1))
    (tensor([[1., 2.]]), tensor([1.]))
    """
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
