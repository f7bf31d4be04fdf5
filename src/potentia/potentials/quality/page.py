"""The findings as one HTML page, with tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from potentia.plots import Page
from potentia.potentials.quality.consistency import Following
from potentia.potentials.quality.findings import Finding, counted
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
    page.table(tables["coverage"], "Groups")
    page.figure(frames_figure(frames), "Energies and forces of all frames.")
    page.section("Signs and units")
    page.figure(
        following_figure(frames, followed),
        "A linear model was fitted to forces alone. Energies and stress, which it has never seen, must follow it.",
    )
    page.section("Elements and distances")
    page.table(tables["elements"], "Elements")
    if tables["references"].notna().to_numpy().any():
        page.table(tables["references"], "Energies of free atoms (eV)")
    page.table(tables["distances"], "Shortest distances (Å)")
    _long(page, tables)
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
            page.table(pd.DataFrame(listed, columns=["file", "frame", "atoms"]).set_index("file"))
            page.unfold()


def _long(page: Page, tables: Mapping[str, pd.DataFrame]) -> None:
    named = {
        "Copies": (tables["copies"], "first", ["parts"]),
        "Test structures near training": (tables["near_copies"], "test", []),
        "Test atoms outside of training": (tables["outside"], "identifier", ["species", "feature"]),
    }
    there = {name: found for name, found in named.items() if not found[0].empty}
    if there:
        page.section("Training and test")
    for name, (table, first, texts) in there.items():
        caption = name if len(table) <= ROWS else f"{name}, the first {ROWS} of {len(table):,}"
        page.table(table.head(ROWS).set_index(first), caption, texts=texts)
