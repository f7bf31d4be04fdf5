"""The report on a potential: what its file knows, what data tell of it, and how it behaves beyond them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from potentia.potentials.report.dimers import dimer_section
from potentia.potentials.report.drift import drift_section
from potentia.potentials.report.error_bars import HOW, error_bars_of
from potentia.potentials.report.errors import accuracy_section, error_table, in_units, parity_section, worst_section
from potentia.potentials.report.measured import Measured, given_data, measure
from potentia.potentials.report.outside import outside_section
from potentia.potentials.report.subject import Subject
from potentia.potentials.report.volumes import volume_section
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.report import (
    NOT_MEASURED,
    ModelReport,
    Section,
    defaults_of,
    learning_section,
    no_error_bars,
    not_measured,
    origin,
    settings_section,
    time_section,
    whose_data,
)

__all__ = ["report_on"]


def report_on(path: Path, data: Sequence[Path] = (), *, only_same: bool = False) -> ModelReport:
    """Return the report on the potential or the committee in a file, or on the committee in a directory.

    Args:
        path: The file or the directory.
        data: Files of labelled structures. Of the data of the training, the parts are told apart; without any, the
            report has what the file knows.
        only_same: Whether to leave the data out if they are not those of the training.

    Raises:
        FileFormatError: a file cannot be read.
        DataError: the structures cannot be used.
    """
    subject = Subject.of(path)
    parts: dict[str, Measured] = {}
    sections = [not_measured()]
    headline = NOT_MEASURED
    given = given_data(subject, data) if data else None
    if given is not None and (given.same or not only_same):
        parts = {name: measure(subject, structures, name) for name, structures in given.parts.items()}
        errors = error_table(parts)
        headline = _headline(errors, list(parts)[-1])
        sections = [accuracy_section(parts, errors).says(whose_data(same=given.same)), *_measured(subject, parts)]
    if len(subject.potentials) == 1:
        sections.append(no_error_bars(HOW))
    structures = [s for measured in parts.values() for s in measured.structures]
    sections.append(dimer_section(subject, structures))
    if structures:
        first = next(iter(parts.values())).structures
        sections += [volume_section(subject, first), drift_section(subject, first)]
    out = subject.history()
    sections.append(learning_section(out, shown=in_units))
    sections += [time_section(out.history, _prediction_times(parts)), *_record(subject)]
    return ModelReport(title=subject.name, family="potentials", headline=headline, sections=sections)


def _measured(subject: Subject, parts: Mapping[str, Measured]) -> list[Section]:
    name, last = list(parts.items())[-1]
    sections = [parity_section(parts), worst_section(parts)]
    if len(subject.potentials) > 1:
        sections.append(error_bars_of(name, last, subject.calibration))
    if subject.model.seen is not None:
        sections.append(outside_section(name, last, subject.model.seen))
    return sections


def _headline(errors: pd.DataFrame, part: str) -> str:
    own = errors[errors.index.str.endswith(f", {part}")]
    rows = zip(own.index, own["RMSE"], own["unit"], strict=True)
    words = ", ".join(f"{str(of).split(',')[0]} RMSE {rmse:.3g} {unit!s}" for of, rmse, unit in rows)
    return f"{words} ({part} part)" if part != "data" else f"{words} (given data)"


def _prediction_times(parts: Mapping[str, Measured]) -> dict[str, float]:
    """Return how long a prediction with forces took (s)."""
    atoms = sum(measured.n_atoms for measured in parts.values())
    if not atoms:
        return {}
    whole = sum(measured.seconds for measured in parts.values())
    structures = sum(len(measured.structures) for measured in parts.values())
    return {
        "prediction with forces, per atom": whole / atoms,
        "prediction with forces, per structure": whole / structures,
    }


def _record(subject: Subject) -> list[Section]:
    record = subject.record
    free = {f"free atom of {name}": f"{value:.6g} eV" for name, value in subject.first.atomic_energies.items()}
    seeds = {f"seed of member {k}": p.fitted().record.get("seed") for k, p in enumerate(subject.potentials)}
    more = free | (seeds if len(subject.potentials) > 1 else {})
    settings = settings_section(
        record.get("training_config", {}), defaults_of(TorchTrainingConfig), subject.potentials[0].recipe()
    )
    return [settings, origin(subject.path, record, more)]
