"""Energies of free atoms, given beside those that fit the data best."""

from __future__ import annotations

import numpy as np
import pandas as pd

from potentia.potentials.quality.findings import WARNING, Finding
from potentia.potentials.quality.frames import Frames

__all__ = ["reference_findings", "reference_table"]

CHECK = "reference energies"


def reference_table(frames: Frames) -> pd.DataFrame:
    """Return a row for each species: ``given`` and ``fitted`` energy (eV), NaN where not known.

    Fitted by least squares per atom; NaN for all where compositions do not determine them.
    """
    known = np.isfinite(frames.energy)
    parts = (frames.counts / frames.n_atoms[:, None])[known]
    fitted = np.full(len(frames.species), np.nan)
    if known.any():
        found, _, rank, _ = np.linalg.lstsq(parts, (frames.energy / frames.n_atoms)[known], rcond=1e-10)
        fitted = found if rank == len(fitted) else fitted
    given = [frames.atomic_energies.get(name, np.nan) for name in frames.species]
    return pd.DataFrame({"given": given, "fitted": fitted}, index=pd.Index(frames.species, name="species"))


def reference_findings(frames: Frames) -> list[Finding]:
    """Tell species without an energy where others have one."""
    missing = [name for name in frames.species if name not in frames.atomic_energies]
    if not frames.atomic_energies or not missing:
        return []
    others = [name for name in frames.atomic_energies if name not in frames.species]
    of_others = f" (of {', '.join(others)}, which is in no frame)" if others else ""
    text = f"there are atomic energies{of_others}, but none of {', '.join(missing)}"
    return [Finding(check=CHECK, severity=WARNING, text=text, advice="give the energies of all free atoms, in eV")]
