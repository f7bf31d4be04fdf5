"""The descriptor of one small cell by its kernels, against its definition in ten lines."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

from potentia.cli.doctor.finding import Finding
from potentia.potentials.descriptors import ChebyshevDescriptor
from potentia.potentials.descriptors.chebyshev import species_weights
from potentia.potentials.structure import Structure

__all__ = ["by_definition", "self_test_findings"]

CLOSE = 1e-10
"""Part of the largest feature that rounding may take."""
CELL = Structure(
    np.array([[0.1, 0.2, 0.0], [1.6, 1.4, 0.3], [0.4, 1.7, 1.9]]),
    ["O", "Ti", "O"],
    cell=np.array([[3.1, 0.0, 0.0], [0.4, 3.3, 0.0], [0.0, 0.2, 3.6]]),
    pbc=np.ones(3, dtype=bool),
)

Floats = NDArray[np.float64]


def self_test_findings() -> Iterator[Finding]:
    """Tell whether compiled kernels find what the definition says."""
    descriptor = ChebyshevDescriptor(["O", "Ti"], rad_order=4, rad_cutoff=3.5, ang_order=2, ang_cutoff=2.8)
    begun = time.perf_counter()
    found = descriptor.features(descriptor.geometry([CELL])).values.numpy()
    seconds = time.perf_counter() - begun
    wanted = by_definition(descriptor, CELL)
    error = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    if error < CLOSE:
        yield Finding("self-test", "ok", f"descriptor as defined (to {error:.0e}), in {seconds:.1f} s")
        return
    text = f"the descriptor differs from its definition by {error:.1e} of its largest value"
    yield Finding(
        "self-test", "broken", text, "clear the cache of compiled kernels; then install numba and numpy again"
    )


def by_definition(descriptor: ChebyshevDescriptor, structure: Structure) -> Floats:
    """Return the features of a periodic structure by sums over all images, pairs and triplets.  [atoms, features]"""
    assert structure.cell is not None
    images = np.array(list(itertools.product(range(-3, 4), repeat=3))) @ structure.cell
    weight = dict(zip(descriptor.species, species_weights(descriptor.n_species), strict=True))
    rows = []
    for centre in structure.positions:
        vectors = (structure.positions[:, None] + images - centre).reshape(-1, 3)  # [atoms · images, 3]
        s = np.repeat([weight[name] for name in structure.species], len(images))
        r = np.linalg.norm(vectors, axis=1)
        near = (r > descriptor.min_cutoff) & (r < descriptor.cutoff)
        vectors, r, s = vectors[near], r[near], s[near]
        radial = chebvander(2 * r / descriptor.rad_cutoff - 1, descriptor.rad_order)
        radial *= _cutoff(r, descriptor.rad_cutoff)[:, None]
        j, k = np.triu_indices(len(r), 1)
        cosine = (vectors[j] * vectors[k]).sum(1) / (r[j] * r[k])
        fc = _cutoff(r, descriptor.ang_cutoff)
        angular = chebvander(cosine, descriptor.ang_order) * (fc[j] * fc[k])[:, None]
        rows.append(np.concatenate([radial.sum(0), angular.sum(0), s @ radial, (s[j] * s[k]) @ angular]))
    return np.array(rows)


def _cutoff(r: Floats, reach: float) -> Floats:
    return np.asarray(np.where(r < reach, 0.5 * (np.cos(np.pi * r / reach) + 1), 0.0))
