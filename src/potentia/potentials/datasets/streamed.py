"""Structures that do not fit into memory: features are made or read when a batch asks for them, or a little before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.potentials.datasets.base import PotentialDataset
from potentia.potentials.datasets.labelled import LabelledStructures, Labels
from potentia.potentials.datasets.lru import LRU
from potentia.potentials.surface import Featurised, joined

__all__ = ["CacheSizes", "StreamedStructures"]

PIECE = 128
"""Structures that are featurised at a time where all are."""
Key = tuple[tuple[int, ...], int]


@dataclass(frozen=True)
class CacheSizes:
    """How many structures' features are kept in memory, those used last; None keeps all."""

    features: int | None = 0
    """Features alone, of structures that are trained on their energies."""
    derivatives: int | None = 0
    """Features with pairs, of structures that are trained on forces or stress."""


class StreamedStructures:
    """Labels of all entries in memory, and their features in parts.

    Args:
        dataset: Where they come from.
        labels: Of all its entries.
        train: Which entries are trained on; their features and those of the others are kept apart.  [entries]
        caches: How many features are kept, of training and validation entries.
        workers: Threads that prepare parts ahead; 0 prepares each when it is asked for.
        ahead: Parts that each thread may be ahead.
        persistent: Whether the threads outlive the parts that were announced.
    """

    def __init__(
        self,
        dataset: PotentialDataset,
        labels: Labels,
        train: Tensor,
        caches: tuple[CacheSizes, CacheSizes],
        workers: int = 0,
        ahead: int = 2,
        *,
        persistent: bool = True,
    ) -> None:
        self.dataset, self.labels = dataset, labels
        self.energy, self.n_atoms, self.weight = labels.energy, labels.n_atoms, labels.weight
        self.has_forces, self.has_stress = labels.has_forces, labels.has_stress
        self.ahead = workers * ahead
        self._train = torch.zeros(len(dataset), dtype=torch.bool)
        self._train[train] = True
        self._kept = {
            (split, differentiated): LRU[Featurised](sizes.derivatives if differentiated else sizes.features)
            for split, sizes in zip((True, False), caches, strict=True)
            for differentiated in (True, False)
        }
        self._workers, self._persistent = workers, persistent
        self._pool: ThreadPoolExecutor | None = None
        self._coming: dict[Key, Future[LabelledStructures]] = {}

    def part(self, structures: Tensor, n_gradients: int) -> tuple[LabelledStructures, Tensor]:
        """Return data of just these structures."""
        if not len(structures):  # a share of a batch may be empty; some structure tells types and devices
            return self._load((0,), 0), torch.arange(0, device=self.energy.device)
        key = _key(structures, n_gradients)
        coming = self._coming.pop(key, None)
        data = self._load(*key) if coming is None else coming.result()
        if not self._persistent and not self._coming:
            self.close()
        return data, torch.arange(len(structures), device=self.energy.device)

    def announce(self, structures: Sequence[Tensor], n_gradients: Sequence[int]) -> None:
        """Begin to prepare the first few of these parts; others that were announced before are given up."""
        if not self._workers:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, "potentia-data")
        wanted = [_key(s, n) for s, n in zip(structures[: self.ahead], n_gradients, strict=False)]
        for key in set(self._coming) - set(wanted):
            self._coming.pop(key).cancel()
        for key in wanted:
            if key not in self._coming:
                self._coming[key] = self._pool.submit(self._load, *key)

    def close(self) -> None:
        """End the threads; what they were preparing is given up, and they begin again with the next announcement."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool, self._coming = None, {}

    def pieces(self) -> Iterator[Featurised]:
        """Return the features of all structures, some at a time."""
        for begin in range(0, len(self.dataset), PIECE):
            indices = range(begin, min(begin + PIECE, len(self.dataset)))
            yield self._featurised(indices, [False] * len(indices))

    def warm_up(self) -> None:
        """Fill the caches before they are asked for, in the order of the entries, until they are full."""
        for (split, differentiated), cache in self._kept.items():
            labelled = self.has_forces | self.has_stress
            fitting = torch.nonzero((self._train == split) & (labelled.cpu() | (not differentiated))).squeeze(1)
            chosen = fitting[: cache.size].tolist()
            for begin in range(0, len(chosen), PIECE):
                indices = chosen[begin : begin + PIECE]
                self._featurised(indices, [differentiated] * len(indices))

    def _load(self, indices: tuple[int, ...], n_gradients: int) -> LabelledStructures:
        differentiated = [k < n_gradients for k in range(len(indices))]
        featurised = self._featurised(indices, differentiated)
        places = torch.tensor(indices, dtype=torch.int64, device=self.energy.device)
        labels = Labels(**{name: values[places] for name, values in vars(self.labels).items()})
        return LabelledStructures.with_labels(featurised, labels, self.dataset.labels(indices))

    def _featurised(self, indices: Sequence[int], differentiated: Sequence[bool]) -> Featurised:
        """Return features from memory where they are kept, and make the others together."""
        caches = [self._kept[bool(self._train[i]), d] for i, d in zip(indices, differentiated, strict=True)]
        if all(cache.size == 0 for cache in caches):
            return self.dataset.featurised(indices, differentiated)
        found = {k: cache.held(i) for k, (cache, i) in enumerate(zip(caches, indices, strict=True))}
        missing = [k for k, one in found.items() if one is None]
        if missing:
            made = self.dataset.featurised([indices[k] for k in missing], [differentiated[k] for k in missing])
            for place, k in enumerate(missing):
                found[k] = one = made.structure(place)
                caches[k].put(indices[k], one)
        return joined([one for one in found.values() if one is not None], self.dataset.require_descriptor())


def _key(structures: Tensor, n_gradients: int) -> Key:
    return tuple(structures.tolist()), n_gradients
