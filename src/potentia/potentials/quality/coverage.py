"""Coverage: which frames have which labels, group by group."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.potentials.quality.findings import ERROR, NOTE, WARNING, Finding, counted, places_of
from potentia.potentials.quality.frames import Frames

__all__ = ["coverage_findings", "coverage_table"]

CHECK = "coverage"


def coverage_table(frames: Frames) -> pd.DataFrame:
    """Return a row for each group: frames, atoms, and how many frames have energy, forces and stress.

    ``stress_possible`` is the number of frames that repeat in three directions, and so can have a stress.
    """
    columns = {
        "group": frames.groups,
        "frames": 1,
        "atoms": frames.n_atoms,
        **{name: there.astype(np.int64) for name, there in _labels(frames).items()},
        "stress_possible": _periodic(frames).astype(np.int64),
    }
    return pd.DataFrame(columns).groupby("group").sum()


def coverage_findings(frames: Frames) -> list[Finding]:
    """Tell labels that are missing."""
    labels = _labels(frames)
    everywhere = np.ones(len(frames), dtype=np.bool_)
    return [
        *_energies(frames, labels["energy"]),
        *_partial(frames, "forces", labels["forces"], everywhere),
        *_partial(frames, "stress", labels["stress"], _periodic(frames)),
    ]


def _labels(frames: Frames) -> dict[str, NDArray[np.bool_]]:
    structures = frames.structures
    return {
        "energy": np.array([s.has_energy() for s in structures], dtype=np.bool_),
        "forces": np.array([s.has_forces() for s in structures], dtype=np.bool_),
        "stress": np.array([s.has_stress() for s in structures], dtype=np.bool_),
    }


def _periodic(frames: Frames) -> NDArray[np.bool_]:
    return np.array([bool(s.pbc.all()) for s in frames.structures], dtype=np.bool_)


def _energies(frames: Frames, there: NDArray[np.bool_]) -> list[Finding]:
    if there.all():
        return []
    missing = np.flatnonzero(~there).tolist()
    text = f"no energy in {len(missing)} of {counted(len(frames), 'frame')}"
    advice = "a training needs the energy of each frame: leave them out, or give the name of the label (LabelKeys)"
    return [
        Finding(check=CHECK, severity=ERROR, text=text, advice=advice, places=places_of(frames.structures, missing))
    ]


def _partial(frames: Frames, label: str, there: NDArray[np.bool_], possible: NDArray[np.bool_]) -> list[Finding]:
    """Tell a label that some frames lack: a warning inside a group that has it else, a note for whole groups."""
    missing = possible & ~there
    if not missing.any():
        return []
    if not there.any():
        text = f"no frame has {label}"
        advice = f"if there should be {label}, give the name of the label (LabelKeys); else nothing"
        return [Finding(check=CHECK, severity=NOTE, text=text, advice=advice)]
    with_some = {group for group, has in zip(frames.groups, there, strict=True) if has}
    inside = [k for k in np.flatnonzero(missing).tolist() if frames.groups[k] in with_some]
    outside = [k for k in np.flatnonzero(missing).tolist() if frames.groups[k] not in with_some]
    told = []
    if inside:
        text = f"no {label} in {counted(len(inside), 'frame')}, though others of the group have"
        advice = "look whether the label got lost on the way; if not, nothing: they are trained on what they have"
        told.append((WARNING, text, advice, inside))
    if outside:
        names = sorted({frames.groups[k] for k in outside})
        text = f"no {label} in {counted(len(outside), 'frame')} of {', '.join(names)}"
        told.append((NOTE, text, "nothing, if they were calculated so", outside))
    return [
        Finding(check=CHECK, severity=severity, text=text, advice=advice, places=places_of(frames.structures, places))
        for severity, text, advice, places in told
    ]
