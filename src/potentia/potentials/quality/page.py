"""The findings as one HTML page, with tables and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from potentia.plots import Page
from potentia.potentials.quality.pictures import following_figure, frames_figure

if TYPE_CHECKING:
    from potentia.potentials.quality.report import DataReport

__all__ = ["page_of"]

LISTED = 200
"""Frames that a finding lists when it is opened."""
ROWS = 50
"""Rows of long tables."""


def page_of(report: DataReport) -> Page:
    """Return the page."""
    page = Page("Data check")
    page.words(report.headline)
    page.section("Findings")
    if not report.findings:
        page.words("Nothing was found.")
    for finding in report.findings:
        page.words(str(finding))
        if finding.places:
            page.fold(f"{len(finding.places)} frames: {finding.check}")
            listed = [(p.file, p.index, ", ".join(map(str, p.atoms))) for p in finding.places[:LISTED]]
            page.table(pd.DataFrame(listed, columns=["file", "frame", "atoms"]).set_index("file"))
            page.unfold()
    page.section("Labels")
    page.table(report.sources.set_index("source"), "Files")
    page.table(report.coverage, "Groups")
    page.figure(frames_figure(report.frames), "Energies and forces of all frames.")
    page.section("Signs and units")
    page.figure(
        following_figure(report.frames, report.followed),
        "A linear model was fitted to forces alone. Energies and stress, which it has never seen, must follow it.",
    )
    page.section("Elements and distances")
    page.table(report.elements, "Elements")
    page.table(report.references, "Energies of free atoms (eV)")
    page.table(report.distances, "Shortest distances (Å)")
    _long(page, report)
    return page


def _long(page: Page, report: DataReport) -> None:
    tables = {
        "Copies": report.copies,
        "Test structures near training": report.near_copies,
        "Test atoms outside of training": report.outside,
    }
    there = {name: table for name, table in tables.items() if not table.empty}
    if there:
        page.section("Training and test")
    for name, table in there.items():
        page.table(table.head(ROWS), name if len(table) <= ROWS else f"{name}, the first {ROWS} of {len(table):,}")
