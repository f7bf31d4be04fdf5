"""The descriptor that a database was built with: written down, recovered, and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from potentia.config import differences
from potentia.errors import FileFormatError
from potentia.potentials.datasets.base import DatasetError
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.descriptors.registry import comparable, descriptor_from, moved_to, plain_of, require_known

__all__ = ["manifest_of", "recovered", "require_compatible", "require_whole"]

FREE = ("device", "dtype", "kernels")
"""Settings that may differ between a database and its use: where and how precisely features are computed."""


def manifest_of(descriptor: Descriptor) -> dict[str, Any]:
    """Return what is written down of ``descriptor``."""
    found = {"descriptor": plain_of(descriptor), "layout": asdict(descriptor.layout)}
    mark = hashlib.sha256(json.dumps(_fixed(found), sort_keys=True).encode()).hexdigest()
    return {**found, "sha256": mark}


def require_whole(manifest: Mapping[str, Any], where: str) -> None:
    """Raise `FileFormatError` unless a manifest has what `manifest_of` writes."""
    if not {"descriptor", "layout", "sha256"} <= set(manifest):
        raise FileFormatError(f"{where} does not tell its descriptor as this release reads it: build it again")


def recovered(manifest: Mapping[str, Any], where: str) -> Descriptor:
    """Return the descriptor of a manifest, on the CPU.

    Raises:
        FileFormatError: it is not known here.
    """
    require_known(manifest["descriptor"], where)
    return descriptor_from(moved_to("cpu", manifest["descriptor"]))


def require_compatible(manifest: Mapping[str, Any], descriptor: Descriptor, where: str) -> None:
    """Raise `DatasetError` listing what differs between ``descriptor`` and that of a database."""
    own = {"descriptor": plain_of(descriptor), "layout": asdict(descriptor.layout)}
    changes = differences(_fixed(manifest), _fixed(own))
    if changes:
        raise DatasetError(
            f"the descriptor is incompatible with the one that {where} was built with: {'; '.join(changes)}. "
            "Leave it out to get that one, or build the database again",
            page="datasets.md#in-a-file-hdf5",
        )


def _fixed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {"descriptor": comparable(manifest["descriptor"], *FREE), "layout": dict(manifest["layout"])}
