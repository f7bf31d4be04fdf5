"""What two equal trainings have in common, and data sets of all kinds that hold the same structures."""

from __future__ import annotations

from functools import partial

from torch.utils.data import Subset

from potentia import CachedStructureDataset, HDF5StructureDataset, SourceRecord, StructureDataset
from potentials import small_data
from potentials.small_data import DESCRIPTOR, FREE


def result(potential, out):
    """Return everything that two equal trainings have in common, bit for bit: all but the times."""
    kept = [{name: value for name, value in row.items() if name not in small_data.TIMES} for row in out.history]
    return small_data.weights(potential), repr(kept), out.train_indices, out.test_indices, out.seed, out.split_seed


def train(structures=None, resume_from=None, *, allow_changes=(), datasets=None, **changes):
    """Train a new potential on structures, the small ones by default, or on data sets by name."""
    potential = small_data.fresh()
    if datasets is None and structures is None:
        structures = small_data.frames()
    config = small_data.config(**changes)
    return potential, potential.train(structures, config, resume_from, allow_changes=allow_changes, **(datasets or {}))


def in_memory(structures, kind=StructureDataset, free=FREE, **settings):
    return kind(structures, DESCRIPTOR, atomic_energies=free, **settings)


def database(path, structures, per_source=3, **persist):
    """Build a database of several sources."""
    parts = [structures[k : k + per_source] for k in range(0, len(structures), per_source)]
    records = [SourceRecord(f"source {k}", partial(list, part)) for k, part in enumerate(parts)]
    dataset = HDF5StructureDataset(DESCRIPTOR, path, records, mode="build", atomic_energies=FREE)
    dataset.build_database(show_progress=False, **persist)
    return dataset


def of_every_kind(folder, structures):
    """Return data sets that all hold the same structures, by name of their kind."""
    twice = in_memory([s for pair in zip(structures, structures, strict=True) for s in pair])
    return {
        "in memory": in_memory(structures),
        "cached": in_memory(structures, CachedStructureDataset, show_progress=False),
        "database": database(folder / "plain.h5", structures),
        "features": database(folder / "features.h5", structures, persist_features=True),
        "pairs": database(folder / "p.h5", structures, persist_features=True, persist_force_derivatives=True),
        "subset": Subset(twice, range(1, len(twice), 2)),
        "subset of a subset": Subset(Subset(twice, range(len(twice))), range(0, len(twice), 2)),
    }
