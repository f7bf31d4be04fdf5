"""Parameters that scale and shift features, channel by channel (FiLM: Perez et al., arXiv:1709.07871)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from potentia.errors import DataError

__all__ = ["Conditioning", "Modulation", "require_parameters"]


class Conditioning(nn.Sequential):
    """What each `Modulation` sees of the parameters.  [samples, parameters] → [samples, width]"""

    def __init__(self, n_parameters: int, width: int) -> None:
        super().__init__(nn.Linear(n_parameters, width), nn.GELU(), nn.Linear(width, width))


class Modulation(nn.Module):
    """h(1 + g(e)) + b(e), where g and b are linear and 0 before training.

    Args:
        width: Of e.
        channels: Of h.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, channels, width))
        self.bias = nn.Parameter(torch.zeros(2, channels))

    def forward(self, features: Tensor, seen: Tensor) -> Tensor:
        """Return modulated features [samples, channels, *grid] of what `Conditioning` gives [samples, width]."""
        both = functional.linear(seen, self.weight.flatten(0, 1), self.bias.flatten())
        gain, shift = both.view(len(seen), 2, -1, *(1,) * (features.ndim - 2)).unbind(1)
        return torch.addcmul(features + shift, features, gain)


def require_parameters(parameters: Tensor | None, n_parameters: int, samples: int) -> Tensor | None:
    """Return parameters as the network sees them: None where it sees none, whatever is given.

    Raises:
        DataError: it sees some, and they are not there for each sample.
    """
    if not n_parameters:
        return None
    wanted = (samples, n_parameters)
    if parameters is None or tuple(parameters.shape) != wanted:
        got = "none" if parameters is None else tuple(parameters.shape)
        raise DataError(f"this network needs embedded parameters [samples, parameters] = {wanted}, got {got}")
    return parameters
