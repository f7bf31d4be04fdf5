"""Reference for values: the sums of the Chebyshev descriptor as they are written, over all pairs of neighbours.

One atom at a time; all triplets of an atom at once in torch operations. Cost: neighbours squared times angular order.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from workload import Settings

from potentia.potentials.geometry import Geometry

__all__ = ["brute_force_features"]


def brute_force_features(geometry: Geometry, settings: Settings, spin: Tensor) -> Tensor:
    """Return the features of all atoms of ``geometry``.  [atoms, features]

    ``spin`` [species] weighs neighbours in the second half of the features, which one species alone does not have.
    """
    rows = []
    for atom in range(geometry.n_atoms):
        here = slice(int(geometry.start[atom]), int(geometry.start[atom + 1]))
        weight = spin[geometry.species[geometry.neighbour[here].long()]]
        rows.append(_features_of_atom(geometry.vector[here], weight, settings))
    values = torch.stack(rows)  # [atoms, 2, features of a block]
    return values.flatten(1) if len(spin) > 1 else values[:, 0]


def _features_of_atom(vector: Tensor, weight: Tensor, settings: Settings) -> Tensor:
    """Return the blocks without and with weights.  [2, features of a block]"""
    r = vector.norm(dim=1)  # [pairs], Å
    radial = _chebyshev(2 * r / settings.rad_cutoff - 1, settings.rad_order) * _cutoff(r, settings.rad_cutoff)
    near = torch.nonzero(r < settings.ang_cutoff).squeeze(1)
    j, k = near[torch.triu_indices(len(near), len(near), offset=1)]  # [triplets] each
    unit = vector / r[:, None]
    f = _cutoff(r, settings.ang_cutoff)
    angular = _chebyshev((unit[j] * unit[k]).sum(1), settings.ang_order) * (f[j] * f[k])
    plain = torch.cat((radial.sum(1), angular.sum(1)))
    weighted = torch.cat((radial @ weight, angular @ (weight[j] * weight[k])))
    return torch.stack((plain, weighted))


def _cutoff(r: Tensor, cutoff: float) -> Tensor:
    return torch.where(r < cutoff, 0.5 * (torch.cos(math.pi / cutoff * r) + 1), 0.0)


def _chebyshev(x: Tensor, order: int) -> Tensor:
    """T_0(x) to T_order(x).  [order + 1, ...]"""
    rows = [torch.ones_like(x), x]
    for _ in range(2, order + 1):
        rows.append(2 * x * rows[-1] - rows[-2])
    return torch.stack(rows[: order + 1])
