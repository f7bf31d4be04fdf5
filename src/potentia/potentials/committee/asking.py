"""What is asked of a committee: predictions, error bars that can be trusted, extrapolation, what to label next."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pandas as pd
from torch.utils.data import Dataset

from potentia.calibration import Scaling, SplitConformal
from potentia.ensemble.spread import checked_aggregation
from potentia.errors import ConfigError, warn_user
from potentia.potentials.asking import Structures
from potentia.potentials.calculator import CommitteeCalculator
from potentia.potentials.committee.alike import joint_ranges
from potentia.potentials.committee.calibrating import TorchCommitteeCalibrateResult, calibrated, require_labels
from potentia.potentials.committee.calibration import CALIBRATION, CommitteeCalibration
from potentia.potentials.committee.predictions import TorchCommitteePredictResult
from potentia.potentials.datasets.joined import JoinedDataset
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.duplicates import NEAR
from potentia.potentials.estimator import TorchANNPotential
from potentia.potentials.extrapolation import Extrapolation
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.fitted import require_ranges
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.predicting import Predictor
from potentia.potentials.repulsion import ZBL
from potentia.potentials.selection import Selected, select
from potentia.potentials.simulation import SimulationModel
from potentia.potentials.training_input import require_descriptor

__all__ = ["AskedTogether"]


class AskedTogether(ABC):
    """Trained potentials of one architecture and descriptor whose answers are put together.

    Args:
        descriptor: The descriptor of all members.
        repulsion: What all members have besides their networks; None for nothing.
    """

    def __init__(self, descriptor: Descriptor, repulsion: ZBL | None = None) -> None:
        self.descriptor = descriptor
        self.repulsion = repulsion
        self.directory: Path | None = None
        """Where the committee has its files; None for members that come from anywhere."""
        self.calibration: CommitteeCalibration | None = None
        """What makes intervals of the spread, once `calibrate` has learned it."""

    @abstractmethod
    def load_members(self) -> list[TorchANNPotential]:
        """Return the members, or raise `NotFittedError`."""

    def predict(
        self,
        structures: Structures,
        eval_forces: bool = False,
        *,
        eval_stress: bool = False,
        aggregation: str = "mean",
        reference_member: int = 0,
        batch_size: int = 32,
    ) -> TorchCommitteePredictResult:
        """Return what the members predict, and how far they differ; features are computed once for all.

        A calibrated committee tells half-widths of intervals too, and one that knows what its training has seen which
        atoms are outside of that.

        Args:
            structures: Structures, ASE Atoms, paths of files, or a mix of them; no labels are needed.
            eval_forces: Also forces.
            eval_stress: Also stress, in `TorchCommitteePredictResult.member_outputs`.
            aggregation: ``"mean"``, or ``"reference"`` to answer with one of the members.
            reference_member: Which one.
            batch_size: Structures worked on at a time: memory, not numbers.

        Raises:
            NotFittedError: there are no trained members.
            DataError: a structure cannot be used: the message names file, frame and atom.
            ConfigError: there is no such aggregation or member.
        """
        predictor = self._predictor(eval_forces, eval_stress, batch_size)
        checked_aggregation(aggregation, reference_member, len(predictor.models))
        outputs = predictor.structures(read_structures(structures).structures)
        places = range(len(outputs[0]))
        return TorchCommitteePredictResult.of(outputs, places, aggregation, reference_member, self.calibration)

    def predict_dataset(
        self,
        dataset: Dataset[Any],
        eval_forces: bool = False,
        *,
        eval_stress: bool = False,
        aggregation: str = "mean",
        reference_member: int = 0,
        batch_size: int = 32,
    ) -> TorchCommitteePredictResult:
        """Return what `predict` does for the entries of a data set, or of a part of one, from the features it has.

        ``index`` counts the entries of the part, ``source_index`` those of the whole data set.

        Args:
            dataset: A data set of structures with the descriptor of the members, or a `torch.utils.data.Subset`.
            eval_forces: Also forces.
            eval_stress: Also stress, in `TorchCommitteePredictResult.member_outputs`.
            aggregation: ``"mean"``, or ``"reference"`` to answer with one of the members.
            reference_member: Which one.
            batch_size: Structures worked on at a time: memory, not numbers.

        Raises:
            NotFittedError: there are no trained members.
            DataError: it is no data set of structures.
            ConfigError: its descriptor is another, or there is no such aggregation or member.
        """
        predictor = self._predictor(eval_forces, eval_stress, batch_size)
        checked_aggregation(aggregation, reference_member, len(predictor.models))
        entries = JoinedDataset(dataset)
        require_descriptor(entries, self.descriptor)
        outputs = predictor.entries(entries)
        places = entries.source_index.tolist()
        return TorchCommitteePredictResult.of(outputs, places, aggregation, reference_member, self.calibration)

    def calibrate(
        self,
        structures: Structures | None = None,
        *,
        dataset: Dataset[Any] | None = None,
        method: SplitConformal | Scaling | None = None,
        measure: float = 0.5,
        level: float = 0.9,
        seed: int = 0,
        path: str | os.PathLike[str] | None = None,
        batch_size: int = 32,
    ) -> TorchCommitteeCalibrateResult:
        """Learn from labelled structures how wide intervals must be, and measure on others of them how good they are.

        Give structures that were neither trained on nor held out in the training to stop it or to choose the best
        weights: on these, errors are smaller than on new ones, and intervals come out too narrow. What is learned holds
        for structures that are drawn in the same way. Energies go by the spread of the energy per atom; the three
        components of the force on an atom by the root mean square of their spreads, each species by itself, whole
        structures together.

        The committee keeps what was learned from the one part, so that what was measured on the other holds for it; the
        intervals are in all later predictions. A committee that has a directory writes ``calibration.json`` there.

        Args:
            structures: Structures, ASE Atoms, paths of files, or a mix of them; all need energies, those with forces
                serve for forces.
            dataset: A data set of such structures, instead of them.
            method: `SplitConformal` or `Scaling`; None for ``SplitConformal()``.
            measure: Share of the structures that intervals are measured on; the others are learned from.
            level: Share of the errors that intervals shall hold.
            seed: Of the draw of the two parts.
            path: Where to write the calibration, instead of the directory.
            batch_size: Structures worked on at a time: memory, not numbers.

        Raises:
            NotFittedError: there are no trained members.
            DataError: there are fewer than two structures, or one has no energy.
            ConfigError: a setting cannot be.

        Warns:
            PotentiaWarning: too few were held out for the level, or for intervals of a species of its own.
        """
        if (structures is None) == (dataset is None):
            raise ConfigError("give either `structures` or `dataset` to calibrate on")
        models = self._models()
        if dataset is None:
            labelled = read_structures([] if structures is None else structures).structures
        else:
            entries = JoinedDataset(dataset)
            labelled = entries.labels(range(len(entries)))
        require_labels(labelled)
        forces = any(structure.has_forces() for structure in labelled)
        predicted = (
            self.predict(labelled, forces, batch_size=batch_size)
            if dataset is None
            else self.predict_dataset(dataset, forces, batch_size=batch_size)
        )
        found = calibrated(predicted, labelled, models, method or SplitConformal(), measure, level, seed)
        self.calibration = found.calibration
        if path is not None or self.directory is not None:
            found.calibration.to_json(path if path is not None else Path(self.directory or "") / CALIBRATION)
        return found

    def load_calibration(self, path: str | os.PathLike[str]) -> None:
        """Take the calibration from a file that `calibrate` has written.

        Raises:
            FileFormatError: the file is cut off, foreign, or of a newer version.
            ConfigError: it was learned with other members.
        """
        found = CommitteeCalibration.from_json(path)
        found.require_members(self._models(), str(path))
        self.calibration = found

    def extrapolation(self, structures: Structures) -> pd.DataFrame:
        """Return a row for each atom that is outside of what training has seen: which feature, and how far out.

        Nothing is predicted for it. The columns are those of `Extrapolated.table`.

        Raises:
            NotFittedError: there are no trained members, or what they have seen is not known.
            DataError: a structure cannot be used: the message names file, frame and atom.
        """
        compared = Extrapolation(self.descriptor, require_ranges(self._seen()))
        return compared.table(read_structures(structures).structures)

    def select(
        self,
        structures: Structures,
        n: int,
        by: str = "both",
        *,
        known: Structures | None = None,
        eval_forces: bool = False,
        near: float = NEAR,
        batch_size: int = 32,
    ) -> Selected:
        """Select the ``n`` structures to label next, without near-duplicates.

        Args:
            structures: What can be selected; no labels are needed.
            n: How many.
            by: ``"uncertainty"``, where the members differ most; ``"distance"``, farthest from all known and selected
                structures; or ``"both"``, the product.
            known: The structures of the training, which this does not keep.
            eval_forces: Go by the largest `AenetEnsembleResult.force_uncertainty` of an atom, instead of by the spread
                of the energy per atom.
            near: Part of the typical distance below which structures of one composition are nearly the same, so that
                one of them is enough.
            batch_size: Structures worked on at a time: memory, not numbers.

        Raises:
            NotFittedError: there are no trained members.
            ConfigError: a setting cannot be.
            DataError: a structure cannot be used.

        Warns:
            PotentiaWarning: there are fewer than ``n`` that are not nearly the same.
        """
        pool, seen = (read_structures(given).structures for given in (structures, [] if known is None else known))
        uncertainty = None
        if by != "distance":
            found = self.predict(pool, eval_forces, batch_size=batch_size)
            uncertainty = found.max_force_uncertainty if eval_forces else found.energy_std / found.n_atoms
        return select(pool, n, potential=self, by=by, uncertainty=uncertainty, known=seen, near=near)

    def calculator(self, **options: Any) -> CommitteeCalculator:
        """Return an ASE calculator of this committee; ``options`` are those of `CommitteeCalculator`.

        Raises:
            NotFittedError: there are no trained members.
            ConfigError: there is one member only.
        """
        return CommitteeCalculator(self, **options)

    def simulation_model(self) -> SimulationModel:
        """Return what a simulation needs of the committee: see `Engine`.

        Raises:
            NotFittedError: there are no trained members.
        """
        members = [member.fitted() for member in self.load_members()]
        networks, free = tuple(one.model for one in members), tuple(one.atomic_energies for one in members)
        return SimulationModel(self.descriptor, networks, free, self._seen(), self.calibration, self.repulsion)

    def _take_calibration(self, directory: Path) -> None:
        """Note where the committee has its files, and take the calibration there if it is of these members."""
        self.directory, self.calibration = directory, None
        if not (directory / CALIBRATION).is_file():
            return
        try:
            self.load_calibration(directory / CALIBRATION)
        except ConfigError as error:
            warn_user(f"{error}; predictions come without intervals")

    def _models(self) -> list[AtomicNetworks]:
        return [member.fitted().model for member in self.load_members()]

    def _seen(self) -> FeatureRanges | None:
        return joint_ranges(self.load_members())

    def _predictor(self, forces: bool, stress: bool, batch_size: int) -> Predictor:
        free = self.load_members()[0].fitted().atomic_energies
        return Predictor(
            self.descriptor, self._models(), free, forces, stress, batch_size, self._seen(), self.repulsion
        )
