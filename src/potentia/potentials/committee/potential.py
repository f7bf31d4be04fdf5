"""`TorchCommitteePotential`: several potentials of one kind, trained side by side and asked together."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Dataset

from potentia.ensemble import CommitteeConfig, Member, bars_of_members, forecast_of_all, read_metadata, train_members
from potentia.ensemble.members import COMPLETED
from potentia.ensemble.run import Committee, OneByOne, Together, Way
from potentia.errors import ConfigError, NotFittedError
from potentia.estimator import Estimator
from potentia.potentials.asking import Structures
from potentia.potentials.committee.alike import require_alike
from potentia.potentials.committee.asking import AskedTogether
from potentia.potentials.committee.calibration import CommitteeCalibration
from potentia.potentials.committee.config import TorchCommitteeConfig
from potentia.potentials.committee.identity import identity_of, metadata_of, seeds_of
from potentia.potentials.committee.results import TorchCommitteeMemberResult, TorchCommitteeTrainResult
from potentia.potentials.committee.shared import shared_data
from potentia.potentials.committee.together import TogetherTraining, require_fit
from potentia.potentials.committee.training import MemberTraining
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.descriptors.registry import require_known
from potentia.potentials.estimator import TorchANNPotential, on_device
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.networks import Architecture, checked_architecture
from potentia.potentials.repulsion import ZBL, checked_repulsion
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_input import TrainingInput
from potentia.potentials.uncertainty_export import write_uncertainty
from potentia.study import threads_limited
from potentia.train import Forecast
from potentia.train.stopping import deadline_of

__all__ = ["TorchCommitteePotential"]


@final
class TorchCommitteePotential(Estimator, AskedTogether):
    """Potentials of one architecture and descriptor whose predictions are put together, with their spread.

    The members differ in the seed of their weights and batches, and, if asked for, in the structures they see. All
    share the split, the features, the energies of free atoms, and the normalisation of features and energies, which
    are those of the whole training part.

    Args:
        arch: Hidden layers of each species, as for `TorchANNPotential`.
        descriptor: The descriptor of atoms.
        repulsion: As for `TorchANNPotential`; the same for all members, so their spread is that of the networks.

    Example:
        >>> from potentia import ChebyshevDescriptor
        >>> descriptor = ChebyshevDescriptor(["H"], rad_order=1, rad_cutoff=2.0, ang_order=0, ang_cutoff=2.0)
        >>> committee = TorchCommitteePotential({"H": [(4, "tanh")]}, descriptor=descriptor)
        >>> committee.is_trained()
        False
    """

    kind = "committee of potentials"

    def __init__(
        self,
        arch: Mapping[str, Sequence[tuple[int, str]]],
        descriptor: Descriptor,
        *,
        repulsion: ZBL | None = None,
    ) -> None:
        super().__init__(descriptor, checked_repulsion(repulsion, descriptor.species, descriptor.cutoff))
        self.arch: Architecture = checked_architecture(arch, descriptor.species)
        self.member_model_paths: list[Path] = []
        """Files of the trained members."""
        self._members: list[TorchANNPotential] | None = None

    def train(
        self,
        structures: Structures | None = None,
        config: TorchTrainingConfig | None = None,
        committee_config: TorchCommitteeConfig | None = None,
        *,
        dataset: Dataset[Any] | None = None,
        train_dataset: Dataset[Any] | None = None,
        test_dataset: Dataset[Any] | None = None,
        executor: Executor | None = None,
    ) -> TorchCommitteeTrainResult:
        """Train the members, and write model, history and summary of each into a directory.

        Members that the directory has already are kept if data and settings are the same: after a failure or an
        interrupt, the same call trains what is missing, from the checkpoints where there are any. ``config.max_time``
        is for all members together. A member equals a single potential trained with its seed, to the bit where it uses
        as many threads, unless ``resample`` gives it a part of the data.

        Args:
            structures: Structures, ASE Atoms, paths of files, or a mix of them; every one needs an energy.
            config: Settings of each training; the defaults of `TorchTrainingConfig` if None.
            committee_config: How many members, from which seeds, where; five members if None.
            dataset: A data set to be split like structures, instead of them.
            train_dataset: A data set to train on, all of it, instead of them.
            test_dataset: With ``train_dataset``, what is held out.
            executor: Who trains the members: any executor of `concurrent.futures` whose workers see the same files,
                such as those of Dask, MPI or Slurm.

        Raises:
            DataError: a structure cannot be used: the message names file, frame and atom.
            ConfigError: settings do not fit the data, the descriptor, or what is in the directory.
            TrainingError: members have failed; the others are trained.
        """
        config, wanted = config or TorchTrainingConfig(), committee_config or TorchCommitteeConfig(num_members=5)
        begun = time.time()
        template = TorchANNPotential(self.arch, self.descriptor, repulsion=self.repulsion)
        default = self._device(config)
        if wanted.max_parallel > 1 and wanted.devices is None and not default.startswith("cpu"):
            raise ConfigError(
                "Parallel committee training on a non-CPU device requires an explicit devices=[...] list: "
                "name a device for each of the members that are trained at a time"
            )
        if wanted.batched:
            require_fit(config)
            if executor is not None:
                raise ConfigError("batched=True trains all members in this process: leave batched, or the executor")
        given = template.given(structures, dataset, train_dataset, test_dataset)
        directory = wanted.directory.absolute()
        directory.mkdir(parents=True, exist_ok=True)
        members, split_seed = self._members_in(directory, wanted, config)
        asked = config.show_progress
        config = bars_of_members(config, wanted, executor)
        with shared_data(given, template.training(config), split_seed, directory) as shared:
            deadline = deadline_of(config.max_time, begun)
            work = MemberTraining(template.recipe(), config, wanted, shared, deadline)
            committee = Committee(
                wanted, members, identity_of(template, config, wanted, shared, split_seed),
                metadata_of(template, config, given), asked,
            )  # fmt: skip
            done = train_members(committee, _way(work, committee, executor), TorchCommitteeMemberResult)
            parts = {"train_indices": shared.split.train, "test_indices": shared.split.test}
        places = {name: np.sort(part).tolist() for name, part in parts.items()}
        result = TorchCommitteeTrainResult(**vars(done), **places)
        self.member_model_paths = [member.model_path for member in result.completed_members]
        self._members = None
        self._take_calibration(directory)
        return result

    def forecast(
        self,
        structures: Structures | None = None,
        config: TorchTrainingConfig | None = None,
        committee_config: TorchCommitteeConfig | None = None,
        *,
        dataset: Dataset[Any] | None = None,
        train_dataset: Dataset[Any] | None = None,
        test_dataset: Dataset[Any] | None = None,
    ) -> Forecast:
        """Say how long the same call of `train` would take: the first batches of one member are measured.

        An epoch is one of all members: as many at a time as ``max_parallel`` says, with the threads that each has then;
        memory is that of as many processes. Of a ``batched`` committee, batches of all members are measured. Arguments
        and errors are those of `train`.
        """
        config, wanted = config or TorchTrainingConfig(), committee_config or TorchCommitteeConfig(num_members=5)
        template = TorchANNPotential(self.arch, self.descriptor, repulsion=self.repulsion)
        if wanted.batched:
            given = template.given(structures, dataset, train_dataset, test_dataset)
            with threads_limited(wanted.threads_per_member):
                return self._forecast_together(template, given, config, wanted)
        alone = replace(config, seed=wanted.seeds(config.seed)[0], device=wanted.device_of(0, self._device(config)))
        parts = {"dataset": dataset, "train_dataset": train_dataset, "test_dataset": test_dataset}
        return forecast_of_all(wanted, lambda: template.forecast(structures, alone, **parts))

    def _forecast_together(
        self, template: TorchANNPotential, given: TrainingInput, config: TorchTrainingConfig, wanted: CommitteeConfig
    ) -> Forecast:
        with tempfile.TemporaryDirectory() as folder:
            config = replace(config, checkpoint_dir=None, show_progress=False, show_batch_progress=False)
            members, split_seed = self._members_in(Path(folder), wanted, config)
            with shared_data(given, template.training(config), split_seed, Path(folder)) as shared:
                each = MemberTraining(template.recipe(), config, wanted, shared)
                return TogetherTraining(each, Path(folder), {}).prepare(members).forecast(config.iterations)

    def _members_in(
        self, directory: Path, wanted: CommitteeConfig, config: TorchTrainingConfig
    ) -> tuple[list[Member], int]:
        """Return the members that a directory is to hold, and the seed of the split."""
        seeds, split_seed = seeds_of(directory, wanted, config)
        keeps, default = config.checkpoint_dir is not None, self._device(config)
        return [
            Member(k, seed, split_seed, wanted.device_of(k, default), directory / f"member_{k:03d}", checkpoints=keeps)
            for k, seed in enumerate(seeds)
        ], split_seed

    def to_aenet_ascii(
        self,
        output_dir: str | os.PathLike[str],
        prefix: str = "potential",
        descriptor_stats: Mapping[str, ArrayLike] | None = None,
        structures: Structures | None = None,
        compute_stats: bool = True,
    ) -> list[dict[str, Path]]:
        """Write each member for ænet to ``member_000``, ``member_001``, … of a directory; all of them or none.

        ``<prefix>.uncertainty.json`` beside them holds the calibration and what training has seen, as far as there are.
        Arguments and errors are those of `TorchANNPotential.to_aenet_ascii`.

        Returns:
            The manifest: for each member the file of each species, ``[{"Ti": …, "O": …}, …]``, absolute paths.
        """
        given = None if structures is None else read_structures(structures).structures
        calibration = None if self.calibration is None else self.calibration.to_plain()
        with ExitStack() as stack:
            staged = [
                member.aenet_export().stage(
                    stack, Path(output_dir) / f"member_{k:03d}", prefix, descriptor_stats, given,
                    compute_stats=compute_stats,
                )
                for k, member in enumerate(self.load_members())
            ]  # fmt: skip
        write_uncertainty(Path(output_dir), prefix, self._seen(), calibration)
        return [member.settle() for member in staged]

    @classmethod
    def from_aenet(
        cls,
        members: Sequence[Mapping[str, str | os.PathLike[str]]],
        device: str | None = None,
        *,
        repulsion: ZBL | None = None,
    ) -> Self:
        """Read a committee from files of ænet: for each member the file of each species, ``.nn`` or ``.nn.ascii``.

        The files hold networks only: a ``repulsion`` that they were trained with must be given here.

        Raises:
            FileFormatError: a file cannot be read.
            NotFittedError: there are none.
            ConfigError: members differ in architecture, descriptor or energies of free atoms.
        """
        if not members:
            raise NotFittedError("No committee member models are available: members is empty")
        read = [TorchANNPotential.from_aenet(paths, device=device, repulsion=repulsion) for paths in members]
        require_alike(read, [next(iter(paths.values())) for paths in members])
        committee = cls(read[0].arch, read[0].descriptor, repulsion=repulsion)
        committee._members = read
        return committee

    @classmethod
    def from_files(cls, paths: Sequence[str | os.PathLike[str]], device: str | None = None) -> Self:
        """Read the members from files of `TorchANNPotential.save` or checkpoints.

        Args:
            paths: A file for each member.
            device: Where the members go; None for the device of the first.

        Raises:
            NotFittedError: there are none.
            ConfigError: they differ in architecture, descriptor or energies of free atoms.
        """
        if not paths:
            raise NotFittedError("No committee member models are available: paths is empty")
        first = TorchANNPotential.from_file(paths[0], device)
        committee = cls(first.arch, first.descriptor, repulsion=first.repulsion)
        committee.member_model_paths = [Path(path).absolute() for path in paths]
        committee._take_members(first)
        return committee

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str], device: str | None = None) -> Self:
        """Read the completed members of a directory of `train`, wherever it has been moved, and their calibration.

        Args:
            path: The directory, or its ``committee_metadata.json``.
            device: Where the members go; None for the device of the first.

        Raises:
            FileFormatError: there is no committee.
            NotFittedError: none of its members is completed.
        """
        place = Path(path)
        directory = place if place.is_dir() else place.parent
        entries = read_metadata(place)["members"]
        records = [TorchCommitteeMemberResult.from_metadata(entry, directory) for entry in entries]
        completed = [record.model_path for record in records if record.status == COMPLETED]
        if not completed:
            raise NotFittedError(f"No completed committee members were found in {directory}: train it first")
        committee = cls.from_files(completed, device)
        committee._take_calibration(directory)
        return committee

    def load_members(self) -> list[TorchANNPotential]:
        """Return the members, read from their files the first time.

        Raises:
            NotFittedError: there are none.
            ConfigError: they differ in architecture, descriptor or energies of free atoms.
        """
        if self._members is None:
            if not self.member_model_paths:
                raise NotFittedError("No committee member models are available; call `train`, or read some from files")
            return self._take_members()
        return list(self._members)

    def _take_members(self, *known: TorchANNPotential) -> list[TorchANNPotential]:
        """Read the members from their files but for the first ones, which are ``known``."""
        device = str(self.descriptor.device)
        rest = self.member_model_paths[len(known) :]
        members = [*known, *(TorchANNPotential.from_file(path, device) for path in rest)]
        require_alike(members, self.member_model_paths)
        self._members = members
        return list(members)

    def is_trained(self) -> bool:
        """Whether there are members to predict with."""
        return bool(self.member_model_paths or self._members)

    def recipe(self) -> dict[str, Any]:
        """Return architecture, descriptor, and repulsion where there is one, as plain values."""
        return TorchANNPotential(self.arch, self.descriptor, repulsion=self.repulsion).recipe()

    def learned(self) -> dict[str, Any]:
        """Return what each member has learned, and the calibration: `save` writes all members into one file."""
        calibration = None if self.calibration is None else self.calibration.to_plain()
        return {"members": [member.learned() for member in self.load_members()], "calibration": calibration}

    @classmethod
    def require_readable(cls, recipe: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
        """Raise `FileFormatError` unless the descriptor that a file names is registered here."""
        require_known(recipe["descriptor"], str(path))

    @classmethod
    def from_parts(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        """Build a trained committee from `recipe` and `learned`."""
        members = [TorchANNPotential.from_parts(recipe, one) for one in learned["members"]]
        for member in members:
            member.fitted().record.update(learned.get("record", {}))  # what was noted when it was saved
        committee = cls(members[0].arch, members[0].descriptor, repulsion=members[0].repulsion)
        committee._members = members
        if learned["calibration"] is not None:
            committee.calibration = CommitteeCalibration.from_plain(learned["calibration"])
        return committee

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], device: str | None = None) -> Self:
        """Read a committee from a file of `save`, onto ``device`` (None: the one it was saved from)."""
        recipe, learned = cls.parts_in(path)
        return cls.from_parts(recipe if device is None else on_device(device, recipe), learned)

    def _device(self, config: TorchTrainingConfig) -> str:
        """Return where members are trained that no device is given to."""
        return config.device or str(self.descriptor.device)

    def __repr__(self) -> str:
        members = len(self.member_model_paths if self._members is None else self._members)
        repulsion = "" if self.repulsion is None else f"repulsion={self.repulsion!r}, "
        return f"TorchCommitteePotential(arch={dict(self.arch)!r}, {repulsion}members={members})"


def _way(work: MemberTraining, committee: Committee, executor: Executor | None) -> Way[TorchCommitteeMemberResult]:
    """Return how the members are trained."""
    if committee.config.batched:
        return Together(TogetherTraining(work, committee.directory, committee.identity))
    return OneByOne.of(work, committee.config, executor)
