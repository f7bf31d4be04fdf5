"""The findings as one HTML page, with tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from potentia.plots import Page
from potentia.potentials.quality.consistency import Following
from potentia.potentials.quality.findings import Finding, counted
from potentia.potentials.quality.in_words import LONG, TEXTS, coverage_in_words, distances_in_words, long_in_words
from potentia.potentials.quality.pictures import following_figure, frames_figure

__all__ = ["page_of"]

LISTED = 200
"""Frames that a finding lists when it is opened."""
ROWS = 50
"""Rows of long tables."""


def page_of(
    headline: str,
    findings: Sequence[Finding],
    tables: Mapping[str, pd.DataFrame],
    frames: pd.DataFrame,
    followed: Mapping[str, Following],
) -> Page:
    """Return the page; arguments are the parts of a `DataReport`."""
    page = Page("Data check")
    page.words(headline)
    _findings(page, findings)
    page.section("Labels")
    page.table(tables["sources"].set_index("source"), "Files")
    page.table(coverage_in_words(tables["coverage"]), "Groups")
    page.figure(
        frames_figure(frames),
        "How many frames have which energies and forces, and how far energies are from a smooth fit to all of them.",
    )
    page.section("Signs and units")
    page.figure(
        following_figure(frames, followed),
        "A linear model was fitted to forces alone. Energies and stress, which it has never seen, must follow it.",
    )
    page.section("Elements and distances")
    elements = {"part": "part of all atoms", "train": "frames of training", "test": "frames held out"}
    page.table(tables["elements"].rename(columns=elements), "Elements")
    if tables["references"].notna().to_numpy().any():
        page.table(tables["references"], "Energies of free atoms (eV)")
    page.table(distances_in_words(tables["distances"], frames), "Shortest distances (Å)", texts=TEXTS)
    _long(page, tables, frames)
    return page


def _findings(page: Page, findings: Sequence[Finding]) -> None:
    page.section("Findings")
    if not findings:
        page.words("Nothing was found.")
    for finding in findings:
        page.words(str(finding))
        if finding.places:
            page.fold(f"{counted(len(finding.places), 'frame')}: {finding.check}")
            listed = [(p.file, p.index, ", ".join(map(str, p.atoms))) for p in finding.places[:LISTED]]
            table = pd.DataFrame(listed, columns=["file", "frame", "atoms"]).set_index("file")
            page.table(table if table["atoms"].any() else table.drop(columns="atoms"), texts=["atoms"])
            page.unfold()


def _long(page: Page, tables: Mapping[str, pd.DataFrame], frames: pd.DataFrame) -> None:
    """Put tables of pairs and of atoms onto the page, structures by file and frame."""
    there = [name for name in LONG if not tables[name].empty]
    if there:
        page.section("Training and test")
    for name in there:
        table, (caption, _) = tables[name], LONG[name]
        shown = long_in_words(name, table.head(ROWS), frames)
        more = f", the first {ROWS} of {len(table):,}" if len(table) > ROWS else ""
        page.table(shown, f"{caption}{more}", texts=TEXTS)
