"""A linear energy model fitted to forces alone: what it says of energy and stress shows their signs and units.

E = Σ_atoms w_species · G(atom) with the features G of the descriptor, so forces are linear in w, too. A few hundred
frames give thousands of force components for some dozen weights. It is no potential, but it is right in sign and size:
on five sets (Li, Si, Ni, Cu, TiO2) and water, energies that it never saw follow it by 0.49 to 1.14 times.
Frames count by 1/(root mean square residual), so that some with wrong forces do not turn the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, featurise
from potentia.seeding import stream

__all__ = ["LinearModel", "Modelled", "fit_to_forces"]

RIDGE = 1e-8
"""Added to the normal equations of columns of unit length, times the largest eigenvalue."""
ROUNDS = 4
"""Fits with weights of the frames renewed."""
FEWEST_FRAMES = 8
"""Fewer frames with forces than this, or fewer force components than three for each weight, are not fitted."""


@dataclass(frozen=True, eq=False)
class Modelled:
    """What the model says of some structures."""

    energy: NDArray[np.float64]
    """eV, up to constants of the species.  [structures]"""
    forces: NDArray[np.float64]
    """eV/Å.  [atoms, 3]"""
    virial: NDArray[np.float64]
    """dE/dstrain, eV.  [structures, 3, 3]"""


@dataclass(frozen=True, eq=False)
class LinearModel:
    """A fitted model."""

    weights: NDArray[np.float64]
    """[species, features]"""
    agreement: float
    """Median over frames that were left out of a fit: cosine of the angle between their forces and the model's."""

    def of(self, part: Featurised) -> Modelled:
        """Return energies, forces and virials of featurised structures, pairs included."""
        geometry = part.geometry
        cotangent = torch.from_numpy(self.weights)[geometry.species]  # [atoms, features]
        atomic = (part.features.values * cotangent).sum(dim=1)
        energy = torch.zeros(geometry.n_structures, dtype=torch.float64).index_add_(0, geometry.owner, atomic)
        gradient, strain = part.descriptor.vjp(geometry, part.features.moments, geometry.everything, cotangent)
        return Modelled(energy.numpy(), -gradient.numpy(), strain.numpy())


def fit_to_forces(structures: Sequence[Structure], descriptor: Descriptor, most_atoms: int) -> LinearModel | None:
    """Fit the model to frames drawn at random, up to ``most_atoms`` in all; None where they are too few.

    Frames without forces, or with all of them zero, are not drawn.
    """
    moving = [k for k, s in enumerate(structures) if s.forces is not None and s.forces.any()]
    drawn = stream(0, "frames for a linear model").permutation(len(moving))
    sizes = np.cumsum([structures[moving[k]].n_atoms for k in drawn])
    chosen = [structures[moving[k]] for k in drawn[: max(FEWEST_FRAMES, int((sizes <= most_atoms).sum()))]]
    n_weights = descriptor.n_species * descriptor.n_features
    components = 3 * sum(s.n_atoms for s in chosen)
    if len(chosen) < FEWEST_FRAMES or components < 3 * n_weights:
        return None
    part = featurise(chosen, descriptor, [True] * len(chosen))
    columns = _force_columns(part)  # [3 · atoms, weights]
    forces = np.concatenate([s.forces for s in chosen if s.forces is not None]).ravel()
    frame = np.repeat(part.geometry.owner.numpy(), 3)
    kept = frame % 2 == 0
    found = _robust_fit(columns[kept], forces[kept], frame[kept] // 2)
    others = columns[~kept] @ found
    agreement = float(np.median(cosines(others, forces[~kept], frame[~kept] // 2)))
    weights = _robust_fit(columns, forces, frame).reshape(descriptor.n_species, -1)
    return LinearModel(weights, agreement)


def cosines(first: NDArray[np.float64], second: NDArray[np.float64], frame: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the cosine of the angle between the parts of two vectors that belong to a frame.  [frames]"""
    product, one, other = (np.bincount(frame, values) for values in (first * second, first**2, second**2))
    return np.asarray(product / np.sqrt(np.maximum(one * other, np.finfo(np.float64).tiny)))


def _force_columns(part: Featurised) -> NDArray[np.float64]:
    """Return the derivative of all forces by each weight.  [3 · atoms, species · features]"""
    geometry, descriptor = part.geometry, part.descriptor
    columns = np.empty((3 * geometry.n_atoms, descriptor.n_species * descriptor.n_features))
    for kind in range(descriptor.n_species):
        for feature in range(descriptor.n_features):
            cotangent = torch.zeros_like(part.features.values)
            cotangent[geometry.species == kind, feature] = 1.0
            gradient, _ = descriptor.vjp(geometry, part.features.moments, geometry.everything, cotangent)
            columns[:, kind * descriptor.n_features + feature] = -gradient.numpy().ravel()
    return columns


def _robust_fit(
    columns: NDArray[np.float64], forces: NDArray[np.float64], frame: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the weights; each frame counts by the size of its residual, at first that of its forces."""
    scale = np.linalg.norm(columns, axis=0)
    scaled = columns / np.where(scale > 0, scale, 1.0)
    found: NDArray[np.float64] = np.zeros(columns.shape[1])
    residual: NDArray[np.float64] = forces
    for _ in range(ROUNDS):
        size = np.sqrt(np.bincount(frame, residual**2) / np.bincount(frame))  # [frames]
        part = (1 / np.maximum(size, max(float(np.median(size)), 1e-12)))[frame]
        rows = scaled * part[:, None]
        gram = rows.T @ rows
        gram[np.diag_indices_from(gram)] += RIDGE * np.linalg.eigvalsh(gram)[-1]
        found = np.asarray(np.linalg.solve(gram, rows.T @ (forces * part)), dtype=np.float64)
        residual = forces - scaled @ found
    return np.asarray(found / np.where(scale > 0, scale, 1.0))
