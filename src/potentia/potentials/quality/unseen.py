"""Extrapolation of the test set: atoms whose features are beyond those of training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from potentia.potentials.extrapolation import Extrapolated
from potentia.potentials.quality.findings import NOTE, Finding, counted, place_of
from potentia.potentials.quality.frames import Frames
from potentia.potentials.quality.survey import Survey

__all__ = ["unseen_findings", "unseen_table"]

CHECK = "extrapolation"


def unseen_table(frames: Frames, seen: Survey) -> pd.DataFrame:
    """Return a row for each atom outside: see `Extrapolated.table`; ``structure`` is the place in the input."""
    if seen.seen is None:
        return pd.DataFrame()
    places = sorted(seen.outside)
    chosen = [frames.structures[k] for k in places]
    names = [str(place_of(s, k)) for s, k in zip(chosen, places, strict=True)]
    table = Extrapolated(seen.seen, [seen.outside[k] for k in places], [s.species for s in chosen], names).table()
    return table.assign(structure=np.array(places, dtype=np.int64)[table["structure"].to_numpy()])


def unseen_findings(frames: Frames, table: pd.DataFrame) -> list[Finding]:
    """Tell atoms that are far outside."""
    if table.empty:
        return []
    far = table[table["excess"] > frames.settings.far_outside]
    if far.empty:
        return []
    places = tuple(
        place_of(frames.structures[k], k, far.loc[far["structure"] == k, "atom"].tolist())
        for k in np.unique(far["structure"]).tolist()
    )
    such = f"{counted(len(far), 'atom')} in {counted(len(places), 'test structure')}"
    text = f"more than {frames.settings.far_outside:g} standard deviations outside of what training has seen: {such}"
    advice = "put some like them into the training set, or read the test error with and without them"
    return [Finding(check=CHECK, severity=NOTE, text=text, advice=advice, places=places)]
