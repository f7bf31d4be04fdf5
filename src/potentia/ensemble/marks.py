"""Marks of trained networks: the same weights, the same mark, on every device."""

from __future__ import annotations

import hashlib

from torch import nn

__all__ = ["mark_of_weights"]


def mark_of_weights(network: nn.Module) -> str:
    """Return a hash of all weights and buffers with their names, types and shapes.

    >>> from torch.nn import Linear
    >>> one = Linear(2, 1)
    >>> mark_of_weights(one) == mark_of_weights(one.cpu()), len(mark_of_weights(one))
    (True, 64)
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        values = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype} {values.shape}".encode() + values.tobytes())
    return digest.hexdigest()
