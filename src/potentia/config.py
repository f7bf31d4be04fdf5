"""Settings as plain dictionaries: frozen dataclasses there and back, and a readable list of differences.

A settings object inside another one carries the name of its class under ``class``, so that a field may hold any of a
family: ``{"method": {"class": "SGD", "lr": 0.1}}``.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeVar, Union

import numpy as np

from potentia.checks import did_you_mean
from potentia.errors import ConfigError

__all__ = ["arms_of", "dataclasses_below", "differences", "from_dict", "from_plain", "plain", "to_dict"]

Settings = TypeVar("Settings")

_ABSENT = "(absent)"
_CLASS = "class"  # no field can have this name


def to_dict(settings: Any) -> dict[str, Any]:
    """Return the fields of a dataclass instance by name, plain all the way down (see `plain`)."""
    fields = [field.name for field in dataclasses.fields(settings) if field.init]
    return {name: plain(getattr(settings, name), name) for name in fields}


def plain(value: object, name: str = "value") -> Any:
    """Return ``value`` made of dict, list, str, int, float, bool and None only; ``name`` is for the message.

    Raises:
        ConfigError: something in it is neither plain nor a dataclass, array, tuple or path.
    """
    if dataclasses.is_dataclass(value):
        return {_CLASS: type(value).__name__, **to_dict(value)}
    match value:
        case np.generic() | np.ndarray():
            return value.tolist()
        case None | bool() | int() | float() | str():
            return value
        case PurePath():
            return str(value)
        case list() | tuple():
            return [plain(item, f"{name}[{i}]") for i, item in enumerate(value)]
        case Mapping() if all(isinstance(key, str) for key in value):
            return {key: plain(item, f"{name}.{key}") for key, item in value.items()}
    raise ConfigError(f"{name} cannot be written as plain settings: {type(value).__name__} {value!r}")


def from_dict(cls: Callable[..., Settings], mapping: Mapping[str, Any]) -> Settings:
    """Build settings from a plain dictionary, the inverse of `to_dict`; the class checks its values itself.

    ``cls`` is a dataclass, or an abstract class: then ``mapping["class"]`` names the dataclass below it.

    Raises:
        ConfigError: a name or class is unknown, or a name without default is missing.
    """
    chosen = _chosen_class([cls], mapping)
    hints = typing.get_type_hints(chosen)
    fields = {field.name: field for field in dataclasses.fields(chosen) if field.init}
    values = {name: value for name, value in mapping.items() if name != _CLASS}
    for name in values:
        if name not in fields:
            raise ConfigError(f"{chosen.__name__} has no setting {name!r}{did_you_mean(name, fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"{chosen.__name__} needs the setting {name!r}")
    result: Settings = chosen(**{name: from_plain(name, hints[name], value) for name, value in values.items()})
    return result


def from_plain(name: str, hint: Any, value: Any) -> Any:
    """Return a plain value as a field of type ``hint`` has it; ``name`` is for the message.

    Raises:
        ConfigError: it cannot be, or settings in it cannot.
    """
    _require_kind(name, hint, value)
    return _read(name, hint, value)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], allow: Collection[str] = ()) -> list[str]:
    """Return one line for each value that differs between two nested plain dictionaries.

    ``allow`` names what may differ, by its last name or its whole path; a name of a group allows all of the group.

    >>> differences({"testpercent": 10, "method": {"mu": 0.1}}, {"testpercent": 20, "method": {"mu": 0.1}})
    ['testpercent: 10 → 20']
    """
    return list(_differences(plain(old), plain(new), "", allow))


def _differences(old: dict[str, Any], new: dict[str, Any], group: str, allow: Collection[str]) -> Iterator[str]:
    for key in {**old, **new}:
        path = f"{group}.{key}" if group else key
        before, after = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if key in allow or path in allow:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, path, allow)
        elif before != after:
            yield f"{path}: {_short(before)} → {_short(after)}"


def _short(value: object) -> str:
    text = value if value is _ABSENT else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _require_kind(name: str, hint: Any, value: Any) -> None:
    """Refuse what Python would take in silence, or fail at elsewhere: text for a switch, one value for a list."""
    arms = arms_of(hint)
    if arms == [bool] and not isinstance(value, bool | np.bool_ | None):
        raise ConfigError(f"{name} must be true or false, got {value!r}")
    if arms == [str] and not isinstance(value, str | None):
        raise ConfigError(f"{name} must be text, got {value!r}")
    if all(map(_is_mapping, arms)) and isinstance(value, bool | int | float | str | list | tuple):
        raise ConfigError(f"{name} must be a mapping of names to values, got {value!r}")
    if all(map(_is_list, arms)) and isinstance(value, bool | int | float | str):
        raise ConfigError(f"{name} must be a list, got {value!r}")
    lengths = [_length(arm) for arm in arms]
    if isinstance(value, list | tuple) and None not in lengths and len(value) not in lengths:
        raise ConfigError(f"{name} must be a list of {' or '.join(map(str, lengths))} values, got {value!r}")


def _is_mapping(arm: Any) -> bool:
    origin = typing.get_origin(arm)
    return inspect.isclass(origin) and issubclass(origin, Mapping)


def _is_list(arm: Any) -> bool:
    origin = typing.get_origin(arm) or arm
    return inspect.isclass(origin) and issubclass(origin, Sequence) and not issubclass(origin, str | bytes)


def _length(arm: Any) -> int | None:
    """Return how many values a type has; None where it does not say."""
    inner = typing.get_args(arm)
    fixed = typing.get_origin(arm) is tuple and inner and inner[-1] is not Ellipsis
    return len(inner) if fixed else None


def _read(name: str, hint: Any, value: Any) -> Any:
    """Give a plain value the type that the field asks for: settings from a mapping, tuples from lists."""
    if isinstance(value, Mapping):
        return _read_mapping(name, hint, value)
    if not isinstance(value, list | tuple):
        return value
    for arm in arms_of(hint):
        origin, inner = typing.get_origin(arm) or arm, typing.get_args(arm)
        if origin is tuple and inner and inner[-1] is not Ellipsis and len(inner) == len(value):
            return tuple(_read(name, one, item) for one, item in zip(inner, value, strict=True))
        if _is_list(arm):
            items = [_read(name, inner[0] if inner else Any, item) for item in value]
            return tuple(items) if origin is tuple else items
    return value


def _read_mapping(name: str, hint: Any, value: Mapping[str, Any]) -> Any:
    bases = [arm for arm in arms_of(hint) if inspect.isclass(arm) and dataclasses_below(arm)]
    if bases:
        return from_dict(_chosen_class(bases, value), value)
    for arm in arms_of(hint):
        origin, inner = typing.get_origin(arm), typing.get_args(arm)
        if inspect.isclass(origin) and issubclass(origin, Mapping):
            return {key: from_plain(f"{name}: {key}", inner[1], item) for key, item in value.items()}
    return dict(value)


def arms_of(hint: Any) -> list[Any]:
    """Return the alternatives of ``A | B | None``, or the hint alone."""
    if typing.get_origin(hint) in {Union, types.UnionType}:
        return [arm for arm in typing.get_args(hint) if arm is not types.NoneType]
    return [hint]


def _chosen_class(bases: list[Any], mapping: Mapping[str, Any]) -> Any:
    """Return the dataclass that the mapping names, or the only one that it can mean."""
    known = {name: cls for base in bases for name, cls in dataclasses_below(base).items()}
    name = mapping.get(_CLASS)
    if name in known:
        return known[name]
    if name is not None:
        near = did_you_mean(str(name), known)
        raise ConfigError(
            f"there are no settings of class {name!r} here{near}. A class of your own is known once its module is "
            "imported, on the command line by potentia --import MODULE"
        )
    own = [base for base in bases if base.__name__ in known]
    if len(own) != 1:
        raise ConfigError(f"say under {_CLASS!r} which settings are meant; known: {', '.join(known)}")
    return own[0]


def dataclasses_below(base: type) -> dict[str, type]:
    """Return the dataclasses that are ``base`` or derive from it, without the abstract ones, by name."""
    found = {base.__name__: base} if dataclasses.is_dataclass(base) and not inspect.isabstract(base) else {}
    children: list[type] = type.__subclasses__(base)
    for child in children:
        found |= dataclasses_below(child)
    return found
