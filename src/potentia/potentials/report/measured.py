"""What a potential says of labelled structures: of the parts of its training where the data are known again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from potentia.errors import DataError
from potentia.potentials.datasets.hdf5 import HDF5StructureDataset
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.parity import ParityData, ParityRows
from potentia.potentials.predictions import PredictOut
from potentia.potentials.report.subject import Subject
from potentia.potentials.structure import Structure
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_input import TrainingInput
from potentia.seeding import stream

__all__ = ["Given", "Measured", "given_data", "measure"]

Floats = NDArray[np.float64]
MOST = 2000
"""Structures of a part that are looked at; of more, so many drawn at random."""
SPLIT = (
    "testpercent", "split_by", "split_block", "split_gap", "group_key", "group_weights", "max_energy", "max_forces",
)  # fmt: skip
"""Settings that decide which structures are in which part."""
DATABASES = (".h5", ".hdf5")


class Given(NamedTuple):
    """Labelled structures, in the parts of the training where they are those."""

    parts: dict[str, list[Structure]]
    """``"train"`` and ``"test"``, or ``"data"``."""
    same: bool
    """Whether they are the data of the training."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Labels of some structures beside what all members say."""

    structures: list[Structure]
    """With their labels; each has an energy."""
    members: list[PredictOut]
    """What each member says of them."""
    group_key: str
    """Entry of `Structure.info` that names the group."""

    @property
    def n_atoms(self) -> int:
        """Atoms in all structures."""
        return sum(structure.n_atoms for structure in self.structures)

    @property
    def seconds(self) -> float:
        """Time of the prediction."""
        return self.members[0].timing["total"]

    @cached_property
    def energies(self) -> Floats:
        """Energies that the members predict, eV/atom.  [members, structures]"""
        return np.array([member.total_energy_per_atom for member in self.members])

    @cached_property
    def forces(self) -> Floats:
        """Forces that the members predict, on atoms with a label, eV/Å.  [members, atoms, 3]"""
        known = [k for k, structure in enumerate(self.structures) if structure.has_forces()]
        return np.stack([_stacked([(member.forces or [])[k] for k in known]) for member in self.members])

    @cached_property
    def parity(self) -> ParityData:
        """Labels and the mean of the members, side by side."""
        labelled = [s for s in self.structures if s.forces is not None]
        known = [k for k, structure in enumerate(self.structures) if structure.has_stress()]
        said = [[(member.stress or [])[k] for k in known] for member in self.members]
        force = _stacked([s.forces for s in labelled if s.forces is not None])
        stress = np.array([self.structures[k].stress for k in known])
        return ParityData(
            energy_ref=np.array([(s.energy or 0.0) / s.n_atoms for s in self.structures]),
            energy_pred=self.energies.mean(0),
            force_ref=force if labelled else None,
            force_pred=self.forces.mean(0) if labelled else None,
            stress_ref=stress if known else None,
            stress_pred=np.array(said, dtype=np.float64).mean(0) if known else None,
            rows=ParityRows.of(
                self.structures, range(len(self.structures)), forces=True, group_key=self.group_key
            ),
        )  # fmt: skip


def given_data(subject: Subject, paths: Sequence[Path]) -> Given:
    """Read labelled structures, and part them as the training did, if they are what it was given.

    Raises:
        FileFormatError: a file cannot be read.
        DataError: a species is unknown to the potential, or no structure has an energy.
    """
    descriptor, record = subject.model.descriptor, subject.record
    if len(paths) == 1 and paths[0].suffix.lower() in DATABASES:
        found = TrainingInput.of_datasets(
            HDF5StructureDataset(descriptor, paths[0], mode="load"), None, descriptor, whole=True
        )
    else:
        found = TrainingInput.of_structures(read_structures(paths), descriptor)
    found = replace(found, inspected=True)
    everything = list(found.structures())
    shown = _short_names(everything, paths)
    labelled = [structure for structure in shown if structure.has_energy()]
    if not labelled:
        raise DataError(f"no structure in {', '.join(map(str, paths))} has an energy: there is nothing to compare with")
    if len(labelled) < len(everything) or "training_config" not in record:
        return Given({"data": labelled}, same=False)
    settings = {name: record["training_config"][name] for name in SPLIT if name in record["training_config"]}
    config = TorchTrainingConfig(**settings, checkpoint_dir=None)
    contents = found.contents(config)
    if found.mark(contents, config) != record.get("data"):
        return Given({"data": labelled}, same=False)
    split = found.filtered(found.split(config, record["split_seed"], contents), config, subject.first.atomic_energies)
    parts = {"train": split.train, "test": split.test}
    return Given({name: [shown[k] for k in sorted(part)] for name, part in parts.items() if len(part)}, same=True)


def _short_names(structures: Sequence[Structure], paths: Sequence[Path]) -> list[Structure]:
    """Return the structures named by file and frame, without the folder where file names tell them apart."""
    if len({path.name for path in paths}) < len(paths):
        return list(structures)
    folders = sorted({f"{path.parent}/" for path in paths}, key=len, reverse=True)

    def short(name: str | None) -> str | None:
        folder = next((one for one in folders if name is not None and name.startswith(one)), "")
        return None if name is None else name.removeprefix(folder)

    return [replace(s, name=short(s.name), source=short(s.source)) for s in structures]


def measure(subject: Subject, structures: Sequence[Structure], name: str) -> Measured:
    """Ask for the structures of a part, or for some of them where there are very many."""
    chosen = list(structures)
    if len(chosen) > MOST:
        kept = stream(0, "report", name).choice(len(chosen), MOST, replace=False)
        chosen = [chosen[k] for k in sorted(kept.tolist())]
    stress = any(structure.has_stress() for structure in chosen)
    key = subject.record.get("training_config", {}).get("group_key", "config_type")
    return Measured(chosen, subject.predict(chosen, forces=True, stress=stress), key)


def _stacked(arrays: Sequence[Floats]) -> Floats:
    return np.concatenate([np.zeros((0, 3)), *arrays])
