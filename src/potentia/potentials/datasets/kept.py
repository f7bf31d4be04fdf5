"""Features on disk, for later trainings on the same data: one file for each set of structures and descriptor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

from potentia.potentials.descriptors.base import Descriptor, Features
from potentia.potentials.descriptors.registry import comparable, plain_of
from potentia.potentials.geometry import Geometry
from potentia.potentials.surface import Featurised
from potentia.storage import read_file, write_file

__all__ = ["kept_features"]

KIND = "features"
"""Kind of the files."""


def kept_features(
    directory: str, content: str, descriptor: Descriptor, *, gradients: bool, make: Callable[[], Featurised]
) -> Featurised:
    """Return the features of structures with this ``content`` from a file, or make and keep them.

    The file is named after content and settings, so it is found again if and only if both are the same.
    """
    settings = {
        "descriptor": comparable(plain_of(descriptor), "device"),
        "layout": asdict(descriptor.layout),
        "gradients": gradients,
        "content": content,
    }
    mark = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    path = Path(directory) / f"features-{mark[:24]}.safetensors"
    if path.is_file():
        stored = read_file(path, KIND).tensors
        geometry = Geometry(**{field.name: stored[f"geometry.{field.name}"] for field in fields(Geometry)})
        features = Features(*(stored[name].to(descriptor.device) for name in ("values", "moments")))
        return Featurised(descriptor, geometry.to(descriptor.device), features)
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"geometry.{field.name}": made.geometry.__dict__[field.name] for field in fields(Geometry)}
    tensors = {**arrays, "values": made.features.values, "moments": made.features.moments}
    write_file(path, KIND, settings, tensors)
    return made
