"""One pass over all frames, a chunk in memory at a time: features, close pairs, and what a linear model says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from potentia import progress
from potentia.data import Split
from potentia.potentials.descriptors.chebyshev import ChebyshevDescriptor
from potentia.potentials.extrapolation import Extrapolation, Outside
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.fingerprints import Fingerprints, fingerprints_of
from potentia.potentials.quality.linear_model import LinearModel, cosines, fit_to_forces
from potentia.potentials.quality.settings import CheckSettings
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, featurise

__all__ = ["Survey", "survey"]

CHUNK = 64
"""Structures whose pairs are in memory at a time."""


class Survey:
    """What the pass brings, frame by frame; NaN where a frame has no such label or there is no model."""

    def __init__(
        self, structures: Sequence[Structure], descriptor: ChebyshevDescriptor, model: LinearModel | None
    ) -> None:
        n, width = len(structures), descriptor.n_species * descriptor.n_features
        self.structures = structures
        self.descriptor = descriptor
        self.model = model
        """Fitted to some of the forces; None where they are too few."""
        self.energy = np.full(n, np.nan)
        """Of the model, eV.  [frames]"""
        self.force_cosine = np.full(n, np.nan)
        """Of the angle between forces and those of the model.  [frames]"""
        self.model_force = np.full(n, np.nan)
        """Root mean square of the model's force components, eV/Å.  [frames]"""
        self.zeroed_force = np.zeros(n)
        """Longest force of the model on the atoms of a frame whose label is exactly zero, eV/Å.  [frames]"""
        self.virial = np.full((n, 3, 3), np.nan)
        """Of the model, eV.  [frames, 3, 3]"""
        self.sums = np.zeros((n, width))
        """Features summed over the atoms of each species.  [frames, species · features]"""
        self.alone = np.zeros(n, dtype=np.int64)
        """Atoms that see no other.  [frames]"""
        self.outside: dict[int, Outside] = {}
        """Test frame → how far its atoms are outside of the features of training."""
        self.seen: FeatureRanges | None = None
        """The features of training."""
        self.fingerprints: Fingerprints
        """Of all frames, once the pass is over."""
        self._pairs: list[pd.DataFrame] = []

    @property
    def pairs(self) -> pd.DataFrame:
        """Shortest distance of each pair of species in each frame.

        Columns: ``frame``; ``first`` and ``second``, the species by their places in the descriptor, in rising order;
        ``atom`` and ``other``, which they are; ``distance``, Å.
        """
        return pd.concat(self._pairs, ignore_index=True)

    def note(self, frames: list[int], part: Featurised) -> None:
        """Note all that is wanted of some frames."""
        geometry, descriptor = part.geometry, part.descriptor
        self._pairs.append(_shortest(frames, part))
        lonely = (geometry.whole.sum(dim=1) == 0).numpy()
        self.alone[frames] = np.bincount(geometry.owner.numpy(), lonely, len(frames)).astype(np.int64)
        kind = (geometry.owner * descriptor.n_species + geometry.species).numpy()
        sums = torch.zeros(len(frames) * descriptor.n_species, descriptor.n_features, dtype=torch.float64)
        sums.index_add_(0, torch.from_numpy(kind), part.features.values)
        self.sums[frames] = sums.numpy().reshape(len(frames), -1)
        if self.model is not None:
            self._compare(frames, part, self.model)

    def _compare(self, frames: list[int], part: Featurised, model: LinearModel) -> None:
        found = model.of(part)
        self.energy[frames], self.virial[frames] = found.energy, found.virial
        owner = part.geometry.owner.numpy()
        nothing = [np.zeros_like(s.positions) if s.forces is None else s.forces for s in self._of(frames)]
        labels = np.concatenate(nothing)
        frame = np.repeat(owner, 3)
        cosine = cosines(labels.ravel(), found.forces.ravel(), frame)
        length = np.linalg.norm(found.forces, axis=1) * ~labels.any(axis=1)
        longest = np.zeros(len(frames))
        np.maximum.at(longest, owner, length)
        self.zeroed_force[frames] = longest
        known = [s.forces is not None for s in self._of(frames)]
        self.force_cosine[frames] = np.where(known, cosine, np.nan)
        self.model_force[frames] = np.sqrt(np.bincount(frame, found.forces.ravel() ** 2) / np.bincount(frame))

    def _of(self, frames: Sequence[int]) -> list[Structure]:
        return [self.structures[k] for k in frames]


def survey(structures: Sequence[Structure], split: Split, settings: CheckSettings, *, show_progress: bool) -> Survey:
    """Go over all frames, those held out last."""
    species = sorted({name for s in structures for name in s.species})
    descriptor = ChebyshevDescriptor(
        species, settings.rad_order, settings.rad_cutoff, settings.ang_order, settings.ang_cutoff, min_cutoff=0.0
    )
    found = Survey(structures, descriptor, fit_to_forces(structures, descriptor, settings.fitted_atoms))
    aside = np.setdiff1d(np.arange(len(structures)), np.concatenate((split.train, split.test)))
    order = np.concatenate((split.train, aside, split.test))
    with progress.bar(len(order), "frames", shown=show_progress) as bar:
        known = fingerprints_of(_parts(found, split, aside, bar))
    back = np.argsort(order)
    found.fingerprints = Fingerprints(known.values[back], [known.compositions[k] for k in back], known.rounding)
    return found


def _parts(found: Survey, split: Split, aside: NDArray[np.int64], bar: tqdm) -> Iterator[Featurised]:
    """Featurise chunk after chunk and hand it on, when all that is wanted of it has been noted."""
    for chunk, part in _featurised(found, split.train, bar):
        found.note(chunk, part)
        if len(split.test):
            ranges = FeatureRanges.of_atoms(part)
            found.seen = ranges if found.seen is None else found.seen + ranges
        yield part
    for chunk, part in _featurised(found, aside, bar):
        found.note(chunk, part)
        yield part
    known = None if found.seen is None else Extrapolation(found.descriptor, found.seen)
    for chunk, part in _featurised(found, split.test, bar):
        found.note(chunk, part)
        if known is not None:
            outside = known.of_featurised(part, [found.structures[k] for k in chunk])
            found.outside |= dict(zip(chunk, outside, strict=True))
        yield part


def _featurised(found: Survey, places: NDArray[np.int64], bar: tqdm) -> Iterator[tuple[list[int], Featurised]]:
    for begin in range(0, len(places), CHUNK):
        chunk = places[begin : begin + CHUNK].tolist()
        yield chunk, featurise([found.structures[k] for k in chunk], found.descriptor, [True] * len(chunk))
        bar.update(len(chunk))


def _shortest(frames: list[int], part: Featurised) -> pd.DataFrame:
    """Return the shortest pair of each two species in each frame: see `Survey.pairs`."""
    geometry, n_species = part.geometry, part.descriptor.n_species
    centre = np.repeat(np.arange(geometry.n_atoms), geometry.start.diff().numpy())  # [pairs]
    neighbour = geometry.neighbour.numpy()
    square = (geometry.vector**2).sum(dim=1).numpy()
    species, owner, first_atom = (array.numpy() for array in (geometry.species, geometry.owner, geometry.atom_start))
    filler = geometry.reverse.numpy() == np.arange(len(centre))  # a pair is never its own reverse
    once = np.flatnonzero(~filler & (species[centre] <= species[neighbour]))
    group = (owner[centre] * n_species + species[centre]) * n_species + species[neighbour]
    rising = once[np.lexsort((square[once], group[once]))]
    _, begin = np.unique(group[rising], return_index=True)
    best = rising[begin]
    place = owner[centre[best]]
    return pd.DataFrame({
        "frame": np.array(frames, dtype=np.int64)[place],
        "first": species[centre[best]],
        "second": species[neighbour[best]],
        "atom": centre[best] - first_atom[place],
        "other": neighbour[best] - first_atom[place],
        "distance": np.sqrt(square[best]),
    })  # fmt: skip
