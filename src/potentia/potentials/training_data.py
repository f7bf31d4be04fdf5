"""From the structures of a training to what its batches are made of: in memory, or streamed where that is too small."""

from __future__ import annotations

import numpy as np
import torch

from potentia.data import Split
from potentia.errors import ConfigError, warn_user
from potentia.potentials.datasets.contents import Contents
from potentia.potentials.datasets.kept import kept_features
from potentia.potentials.datasets.labelled import (
    LabelledStructures,
    Labels,
    TrainingStructures,
    require_energies,
)
from potentia.potentials.datasets.memory import bytes_of
from potentia.potentials.datasets.streamed import CacheSizes, StreamedStructures
from potentia.potentials.surface import Featurised
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_input import TrainingInput

__all__ = ["training_data"]

AMPLE = 100_000
"""Bytes per atom that no usual descriptor needs (2,700 pairs): where so much is there, nothing is tried."""
TRIED = 16
"""Structures, evenly spaced, that tell how much memory all of them take."""


def training_data(
    given: TrainingInput,
    split: Split,
    config: TorchTrainingConfig,
    atomic_energies: dict[str, float],
    contents: Contents,
) -> TrainingStructures:
    """Lay out all structures with their labels, in the order of the input; ``contents`` are theirs.

    Raises:
        DataError: a structure has no energy.
        ConfigError: the caches asked for cannot be.
    """
    dataset = given.learned
    summary = dataset.summary()
    require_energies(dataset, summary)
    descriptor = dataset.require_descriptor()
    labels = Labels.of(summary, atomic_energies, _weights(given, contents, config, summary.weight), descriptor.device)
    differentiated = (labels.has_forces | labels.has_stress) & config.supervises_gradients
    everything = range(len(dataset))

    def make() -> Featurised:
        return dataset.featurised(everything, differentiated.tolist())

    limit = bytes_of(config.memory_limit)
    small = summary.n_atoms.sum() * AMPLE <= limit
    if not small and _bytes_needed(given, differentiated.cpu().numpy(), summary.n_atoms) > limit:
        return _streamed(given, labels, split, config)
    if config.cache_persist_dir is None:
        featurised = make()
    else:
        gradients, mark = config.supervises_gradients, contents.mark(np.arange(len(dataset)))
        featurised = kept_features(config.cache_persist_dir, mark, descriptor, gradients=gradients, make=make)
    return LabelledStructures.with_labels(featurised, labels, dataset.labels(everything))


def _streamed(given: TrainingInput, labels: Labels, split: Split, config: TorchTrainingConfig) -> StreamedStructures:
    """Features in parts, as many of them kept as the settings say."""
    if config.cache_persist_dir is not None:
        raise ConfigError(
            "cache_persist_dir is for features that fit into memory_limit; for larger data build an "
            "HDF5StructureDataset with persist_features=True and train on that"
        )
    if config.cache_warmup and config.num_workers:
        warn_user("Skipping trainer-owned runtime cache warmup: num_workers > 0 prepares batches ahead anyway")
    both = [config.cache_neighbor_max_entries] * config.cache_neighbors
    both += [config.cache_force_triplet_max_entries] * config.cache_force_triplets
    kept = CacheSizes(
        features=config.cache_feature_max_entries if config.cache_features else 0,
        derivatives=None if None in both else max((size for size in both if size is not None), default=0),
    )
    none = CacheSizes()
    caches = (kept if config.cache_scope != "val" else none, kept if config.cache_scope != "train" else none)
    train = torch.from_numpy(split.train)
    streamed = StreamedStructures(
        given.learned, labels, train, caches, config.num_workers, config.prefetch_factor,
        persistent=config.persistent_workers,
    )  # fmt: skip
    if config.cache_warmup and not config.num_workers:
        streamed.warm_up()
    return streamed


def _weights(given: TrainingInput, contents: Contents, config: TorchTrainingConfig, own: np.ndarray) -> np.ndarray:
    """Weight of each structure: its own times that of its group, as often as it counts.  [structures]"""
    if given.multiplicity is not None:
        own = own * given.multiplicity
    wanted = config.group_weights
    if wanted is None or contents.groups is None:
        return own
    groups = contents.groups
    missing = [name for name in wanted if name not in groups]
    if missing:
        known = sorted({name for name in groups if name is not None})
        raise ConfigError(
            f"group_weights names {', '.join(missing)}, but no structure has that {config.group_key!r}; there are: "
            f"{', '.join(known) or 'none'}"
        )
    factors = np.array([1.0 if name is None else wanted.get(name, 1.0) for name in groups])
    return np.asarray(own * factors, dtype=np.float64)


def _bytes_needed(given: TrainingInput, differentiated: np.ndarray, n_atoms: np.ndarray) -> int:
    """Memory that the features of all structures would take, from a few of each kind."""
    total = 0.0
    for kind in (False, True):
        entries = np.flatnonzero(differentiated == kind)
        if not len(entries):
            continue
        tried = entries[:: max(1, len(entries) // TRIED)][:TRIED].tolist()
        found = given.dataset.featurised(tried, [kind] * len(tried))
        total += found.nbytes * n_atoms[entries].sum() / max(n_atoms[tried].sum(), 1)
    return int(total)
