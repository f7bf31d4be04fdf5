"""What a training is given, as one data set: structures, a data set, or one to train on and one held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from potentia.config import differences
from potentia.data import Split, holdout, holdout_blocks, holdout_groups
from potentia.errors import ConfigError, DataError, warn_user
from potentia.potentials.datasets import PotentialDataset, StructureDataset
from potentia.potentials.datasets.contents import Contents
from potentia.potentials.datasets.joined import JoinedDataset
from potentia.potentials.datasets.labelled import complete_atomic_energies
from potentia.potentials.datasets.limits import Limits
from potentia.potentials.datasets.remainder import Remainder
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.descriptors.registry import plain_of
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.formats.reading import Reading
from potentia.potentials.repulsion import ZBL
from potentia.potentials.structure import Structure
from potentia.potentials.training_config import TorchTrainingConfig

__all__ = ["TrainingInput", "require_descriptor"]

FEW = 10
"""Below so many structures held out, what goes by the validation error is warned of."""
CHUNK = 1024
"""Structures that are looked at together."""


@dataclass(frozen=True)
class TrainingInput:
    """Structures with labels, and what of the training's settings they decide themselves."""

    dataset: PotentialDataset
    """All structures, training and test."""
    fixed: Split | None
    """The parts, where they were given as two data sets."""
    prebuilt: bool
    """Whether it was given as a data set, which owns atomic energies and filters."""
    reading: str
    """What was read, in words."""
    multiplicity: NDArray[np.int64] | None = None
    """How often each structure counts in the loss; None for once.  [structures]"""
    inspected: bool = False
    """Whether what is odd about it has been told before."""
    seen: FeatureRanges | None = None
    """The features of the training part, where they have been gone through before."""
    repulsion: ZBL | None = None
    """What the networks need not learn, for the potential has it besides them."""

    @classmethod
    def of_structures(cls, reading: Reading, descriptor: Descriptor) -> TrainingInput:
        """Take structures.

        Raises:
            DataError: there are none, or one has a species that the descriptor does not know.
        """
        if not reading.structures:
            raise DataError("there are no structures to train on: `structures` is empty")
        return cls(StructureDataset(reading.structures, descriptor), None, prebuilt=False, reading=str(reading))

    @classmethod
    def of_datasets(
        cls,
        train: Dataset[Any],
        test: Dataset[Any] | None,
        descriptor: Descriptor,
        *,
        whole: bool,
    ) -> TrainingInput:
        """Take one data set that is to be split (``whole``), or one to train on and perhaps one held out.

        Raises:
            DataError: it is no data set of structures, or it is empty.
            ConfigError: its descriptor is not that of the potential.
        """
        dataset = JoinedDataset(train) if test is None else JoinedDataset(train, test)
        if not len(dataset):
            raise DataError("there are no structures to train on: the data set is empty")
        require_descriptor(dataset, descriptor)
        first = dataset.sizes[0]
        fixed = None if whole else Split(np.arange(first), np.arange(first, len(dataset)))
        names = " and ".join(
            f"{type(root).__name__} of {n:,}" for root, n in zip(dataset.roots, dataset.sizes, strict=True)
        )
        return cls(dataset, fixed, prebuilt=True, reading=f"data: {names}")

    def atomic_energies(
        self, config: TorchTrainingConfig, known: Mapping[str, float] | None, species: tuple[str, ...]
    ) -> dict[str, float]:
        """Return those of the data set, else those given, else ``known`` ones of the training gone on with, else zeros.

        Raises:
            ConfigError: data set and settings differ, or a species has none.
        """
        owned, given = self.dataset.atomic_energies if self.prebuilt else None, config.atomic_energies
        if owned is not None:
            if given is not None and complete_atomic_energies(given, species) != complete_atomic_energies(
                owned, species
            ):
                raise ConfigError(
                    f"dataset atomic_energies do not match config.atomic_energies: {owned} and {dict(given)}; "
                    "the data set owns them, leave them out of the settings"
                )
            return complete_atomic_energies(owned, species)
        if self.prebuilt and given is not None:
            warn_user("config.atomic_energies is ignored: the data set was built without any, which means zeros")
        elif given is not None:
            return complete_atomic_energies(given, species)
        elif known is not None:
            return dict(known)
        else:
            warn_user(
                "No atomic_energies provided: energies are taken relative to zero, not to free atoms. Give "
                "atomic_energies={'H': …} in eV for energies of a sensible size"
            )
        return dict.fromkeys(species, 0.0)

    def contents(self, config: TorchTrainingConfig) -> Contents:
        """Look at all structures once for what the training goes by: their content, and groups where they count."""
        counts = config.split_by == "group" or config.group_weights is not None
        return Contents.of(self.structures(), config.group_key if counts else None)

    def mark(self, contents: Contents, config: TorchTrainingConfig) -> dict[str, Any]:
        """Return number and mark of all structures, and marks of their groups and their order where these count."""
        everything = np.arange(len(contents))
        parts = (everything,) if self.fixed is None else (self.fixed.train, self.fixed.test)
        mark: dict[str, Any] = {
            "structures": len(contents),
            "sha256": contents.mark(*(contents.ordered(part) for part in parts)),
        }
        if contents.groups is not None:
            groups = json.dumps(contents.ordered_groups())
            mark["groups_sha256"] = hashlib.sha256(groups.encode()).hexdigest()
        if config.split_by == "block" and self.fixed is None:
            mark["order_sha256"] = contents.mark(everything)
        return mark

    def split(self, config: TorchTrainingConfig, seed: int, contents: Contents) -> Split:
        """Return the training and the test part, with warnings where the test part is too small for its use.

        Both are places in the input in the order of ``contents``, which all later draws and sums go by.
        """
        split = self._drawn(config, seed, contents) if self.fixed is None else self.fixed
        split = Split(contents.ordered(split.train), contents.ordered(split.test))
        for name, wanted in (("use_scheduler", config.use_scheduler), ("early_stopping", config.early_stopping)):
            if wanted and not len(split.test):
                raise ConfigError(
                    f"{name}={wanted} needs structures held out, but testpercent={config.testpercent} of "
                    f"{len(self.dataset)} structures holds out none: raise testpercent, or leave {name} out"
                )
            _warn_of_few(name, wanted and not self.inspected, len(split.test))
        saves = config.save_best and config.checkpoint_dir is not None
        _warn_of_few("save_best", saves and not self.inspected, len(split.test))
        return split

    def filtered(self, split: Split, config: TorchTrainingConfig, atomic_energies: Mapping[str, float]) -> Split:
        """Leave out what is above ``max_energy`` or ``max_forces``, each part on its own: the split stays."""
        if config.max_energy is None and config.max_forces is None:
            return split
        if self.prebuilt:
            names = [name for name in ("max_energy", "max_forces") if config.__dict__[name] is not None]
            warn_user(
                f"{' and '.join(names)} is ignored when using prebuilt dataset objects: filter when building them"
            )
            return split
        limits = Limits(atomic_energies, config.max_energy, config.max_forces)
        kept = np.array([limits.keep(structure) for structure in self.structures()], dtype=bool)
        filtered = Split(split.train[kept[split.train]], split.test[kept[split.test]])
        if not len(filtered.train):
            raise DataError(
                f"max_energy={config.max_energy} and max_forces={config.max_forces} leave none of {len(split.train)} "
                "structures to train on"
            )
        return filtered

    @property
    def learned(self) -> PotentialDataset:
        """All structures, their labels less the repulsion: what the networks learn."""
        return self.dataset if self._remainder is None else self._remainder

    @property
    def repelled(self) -> NDArray[np.float64]:
        """Energy of the repulsion in each structure, eV.  [structures]"""
        return np.zeros(len(self.dataset)) if self._remainder is None else self._remainder.energy

    @cached_property
    def _remainder(self) -> Remainder | None:
        return None if self.repulsion is None else Remainder(self.dataset, self.repulsion)

    def kinds(self) -> dict[str, str | None]:
        """Return what the training and the test part come from, in words for records."""
        names = [type(root).__name__ for root in self.dataset.roots] if isinstance(self.dataset, JoinedDataset) else []
        whole = names or [type(self.dataset).__name__]
        train, test = (
            (f"Subset[{whole[0]}]",) * 2 if self.fixed is None else (whole[0], whole[1] if whole[1:] else None)
        )
        return {"resolved_train_dataset": train, "resolved_test_dataset": test}

    def structures(self, places: Sequence[int] | None = None) -> Iterator[Structure]:
        """Yield the structures at ``places``, or all, some read at a time."""
        places = range(len(self.dataset)) if places is None else places
        for begin in range(0, len(places), CHUNK):
            yield from self.dataset.labels(places[begin : begin + CHUNK])

    def named(self, places: Sequence[int]) -> Iterator[Structure]:
        """Yield structures with the names that tables know them by."""
        for k, structure in zip(places, self.structures(places), strict=True):
            name = self.dataset.get_structure_identifier(k) if self.prebuilt else structure.name
            yield replace(structure, name=name)

    def _drawn(self, config: TorchTrainingConfig, seed: int, contents: Contents) -> Split:
        n = len(self.dataset)
        match config.split_by:
            case "group":
                return holdout_groups(contents.groups or (), config.testpercent, seed)
            case "block":
                gap = config.split_gap
                return holdout_blocks(n, config.testpercent, seed, block=config.split_block, gap=gap)
        split = holdout(n, config.testpercent, seed)
        return Split(contents.order[split.train], contents.order[split.test])


def require_descriptor(dataset: PotentialDataset, descriptor: Descriptor) -> None:
    """Raise `ConfigError` unless the data set is featurised by this descriptor."""
    own, wanted = plain_of(dataset.require_descriptor()), plain_of(descriptor)
    differ = differences(own, wanted)
    if differ:
        raise ConfigError(f"the data set has another descriptor than the potential: {', '.join(differ)}")


def _warn_of_few(name: str, wanted: object, n_test: int) -> None:
    if wanted and 0 < n_test < FEW:
        warn_user(
            f"{name}={wanted} with a validation set of only {n_test} structure(s): its errors are noisy. "
            f"Leave {name} out, or hold out more"
        )
