"""Where a model comes from: its file, the releases, the seeds, the data it was trained on, and who looks at it now."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from potentia.report.sections import Section
from potentia.storage import load_json, release

__all__ = ["origin"]

PROVENANCE = "provenance.json"
"""What the directory of a run says of the machine it was trained on."""


def origin(path: Path, record: Mapping[str, Any], more: Mapping[str, Any]) -> Section:
    """Return the section on where a model comes from; no date is in it, so the same model has the same page.

    Of a model in the directory of a run, versions, machine and commit of the training are told too.

    Args:
        path: File of the model.
        record: How it was trained.
        more: What the family knows besides.
    """
    rows: dict[str, str] = {"file": path.name, "SHA-256 of the file": hashlib.sha256(path.read_bytes()).hexdigest()}
    rows |= {name: str(record[name]) for name in ("seed", "split_seed") if name in record}
    rows |= {f"data: {name}": value for name, value in _lines(record.get("data"))}
    rows |= {name: str(value) for name, value in more.items()}
    beside = path.parent / PROVENANCE
    rows |= _of_the_run(load_json(beside)) if beside.is_file() else {}
    rows |= {
        "looked at with": f"potentia {release()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"NumPy {np.__version__}",
        "looked at on": f"{platform.node()}, {platform.system()} {platform.machine()}, "
        f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() != 1)}",
    }
    frame = pd.DataFrame({"value": rows.values()}, index=pd.Index(list(rows), name="what"))
    section = Section("Where it comes from").table("Origin", frame, texts=["value"])
    notes = record.get("extra_metadata")
    if notes:
        frame = pd.DataFrame({"note": map(str, notes.values())}, index=pd.Index(list(notes), name="name"))
        section.table("Notes saved with the model", frame, texts=["note"])
    return section


def _of_the_run(told: Mapping[str, Any]) -> dict[str, str]:
    """Return on what a run was trained, without its date."""
    found = {"trained with": ", ".join(f"{name} {version}" for name, version in told["versions"].items())}
    found["trained on"] = ", ".join(map(str, told["host"].values()))
    if told.get("git"):
        found["trained at commit"] = f"{told['git']['commit']}{', with changes' if told['git']['changed'] else ''}"
    return found


def _lines(data: Any) -> list[tuple[str, str]]:
    """Return what a record says of its data, entry by entry."""
    if data is None:
        return []
    found = data if isinstance(data, Mapping) else {"mark": data}
    return [(str(name), _short(value)) for name, value in found.items() if value is not None]


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
