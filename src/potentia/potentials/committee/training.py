"""The training of one member of a committee, where its process is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from potentia.data import Split
from potentia.ensemble import CommitteeConfig, Member, MemberEnd, multiplicity
from potentia.errors import DataError
from potentia.potentials.committee.results import metrics_of
from potentia.potentials.committee.shared import SharedData
from potentia.potentials.descriptors.registry import made_known
from potentia.potentials.estimator import TorchANNPotential, on_device
from potentia.potentials.fitted import FittedPotential
from potentia.potentials.history_export import export_history
from potentia.potentials.training import Training
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.train import load_checkpoint, newest_checkpoint

__all__ = ["MemberTraining"]


@dataclass(frozen=True)
class MemberTraining:
    """What the training of each member needs; it can be sent to other processes."""

    recipe: Mapping[str, Any]
    """Architecture and descriptor, as plain values."""
    config: TorchTrainingConfig
    """Settings that all members share."""
    committee: CommitteeConfig
    shared: SharedData
    deadline: float | None = None
    """When the time of the whole committee is up (s since the epoch of the clock)."""

    def __call__(self, member: Member) -> MemberEnd:
        """Train a member, from its newest checkpoint if there is one, and write its files."""
        made_known(self.recipe["descriptor"])
        if self.deadline is not None and time.time() >= self.deadline:
            return MemberEnd({}, interrupted="the time of the committee was up before it was begun")
        potential, training = self.blank(member), self.training(member)
        newest = None if member.checkpoint_dir is None else newest_checkpoint(member.checkpoint_dir)
        if newest is not None:
            done = int(load_checkpoint(newest).run["epoch"])
            left = max(0, training.config.iterations - done)
            training = replace(training, config=replace(training.config, iterations=left))
        split, counts = self.part_of(member)
        given = self.shared.for_member(potential.descriptor, split, counts)
        trained = training.run(given, None, newest, ())
        record = self.record_of(trained.record)
        potential.fitted_ = FittedPotential(trained.model, trained.atomic_energies, record, trained.seen)
        if not trained.out.resumable:
            potential.save(member.model_path)
        export_history(trained.out, member.history_json_path, member.history_csv_path)
        ended = trained.out.ended if trained.out.resumable else ""
        return MemberEnd(metrics_of(trained.out, trained.best_val_loss), interrupted=ended)

    def training(self, member: Member) -> Training:
        """Return the training of one member."""
        return self.blank(member).training(self.config_of(member))

    def config_of(self, member: Member) -> TorchTrainingConfig:
        """Return the settings of the training of one member."""
        known, shared = self.shared.normalisation, self.shared
        left = None if self.deadline is None else max(self.deadline - time.time(), 0.0)
        return replace(
            self.config,
            seed=member.seed,
            split_seed=member.split_seed,
            device=member.device,
            max_time=left,
            checkpoint_dir=None if member.checkpoint_dir is None else str(member.checkpoint_dir),
            output_dir=str(member.directory),
            atomic_energies=dict(shared.atomic_energies),
            max_energy=None,
            max_forces=None,
            feature_stats={"mean": known.feature_mean, "std": known.feature_std} if known.features else None,
            normalize_features=known.features,
            E_shift=known.e_shift,
            E_scaling=known.e_scaling,
        )

    def record_of(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the record of a member with the data and filters of the committee, by which its parts are found again.

        The member itself was given what was left of them.
        """
        filters = {name: self.config.__dict__[name] for name in ("max_energy", "max_forces")}
        return {
            **record,
            "training_config": {**record["training_config"], **filters},
            "data": dict(self.shared.mark),
        }

    def part_of(self, member: Member) -> tuple[Split, np.ndarray[Any, np.dtype[np.int64]] | None]:
        """Return the parts that a member sees, and how often each structure counts."""
        split = self.shared.split
        if self.committee.resample == "none":
            return split, None
        drawn = multiplicity(self.committee, len(split.train), member.seed)
        counts = np.zeros(int(self.shared.mark["structures"]), dtype=np.int64)
        counts[split.train] = drawn
        counts[split.test] = 1
        if not drawn.any():
            raise DataError(f"nothing is left to train member {member.index} on")
        return Split(split.train[drawn > 0], split.test), counts

    def blank(self, member: Member) -> TorchANNPotential:
        """The potential before its training, with its descriptor where it is trained."""
        stays = self.recipe["descriptor"].get("device", "cpu") == member.device or self.config.memory_mode == "mixed"
        return TorchANNPotential.from_recipe(self.recipe if stays else on_device(member.device, self.recipe))
