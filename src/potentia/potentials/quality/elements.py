"""Element balance: how many atoms there are of each element, in how many frames and in which part."""

from __future__ import annotations

import numpy as np
import pandas as pd

from potentia.potentials.quality.findings import ERROR, NOTE, Finding, counted, places_of
from potentia.potentials.quality.frames import Frames

__all__ = ["element_findings", "element_table"]

CHECK = "elements"


def element_table(frames: Frames) -> pd.DataFrame:
    """Return a row for each species: frames and atoms, their part of all atoms, frames of training and held out."""
    there = frames.counts > 0
    atoms = frames.counts.sum(axis=0)
    columns = {
        "frames": there.sum(axis=0),
        "atoms": atoms.astype(np.int64),
        "part": atoms / atoms.sum(),
        "train": there[frames.split.train].sum(axis=0),
        "test": there[frames.split.test].sum(axis=0),
    }
    return pd.DataFrame(columns, index=pd.Index(frames.species, name="species"))


def element_findings(frames: Frames) -> list[Finding]:
    """Tell elements that training does not see, and rare ones."""
    table = element_table(frames)
    found = []
    for k, (name, row) in enumerate(table.iterrows()):
        places = np.flatnonzero(frames.counts[:, k] > 0).tolist()
        if not row["train"]:
            text = f"{name} is in the test set only: no network would learn it"
            advice = "put frames with it into the training set, or leave these out"
            severity = ERROR
        elif row["part"] < frames.settings.rare_element:
            text = f"{name} is {row['part']:.2%} of the atoms, in {counted(int(row['frames']), 'frame')}"
            advice = "weigh these frames more (group_weights), or add some: its network sees little"
            severity = NOTE
        else:
            continue
        found.append(
            Finding(
                check=CHECK, severity=severity, text=text, advice=advice, places=places_of(frames.structures, places)
            )
        )
    return found
