"""JSON schema of settings, made of the dataclasses themselves: types, choices, defaults and what stands under a field.

What `potentia.config.from_dict` takes, the schema takes; values that a class checks itself, such as a range, it does
not know.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union

from potentia.cli.explained import explanations
from potentia.config import dataclasses_below, plain

__all__ = ["schema_of"]

SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string", types.NoneType: "null"}
CLASS = "class"


def schema_of(settings: type) -> dict[str, Any]:
    """Return the schema of a mapping that `potentia.config.from_dict` makes this dataclass of."""
    return _object(settings, named=False)


def _object(settings: type, *, named: bool) -> dict[str, Any]:
    """Return the schema of one dataclass; where several can stand there, it must be ``named``."""
    hints, told = typing.get_type_hints(settings, include_extras=True), explanations(settings)
    fields = [one for one in dataclasses.fields(settings) if one.init]
    required = [CLASS] if named else []
    required += [one.name for one in fields if _default(one) is dataclasses.MISSING]
    properties: dict[str, Any] = {CLASS: {"const": settings.__name__}}
    properties |= {one.name: _field(one, hints[one.name], told.get(one.name, "")) for one in fields}
    found: dict[str, Any] = {"type": "object"}
    if settings.__doc__:
        found["description"] = settings.__doc__.partition("\n")[0]
    return found | {"properties": properties, "required": required, "additionalProperties": False}


def _field(field: dataclasses.Field[Any], hint: Any, told: str) -> dict[str, Any]:
    default = _default(field)
    found = dict(_typed(hint))
    if default is None and found:
        found = _any([found, {"type": "null"}])
    if told:
        found["description"] = told
    return found if default is dataclasses.MISSING else found | {"default": plain(default, field.name)}


def _default(field: dataclasses.Field[Any]) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _typed(hint: Any) -> dict[str, Any]:
    """Return the schema of a value; an empty one, which takes all, where the type says nothing of plain values."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:  # what is taken besides, and becomes such a value
        return _any([_typed(one) for one in inner])
    if hint in SIMPLE:
        return {"type": SIMPLE[hint]}
    if origin in {Union, types.UnionType}:
        return _any([_typed(one) for one in inner])
    if origin is Literal:
        return {"enum": list(inner)}
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _typed(inner[1])}
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return _array(inner)
    if inspect.isclass(hint) and ((known := dataclasses_below(hint)) or inspect.isabstract(hint)):
        several = len(known) > 1 or hint.__name__ not in known
        return _any([_object(cls, named=several and cls is not hint) for cls in known.values()])
    return {}


def _array(inner: tuple[Any, ...]) -> dict[str, Any]:
    if len(inner) == 1 or inner[-1] is Ellipsis:
        return {"type": "array", "items": _typed(inner[0])}
    return {
        "type": "array",
        "prefixItems": [_typed(one) for one in inner],
        "minItems": len(inner),
        "maxItems": len(inner),
    }


def _any(options: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what takes one of several; all, where one of them takes all."""
    if {} in options:
        return {}
    flat = [inner for one in options for inner in (one["anyOf"] if set(one) == {"anyOf"} else [one])]
    different = [one for k, one in enumerate(flat) if one not in flat[:k]]
    return different[0] if len(different) == 1 else {"anyOf": different}
