"""Shift and scale of features and energies, from the training part of the data."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.checks import array_of_shape
from potentia.errors import ConfigError
from potentia.potentials.datasets.labelled import TrainingStructures
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.training_config import TorchTrainingConfig

__all__ = ["Normalisation", "energy_scale", "feature_statistics", "normalisation", "set_normalisation"]

CONSTANT = 1e-10
"""A feature whose standard deviation is below this, or below this part of its mean, never varies: it is dropped."""
CHUNK = 128
"""Structures whose features are summed at a time."""
UNITS = (1.0, 2.0**-26, 2.0**-52, 2.0**-78)
"""What numbers are cut into; below half of the last one nothing is seen."""


@dataclass(frozen=True, eq=False)
class Normalisation:
    """What brings features to mean 0 and standard deviation 1, and energies to [-1, 1]."""

    features: bool
    """Whether features are brought to anything at all."""
    feature_mean: NDArray[np.float64]
    """[features]"""
    feature_std: NDArray[np.float64]
    """[features]"""
    e_shift: float
    """eV/atom"""
    e_scaling: float
    """1/eV"""
    seen: FeatureRanges
    """The features of the training part, species by species."""


def feature_statistics(parts: Callable[[], Iterable[Tensor]]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of features in two passes over ``parts`` [atoms, features].

    The sums are the same bits in whatever order and parts the atoms come, so that files can be read as they lie.
    """
    total, count = _total(part.double() for part in parts())
    mean = total / count
    squares, _ = _total((part.double() - mean).square() for part in parts())
    return mean, (squares / count).sqrt()


def energy_scale(energy_per_atom: Tensor) -> tuple[float, float]:
    """Return shift (eV/atom) and scaling (1/eV) that bring ``energy_per_atom`` [structures] to [-1, 1].

    They are (max + min)/2 and 2/(max - min), the convention of ænet; 0 and 1 where all energies are alike.
    """
    low, high = float(energy_per_atom.min()), float(energy_per_atom.max())
    if high - low <= 1e-12 * max(abs(high), abs(low), 1.0):
        return 0.0, 1.0
    return (high + low) / 2, 2 / (high - low)


def normalisation(
    data: TrainingStructures,
    train: Tensor,
    config: TorchTrainingConfig,
    n_features: int,
    seen: FeatureRanges | None = None,
) -> Normalisation:
    """Return the normalisation from structures ``train`` and what ``config`` gives; ``seen``, if known, is kept."""
    passes = _Passes(data, train, seen)
    if config.feature_stats is not None:
        mean, std = _given_feature_stats(config.feature_stats, n_features)
    elif config.normalize_features:
        mean, std = feature_statistics(passes)
    else:
        mean, std = torch.zeros(n_features), torch.ones(n_features)
    shift, scaling = energy_scale(data.energy[train] / data.n_atoms[train]) if config.normalize_energy else (0.0, 1.0)
    return Normalisation(
        features=config.normalize_features or config.feature_stats is not None,
        feature_mean=mean.double().cpu().numpy(),
        feature_std=std.double().cpu().numpy(),
        e_shift=shift if config.E_shift is None else config.E_shift,
        e_scaling=scaling if config.E_scaling is None else config.E_scaling,
        seen=passes.seen(),
    )


def set_normalisation(buffers: Mapping[str, Tensor], found: Normalisation) -> None:
    """Fill the normalisation ``buffers`` of the networks; features that never vary get scale 0."""
    mean = torch.from_numpy(found.feature_mean)
    buffers["feature_mean"].copy_(mean)
    scale = _inverse(mean, torch.from_numpy(found.feature_std)) if found.features else torch.ones_like(mean)
    buffers["feature_scale"].copy_(scale)
    buffers["e_shift"].fill_(found.e_shift)
    buffers["e_scaling"].fill_(found.e_scaling)


class _Passes:
    """The features of the atoms of ``train``, to be gone through as often as wanted; once, their ranges are taken."""

    def __init__(self, data: TrainingStructures, train: Tensor, seen: FeatureRanges | None) -> None:
        self._data, self._train, self._seen = data, train, seen

    def __call__(self) -> Iterator[Tensor]:
        """Give them some structures at a time, by their places in the input."""
        chunks, found = torch.split(self._train.sort().values, CHUNK), []
        for k, chunk in enumerate(chunks):
            self._data.announce(chunks[k:], [0] * len(chunks[k:]))
            part, places = self._data.part(chunk, 0)
            atoms = part.featurised.geometry.select(places).atoms
            if self._seen is None:
                found.append(FeatureRanges.of_atoms(part.featurised, atoms))
            yield part.featurised.features.values[atoms]
        if self._seen is None:
            self._seen = FeatureRanges.sum(found)

    def seen(self) -> FeatureRanges:
        """Return their ranges, with a pass of its own if there was none yet."""
        if self._seen is None:
            deque(self(), maxlen=0)
        assert self._seen is not None
        return self._seen


def _total(parts: Iterable[Tensor]) -> tuple[Tensor, int]:
    """Return the sum over all rows of ``parts`` [rows, columns], and how many there are.  [columns]

    No order of the rows changes a bit: each number is cut into multiples of the `UNITS`, whose sums are exact up to
    2^28 rows.
    """
    sums, count = torch.zeros(len(UNITS), 1, dtype=torch.float64), 0
    for part in parts:
        cut, rest = [], part
        for unit in UNITS:
            multiple = (rest / unit).round() * unit
            cut.append(multiple.sum(0))
            rest = rest - multiple
        sums, count = sums.to(part.device) + torch.stack(cut), count + len(part)
    return sums.flip(0).sum(0), count


def _given_feature_stats(stats: Mapping[str, object], n_features: int) -> tuple[Tensor, Tensor]:
    mean, std = (
        torch.from_numpy(
            array_of_shape(f"feature_stats[{name!r}]", np.asarray(stats[name]), (n_features,), "(features,)")
        )
        for name in ("mean", "std")
    )
    if not bool((std >= 0).all()):
        raise ConfigError("feature_stats['std'] must not be negative")
    return mean, std


def _inverse(mean: Tensor, std: Tensor) -> Tensor:
    constant = std <= CONSTANT * torch.clamp(mean.abs(), min=1.0)
    return torch.where(constant, 0.0, 1 / torch.where(constant, 1.0, std))
