"""The data doctor: looks at structures before a training and tells what is wrong with them, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from potentia.data import Split
from potentia.errors import ConfigError, DataError
from potentia.potentials.descriptors.chebyshev import ChebyshevDescriptor
from potentia.potentials.formats.reading import Reading, StructureLike, read_structures
from potentia.potentials.quality.consistency import consistency_findings, energies_following, stress_following
from potentia.potentials.quality.copies import across_split, copy_findings, copy_table
from potentia.potentials.quality.coverage import coverage_findings, coverage_table
from potentia.potentials.quality.distances import distance_findings, distance_table
from potentia.potentials.quality.elements import element_findings, element_table
from potentia.potentials.quality.findings import Finding, place_of
from potentia.potentials.quality.frames import Frames
from potentia.potentials.quality.outliers import EnergyFit, energy_fit, outlier_findings
from potentia.potentials.quality.references import reference_findings, reference_table
from potentia.potentials.quality.report import DataReport
from potentia.potentials.quality.settings import CheckSettings
from potentia.potentials.quality.survey import Survey, survey
from potentia.potentials.quality.units import size_findings, work_findings
from potentia.potentials.quality.unseen import unseen_findings, unseen_table
from potentia.potentials.quality.zero_forces import zero_force_findings
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_input import TrainingInput

__all__ = ["check_structures"]

GRADES = {"error": 0, "warning": 1, "note": 2}


def check_structures(
    structures: StructureLike | Iterable[StructureLike],
    *,
    test: StructureLike | Iterable[StructureLike] | None = None,
    config: TorchTrainingConfig | None = None,
    atomic_energies: Mapping[str, float] | None = None,
    settings: CheckSettings | None = None,
    show_progress: bool = False,
) -> DataReport:
    """Look at structures before a training.

    Args:
        structures: Paths, ``ase.Atoms`` or structures; those of training, if there is a ``test``.
        test: Structures held out.
        config: Settings of the training to come, whose split is looked at; they must have a seed for it. Its atomic
            energies count unless others are given.
        atomic_energies: Energy of the free atom of each species (eV).
        settings: When something is told.
        show_progress: Whether to show a bar over the frames.

    Raises:
        DataError: there are no structures, or two atoms of one lie on each other.
        ConfigError: both ``test`` and ``config`` are given, or the settings have no seed.

    >>> from potentia import Structure
    >>> water = Structure([[0, 0, 0], [0.96, 0, 0], [-0.2, 0.2, 0]], ["O", "H", "H"], energy=-470.0)
    >>> [finding.check for finding in check_structures([water]).errors]
    ['distances']
    """
    given = read_structures(structures)
    held_out = None if test is None else read_structures(test)
    everything = [*given.structures, *(held_out.structures if held_out else [])]
    if not everything:
        raise DataError("there are no structures to look at: `structures` is empty")
    settings = settings or CheckSettings()
    known = atomic_energies if config is None or atomic_energies is not None else config.atomic_energies
    frames = Frames(
        everything,
        _split(given, held_out, config),
        "config_type" if config is None else config.group_key,
        dict(known or {}),
        settings,
    )
    seen = survey(everything, frames.split, settings, show_progress=show_progress)
    return _report(frames, seen, given, held_out)


def _split(given: Reading, held_out: Reading | None, config: TorchTrainingConfig | None) -> Split:
    n = len(given.structures)
    if held_out is not None:
        if config is not None:
            raise ConfigError("either `test` or `config` says what is held out: give one of them")
        return Split(np.arange(n), np.arange(n, n + len(held_out.structures)))
    if config is None:
        return Split(np.arange(n), np.empty(0, dtype=np.int64))
    seed = config.seed if config.split_seed is None else config.split_seed
    if seed is None:
        raise ConfigError("the split of a training is known only with its seed: set split_seed or seed")
    species = sorted({name for s in given.structures for name in s.species})
    any_descriptor = ChebyshevDescriptor(species, 0, 1.0, 0, 1.0)  # the split does not go by it
    to_train = replace(TrainingInput.of_structures(given, any_descriptor), inspected=True)
    return to_train.split(config, seed, to_train.contents(config))


def _report(frames: Frames, seen: Survey, given: Reading, held_out: Reading | None) -> DataReport:
    fit, across, copies, unseen = (
        energy_fit(frames, seen), across_split(frames, seen), copy_table(frames, seen), unseen_table(frames, seen),
    )  # fmt: skip
    work = work_findings(frames.structures)
    findings: list[Finding] = [
        *coverage_findings(frames),
        *zero_force_findings(frames, seen),
        *work,
        *size_findings(frames.structures, frames.atomic_energies),
        *consistency_findings(frames, seen, units_told=bool(work)),
        *reference_findings(frames),
        *distance_findings(frames, seen),
        *outlier_findings(frames, fit),
        *copy_findings(frames, copies, across),
        *element_findings(frames),
        *unseen_findings(frames, unseen),
    ]
    sources = pd.concat([given.table, *([held_out.table] if held_out else [])], ignore_index=True)
    return DataReport(
        findings=tuple(sorted(findings, key=lambda finding: GRADES[finding.severity])),
        settings=frames.settings,
        sources=sources,
        coverage=coverage_table(frames),
        elements=element_table(frames),
        references=reference_table(frames),
        distances=distance_table(frames, seen),
        copies=copies,
        near_copies=across.table,
        outside=unseen,
        frames=_frame_table(frames, seen, fit),
        followed={"energy": energies_following(frames, seen), "stress": stress_following(frames, seen)},
    )


def _frame_table(frames: Frames, seen: Survey, fit: EnergyFit | None) -> pd.DataFrame:
    """Return a row for each frame, in the order of the input."""
    places = [place_of(s, k) for k, s in enumerate(frames.structures)]
    nothing = np.full(len(frames), np.nan)
    return pd.DataFrame({
        "file": [place.file for place in places],
        "index": [place.index for place in places],
        "part": frames.parts,
        "group": frames.groups,
        "atoms": frames.n_atoms,
        "energy": frames.energy,
        "energy_per_atom": frames.energy / frames.n_atoms,
        "energy_off": nothing if fit is None else fit.residual,
        "force": frames.force,
        "largest_force": frames.largest_force,
        "force_cosine": seen.force_cosine,
        "model_force": seen.model_force,
    })  # fmt: skip
