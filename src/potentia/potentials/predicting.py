"""Predictions of one or several potentials that share a descriptor: structures are featurised once for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from potentia import progress
from potentia.checks import integer
from potentia.potentials.datasets.joined import JoinedDataset
from potentia.potentials.datasets.labelled import reference_energy
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.extrapolation import Extrapolated, Extrapolation, Outside
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.predictions import PredictOut
from potentia.potentials.repulsion import ZBL, Repulsion
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, Surface, featurise

__all__ = ["Predictor"]

STAGES = ("featurization", "energy_eval", "force_eval", "total")


@dataclass(frozen=True)
class Predictor:
    """Networks that are asked for the same structures."""

    descriptor: Descriptor
    models: Sequence[AtomicNetworks]
    atomic_energies: Mapping[str, float]
    """Energy of the free atom of each species, eV."""
    forces: bool
    """Whether forces are predicted."""
    stress: bool
    """Whether stress is predicted."""
    batch_size: int = 32
    """Structures worked on at a time: memory, not numbers."""
    seen: FeatureRanges | None = None
    """What training has seen, to say which atoms are outside; None where that is not known."""
    repulsion: ZBL | None = None
    """What is added to the answers of each model."""

    def __post_init__(self) -> None:
        integer("batch_size", self.batch_size, low=1)

    @property
    def gradients(self) -> bool:
        """Whether derivatives are needed."""
        return self.forces or self.stress

    def structures(self, structures: Sequence[Structure]) -> list[PredictOut]:
        """Return what each of the models says."""

        def parts() -> Iterator[_Part]:
            for begin in progress.track(range(0, len(structures), self.batch_size), "batches of structures"):
                part = structures[begin : begin + self.batch_size]
                yield part, partial(featurise, part, self.descriptor, [self.gradients] * len(part))

        return self._predicted(parts())

    def entries(self, entries: JoinedDataset) -> list[PredictOut]:
        """Return what each of the models says of the entries of a data set, from the features that it has."""

        def parts() -> Iterator[_Part]:
            for begin in progress.track(range(0, len(entries), self.batch_size), "batches of structures"):
                part = range(begin, min(begin + self.batch_size, len(entries)))
                named = [
                    replace(s, name=entries.get_structure_identifier(k))
                    for k, s in zip(part, entries.labels(part), strict=True)
                ]
                yield named, partial(entries.featurised, part, [self.gradients] * len(part))

        return self._predicted(parts())

    def _predicted(self, parts: Iterator[_Part]) -> list[PredictOut]:
        begun = time.perf_counter()
        collected = [_Collected(self.atomic_energies, self) for _ in self.models]
        timing = dict.fromkeys(STAGES, 0.0)
        compared = None if self.seen is None else Extrapolation(self.descriptor, self.seen)
        outside: list[Outside] = []
        for structures, make in parts:
            marks = [time.perf_counter()]
            featurised = make()
            everything = featurised.geometry.everything
            marks.append(time.perf_counter())
            besides = None if self.repulsion is None else self.repulsion.of(structures)
            for model, into in zip(self.models, collected, strict=True):
                with torch.no_grad():
                    surface = featurised.surface(model, everything, gradients=self.gradients)
                into.add(structures, surface, featurised.geometry.volume.tolist(), besides)
            marks.append(time.perf_counter())
            if compared is not None:
                outside.extend(compared.of_featurised(featurised, structures))
            timing["featurization"] += marks[1] - marks[0]
            timing["force_eval" if self.gradients else "energy_eval"] += marks[2] - marks[1]
        timing["total"] = time.perf_counter() - begun
        return [into.result(timing, None if compared is None else outside) for into in collected]


_Part = tuple[Sequence[Structure], Callable[[], Featurised]]
"""Structures with the names that tables know them by, and what makes their features."""


class _Collected:
    """Predictions of one model, structure by structure."""

    def __init__(self, atomic_energies: Mapping[str, float], wanted: Predictor) -> None:
        self.free = atomic_energies
        self.seen = wanted.seen
        self.items: list[Structure] = []
        self.cohesive: list[float] = []
        self.atomic: list[NDArray[np.float64]] = []
        self.forces: list[NDArray[np.float64]] | None = [] if wanted.forces else None
        self.stress: list[NDArray[np.float64] | None] | None = [] if wanted.stress else None

    def add(
        self,
        structures: Sequence[Structure],
        surface: Surface,
        volumes: Sequence[float],
        besides: Sequence[Repulsion] | None,
    ) -> None:
        """Take over what was found for some structures, and what is there besides the networks."""
        first = len(self.items)
        counts = [s.n_atoms for s in structures]
        self.items.extend(structures)
        self.cohesive.extend(surface.energy.tolist())
        for structure, part in zip(structures, torch.split(surface.atomic.double(), counts), strict=True):
            free = np.array([self.free[name] for name in structure.species])
            self.atomic.append(part.cpu().numpy() + free)
        if self.forces is not None and surface.gradient is not None:
            self.forces.extend(-g.double().cpu().numpy() for g in torch.split(surface.gradient, counts))
        if self.stress is not None and surface.strain is not None:
            strain = (surface.strain + surface.strain.transpose(1, 2)).double().cpu().numpy() / 2
            self.stress.extend(None if np.isnan(v) else s / v for s, v in zip(strain, volumes, strict=True))
        for k, (found, volume) in enumerate(zip(besides or (), volumes, strict=False), start=first):
            self._repel(k, found, volume)

    def _repel(self, k: int, found: Repulsion, volume: float) -> None:
        """Add the repulsion in structure ``k``."""
        self.cohesive[k] += found.energy
        self.atomic[k] = self.atomic[k] + found.atomic
        if self.forces is not None:
            self.forces[k] = self.forces[k] + found.forces
        if self.stress is not None and (stress := self.stress[k]) is not None:
            self.stress[k] = stress + found.strain / volume

    def result(self, timing: Mapping[str, Any], outside: list[Outside] | None) -> PredictOut:
        """Return all that was collected."""
        reference = [reference_energy(s, self.free) for s in self.items]
        labels = [s.label for s in self.items]
        extrapolated = None
        if self.seen is not None and outside is not None:
            extrapolated = Extrapolated(self.seen, outside, [s.species for s in self.items], labels)
        return PredictOut(
            coords=[s.positions.copy() for s in self.items],
            forces=self.forces,
            atom_types=[list(s.species) for s in self.items],
            atom_energies=self.atomic,
            cohesive_energy=self.cohesive,
            total_energy=[c + r for c, r in zip(self.cohesive, reference, strict=True)],
            structure_paths=labels,
            timing=dict(timing),
            stress=self.stress,
            cells=[None if s.cell is None else s.cell.copy() for s in self.items],
            pbc=[s.pbc.copy() for s in self.items],
            extrapolated=extrapolated,
        )
