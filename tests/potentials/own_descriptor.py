"""A descriptor that the package does not have: radial symmetry functions G2 (J. Behler, M. Parrinello, 2007).

Processes of committees and of builds import this module by its name.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from potentia import TorchANNPotential
from potentia.potentials.descriptors import Descriptor, Features, PairsOfAtoms, register_descriptor
from potentials.small_data import CUTOFF, SPECIES


@register_descriptor
class RadialGaussians(Descriptor):
    """Σ_j exp(-η (r_ij - R)²) fc(r_ij) of the neighbours j of each species, for some η (1/Å²) and R (Å)."""

    def __init__(self, species: Sequence[str], functions, radius, device="cpu", dtype=torch.float64):
        self.species, self.functions, self.radius = tuple(species), [tuple(pair) for pair in functions], radius
        self.device, self.dtype = torch.device(device), dtype

    n_features = property(lambda self: len(self.species) * len(self.functions))
    cutoff = property(lambda self: self.radius)

    def settings(self):
        return {
            "species": self.species,
            "functions": self.functions,
            "radius": self.radius,
            "device": str(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
        }

    def of_pairs(self, pairs):
        """Return the features of each pair, their slopes [pairs, features], and unit vectors [pairs, 3]."""
        eta, centre = torch.tensor(self.functions, dtype=self.dtype, device=self.device).T  # [functions]
        r = pairs.vector.norm(dim=1, keepdim=True)  # [pairs, 1], Å
        angle = torch.pi / self.radius * r
        near = r < self.radius
        fade = torch.where(near, 0.5 * torch.cos(angle) + 0.5, 0.0)
        fall = torch.where(near, -0.5 * torch.pi / self.radius * torch.sin(angle), 0.0)
        bell = torch.exp(-eta * (r - centre) ** 2)
        slope = bell * (fall - 2 * eta * (r - centre) * fade)
        kind = torch.nn.functional.one_hot(pairs.species, self.n_species).to(self.dtype)[:, :, None]
        return (kind * (bell * fade)[:, None]).flatten(1), (kind * slope[:, None]).flatten(1), pairs.vector / r

    def pulled(self, pairs, cotangent):
        _, slope, unit = self.of_pairs(pairs)
        return (cotangent[pairs.centre] * slope).sum(1, keepdim=True) * unit

    def features(self, geometry):
        pairs = PairsOfAtoms.of(geometry, None)
        return Features(pairs.sum(self.of_pairs(pairs)[0]), geometry.vector.new_zeros(geometry.n_atoms, 0))

    def vjp(self, geometry, moments, selection, cotangent):
        pairs = PairsOfAtoms.of(geometry, selection)
        return pairs.pulled(selection, self.pulled(pairs, cotangent))

    def pair_gradients(self, geometry, moments, cotangent, by_pair):
        pairs = PairsOfAtoms.of(geometry, None)
        by_pair.copy_(self.pulled(pairs, cotangent))
        return pairs.sum(by_pair[:, :, None] * pairs.vector[:, None, :])

    def jvp(self, geometry, moments, selection, shift, strain):
        pairs = PairsOfAtoms.of(geometry, selection)
        _, slope, unit = self.of_pairs(pairs)
        return pairs.sum((pairs.moved(selection, shift, strain) * unit).sum(1, keepdim=True) * slope)


class Unregistered(RadialGaussians):
    """The same, but no file can be opened with it."""


OWN = RadialGaussians(SPECIES, [(2.0, 1.8), (2.0, 2.4), (4.0, 2.1)], CUTOFF)
ARCH = {name: [(6, "tanh"), (5, "tanh")] for name in SPECIES}


def fresh(descriptor: Descriptor = OWN) -> TorchANNPotential:
    return TorchANNPotential(ARCH, descriptor)
