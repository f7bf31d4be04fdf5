"""Old checkpoints, written by ``torch.save``, read without unpickling: tensors and plain values, and nothing else.

Such a file is a zip archive with a pickle, which is a little program. It is not run here: the few of its instructions
that a dictionary of tensors and plain values needs are interpreted, and every other one is refused.
"""

from __future__ import annotations

import os
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from potentia.errors import FileFormatError

__all__ = ["is_old_checkpoint", "read_old_checkpoint"]

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
_TENSOR = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"
_ORDERED = "collections OrderedDict"


def is_old_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a zip archive, as ``torch.save`` writes it."""
    with Path(path).open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def read_old_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the dictionary that a file of ``torch.save`` holds; its tensors are on the CPU.

    Raises:
        FileFormatError: it is truncated, or holds more than tensors and plain values.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = _Reader(os.fspath(path), archive).value()
    except zipfile.BadZipFile as error:
        raise FileFormatError(f"{path} is no whole file of torch.save: {error}") from None
    if not isinstance(found, dict):
        raise FileFormatError(f"{path} holds no dictionary, so it is no checkpoint")
    return found


@dataclass(frozen=True)
class _Global:
    """A name of something that a pickle would import; nothing is imported."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """Numbers of a tensor, one behind the other."""

    numbers: Tensor


class _Mark:
    """Where a tuple, list or dictionary on the stack begins."""


class _Reader:
    """Interprets the pickle of one archive."""

    def __init__(self, path: str, archive: zipfile.ZipFile) -> None:
        self.path = path
        self.archive = archive
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise self.refused("it is compressed, which torch.save never does")
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise self.refused(f"it has {len(pickles)} entries data.pkl instead of one")
        self.folder = pickles[0].removesuffix("data.pkl")
        order = self.folder + "byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise self.refused("its bytes are not in little-endian order")
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, _Storage] = {}

    def refused(self, reason: str) -> FileFormatError:
        """Return an error that names the file."""
        return FileFormatError(f"{self.path} cannot be read as an old checkpoint: {reason}")

    def value(self) -> Any:
        """Return what the pickle stands for."""
        try:
            for code, argument, _ in pickletools.genops(self.archive.read(self.folder + "data.pkl")):
                if code.name == "STOP":
                    return self.stack.pop()
                self.take(code.name, argument)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise self.refused(f"its pickle is not sound ({error})") from None
        raise self.refused("its pickle does not end")

    def take(self, code: str, argument: Any) -> None:
        """Carry out one instruction."""
        if code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code])
        elif code in _PLAIN:
            self.stack.append(argument)
        elif code in _ACTIONS:
            _ACTIONS[code](self, argument)
        elif code not in {"PROTO", "FRAME"}:
            raise self.refused(f"its pickle has the instruction {code}, which tensors and plain values do not need")

    def name(self, argument: str) -> None:
        """Look at a name that is to be imported."""
        module, _, last = argument.partition(" ")
        if argument not in {_TENSOR, _PARAMETER, _ORDERED} and not (module == "torch" and last in _STORAGES):
            raise self.refused(
                f"it asks for {module}.{last}, which is neither a tensor nor a plain value; such a file could run any "
                "code when unpickled. Save it again with tensors, numbers, texts, lists and dictionaries only"
            )
        self.stack.append(_Global(argument))

    def since_mark(self) -> list[Any]:
        """Take what is behind the last mark."""
        items: list[Any] = []
        while not isinstance(self.stack[-1], _Mark):
            items.append(self.stack.pop())
        self.stack.pop()
        return items[::-1]

    def gather(self, n: int) -> None:
        """Make a tuple of the last values."""
        items = [self.stack.pop() for _ in range(n)][::-1]
        self.stack.append(tuple(items))

    def fill(self, items: list[Any]) -> None:
        """Put keys and values into the dictionary on the stack."""
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise self.refused("its pickle fills something that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):
                raise self.refused(f"a dictionary in it has the key {key!r}")
            target[key] = value

    def extend(self, items: list[Any]) -> None:
        """Put values into the list on the stack."""
        if not isinstance(self.stack[-1], list):
            raise self.refused("its pickle lengthens something that is no list")
        self.stack[-1].extend(items)

    def call(self) -> None:
        """Build what a known name and its arguments stand for."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if function == _Global(_ORDERED) and arguments == ():
            self.stack.append({})
        elif function == _Global(_TENSOR):
            self.stack.append(self.tensor(*arguments[:4]))
        elif function == _Global(_PARAMETER) and isinstance(arguments[0], Tensor):
            self.stack.append(arguments[0])
        else:
            raise self.refused("its pickle calls something else than what builds tensors and dictionaries")

    def drop_state(self) -> None:
        """Leave out what a module notes beside its weights (``_metadata``)."""
        self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            raise self.refused("its pickle changes something that is no dictionary")

    def tensor(self, storage: object, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
        """Return a tensor of its own memory."""
        numbers = [offset, *shape, *strides]
        whole = all(type(number) is int and number >= 0 for number in numbers) and len(shape) == len(strides)
        if not isinstance(storage, _Storage) or not whole:
            raise self.refused("a tensor in it is not sound")
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if 0 not in shape and last >= len(storage.numbers):
            raise self.refused("a tensor in it is larger than its memory")
        return storage.numbers.as_strided(shape, strides, offset).clone()

    def storage(self, identity: Any) -> None:
        """Read the numbers that an identity names: ``("storage", type, key, device, count)``."""
        word, kind, key, _, count = identity
        if word != "storage" or not isinstance(kind, _Global):
            raise self.refused("its pickle names something outside that is no memory of a tensor")
        if key not in self.storages:
            dtype = _STORAGES[kind.name.removeprefix("torch ")]
            raw = bytearray(self.archive.read(f"{self.folder}data/{key}"))
            if len(raw) != count * dtype.itemsize:
                raise self.refused(f"entry data/{key} has {len(raw)} bytes instead of {count * dtype.itemsize}")
            self.storages[key] = _Storage(torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype))
        self.stack.append(self.storages[key])


_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PLAIN = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
}  # fmt: skip
_ACTIONS: dict[str, Callable[[_Reader, Any], object]] = {
    "MARK": lambda reader, _: reader.stack.append(_Mark()),
    "EMPTY_DICT": lambda reader, _: reader.stack.append({}),
    "EMPTY_LIST": lambda reader, _: reader.stack.append([]),
    "TUPLE": lambda reader, _: reader.stack.append(tuple(reader.since_mark())),
    "TUPLE1": lambda reader, _: reader.gather(1),
    "TUPLE2": lambda reader, _: reader.gather(2),
    "TUPLE3": lambda reader, _: reader.gather(3),
    "APPEND": lambda reader, _: reader.extend([reader.stack.pop()]),
    "APPENDS": lambda reader, _: reader.extend(reader.since_mark()),
    "SETITEM": lambda reader, _: reader.fill([reader.stack.pop(), reader.stack.pop()][::-1]),
    "SETITEMS": lambda reader, _: reader.fill(reader.since_mark()),
    "GLOBAL": lambda reader, argument: reader.name(argument),
    "BINPERSID": lambda reader, _: reader.storage(reader.stack.pop()),
    "REDUCE": lambda reader, _: reader.call(),
    "BUILD": lambda reader, _: reader.drop_state(),
    "BINPUT": lambda reader, place: reader.memo.update({place: reader.stack[-1]}),
    "LONG_BINPUT": lambda reader, place: reader.memo.update({place: reader.stack[-1]}),
    "BINGET": lambda reader, place: reader.stack.append(reader.memo[place]),
    "LONG_BINGET": lambda reader, place: reader.stack.append(reader.memo[place]),
}
