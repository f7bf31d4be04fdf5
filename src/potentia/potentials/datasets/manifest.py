"""The descriptor that a database was built with: written down, recovered, and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from potentia.config import differences
from potentia.errors import FileFormatError
from potentia.potentials.datasets.base import DatasetError
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.descriptors.chebyshev import ChebyshevDescriptor

__all__ = ["manifest_of", "recovered", "require_compatible"]

KINDS: dict[str, type[ChebyshevDescriptor]] = {"ChebyshevDescriptor": ChebyshevDescriptor}
"""Descriptors that can be recovered, by name."""
FREE = ("device", "dtype", "kernels")
"""Settings that may differ between a database and its use: where and how precisely features are computed."""
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def manifest_of(descriptor: Descriptor) -> dict[str, Any]:
    """Return what is written down of ``descriptor``.

    Raises:
        DatasetError: it could not be recovered.
    """
    name = type(descriptor).__name__
    if KINDS.get(name) is not type(descriptor):
        raise DatasetError(f"a {name} cannot be persisted; known: {', '.join(KINDS)}")
    fixed = _fixed({"class": name, "settings": descriptor.settings(), "layout": asdict(descriptor.layout)})
    mark = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()
    return {"class": name, "settings": descriptor.settings(), "layout": asdict(descriptor.layout), "sha256": mark}


def recovered(manifest: Mapping[str, Any], where: str) -> Descriptor:
    """Return the descriptor of a manifest, on the CPU.

    Raises:
        FileFormatError: this release does not know it.
    """
    if manifest["class"] not in KINDS:
        raise FileFormatError(f"{where} was built with a {manifest['class']}, which this release does not know")
    settings = {name: value for name, value in manifest["settings"].items() if name not in FREE}
    return KINDS[manifest["class"]](**settings, dtype=DTYPES[manifest["settings"]["dtype"]])


def require_compatible(manifest: Mapping[str, Any], descriptor: Descriptor, where: str) -> None:
    """Raise `DatasetError` listing what differs between ``descriptor`` and that of a database."""
    own = {
        "class": type(descriptor).__name__,
        "settings": descriptor.settings(),
        "layout": asdict(descriptor.layout),
    }
    changes = differences(_fixed(manifest), _fixed(own))
    if changes:
        raise DatasetError(
            f"the descriptor is incompatible with the one that {where} was built with: {'; '.join(changes)}. "
            "Leave it out to get that one, or build the database again",
            page="datasets.md#in-a-file-hdf5",
        )


def _fixed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: value for name, value in manifest["settings"].items() if name not in FREE}
    return {"class": manifest["class"], "settings": settings, "layout": dict(manifest["layout"])}
