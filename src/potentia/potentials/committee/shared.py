"""What all members of a committee train on: read, split, filtered and featurised once, in one file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.data import Split
from potentia.potentials.datasets import HDF5StructureDataset, SourceRecord
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.normalisation import Normalisation, normalisation
from potentia.potentials.repulsion import ZBL
from potentia.potentials.structure import Structure
from potentia.potentials.training import Training
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_data import training_data
from potentia.potentials.training_input import TrainingInput

__all__ = ["SharedData", "shared_data"]

PER_SOURCE = 128
"""Structures that are written together."""


@dataclass(frozen=True)
class SharedData:
    """A file of featurised structures, and what of them each member is given."""

    file: Path
    """Database with features, and pairs where forces or stress are trained on."""
    split: Split
    """The parts, the same for all members."""
    atomic_energies: Mapping[str, float]
    """Energy of the free atom of each species, eV."""
    normalisation: Normalisation
    """Shift and scale of features and energies over the training part, and what it has seen."""
    reading: str
    """What was read, in words."""
    mark: Mapping[str, Any]
    """What tells the data from other data."""
    repulsion: ZBL | None = None
    """What is taken off the labels, which the file has as they were given."""

    def for_member(self, descriptor: Descriptor, split: Split, multiplicity: NDArray[np.int64] | None) -> TrainingInput:
        """Return the data as a training takes them, with the part that one member is trained on."""
        dataset = HDF5StructureDataset(descriptor, self.file, mode="load")
        return TrainingInput(
            dataset, split, prebuilt=False, reading=self.reading, multiplicity=multiplicity, inspected=True,
            seen=self.normalisation.seen,
            repulsion=self.repulsion,
        )  # fmt: skip


@contextmanager
def shared_data(given: TrainingInput, training: Training, split_seed: int, directory: Path) -> Iterator[SharedData]:
    """Prepare the data of a committee in ``directory``; the file is removed on leaving.

    A split is drawn, settings are resolved and warnings are given as for a single ``training``.

    Raises:
        DataError: a structure cannot be used.
        ConfigError: settings do not fit the data.
    """
    config, descriptor = training.config, training.descriptor
    contents = given.contents(config)
    atomic_energies = given.atomic_energies(config, None, descriptor.species)
    split = given.filtered(given.split(config, split_seed, contents), config, atomic_energies)
    folder = Path(tempfile.mkdtemp(prefix=".shared-", dir=directory))
    try:
        file = _written(given, descriptor, config, folder)
        with HDF5StructureDataset(descriptor, file, mode="load") as dataset:
            whole = replace(given, dataset=dataset, prebuilt=False, fixed=split)
            energies_only = replace(config, force_weight=0.0, stress_weight=0.0, force_weight_schedule=None)
            data = training_data(whole, split, energies_only, atomic_energies, contents)
            training.inspect(whole, data, split, atomic_energies, contents)
            found = normalisation(data, torch.from_numpy(split.train), config, descriptor.n_features)
            data.close()
        mark = given.mark(contents, config)
        yield SharedData(file, split, atomic_energies, found, given.reading, mark, given.repulsion)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _written(given: TrainingInput, descriptor: Descriptor, config: TorchTrainingConfig, folder: Path) -> Path:
    """Write all structures with the names that tables know them by, and their features."""
    n = len(given.dataset)
    pieces = [range(begin, min(begin + PER_SOURCE, n)) for begin in range(0, n, PER_SOURCE)]
    records = [SourceRecord(f"structures from {piece[0]}", _reader(given, piece)) for piece in pieces]
    database = HDF5StructureDataset(descriptor, folder / "features.h5", records, mode="build", compression="none")
    pairs = config.supervises_gradients
    database.build_database(show_progress=False, persist_features=True, persist_force_derivatives=pairs)
    database.close()
    return folder / "features.h5"


def _reader(given: TrainingInput, places: range) -> Callable[[], Iterator[Structure]]:
    return partial(given.named, places)
