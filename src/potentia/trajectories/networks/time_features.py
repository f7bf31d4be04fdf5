"""What a network sees of the mapped time: u, and slow to fast cosines of it.

A multilayer perceptron learns slow changes first and fast ones late or never; cosines of the time give it fast ones to
begin with (Tancik et al., arXiv:2006.10739).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["time_features"]


def time_features(u: Tensor, n: int) -> Tensor:
    """Return u and cos(πku) for k = 1 … n.  [..., 1 + n]

    >>> time_features(torch.tensor([0.0, 1.0]), 2)
    tensor([[ 0.,  1.,  1.],
            [ 1., -1.,  1.]])
    """
    u = u[..., None]
    if n == 0:
        return u
    waves = torch.arange(1, n + 1, device=u.device, dtype=u.dtype) * math.pi
    return torch.cat((u, torch.cos(u * waves)), dim=-1)
