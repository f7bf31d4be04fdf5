"""Tensors in MessagePack (https://msgpack.org), which any language reads; nothing in a file is ever executed.

``{"format": 1, "tensors": {name: {"dtype": "<f4", "shape": [2, 3], "data": <bytes>}}}``: ``dtype`` as NumPy has it,
``data`` in C order and little-endian.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import torch
from torch import Tensor

from potentia.errors import ConfigError, FileFormatError
from potentia.storage import write_bytes

__all__ = ["read_msgpack", "write_msgpack"]

FORMAT = 1
_DTYPES = {
    "<f4": torch.float32,
    "<f8": torch.float64,
    "<f2": torch.float16,
    "<i8": torch.int64,
    "<i4": torch.int32,
    "|u1": torch.uint8,
    "|b1": torch.bool,
}


def write_msgpack(path: str | os.PathLike[str], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors of any device and layout, whole or not at all.

    Raises:
        ConfigError: a tensor is of a kind that the format does not have.
    """
    content = {"format": FORMAT, "tensors": {name: _entry(name, tensor) for name, tensor in tensors.items()}}
    write_bytes(path, msgpack.packb(content, use_bin_type=True))


def read_msgpack(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read tensors, on the CPU.

    Raises:
        FileFormatError: the file is truncated, or holds anything else.
    """
    try:
        content = msgpack.unpackb(Path(path).read_bytes(), raw=False, strict_map_key=True)
    except (ValueError, msgpack.UnpackException) as error:
        raise FileFormatError(f"{path} is no whole MessagePack file: {error}") from None
    match content:
        case {"format": int(number), "tensors": dict(entries)} if len(content) == 2:
            if number != FORMAT:
                raise FileFormatError(f"{path} is of format {number}; this release reads format {FORMAT}")
            return {name: _tensor(path, name, entry) for name, entry in entries.items()}
    raise FileFormatError(f"{path} holds no tensors: it must be a map of `format` and `tensors`")


def _entry(name: str, tensor: Tensor) -> dict[str, Any]:
    array = tensor.detach().cpu()
    codes = {dtype: code for code, dtype in _DTYPES.items()}
    if array.dtype not in codes:
        raise ConfigError(f"tensor {name!r} is of {array.dtype}, which this format does not have: {', '.join(_DTYPES)}")
    code = codes[array.dtype]
    data = np.ascontiguousarray(array.numpy(), dtype=code).tobytes()
    return {"dtype": code, "shape": list(array.shape), "data": data}


def _tensor(path: str | os.PathLike[str], name: str, entry: object) -> Tensor:
    match entry:
        case {"dtype": str(code), "shape": list(shape), "data": bytes(data), **more} if code in _DTYPES and not more:
            whole = all(type(axis) is int and axis >= 0 for axis in shape)
            if whole and math.prod(shape) * np.dtype(code).itemsize == len(data):
                array = np.frombuffer(data, dtype=code).reshape(shape)
                return torch.from_numpy(array.astype(array.dtype.newbyteorder("="))).to(_DTYPES[code])
    raise FileFormatError(f"{path}: {name!r} is no tensor: it needs `dtype` ({', '.join(_DTYPES)}), `shape` and `data`")
