"""Copies: structures held out that training has seen, and one structure with two energies.

Compared are fingerprints, so copies that are moved, rotated, renumbered or repeated are found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.potentials.duplicates import LABELS_AGREE, Duplicates, duplicates_among
from potentia.potentials.fingerprints import Fingerprints
from potentia.potentials.quality.findings import NOTE, WARNING, Finding, Severity, place_of, places_of
from potentia.potentials.quality.frames import Frames
from potentia.potentials.quality.survey import Survey

__all__ = ["across_split", "copy_findings", "copy_table"]

CHECK = "copies"
AT_REST = 0.1
"""Crystals that are perfect or strained, which several series of one set share, have forces below this part of those
that are usual."""


def across_split(frames: Frames, seen: Survey) -> Duplicates:
    """Return test structures with a training structure too near."""
    return duplicates_among(
        seen.fingerprints, frames.energy / frames.n_atoms, frames.split, threshold=frames.settings.near
    )


def copy_table(frames: Frames, seen: Survey) -> pd.DataFrame:
    """Return a row for each pair of frames that are the same structure.

    Columns: ``first`` and ``second`` (places in the input), ``parts`` (such as ``"train test"``),
    ``energy_difference`` (second − first, eV/atom).
    """
    rows = [
        (first, second, f"{frames.parts[first]} {frames.parts[second]}".strip())
        for first, second in _pairs(seen.fingerprints)
    ]
    table = pd.DataFrame(rows, columns=["first", "second", "parts"])
    per_atom = frames.energy / frames.n_atoms
    one, other = (table[name].to_numpy(dtype=np.int64) for name in ("first", "second"))
    return table.assign(energy_difference=per_atom[other] - per_atom[one])


def copy_findings(frames: Frames, copies: pd.DataFrame, across: Duplicates) -> list[Finding]:
    """Tell copies and near copies across the split, copies inside of a part, and energies that contradict."""
    return [*_exact(frames, across), *_near(frames, across), *_within(frames, copies), *_contradicting(frames, copies)]


def _exact(frames: Frames, across: Duplicates) -> list[Finding]:
    rows = across.table[across.table["exact"]]
    at_rest = np.array([_at_rest(frames, int(k)) for k in rows["test"]], dtype=np.bool_)
    found = []
    for rest, severity, kind in (
        (False, WARNING, "test structures"),
        (True, NOTE, "test structures with next to no forces"),
    ):
        chosen = rows[at_rest == rest]
        if chosen.empty:
            continue
        first = chosen.iloc[0]
        pair = f"{_name(frames, int(first['test']))} is {_name(frames, int(first['train']))}"
        text = f"{len(chosen)} {kind} are in the training set as well (such as {pair})"
        told: Severity = severity
        advice = "leave them out of one of the two: the test error tells nothing there"
        places = places_of(frames.structures, chosen["test"].tolist())
        found.append(Finding(check=CHECK, severity=told, text=text, advice=advice, places=places))
    return found


def _near(frames: Frames, across: Duplicates) -> list[Finding]:
    rows = across.table[~across.table["exact"]]
    if rows.empty:
        return []
    many = len(rows) > frames.settings.many_near * across.n_test
    text = f"{len(rows)} of {across.n_test} test structures are nearly the same as one in the training set"
    advice = "split by whole groups or stretches (split_by): the test error tells too little of new structures"
    places = places_of(frames.structures, rows["test"].tolist())
    return [Finding(check=CHECK, severity=WARNING if many else NOTE, text=text, advice=advice, places=places)]


def _within(frames: Frames, copies: pd.DataFrame) -> list[Finding]:
    inside = copies[~copies["parts"].isin(["train test", "test train"])]
    if inside.empty:
        return []
    text = f"{inside['second'].nunique()} structures are there more than once in one part"
    advice = "leave one of each: a copy counts in the loss as often as it is there"
    places = places_of(frames.structures, sorted(set(inside["second"])))
    return [Finding(check=CHECK, severity=NOTE, text=text, advice=advice, places=places)]


def _contradicting(frames: Frames, copies: pd.DataFrame) -> list[Finding]:
    apart = copies[copies["energy_difference"].abs() > LABELS_AGREE]
    if apart.empty:
        return []
    largest = float(apart["energy_difference"].abs().max())
    text = f"{len(apart)} pairs of copies have energies that differ, by up to {1000 * largest:.3g} meV/atom"
    advice = "see which is right: no potential can have both"
    both = sorted({int(k) for name in ("first", "second") for k in apart[name]})
    worse: Severity = WARNING if largest > frames.settings.contradiction else NOTE
    return [Finding(check=CHECK, severity=worse, text=text, advice=advice, places=places_of(frames.structures, both))]


def _at_rest(frames: Frames, k: int) -> bool:
    moving = frames.force[frames.force > 0]
    return len(moving) > 0 and bool(frames.force[k] < AT_REST * float(np.median(moving)))


def _name(frames: Frames, k: int) -> str:
    return str(place_of(frames.structures[k], k))


def _pairs(known: Fingerprints) -> list[tuple[int, int]]:
    """Return pairs of frames whose fingerprints are the same but for rounding, those that follow each other in size."""
    found: list[tuple[int, int]] = []
    by_composition: dict[tuple[int, ...], list[int]] = {}
    for k, composition in enumerate(known.compositions):
        by_composition.setdefault(composition, []).append(k)
    direction = np.cos(np.arange(known.values.shape[1]))  # any fixed one that no feature is orthogonal to
    for members in by_composition.values():
        places = np.array(members)
        along = known.values[places] @ direction
        rising = places[np.argsort(along, kind="stable")]
        found.extend(_in_window(known, rising, np.sort(along)))
    return sorted(found)


def _in_window(known: Fingerprints, rising: NDArray[np.int64], along: NDArray[np.float64]) -> Sequence[tuple[int, int]]:
    """Return close pairs among frames sorted by a projection: those farther apart in it cannot be close."""
    reach = known.rounding * np.sqrt(known.values.shape[1])
    ends = np.searchsorted(along, along + reach, side="right")
    pairs: list[tuple[int, int]] = []
    for k in np.flatnonzero(ends > np.arange(len(rising)) + 1).tolist():
        others = rising[k + 1 : ends[k]]
        distance = np.linalg.norm(known.values[others] - known.values[rising[k]], axis=1)
        near = others[distance <= known.rounding].tolist()
        pairs.extend((min(int(rising[k]), other), max(int(rising[k]), other)) for other in near)
    return pairs
