"""A look at structures: what is there, and the settings of a potential that suit it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from potentia.cli.families.base import Look
from potentia.cli.families.potentials.data import database_among
from potentia.cli.families.potentials.settings import PotentialSettings, StructureFiles
from potentia.errors import DataError
from potentia.potentials.datasets import DatasetSummary, HDF5StructureDataset
from potentia.potentials.datasets.base import summary_of
from potentia.potentials.descriptors.settings import AnyDescriptor, ChebyshevDescriptor, settings_of
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.reference_energies import ReferenceEnergies
from potentia.potentials.shortest_distances import shortest_distances
from potentia.potentials.structure import Structure
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_input import FEW
from potentia.train import Adam, Kalman

__all__ = ["look_at_structures"]

SOME = 500
"""Structures whose distances are looked at, spread over all."""
SHOWN = {
    "data": ("train", "test"),
    "training.method": ("batchsize",),
    "training": (
        "iterations", "method", "testpercent", "split_by", "seed", "force_weight", "stress_weight", "atomic_energies",
        "save_best", "early_stopping", "device",
    ),
}  # fmt: skip
CHEBYSHEV = ("species", "rad_order", "rad_cutoff", "ang_order", "ang_cutoff", "min_cutoff")
SIZES = ((300, 10, 8, 3), (3_000, 15, 10, 4), (30_000, 20, 12, 4))
"""Up to so many structures → nodes of a layer, radial and angular order."""
LARGEST = (25, 14, 5)
BUILT = {"descriptor": "As the data set was built; others need another one"}
CHOSEN = {
    "descriptor.rad_cutoff": "2.6 times the longest of the shortest bonds, within 4 and 7 Å",
    "descriptor.ang_cutoff": "1.6 times these, within 3 and 5 Å",
}
"""Why settings of the descriptor are as they are."""
KALMAN = 20_000
"""Structures up to which the Kalman filter, few dear epochs, is what to begin with."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of structures: one number each of all of them, and some as they are."""

    told: str
    """What is there, in words."""
    labels: DatasetSummary
    """Of those that have an energy."""
    some: Sequence[Structure]
    """At most about `SOME` of them, spread over all."""
    species: tuple[str, ...]
    free_atoms: dict[str, float] | None
    """Energy of the free atom of each species (eV); None where a data set has none."""
    how: str
    """How these were found."""
    owned: bool = False
    """Whether a data set owns them, so that settings cannot have others."""
    descriptor: AnyDescriptor | None = None
    """The one that a data set was built with."""

    def __len__(self) -> int:
        return len(self.labels.energy)


def look_at_structures(paths: Sequence[Path], named: Sequence[str]) -> Look:
    """Look at structures, and choose settings that call the files as they are ``named``.

    Files are read; of a data set, which may be larger than memory, some entries are.

    Raises:
        DataError: none has an energy.
    """
    database = database_among(paths)
    seen = _seen_in_files(paths) if database is None else _seen_in_database(database)
    distances = shortest_distances(seen.some, reach=4.0)
    descriptor = seen.descriptor or _descriptor(seen.species, distances, len(seen))
    nodes = _size(len(seen))[0]
    settings = PotentialSettings(
        data=StructureFiles(train=tuple(named)),
        descriptor=descriptor,
        arch=dict.fromkeys(descriptor.build().species, ((nodes, "tanh"), (nodes, "tanh"))),
        training=_training(seen),
    )
    near = ", ".join(f"{a}-{b} {distance:.2f}" for (a, b), distance in distances.items()) or "none below 4"
    saw = (seen.told, f"species: {', '.join(seen.species)}", f"shortest distances (Å): {near}", seen.how)
    shown = SHOWN | ({"descriptor": CHEBYSHEV} if isinstance(descriptor, ChebyshevDescriptor) else {})
    return Look(saw, settings, shown, _reasons(seen))


def _seen_in_files(paths: Sequence[Path]) -> Seen:
    reading = read_structures(paths)
    structures = [one for one in reading.structures if one.has_energy()]
    if not structures:
        raise _no_energy(paths[0], len(reading.structures))
    species = tuple(sorted({name for one in structures for name in one.species}))
    some = structures[:: -(-len(structures) // SOME)]
    return Seen(str(reading), summary_of(structures, species), some, species, *_free_atoms(structures, species))


def _seen_in_database(path: Path) -> Seen:
    """Look at the labels of all entries that are one number each, and read some entries."""
    with HDF5StructureDataset(None, path, mode="load") as dataset:
        labels, known = dataset.summary(), dataset.load_persisted_descriptor()
        labelled = np.flatnonzero(np.isfinite(labels.energy))
        if not len(labelled):
            raise _no_energy(path, len(dataset))
        some = dataset.labels(labelled[:: -(-len(labelled) // SOME)].tolist())
        free = dataset.atomic_energies
    there = labels.composition.sum(axis=0) > 0
    counts = {"energy": len(labelled), "forces": labels.has_forces.sum(), "stress": labels.has_stress.sum()}
    told = f"data set: {len(dataset):,} frames, {labels.n_atoms.sum():,} atoms; "
    return Seen(
        told + ", ".join(f"{name} {count:,}" for name, count in counts.items()),
        _of(labels, labelled),
        some,
        tuple(sorted(name for name, some_atoms in zip(labels.species, there, strict=True) if some_atoms)),
        free,
        "energies of free atoms: "
        + ("zeros, for the data set was built without" if free is None else "of the data set"),
        owned=True,
        descriptor=None if known is None else settings_of(known),
    )


def _of(labels: DatasetSummary, entries: NDArray[np.int64]) -> DatasetSummary:
    values = {name: value[entries] for name, value in labels.__dict__.items() if name != "species"}
    return DatasetSummary(species=labels.species, **values)


def _no_energy(path: Path, n: int) -> DataError:
    return DataError(
        f"{path}: none of {n} structures has an energy, which a training needs; is it under another name? "
        "`potentia check` tells what was read"
    )


def _size(n: int) -> tuple[int, int, int]:
    return next((size for limit, *size in SIZES if n <= limit), LARGEST)  # type: ignore[return-value]


def _descriptor(species: tuple[str, ...], distances: dict[tuple[str, str], float], n: int) -> ChebyshevDescriptor:
    """Choose cutoffs by how far the nearest neighbours of the species with the longest bonds are."""
    nearest = {name: min((d for pair, d in distances.items() if name in pair), default=3.0) for name in species}
    bond, shortest = max(nearest.values()), min(distances.values(), default=1.0)
    _, rad_order, ang_order = _size(n)
    return ChebyshevDescriptor(
        species=species,
        rad_order=rad_order,
        rad_cutoff=round(float(np.clip(2.6 * bond, 4.0, 7.0)), 1),
        ang_order=ang_order,
        ang_cutoff=round(float(np.clip(1.6 * bond, 3.0, 5.0)), 1),
        min_cutoff=0.55 if shortest > 0.6 else round(0.5 * shortest, 2),
    )


def _training(seen: Seen) -> TorchTrainingConfig:
    n, forces = len(seen), bool(seen.labels.has_forces.any())
    small, testpercent = n <= KALMAN, 10 if n >= 50 else 20
    return TorchTrainingConfig(
        iterations=30 if small else 100,
        method=Kalman(batchsize=8 if forces else 32) if small else Adam(mu=1e-3, batchsize=64),
        testpercent=testpercent,
        save_best=n * testpercent >= 100 * FEW,
        seed=1,
        force_weight=0.3 if forces else 0.0,
        atomic_energies=seen.free_atoms,
    )


def _free_atoms(structures: Sequence[Structure], species: Sequence[str]) -> tuple[dict[str, float], str]:
    """Return energies of free atoms (eV) as far as these energies tell them, and how they were found."""
    try:
        found = ReferenceEnergies.from_regression(structures).atomic_energies
    except DataError:  # compositions do not tell the species apart
        mean = float(np.mean([one.energy / one.n_atoms for one in structures if one.energy is not None]))
        how = "energies of free atoms: compositions are too alike to tell them, so each is the mean per atom"
        return {name: round(mean, 6) for name in species}, how
    return {name: round(found[name], 6) for name in species}, "energies of free atoms: by least squares"


def _reasons(seen: Seen) -> dict[str, str]:
    n, n_forces, n_stress = len(seen), int(seen.labels.has_forces.sum()), int(seen.labels.has_stress.sum())
    found = seen.how.partition(": ")[2]
    advice = "Others need another data set" if seen.owned else "Better: calculated ones"
    return {
        **(BUILT if seen.descriptor is not None else CHOSEN),
        "arch": f"Hidden layers of each species, [nodes, activation]; more for more than {n} structures",
        "training.iterations": "Epochs",
        "training.method": "Kalman for small networks; {class: Adam, mu: 0.001, batchsize: 32} for large ones",
        "training.split_by": "structure, group or block; block where the structures follow each other in time",
        "training.force_weight": f"Weight of forces in the loss, 0 to 1: {n_forces} of {n} structures have some",
        "training.stress_weight": f"Weight of stress in the loss: {n_stress} of {n} structures have one",
        "training.atomic_energies": f"eV; {found}. {advice}",
        "training.save_best": f"Keep the model of the lowest validation loss; below {FEW} structures it is noise",
        "training.early_stopping": "End when the validation loss has not fallen for so many epochs; null never does",
    }
