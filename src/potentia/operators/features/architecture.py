"""Features of the operator itself: its parameters as they are and as networks see them.

They are no features of behaviour: a tokenizer does not take them, for a surrogate is given the parameters anyway.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.operators.space import ParameterSpace

__all__ = ["architecture_features"]


def architecture_features(
    parameters: NDArray[np.float64], space: ParameterSpace, n_weights: int | None = None
) -> dict[str, torch.Tensor]:
    """Return features by name, [samples] each.

    Args:
        parameters: Values.  [samples, parameters]
        space: The parameters.
        n_weights: Weights of the operator, where it is a network: their log10 is a feature.
    """
    seen = space.embed(parameters)
    named = dict(zip(space.names, parameters.T, strict=True))
    column = 0
    for one in space.dimensions:
        for k in range(one.width):
            named[f"{one.name}.seen_{k}"] = seen[:, column]
            column += 1
    if n_weights is not None:
        named["log10_weights"] = np.full(len(parameters), math.log10(n_weights))
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in named.items()}
