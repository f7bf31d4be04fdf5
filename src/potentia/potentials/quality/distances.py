"""Shortest distances per pair of species: atoms much closer than their sizes allow are a mistake of the coordinates."""

from __future__ import annotations

import numpy as np
import pandas as pd
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

from potentia.potentials.quality.findings import ERROR, NOTE, Finding, counted, place_of, places_of
from potentia.potentials.quality.frames import Frames
from potentia.potentials.quality.survey import Survey

__all__ = ["distance_findings", "distance_table"]

CHECK = "distances"


def distance_table(frames: Frames, seen: Survey) -> pd.DataFrame:
    """Return a row for each two species that come close.

    Index: their names. Columns: ``frames`` in which they do; ``shortest`` (Å), with ``frame``, ``atom`` and ``other``;
    ``median`` (Å) of the shortest of each frame; ``of_radii``, the shortest over the sum of the covalent radii.
    """
    pairs = seen.pairs.assign(of_radii=_of_radii(frames, seen.pairs))
    names = np.array(frames.species, dtype=object)
    pairs["pair"] = [f"{names[i]}–{names[j]}" for i, j in zip(pairs["first"], pairs["second"], strict=True)]
    grouped = pairs.groupby("pair")
    closest = pairs.loc[grouped["distance"].idxmin()].set_index("pair")
    table = closest[["distance", "frame", "atom", "other", "of_radii"]].rename(columns={"distance": "shortest"})
    table.insert(0, "frames", grouped.size())
    table.insert(2, "median", grouped["distance"].median())
    return table


def distance_findings(frames: Frames, seen: Survey) -> list[Finding]:
    """Tell atoms that are too close, and atoms that see no other."""
    return [*_close(frames, seen), *_alone(frames, seen)]


def _close(frames: Frames, seen: Survey) -> list[Finding]:
    pairs = seen.pairs.assign(of_radii=_of_radii(frames, seen.pairs))
    close = pairs[pairs["of_radii"] < frames.settings.too_close].sort_values("of_radii")
    if close.empty:
        return []
    first = close.iloc[0]
    names = f"{frames.species[int(first['first'])]}–{frames.species[int(first['second'])]}"
    text = (
        f"atoms are closer than {frames.settings.too_close:g} times the sum of their covalent radii in "
        f"{counted(close['frame'].nunique(), 'frame')}, the closest a pair {names} at {first['distance']:.3f} Å"
    )
    rows = close[["frame", "atom", "other"]].to_numpy(dtype=np.int64).tolist()
    places = tuple(place_of(frames.structures[k], k, [atom, other]) for k, atom, other in rows)
    advice = "see whether coordinates or the cell have gone wrong (Bohr for Å?); leave these frames out"
    return [Finding(check=CHECK, severity=ERROR, text=text, advice=advice, places=places)]


def _alone(frames: Frames, seen: Survey) -> list[Finding]:
    found = np.flatnonzero((seen.alone > 0) & (frames.n_atoms > 1)).tolist()
    if not found:
        return []
    text = f"atoms in {counted(len(found), 'frame')} have no other within {frames.settings.rad_cutoff:g} Å"
    advice = "nothing, if atoms or molecules are meant to be far apart: no potential of this cutoff tells them apart"
    return [Finding(check=CHECK, severity=NOTE, text=text, advice=advice, places=places_of(frames.structures, found))]


def _of_radii(frames: Frames, pairs: pd.DataFrame) -> NDArray[np.float64]:
    """Return distances over the sums of covalent radii; NaN for species that are no element."""
    radii = np.array([covalent_radii[atomic_numbers[s]] if s in atomic_numbers else np.nan for s in frames.species])
    return np.asarray(pairs["distance"] / (radii[pairs["first"]] + radii[pairs["second"]]), dtype=np.float64)
