"""What a potential has learned: networks, energies of free atoms, and what it has seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from potentia.errors import NotFittedError
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.networks import AtomicNetworks

__all__ = ["FittedPotential", "require_ranges"]


@dataclass
class FittedPotential:
    """What a potential has learned."""

    model: AtomicNetworks
    """Networks with their normalisation."""
    atomic_energies: dict[str, float]
    """Energy of the free atom of each species, eV."""
    record: dict[str, Any] = field(default_factory=dict)
    """How it was trained: settings, seeds, data and history."""
    seen: FeatureRanges | None = None
    """The features of all structures it was trained on, as far as that is known; None where nothing is."""


def require_ranges(seen: FeatureRanges | None) -> FeatureRanges:
    """Return what training has seen, or raise `NotFittedError` where that is not known."""
    if seen is None:
        raise NotFittedError(
            "what the training has seen is not known: this was read from files of ænet, or of a release that did not "
            "keep it. Train it again, or give Extrapolation the FeatureRanges.of_structures of its training structures",
            page="committees.md#how-far-to-trust-it",
        )
    return seen
