"""A look at structures: what is there, and the settings of a potential that suit it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from potentia.cli.families.base import Look
from potentia.cli.families.potentials_settings import Descriptor, PotentialSettings, StructureFiles
from potentia.errors import DataError
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
    "descriptor": ("species", "rad_order", "rad_cutoff", "ang_order", "ang_cutoff", "min_cutoff"),
    "training.method": ("batchsize",),
    "training": (
        "iterations", "method", "testpercent", "split_by", "seed", "force_weight", "stress_weight", "atomic_energies",
        "save_best", "early_stopping", "device",
    ),
}  # fmt: skip
SIZES = ((300, 10, 8, 3), (3_000, 15, 10, 4), (30_000, 20, 12, 4))
"""Up to so many structures → nodes of a layer, radial and angular order."""
LARGEST = (25, 14, 5)
KALMAN = 20_000
"""Structures up to which the Kalman filter, few dear epochs, is what to begin with."""


def look_at_structures(paths: Sequence[Path], named: Sequence[str]) -> Look:
    """Read all of the structures, and choose settings that call the files as they are ``named``.

    Raises:
        DataError: none has an energy.
    """
    reading = read_structures(paths)
    structures = [one for one in reading.structures if one.has_energy()]
    if not structures:
        raise DataError(
            f"{paths[0]}: none of {len(reading.structures)} structures has an energy, which a training needs; is it "
            "under another name? `potentia check` tells what was read"
        )
    species = tuple(sorted({name for one in structures for name in one.species}))
    step = -(-len(structures) // SOME)
    distances = shortest_distances(structures[::step], reach=4.0)
    energies, how = _free_atoms(structures, species)
    descriptor = _descriptor(species, distances, len(structures))
    nodes = _size(len(structures))[0]
    settings = PotentialSettings(
        data=StructureFiles(train=tuple(named)),
        descriptor=descriptor,
        arch=dict.fromkeys(species, ((nodes, "tanh"), (nodes, "tanh"))),
        training=_training(structures, energies),
    )
    near = ", ".join(f"{a}-{b} {distance:.2f}" for (a, b), distance in distances.items()) or "none below 4"
    saw = (str(reading), f"species: {', '.join(species)}", f"shortest distances (Å): {near}", how)
    return Look(saw, settings, SHOWN, _reasons(structures, descriptor, how))


def _size(n: int) -> tuple[int, int, int]:
    return next((size for limit, *size in SIZES if n <= limit), LARGEST)  # type: ignore[return-value]


def _descriptor(species: tuple[str, ...], distances: dict[tuple[str, str], float], n: int) -> Descriptor:
    """Choose cutoffs by how far the nearest neighbours of the species with the longest bonds are."""
    nearest = {name: min((d for pair, d in distances.items() if name in pair), default=3.0) for name in species}
    bond, shortest = max(nearest.values()), min(distances.values(), default=1.0)
    _, rad_order, ang_order = _size(n)
    return Descriptor(
        species=species,
        rad_order=rad_order,
        rad_cutoff=round(float(np.clip(2.6 * bond, 4.0, 7.0)), 1),
        ang_order=ang_order,
        ang_cutoff=round(float(np.clip(1.6 * bond, 3.0, 5.0)), 1),
        min_cutoff=0.55 if shortest > 0.6 else round(0.5 * shortest, 2),
    )


def _training(structures: Sequence[Structure], energies: dict[str, float]) -> TorchTrainingConfig:
    n, forces = len(structures), any(one.has_forces() for one in structures)
    small, testpercent = n <= KALMAN, 10 if n >= 50 else 20
    return TorchTrainingConfig(
        iterations=30 if small else 100,
        method=Kalman(batchsize=8 if forces else 32) if small else Adam(mu=1e-3, batchsize=64),
        testpercent=testpercent,
        save_best=n * testpercent >= 100 * FEW,
        seed=1,
        force_weight=0.3 if forces else 0.0,
        atomic_energies=energies,
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


def _reasons(structures: Sequence[Structure], descriptor: Descriptor, how: str) -> dict[str, str]:
    n_forces, n_stress = sum(one.has_forces() for one in structures), sum(one.has_stress() for one in structures)
    n = len(structures)
    return {
        "descriptor.rad_cutoff": "2.6 times the longest of the shortest bonds, within 4 and 7 Å",
        "descriptor.ang_cutoff": "1.6 times these, within 3 and 5 Å",
        "arch": f"Hidden layers of each species, [nodes, activation]; more for more than {n} structures",
        "training.iterations": "Epochs",
        "training.method": "Kalman for small networks; {class: Adam, mu: 0.001, batchsize: 32} for large ones",
        "training.split_by": "structure, group or block; block where the structures follow each other in time",
        "training.force_weight": f"Weight of forces in the loss, 0 to 1: {n_forces} of {n} structures have some",
        "training.stress_weight": f"Weight of stress in the loss: {n_stress} of {n} structures have one",
        "training.atomic_energies": f"eV; {how.partition(': ')[2]}. Better: calculated ones",
        "training.save_best": f"Keep the model of the lowest validation loss; below {FEW} structures it is noise",
        "training.early_stopping": "End when the validation loss has not fallen for so many epochs; null never does",
    }
