"""Copies: structures held out that training has seen, and one structure with two energies.

Compared are fingerprints, so copies that are moved, rotated, renumbered or repeated are found. A frame that stands in
both parts as it is was put there twice; one that is equal by symmetry may be so because the series it is of wants it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.potentials.duplicates import LABELS_AGREE, Duplicates, duplicates_among
from potentia.potentials.fingerprints import Fingerprints
from potentia.potentials.quality.findings import ERROR, NOTE, WARNING, Finding, Severity, counted, place_of, places_of
from potentia.potentials.quality.frames import Frames
from potentia.potentials.quality.survey import Survey
from potentia.potentials.structure import Structure

__all__ = ["across_split", "copy_findings", "copy_table"]

CHECK = "copies"
AT_REST = 0.1
"""Crystals that are perfect or strained, which several series of one set share, have forces below this part of those
that are usual."""
ACROSS = ("train test", "test train")
"""``parts`` of pairs across the split."""
SAME_PLACE = 1e-4
"""Atoms are in one place, and lattice vectors the same, within this (Å): as far as files of few digits are rounded."""


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
    identical = _identical(frames, copies, across)
    return [
        *_across(frames, identical, across),
        *_near(frames, identical, across),
        *_within(frames, copies),
        *_contradicting(frames, copies),
    ]


def _across(frames: Frames, identical: Mapping[int, int], across: Duplicates) -> list[Finding]:
    """Tell test structures that are in training: as they are, by symmetry, or by symmetry without forces."""
    told: dict[Severity, list[tuple[int, int]]] = {ERROR: list(identical.items()), WARNING: [], NOTE: []}
    for row in across.table[across.table["exact"]].to_dict("records"):
        pair = int(row["test"]), int(row["train"])
        if pair[0] not in identical:
            told[NOTE if _at_rest(frames, pair[0]) else WARNING].append(pair)
    kinds = {
        ERROR: ("", "atom for atom"),
        WARNING: ("", "but for a symmetry"),
        NOTE: (" with next to no forces", "but for a symmetry"),
    }
    advice = "leave them out of one of the two: the test error tells nothing there"
    found = []
    for severity, pairs in told.items():
        if pairs:
            such = f"{_name(frames, pairs[0][0])} is {_name(frames, pairs[0][1])}"
            which, how = kinds[severity]
            are = counted(len(pairs), f"test structure{which} is", f"test structures{which} are")
            text = f"{are} in the training set as well, {how} (such as {such})"
            places = places_of(frames.structures, [k for k, _ in pairs])
            found.append(Finding(check=CHECK, severity=severity, text=text, advice=advice, places=places))
    return found


def _identical(frames: Frames, copies: pd.DataFrame, across: Duplicates) -> dict[int, int]:
    """Return test structures that are in training with the same atoms in the same places → one of those there.

    Fewer digits in one of two files move fingerprints by more than rounding, so the nearest ones are looked at, too.
    """
    over = copies[copies["parts"].isin(ACROSS)]
    forwards = over["parts"] == "train test"
    test = [*over["second"].where(forwards, over["first"]), *across.table["test"]]
    train = [*over["first"].where(forwards, over["second"]), *across.table["train"]]
    found: dict[int, int] = {}
    for one, other in zip(map(int, test), map(int, train), strict=True):
        if one not in found and _same_places(frames.structures[one], frames.structures[other]):
            found[one] = other
    return dict(sorted(found.items()))


def _same_places(one: Structure, other: Structure) -> bool:
    """Whether two structures have the same cell, and the same atoms in the same order but for lattice vectors."""
    if one.species != other.species or not np.array_equal(one.pbc, other.pbc):
        return False
    apart = one.positions - other.positions  # [atoms, 3]
    if one.cell is not None and other.cell is not None:
        if np.abs(one.cell - other.cell).max() > SAME_PLACE:
            return False
        apart -= np.round(apart @ np.linalg.inv(one.cell)) * one.pbc @ one.cell
    return bool(np.abs(apart).max() <= SAME_PLACE)


def _near(frames: Frames, identical: Mapping[int, int], across: Duplicates) -> list[Finding]:
    rows = across.table[~across.table["exact"] & ~across.table["test"].isin(list(identical))]
    if rows.empty:
        return []
    many = len(rows) > frames.settings.many_near * across.n_test
    text = f"near copies of training structures: {len(rows)} of {counted(across.n_test, 'test structure')}"
    advice = "split by whole groups or stretches (split_by): the test error tells too little of new structures"
    places = places_of(frames.structures, rows["test"].tolist())
    return [Finding(check=CHECK, severity=WARNING if many else NOTE, text=text, advice=advice, places=places)]


def _within(frames: Frames, copies: pd.DataFrame) -> list[Finding]:
    inside = copies[~copies["parts"].isin(ACROSS)]
    if inside.empty:
        return []
    text = f"{counted(inside['second'].nunique(), 'structure is', 'structures are')} there more than once in one part"
    advice = "leave one of each: a copy counts in the loss as often as it is there"
    places = places_of(frames.structures, sorted(set(inside["second"])))
    return [Finding(check=CHECK, severity=NOTE, text=text, advice=advice, places=places)]


def _contradicting(frames: Frames, copies: pd.DataFrame) -> list[Finding]:
    apart = copies[copies["energy_difference"].abs() > LABELS_AGREE]
    if apart.empty:
        return []
    largest = float(apart["energy_difference"].abs().max())
    pairs = counted(len(apart), "pair of copies has", "pairs of copies have")
    text = f"{pairs} energies that differ, by up to {1000 * largest:.3g} meV/atom"
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
