"""The Chebyshev descriptor straight from its definition: all images, neighbours and pairs of neighbours."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.polynomial import chebyshev


def neighbours(structure, cutoff):
    """Yield per atom the vectors and species of all neighbours within the cutoff, by trying every image."""
    x = structure.positions
    cell = structure.cell if structure.cell is not None else np.zeros((3, 3))
    periodic = [k for k in range(3) if structure.pbc[k]]
    reach = [0, 0, 0]
    if periodic:
        spread = np.linalg.norm(x.max(0) - x.min(0))
        vectors = cell[periodic]
        # height of the parallelepiped over each face, within the span of the periodic vectors
        inverse = np.linalg.pinv(vectors)
        for k, axis in enumerate(periodic):
            reach[axis] = int(np.ceil((cutoff + spread) * np.linalg.norm(inverse[:, k]))) + 1
    images = np.array(list(itertools.product(*(range(-r, r + 1) for r in reach)))) @ cell
    for centre in x:
        vectors = (x[:, None] + images - centre).reshape(-1, 3)  # [atoms · images, 3]
        r = np.linalg.norm(vectors, axis=1)
        near = np.flatnonzero((r > 1e-10) & (r < cutoff))
        yield vectors[near], [structure.species[k // len(images)] for k in near]


def cutoff_function(r, cutoff):
    return np.where(r < cutoff, 0.5 * (np.cos(np.pi * r / cutoff) + 1), 0.0)


def weight_of(species):
    n = len(species)
    values = [k for k in range(-(n // 2), n // 2 + 1) if k != 0 or n % 2 == 1]
    return dict(zip(species, values, strict=True))


def features(structure, species, rad_order, rad_cutoff, ang_order, ang_cutoff, min_cutoff=0.55, argument=lambda x: x):
    """Features of every atom by sums over triplets; angular polynomials of ``argument(cos θ)``.  [atoms, features]"""
    weights = weight_of(species)
    rows = []
    for vectors, names in neighbours(structure, max(rad_cutoff, ang_cutoff)):
        r = np.linalg.norm(vectors, axis=1)
        seen = r > min_cutoff
        vectors, r = vectors[seen], r[seen]
        s = np.array([weights[name] for name, there in zip(names, seen, strict=True) if there], dtype=float)
        radial = chebyshev.chebvander(2 * r / rad_cutoff - 1, rad_order) * cutoff_function(r, rad_cutoff)[:, None]
        f = cutoff_function(r, ang_cutoff)
        j, k = np.triu_indices(len(r), 1)
        cosine = np.clip((vectors[j] * vectors[k]).sum(1) / (r[j] * r[k]), -1, 1)
        angular = chebyshev.chebvander(argument(cosine), ang_order) * (f[j] * f[k])[:, None]
        row = [radial.sum(0), angular.sum(0)]
        if len(species) > 1:
            row += [(s[:, None] * radial).sum(0), ((s[j] * s[k])[:, None] * angular).sum(0)]
        rows.append(np.concatenate(row))
    return np.array(rows)
