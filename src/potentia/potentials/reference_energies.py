"""Energies of free atoms from total energies: by regression over many samples, or from chosen compounds."""

from __future__ import annotations

import copy
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from potentia.checks import integer, number
from potentia.errors import ConfigError, DataError
from potentia.potentials.composition_fit import Sample, StreamedFit
from potentia.potentials.compositions import Composition, composition, formula, unit_of
from potentia.potentials.formats.reading import read_structures, read_structures_as
from potentia.potentials.structure import Structure
from potentia.seeding import fresh_seed, stream

__all__ = ["EnergySample", "ReferenceEnergies", "iter_composition_energy_samples_from_files"]

EnergySample: TypeAlias = Structure | tuple[str | Mapping[str, Any], float]
"""A structure with its energy, or a composition (formula or counts) and its total energy (eV)."""


@dataclass(frozen=True, init=False)
class ReferenceEnergies:
    """Energies of free atoms, and how they were found.

    Give `atomic_energies` to ``TorchTrainingConfig(atomic_energies=...)``.

    >>> samples = [("H2", -31.7), ("H2O", -472.1), ({"O": 2}, -869.4)]
    >>> reference = ReferenceEnergies.from_reference_compounds(samples, reference_compounds=["H2", "O2"])
    >>> reference.atomic_energies
    {'H': -15.85, 'O': -434.7}
    """

    method: str
    """``"regression"`` or ``"reference_compounds"``."""
    _atomic_energies: dict[str, float]
    _metadata: dict[str, Any]

    def __init__(
        self, atomic_energies: Mapping[str, float], method: str, metadata: Mapping[str, Any] | None = None
    ) -> None:
        checked = {str(name): number(f"atomic_energies[{name!r}]", e) for name, e in atomic_energies.items()}
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "_atomic_energies", checked)
        object.__setattr__(self, "_metadata", copy.deepcopy(dict(metadata or {})))

    def __repr__(self) -> str:
        return f"ReferenceEnergies({self._atomic_energies}, {self.method!r})"

    @property
    def atomic_energies(self) -> dict[str, float]:
        """Energy of a free atom by species (eV); a copy."""
        return dict(self._atomic_energies)

    @property
    def metadata(self) -> dict[str, Any]:
        """What was fitted to what, and how well (``rmse`` in eV per sample, of total energies); a copy."""
        return copy.deepcopy(self._metadata)

    @classmethod
    def from_regression(
        cls,
        samples: Iterable[EnergySample],
        *,
        fixed_atomic_energies: Mapping[str, float] | None = None,
        subset_size: int | None = None,
        subset_fraction: float | None = None,
        random_seed: int | None = None,
    ) -> ReferenceEnergies:
        """Fit the energies of the atoms to total energies by least squares, over all samples or some drawn at random.

        Args:
            samples: may be lazy, and is gone through once. One composition alone determines nothing but a ratio:
                compositions must differ in as many ways as there are species that are not fixed.
            fixed_atomic_energies: energies (eV) that are known already.
            subset_size: how many samples to draw, without replacement and each equally likely.
            subset_fraction: which part of the samples to draw, rounded up; only where their number is known.
            random_seed: seed of the draw; without one a fresh seed is taken and told in the metadata.

        Raises:
            ConfigError: a setting cannot be.
            DataError: a sample cannot be, or the samples do not determine the energies.
        """
        size = _subset_size(samples, subset_size, subset_fraction)
        seed = fresh_seed() if size is not None and random_seed is None else random_seed
        if seed is not None:
            seed = integer("random_seed", seed)
        fit = StreamedFit()
        if size is None or seed is None:
            fit.add_all(_checked_samples(samples))
            n_total = fit.n_samples
        else:
            drawn = _reservoir(_checked_samples(samples), size, seed)
            n_total = drawn.n_total
            fit.know(drawn.species)  # what is in no sample drawn must not pass unseen
            fit.add_all(drawn.samples)
        _require_samples(n_total)
        fitted = fit.solve(fixed_atomic_energies or {})
        metadata = {
            **fitted.quality,
            "n_samples_total": n_total,
            "n_samples_used": fit.n_samples,
            "subset_size": size,
            "subset_fraction": None if subset_fraction is None else float(subset_fraction),
            "random_seed": seed,
        }
        return cls(fitted.energies, "regression", metadata)

    @classmethod
    def from_reference_compounds(
        cls,
        samples: Iterable[EnergySample],
        *,
        reference_compounds: Sequence[str | Mapping[str, int]],
        fixed_atomic_energies: Mapping[str, float] | None = None,
    ) -> ReferenceEnergies:
        """Take the energies of the atoms from chosen compounds, each by its sample of lowest energy.

        Args:
            samples: may be lazy, and is gone through once.
            reference_compounds: formulas or counts, as they stand in the samples: ``"TiO2"`` is not found in a cell
                of Ti8O16, for which ``"Ti8O16"`` must be asked.
            fixed_atomic_energies: energies (eV) that are known already.

        Raises:
            ConfigError: a setting cannot be.
            DataError: a sample cannot be, a compound is not among them, or they do not determine the energies.
        """
        wanted = _distinct(reference_compounds)
        best: dict[frozenset[tuple[str, int]], Sample] = {}
        counts: Counter[frozenset[tuple[str, int]]] = Counter()
        n_total = 0
        for sample in _checked_samples(samples):
            n_total += 1
            key = frozenset(sample.counts.items())
            counts[key] += 1
            if key not in best or sample.energy < best[key].energy:
                best[key] = sample
        _require_samples(n_total)
        keys = [frozenset(compound.items()) for compound in wanted]
        _require_compounds(wanted, counts)
        fit = StreamedFit()
        fit.add_all(best[key] for key in keys)
        fitted = fit.solve(fixed_atomic_energies or {})
        metadata = {
            **fitted.quality,
            "n_samples_total": n_total,
            "n_reference_compounds": len(wanted),
            "reference_compounds": wanted,
            "reference_candidate_counts": [counts[key] for key in keys],
            "selected_reference_samples": [{"composition": best[k].counts, "energy": best[k].energy} for k in keys],
        }
        return cls(fitted.energies, "reference_compounds", metadata)


def iter_composition_energy_samples_from_files(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], frmt: str | None = None
) -> Iterator[tuple[Composition, float]]:
    """Yield composition and total energy (eV) of every frame, opening one file after the other.

    Args:
        paths: one file or many, of any format that `read_structures` knows.
        frmt: their format, if the names do not tell it: ``"xsf"`` or a name of ASE's, such as ``"vasp-out"``.

    Raises:
        FileFormatError: a file does not exist or cannot be read.
        DataError: a frame has no energy.
    """
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        frames = read_structures(path).structures if frmt is None else read_structures_as(path, frmt)
        for frame in frames:
            sample = _of_structure(frame)
            yield sample.counts, sample.energy


def _checked_samples(samples: Iterable[EnergySample]) -> Iterator[Sample]:
    for k, sample in enumerate(samples):
        if isinstance(sample, Structure):
            yield _of_structure(sample)
            continue
        try:
            what, energy = sample
        except (TypeError, ValueError):
            raise DataError(f"sample {k} must be a Structure or (composition, energy), got {sample!r}") from None
        yield Sample(composition(what, f"sample {k}"), _finite(energy, k))


def _of_structure(structure: Structure) -> Sample:
    if structure.energy is None:
        raise DataError(f"{structure.label} has no energy: leave it out, or give its total energy (eV)")
    return Sample(dict(Counter(structure.species)), structure.energy)


def _finite(energy: object, k: int) -> float:
    try:
        return number(f"the energy (eV) of sample {k}", energy)
    except ConfigError as error:
        raise DataError(str(error)) from None


def _require_samples(n_total: int) -> None:
    if n_total == 0:
        raise DataError("At least one sample is required: there are none, or a lazy iterable was used up before")


def _subset_size(samples: Iterable[EnergySample], size: object, fraction: object) -> int | None:
    """Return how many samples to draw, None for all."""
    if size is not None and fraction is not None:
        raise ConfigError("Specify at most one of subset_size and subset_fraction")
    if size is None and fraction is None:
        return None
    if fraction is not None:
        if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction <= 1:
            raise ConfigError(f"subset_fraction must be a finite float in the interval (0, 1], got {fraction!r}")
        if not isinstance(samples, Sized):
            raise ConfigError("subset_fraction requires a sized sample collection: give subset_size, or a list")
        return max(1, math.ceil(fraction * len(samples) - 1e-9))  # 0.07 * 100 is 7.000000000000001
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise ConfigError(f"subset_size must be a positive integer, got {size!r}")
    return int(size)


class _Drawn(NamedTuple):
    samples: list[Sample]
    n_total: int
    species: set[str]
    """Of all samples, not of those drawn only."""


def _reservoir(samples: Iterable[Sample], size: int, seed: int) -> _Drawn:
    """Draw ``size`` samples in one pass, each equally likely (Vitter's algorithm R)."""
    draw = stream(seed, "reference energies", "subset")
    chosen: list[Sample] = []
    n_total = 0
    species: set[str] = set()
    for sample in samples:
        n_total += 1
        species.update(sample.counts)
        if n_total <= size:
            chosen.append(sample)
        elif (place := int(draw.integers(n_total))) < size:
            chosen[place] = sample
    if 0 < n_total < size:
        raise ConfigError(f"subset_size cannot exceed the number of available samples, got {size} of {n_total}")
    return _Drawn(chosen, n_total, species)


def _distinct(compounds: Sequence[str | Mapping[str, int]]) -> list[Composition]:
    if isinstance(compounds, str | Mapping) or not compounds:
        raise ConfigError(f"reference_compounds must be a list such as ['TiO2', 'O2'], got {compounds!r}")
    wanted = [composition(compound, "reference_compounds") for compound in compounds]
    for k, compound in enumerate(wanted):
        if compound in wanted[:k]:
            raise ConfigError(f"reference_compounds contains duplicate or equivalent compositions: {formula(compound)}")
    return wanted


def _require_compounds(wanted: list[Composition], found: Counter[frozenset[tuple[str, int]]]) -> None:
    missing = [compound for compound in wanted if frozenset(compound.items()) not in found]
    if not missing:
        return
    units = [unit_of(compound) for compound in missing]
    others = [formula(dict(sorted(key))) for key in found if unit_of(dict(key)) in units]
    hint = f"; of the same ratio there are {', '.join(sorted(others))}" if others else ""
    raise DataError(f"Missing requested reference compounds: {', '.join(map(formula, missing))}{hint}")
