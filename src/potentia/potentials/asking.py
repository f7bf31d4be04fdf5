"""What is asked of one potential: predictions, what is outside of its training, what to label next, exports."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from numpy.typing import ArrayLike
from torch.utils.data import Dataset

from potentia.errors import ConfigError, DataError
from potentia.potentials.aenet_export import AenetExport
from potentia.potentials.calculator import ANNCalculator
from potentia.potentials.datasets.joined import JoinedDataset
from potentia.potentials.datasets.labelled import complete_atomic_energies
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.descriptors.chebyshev import ChebyshevDescriptor
from potentia.potentials.duplicates import NEAR
from potentia.potentials.extrapolation import Extrapolation
from potentia.potentials.fitted import FittedPotential, require_ranges
from potentia.potentials.formats.reading import StructureLike, read_structures
from potentia.potentials.networks import Architecture
from potentia.potentials.predicting import Predictor
from potentia.potentials.predictions import PredictOut
from potentia.potentials.repulsion import ZBL
from potentia.potentials.selection import Selected, select
from potentia.potentials.simulation import SimulationModel
from potentia.potentials.training_input import require_descriptor
from potentia.potentials.uncertainty_export import uncertainty_text

__all__ = ["AskedAlone", "Structures"]

Structures: TypeAlias = StructureLike | Iterable[StructureLike]
"""Structures, ASE Atoms, paths of files, or a mix of them."""


class AskedAlone(ABC):
    """A trained potential, as those see it who use it."""

    descriptor: Descriptor
    """The descriptor of atoms."""
    arch: Architecture
    """Hidden layers of each species."""
    repulsion: ZBL | None
    """What is there besides the networks."""

    @abstractmethod
    def fitted(self) -> FittedPotential:
        """Return what was learned, or raise `NotFittedError`."""

    def predict(
        self,
        structures: Structures,
        eval_forces: bool = False,
        *,
        eval_stress: bool = False,
        batch_size: int = 32,
    ) -> PredictOut:
        """Return total energies (eV), and forces (eV/Å) and stress (eV/Å³) where asked for.

        Stress needs a cell that is periodic in three directions; other structures get None. The result tells also
        which atoms are outside of what training has seen, where that is known.

        Args:
            structures: Structures, ASE Atoms, paths of files, or a mix of them; no labels are needed.
            eval_forces: Also forces.
            eval_stress: Also stress.
            batch_size: Structures worked on at a time: memory, not numbers.

        Raises:
            NotFittedError: the potential is not trained.
            DataError: a structure cannot be used: the message names file, frame and atom.
        """
        predictor = self._predictor(eval_forces, eval_stress, batch_size)
        return predictor.structures(read_structures(structures).structures)[0]

    def predict_dataset(
        self,
        dataset: Dataset[Any],
        eval_forces: bool = False,
        *,
        eval_stress: bool = False,
        batch_size: int = 32,
    ) -> PredictOut:
        """Return what `predict` does for the entries of a data set, from the features that it has.

        Args:
            dataset: A data set of structures with the descriptor of this potential, or a `torch.utils.data.Subset`.
            eval_forces: Also forces.
            eval_stress: Also stress.
            batch_size: Structures worked on at a time: memory, not numbers.

        Raises:
            NotFittedError: the potential is not trained.
            DataError: it is no data set of structures.
            ConfigError: its descriptor is another.
        """
        predictor = self._predictor(eval_forces, eval_stress, batch_size)
        entries = JoinedDataset(dataset)
        require_descriptor(entries, self.descriptor)
        return predictor.entries(entries)[0]

    def extrapolation(self, structures: Structures) -> pd.DataFrame:
        """Return a row for each atom that is outside of what training has seen: which feature, and how far out.

        Nothing is predicted for it. The columns are those of `Extrapolated.table`.

        Raises:
            NotFittedError: the potential is not trained, or what it has seen is not known.
            DataError: a structure cannot be used: the message names file, frame and atom.
        """
        compared = Extrapolation(self.descriptor, require_ranges(self.fitted().seen))
        return compared.table(read_structures(structures).structures)

    def select(
        self, structures: Structures, n: int, *, known: Structures | None = None, near: float = NEAR
    ) -> Selected:
        """Select the ``n`` structures to label next: each time the one farthest from all known and selected ones.

        A committee can go by its uncertainty as well.

        Args:
            structures: What can be selected; no labels are needed.
            n: How many.
            known: The structures of the training, which this does not keep.
            near: Part of the typical distance below which structures of one composition are nearly the same, so that
                one of them is enough.

        Raises:
            ConfigError: a setting cannot be.
            DataError: a structure cannot be used.

        Warns:
            PotentiaWarning: there are fewer than ``n`` that are not nearly the same.
        """
        pool, seen = (read_structures(given).structures for given in (structures, [] if known is None else known))
        return select(pool, n, potential=self, known=seen, near=near)

    def cohesive_energy(self, structure: StructureLike, atomic_energies: Mapping[str, float] | None = None) -> float:
        """Return the energy of one structure relative to free atoms (eV).

        Args:
            structure: A Structure, ASE Atoms, or the path of a file with one frame.
            atomic_energies: Energy of the free atom of each species (eV) instead of those of the training.

        Raises:
            DataError: the file holds more than one frame.
        """
        found = self.predict(structure)
        if len(found) != 1:
            raise DataError(f"cohesive_energy is for one structure, but {structure} holds {len(found)}: use predict")
        if atomic_energies is None:
            return float(found.cohesive_energy[0])
        free = complete_atomic_energies(atomic_energies, sorted(set(found.atom_types[0])))
        return float(found.total_energy[0] - sum(free[name] for name in found.atom_types[0]))

    def calculator(self, **options: Any) -> ANNCalculator:
        """Return an ASE calculator of this potential; ``options`` are those of `ANNCalculator`.

        Raises:
            NotFittedError: the potential is not trained.
        """
        return ANNCalculator(self, **options)

    def simulation_model(self) -> SimulationModel:
        """Return what a simulation needs of the potential: see `Engine`.

        Raises:
            NotFittedError: the potential is not trained.
        """
        fitted = self.fitted()
        free = fitted.atomic_energies
        return SimulationModel(
            self.descriptor, (fitted.model,), (free,), seen=fitted.seen, repulsion=self.repulsion
        )  # fmt: skip

    def to_aenet_ascii(
        self,
        output_dir: str | os.PathLike[str],
        prefix: str = "potential",
        descriptor_stats: Mapping[str, ArrayLike] | None = None,
        structures: Structures | None = None,
        compute_stats: bool = True,
    ) -> dict[str, Path]:
        """Write ``<prefix>.<species>.nn.ascii`` and ``.nn`` for ænet; return the absolute path of each species' text.

        ``<prefix>.export.json`` holds the proof that the files answer as the potential does, for ``structures`` or for
        random ones; without it nothing is written. ``descriptor_stats`` (``min``, ``max``, ``avg``, ``cov``), else with
        ``compute_stats`` those of ``structures``, are information only. ``<prefix>.uncertainty.json`` tells what
        training has seen, where that is known. Errors are those of `AenetExport.write`.
        """
        exported = self.aenet_export()
        return exported.write(output_dir, prefix, descriptor_stats, structures, compute_stats=compute_stats)

    def aenet_export(self) -> AenetExport:
        """Return this potential on its way to ænet.

        Raises:
            NotFittedError: the potential is not trained.
            ConfigError: ænet does not know its descriptor.
        """
        fitted, descriptor = self.fitted(), self.descriptor
        if not isinstance(descriptor, ChebyshevDescriptor):
            raise ConfigError(
                "files of ænet have words for ChebyshevDescriptor only, and this potential has "
                f"{type(descriptor).__name__}: use it from Python, ASE or LAMMPS",
                page="extending.md#a-descriptor",
            )
        return AenetExport(
            self.arch,
            descriptor,
            fitted.model,
            fitted.atomic_energies,
            fitted.record,
            uncertainty=None if fitted.seen is None else uncertainty_text(fitted.seen),
            repulsion=self.repulsion,
        )

    def _predictor(self, forces: bool, stress: bool, batch_size: int) -> Predictor:
        fitted = self.fitted()
        return Predictor(
            self.descriptor, [fitted.model], fitted.atomic_energies, forces, stress, batch_size,
            seen=fitted.seen, repulsion=self.repulsion,
        )  # fmt: skip
