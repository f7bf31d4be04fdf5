"""What goes along with files for other programs: what training has seen, and what error bars are right.

`<prefix>.uncertainty.json` is strict JSON:

`format`, `version`, `potentia_version`
    ``"potentia uncertainty"``, 1, and the release that wrote it.
`units`
    Of all that follows: eV, eV/Å, Å.
`feature_ranges`
    As in `FeatureRanges.to_state`: ``names`` of the features, ``rounding``, and for each of the ``species`` the
    ``count`` of atoms, ``low``, ``high`` and ``mean`` [features] and ``scatter`` [features, features].
`calibration`
    As in `CommitteeCalibration.to_plain`, if there is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from potentia.potentials.feature_ranges import FeatureRanges
from potentia.storage import release, write_text

__all__ = ["uncertainty_text", "write_uncertainty"]

UNITS = {"energy": "eV/atom", "forces": "eV/Å", "features": "those of the descriptor, not normalised"}


def uncertainty_text(seen: FeatureRanges | None, calibration: Mapping[str, Any] | None = None) -> str:
    """Return the content of the file: strict JSON; what is None is left out."""
    content: dict[str, Any] = {"format": "potentia uncertainty", "version": 1, "potentia_version": release()}
    content["units"] = UNITS
    if seen is not None:
        content["feature_ranges"] = seen.to_plain()
    if calibration is not None:
        content["calibration"] = dict(calibration)
    return json.dumps(content, allow_nan=False, indent=1, ensure_ascii=False) + "\n"


def write_uncertainty(
    directory: Path, prefix: str, seen: FeatureRanges | None, calibration: Mapping[str, Any] | None
) -> None:
    """Write the file, whole or not at all; where there is nothing to tell, one of another potential is removed."""
    path = directory / f"{prefix}.uncertainty.json"
    if seen is None and calibration is None:
        path.unlink(missing_ok=True)
    else:
        write_text(path, uncertainty_text(seen, calibration))
