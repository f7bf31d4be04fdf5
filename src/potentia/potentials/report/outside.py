"""Held-out atoms beyond what training has seen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.report.measured import Measured
from potentia.report import Section
from potentia.words import OUTSIDE

__all__ = ["outside_section"]

LISTED = 15


def outside_section(name: str, measured: Measured, seen: FeatureRanges) -> Section:
    """Return the section on atoms of a part that are outside of the ranges of training."""
    found = measured.members[0].extrapolated
    section = Section("Beyond the training")
    assert found is not None
    section.says(
        f"Atoms of the part “{name}” whose surroundings have a feature that training has not seen. The excess counts "
        "standard deviations beyond the range; the distance sees unusual combinations too, and 1 is usual."
    )
    species = np.array([one for kinds in found.species for one in kinds])
    excess = np.concatenate([one.excess for one in found.outside])
    distance = np.concatenate([one.distance for one in found.outside])
    rows = []
    for kind in np.unique(species).tolist():
        here = species == kind
        rows.append({
            "species": kind,
            "atoms in training": seen.species[kind].count if kind in seen.species else 0,
            f"atoms in {name}": int(here.sum()),
            "outside": int((excess[here] > 0).sum()),
            "largest excess": float(excess[here].max()),
            "median distance": float(np.median(distance[here])),
            "largest distance": float(distance[here].max()),
        })  # fmt: skip
    section.table("By species", pd.DataFrame(rows).set_index("species"))
    table = found.table().sort_values("excess", ascending=False, kind="stable").head(LISTED)
    if len(table):
        section.table(
            "Atoms farthest outside",
            table.set_index("identifier").drop(columns="structure"),
            texts=["species", "feature"],
            meant=OUTSIDE,
        )
    return section
