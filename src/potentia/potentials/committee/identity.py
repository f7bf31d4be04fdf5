"""What tells a committee from others: its seeds, what decides its result, and what its record tells besides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from potentia.ensemble import METADATA, CommitteeConfig, read_metadata
from potentia.potentials.committee.shared import SharedData
from potentia.potentials.descriptors.registry import comparable
from potentia.potentials.estimator import TorchANNPotential
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_input import TrainingInput
from potentia.seeding import fresh_seed

__all__ = ["identity_of", "metadata_of", "seeds_of"]


def seeds_of(directory: Path, wanted: CommitteeConfig, config: TorchTrainingConfig) -> tuple[list[int], int]:
    """Return the seeds of the members and of the split: those given, else those of the directory, else new ones."""
    known: dict[str, Any] = {}
    if (directory / METADATA).is_file():
        known = read_metadata(directory)
    first, split = config.seed, config.split_seed
    if first is None and known:
        first = known["members"][0]["seed"]
    seeds = wanted.seeds(first)
    if split is None:
        split = config.seed if config.seed is not None else wanted.base_seed
    if split is None:
        split = known["members"][0]["split_seed"] if known else fresh_seed()
    return seeds, split


def identity_of(
    template: TorchANNPotential,
    config: TorchTrainingConfig,
    wanted: CommitteeConfig,
    shared: SharedData,
    split_seed: int,
) -> dict[str, Any]:
    """Return what decides the result, as plain values: a directory holds members of one identity."""
    recipe = template.recipe()
    identity = {
        "recipe": {**recipe, "descriptor": comparable(recipe["descriptor"], "device")},
        "config": {**config.fingerprint(), "iterations": config.iterations},
        "data": dict(shared.mark),
        "split": {"train": len(shared.split.train), "test": len(shared.split.test), "split_seed": split_seed},
        "atomic_energies": dict(shared.atomic_energies),
        "resample": wanted.resample,
    }
    return identity | ({"subset_fraction": wanted.subset_fraction} if wanted.resample == "subset" else {})


def metadata_of(template: TorchANNPotential, config: TorchTrainingConfig, given: TrainingInput) -> dict[str, Any]:
    """Return settings and kinds of the data, for those who read the record."""
    recipe = template.recipe()
    return {
        "training_config": config.plain(),
        "architecture": recipe["arch"],
        "descriptor_config": recipe["descriptor"],
        **({"repulsion": recipe["repulsion"]} if "repulsion" in recipe else {}),
        **given.kinds(),
    }
