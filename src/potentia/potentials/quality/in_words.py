"""Tables of the data doctor as people read them: structures by file and frame, columns in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from potentia.potentials.quality.findings import Place
from potentia.words import OUTSIDE

__all__ = ["LONG", "TEXTS", "coverage_in_words", "distances_in_words", "long_in_words"]

LONG: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "copies": ("Copies", {
        "first": "structure",
        "second": "the same structure",
        "parts": "parts",
        "energy_difference": "energy difference (eV/atom)",
    }),
    "near_copies": ("Test structures near training", {
        "test": "test structure",
        "train": "nearest training structure",
        "distance": "distance (typical = 1)",
        "exact": "a copy",
        "energy_difference": "energy difference (eV/atom)",
        "n_train": "training structures as near",
    }),
    "outside": ("Test atoms outside of training", {
        "structure": "structure",
        "atom": "atom",
        "species": "species",
        "feature": "feature",
        "value": "value",
        "low": OUTSIDE["low"],
        "high": OUTSIDE["high"],
        "excess": OUTSIDE["excess"],
        "features_outside": "features outside",
    }),
}  # fmt: skip
"""Long table → its caption, and the columns that are shown with what they are called."""
NEAR = {
    "median": "median of the frames",
    "frame": "in the structure",
    "atom": "atom",
    "other": "other atom",
    "of_radii": "over the sum of covalent radii",
}
"""Columns of the table of distances, as the page calls them."""
PLACES = ("first", "second", "test", "train", "structure")
"""Columns that count structures in the order of the input."""
TEXTS = ("in the structure", "the same structure", "parts", "nearest training structure", "species", "feature")
"""Columns that are read."""


def coverage_in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of labels by group."""
    return table.rename(columns={"stress_possible": "could have a stress"})


def distances_in_words(table: pd.DataFrame, frames: pd.DataFrame) -> pd.DataFrame:
    """Return the table of shortest distances; ``frames`` has a row for each structure of the input."""
    return table.assign(frame=_places(frames, table["frame"])).rename(columns=NEAR)


def long_in_words(name: str, table: pd.DataFrame, frames: pd.DataFrame) -> pd.DataFrame:
    """Return some rows of the table ``name`` of `LONG`, the structure in front as index."""
    words = LONG[name][1]
    shown = table[list(words)]
    shown = shown.assign(**{column: _places(frames, shown[column]) for column in PLACES if column in shown})
    shown = shown.rename(columns=words)
    return shown.set_index(shown.columns[0])


def _places(frames: pd.DataFrame, numbers: pd.Series) -> list[str]:
    """Return file and frame of structures that are counted in the order of the input; files by their names alone."""
    files = {file: Path(file).name for file in frames["file"].unique()}
    if len(set(files.values())) < len(files):
        files = {file: file for file in files}
    found = frames.iloc[numbers.to_numpy()]
    return [str(Place(file=files[file], index=int(k))) for file, k in zip(found["file"], found["index"], strict=True)]
