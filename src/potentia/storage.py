"""Versioned files: plain settings and tensors in one safetensors file, written whole or not at all, no pickle.

The header of the file carries one JSON entry, ``potentia``: checksum (SHA-256 of the whole file, with zeros in its own
place), format, kind, version, the release that wrote it, and the settings. Nothing in a file is ever executed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from potentia.errors import ConfigError, FileDamagedError, FileFormatError
from potentia.files import remove_leftovers, replacing, write_bytes, write_text

__all__ = [
    "StoredFile",
    "flatten",
    "kind_in",
    "load_json",
    "read_file",
    "read_json",
    "release",
    "remove_leftovers",
    "replacing",
    "unflatten",
    "write_bytes",
    "write_file",
    "write_json",
    "write_text",
]

_ENTRY = "potentia"
_CHECKSUM = "sha256"
_CHECKED = re.compile(rf'{{"{_CHECKSUM}": "([0-9a-f]{{64}})"')
"""How the entry begins."""
_UNKNOWN = "0" * 64
"""What stands in the place of the checksum while it is taken."""
_WHAT_TO_DO = "take a copy that is whole, go on from an older checkpoint, or train and save it again"


@dataclass(frozen=True)
class StoredFile:
    """What `read_file` found."""

    kind: str
    """What the file is, for example ``"checkpoint"``."""
    version: int
    """Version of this kind's layout, counted from 1."""
    settings: dict[str, Any]
    """Plain settings as they come out of JSON: tuples have become lists."""
    tensors: dict[str, Tensor]
    """Tensors by name, on the CPU."""


def write_file(
    path: str | os.PathLike[str],
    kind: str,
    settings: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    version: int = 1,
) -> None:
    """Write settings (strict JSON: plain values, finite numbers) and tensors of any device, shape and layout.

    Raises:
        ConfigError: the settings are not plain.
    """
    header = {
        _CHECKSUM: _UNKNOWN,  # the first one, so that it is found before any in the settings
        "format": _ENTRY,
        "kind": kind,
        "version": version,
        "potentia_version": release(),
        "complex128": sorted(name for name, tensor in tensors.items() if tensor.dtype == torch.complex128),
        "settings": settings,
    }
    try:
        entry = json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"these settings of a {kind} cannot be written as strict JSON: {error}") from None
    stored = {name: _storable(tensor) for name, tensor in tensors.items()}
    write_bytes(path, *_sealed(safetensors.torch.save(stored, {_ENTRY: entry})))


def read_file(path: str | os.PathLike[str], *kinds: str, version: int = 1) -> StoredFile:
    """Read a file that is one of ``kinds`` and at most of ``version``, the newest layout that the caller knows.

    Raises:
        FileFormatError: the file is truncated, damaged, foreign, of another kind, or of a newer version.
    """
    tensors, header = _whole(path)
    if header["kind"] not in kinds:
        raise FileFormatError(f"{path} holds a {header['kind']}, not a {' or '.join(kinds)}")
    if header["version"] > version:
        raise FileFormatError(
            f"{path} is a {header['kind']} of version {header['version']}, written by potentia "
            f"{header['potentia_version']}; this release reads up to version {version}: update potentia"
        )
    for name in header["complex128"]:
        tensors[name] = torch.view_as_complex(tensors[name])
    return StoredFile(header["kind"], header["version"], header["settings"], tensors)


def kind_in(path: str | os.PathLike[str]) -> str:
    """Return what a file of `write_file` is.

    Raises:
        FileFormatError: the file is truncated, damaged or foreign.
    """
    return str(_whole(path)[1]["kind"])


def _whole(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and header of a file that is what was written."""
    raw = Path(path).read_bytes()
    try:
        tensors = safetensors.torch.load(raw)
    except safetensors.SafetensorError as error:
        raise FileFormatError(f"{path} is no whole potentia file: {_guess(raw, str(error))}") from None
    metadata = json.loads(raw[8 : _begin(raw)]).get("__metadata__", {})
    if _ENTRY not in metadata:
        raise FileFormatError(f"{path} is a safetensors file, but potentia did not write it")
    known = _CHECKED.match(metadata[_ENTRY])
    if known is None or _checksum(raw, known[1]) != known[1]:
        raise FileDamagedError(f"{path} is damaged: it is not what was written (checksum); {_WHAT_TO_DO}")
    return tensors, json.loads(metadata[_ENTRY])


def write_json(path: str | os.PathLike[str], kind: str, content: Mapping[str, Any], version: int = 1) -> None:
    """Write plain values as strict JSON that says what it is, whole or not at all."""
    head = {"format": _ENTRY, "kind": kind, "version": version, "potentia_version": release()}
    write_text(path, json.dumps({**head, **content}, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str], kind: str, version: int = 1) -> dict[str, Any]:
    """Read a file of `write_json` that is of ``kind`` and at most of ``version``.

    Raises:
        FileFormatError: the file is truncated, foreign, of another kind, or of a newer version.
    """
    found = load_json(path)
    if not isinstance(found, dict) or found.get("format") != _ENTRY or found.get("kind") != kind:
        raise FileFormatError(f"{path} does not hold {kind} that potentia has written")
    if found["version"] > version:
        raise FileFormatError(
            f"{path} is of version {found['version']}, written by potentia {found['potentia_version']}; this release "
            f"reads up to version {version}: update potentia"
        )
    return found


def load_json(path: str | os.PathLike[str]) -> Any:
    """Read any JSON.

    Raises:
        FileFormatError: the file is truncated, or none.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # of the text or of its encoding
        raise FileFormatError(f"{path} is no whole JSON file: {error}") from None


def flatten(state: object) -> tuple[Any, dict[str, Tensor]]:
    """Part a nested state into a skeleton that JSON can hold and its tensors by name; `unflatten` is the inverse.

    The state may hold dicts with keys of int and str, lists, tuples, tensors, str, int, bool, None and any float: the
    way back is exact to the bit.
    """
    tensors: dict[str, Tensor] = {}
    return _skeleton(state, "", tensors), tensors


def unflatten(skeleton: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Put a state together again."""
    match skeleton:
        case list():
            return [unflatten(item, tensors) for item in skeleton]
        case {"tuple": items}:
            return tuple(unflatten(item, tensors) for item in items)
        case {"dict": pairs}:
            return {key: unflatten(item, tensors) for key, item in pairs}
        case {"float": bits}:
            return struct.unpack(">d", bytes.fromhex(bits))[0]
        case {"tensor": name}:
            return tensors[name]
    return skeleton


def _skeleton(value: object, name: str, tensors: dict[str, Tensor]) -> Any:
    match value:
        case Tensor():
            while name in tensors:  # {"a/b": …} beside {"a": {"b": …}}
                name += "'"
            tensors[name] = value
            return {"tensor": name}
        case float() if not math.isfinite(value):  # not in strict JSON
            return {"float": struct.pack(">d", value).hex()}
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_skeleton(item, _join(name, i), tensors) for i, item in enumerate(value)]
        case tuple():
            return {"tuple": [_skeleton(item, _join(name, i), tensors) for i, item in enumerate(value)]}
        case dict():
            return {"dict": [[_key(key), _skeleton(item, _join(name, key), tensors)] for key, item in value.items()]}
    raise ConfigError(f"a state to be stored holds {type(value).__name__} at {name!r}; use plain values and tensors")


def _key(key: object) -> object:
    if type(key) in {int, str}:
        return key
    raise ConfigError(f"a state to be stored has the key {key!r}; use int or str")


def _join(name: str, key: object) -> str:
    return f"{name}/{key}" if name else str(key)


def _storable(tensor: Tensor) -> Tensor:
    """Return a contiguous copy on the CPU that shares no memory; complex128 as pairs, which safetensors knows."""
    tensor = tensor.detach().resolve_conj().resolve_neg().cpu()
    if tensor.dtype == torch.complex128:
        tensor = torch.view_as_real(tensor)
    return tensor.clone(memory_format=torch.contiguous_format)


def _guess(raw: bytes, reason: str) -> str:
    if not raw:
        return f"it is empty; {_WHAT_TO_DO}"
    if raw.startswith((b"PK\x03\x04", b"\x80\x02")):
        return "it looks like a pickle of torch.save, which could run code when opened and is therefore never read"
    return f"it is truncated or of another format ({reason}); {_WHAT_TO_DO}"


def _sealed(raw: bytes) -> tuple[bytes, memoryview]:
    """Return header and tensors of what has no checksum yet, with the checksum."""
    begin = _begin(raw)
    return _with(raw[:begin], _UNKNOWN, _checksum(raw, _UNKNOWN)), memoryview(raw)[begin:]


def _checksum(raw: bytes, known: str) -> str:
    """Return the checksum of all, whatever checksum is ``known`` in the header."""
    begin = _begin(raw)
    found = hashlib.sha256(_with(raw[:begin], known, _UNKNOWN))
    found.update(memoryview(raw)[begin:])
    return found.hexdigest()


def _with(header: bytes, old: str, new: str) -> bytes:
    """Return the header with another checksum, the first thing in the entry."""
    return header.replace(old.encode(), new.encode(), 1)


def _begin(raw: bytes) -> int:
    """Return where the tensors begin, behind the length of the header and the header."""
    return 8 + int.from_bytes(raw[:8], "little")


def release() -> str:
    """Return the version of potentia that is running."""
    try:
        return importlib.metadata.version("potentia")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        return "unknown"
