"""A reader of ænet's text potentials, enough for the referee tests."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

ACTIVATIONS = {0: "linear", 1: "tanh", 2: "sigmoid", 3: "mtanh", 4: "twist"}


@dataclass
class AenetNetwork:
    layers: list[tuple[int, str]]
    weights: list[np.ndarray]
    mean: np.ndarray
    std: np.ndarray
    scale: float
    shift: float
    atomic_energies: dict[str, float]


def read(path):
    tokens = path.read_text().split()
    numbers = iter(tokens)
    n_layers, _, n_weights, _ = (int(next(numbers)) for _ in range(4))
    nodes = [int(next(numbers)) for _ in range(n_layers)]
    codes = [int(next(numbers)) for _ in range(n_layers - 1)]
    for _ in range(2 * n_layers):
        next(numbers)
    flat = np.array([float(next(numbers)) for _ in range(n_weights)])
    weights, at = [], 0
    for n_in, n_out in pairwise(nodes):
        size = (n_in + 1) * n_out
        weights.append(flat[at : at + size].reshape(n_in + 1, n_out).T)  # [out, in and bias], column-major in the file
        at += size
    rest = iter(tokens[tokens.index("Chebyshev") + 1 :])
    n_features, n_parameters = int(next(rest)), int(next(rest))
    for _ in range(n_features * (1 + n_parameters + 2) + 1):
        next(rest)
    _low, _high, mean, moment = (np.array([float(next(rest)) for _ in range(n_features)]) for _ in range(4))
    rest = list(rest)
    k = next(k for k, token in enumerate(rest) if token.upper() in ("T", "F", ".TRUE.", ".FALSE.", "TRUE", "FALSE"))
    scale, shift, n_types = float(rest[k + 1]), float(rest[k + 2]), int(rest[k + 3])
    names, energies = rest[k + 4 : k + 4 + n_types], rest[k + 4 + n_types : k + 4 + 2 * n_types]
    return AenetNetwork(
        layers=[(n, ACTIVATIONS[code]) for n, code in zip(nodes[1:-1], codes, strict=False)],
        weights=weights,
        mean=mean,
        std=np.sqrt(moment - mean**2),
        scale=scale,
        shift=shift,
        atomic_energies=dict(zip(names, map(float, energies), strict=True)),
    )
