"""Descriptors by name, those of the package and those of users; and as plain values, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeVar

from potentia.checks import did_you_mean
from potentia.config import plain
from potentia.errors import ConfigError, FileFormatError
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.descriptors.chebyshev import ChebyshevDescriptor
from potentia.potentials.descriptors.settings import made_of, offer
from potentia.registry import Registry, home_of

__all__ = [
    "DESCRIPTORS",
    "comparable",
    "descriptor_from",
    "made_known",
    "moved_to",
    "plain_of",
    "register_descriptor",
    "require_known",
]

CLASS, MODULE = "class", "module"
"""Under these names stand the class of a descriptor, and the module that defines it if it is a user's."""
SCRIPTS = ("__main__", "__mp_main__")
"""What Python calls the module of a script or notebook, here and in processes that it begins."""

Own = TypeVar("Own", bound=type[Descriptor])

DESCRIPTORS: Registry[type[Descriptor]] = Registry("descriptor", (ChebyshevDescriptor,))
"""Every descriptor that files can be opened with, by the name of its class."""


def register_descriptor(cls: Own) -> Own:
    """Let files, those of settings too, name a descriptor of one's own by its class, and return it: a decorator.

    Raises:
        ConfigError: another class has its name.
    """
    DESCRIPTORS.register(cls)
    offer(cls)
    return cls


def plain_of(descriptor: Descriptor) -> dict[str, Any]:
    """Return a descriptor as plain values: its class, the module of a user's, and its settings.

    >>> plain_of(ChebyshevDescriptor(["H"], 1, 2.0, 0, 2.0))["class"]
    'ChebyshevDescriptor'

    Raises:
        ConfigError: the values are not plain, or another class is registered by its name.
    """
    cls = type(descriptor)
    settings = plain(descriptor.settings(), cls.__name__)
    taken = sorted({CLASS, MODULE} & set(settings))
    if taken:
        raise ConfigError(f"{cls.__name__} has a setting {taken[0]!r}, which files have another meaning for: rename it")
    own, there = home_of(cls), home_of(DESCRIPTORS.get(cls.__name__, cls))
    if own != there:
        raise ConfigError(f"{own} cannot be written to files: {there} is registered by this name. Rename one of them")
    module = {} if cls.__module__.startswith("potentia.") else {MODULE: cls.__module__}
    return {CLASS: cls.__name__, **module, **settings}


def descriptor_from(values: Mapping[str, Any]) -> Descriptor:
    """Return the descriptor that `plain_of` has described.

    Raises:
        ConfigError: its class is not registered, or cannot be made of these settings.
    """
    return made_of(_class(values), _settings(values))


def moved_to(device: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values of the same descriptor on another device."""
    names = {name: values[name] for name in (CLASS, MODULE) if name in values}
    return {**names, **_class(values).settings_on(device, _settings(values))}


def comparable(values: Mapping[str, Any], *free: str) -> dict[str, Any]:
    """Return what makes the features of plain values: wherever the class is defined, and whatever ``free`` is."""
    return {CLASS: values[CLASS], **_settings(values)} | {name: "any" for name in free if name in values}


def require_known(values: Mapping[str, Any], where: str) -> None:
    """Raise `FileFormatError` unless the descriptor that a file names can be made here; nothing is imported for it."""
    if CLASS not in values:
        raise FileFormatError(f"{where} does not name the class of its descriptor: write it again with this release")
    name = values[CLASS]
    if name in DESCRIPTORS:
        return
    near = did_you_mean(name, DESCRIPTORS)
    if MODULE not in values:
        raise FileFormatError(f"{where} has a descriptor {name!r}, which this release does not know{near}")
    script = values[MODULE] in SCRIPTS
    home = "the script that wrote it" if script else f"the module {values[MODULE]!r}"
    raise FileFormatError(
        f"{where} has a descriptor {name!r} of {home}, which is not registered here{near}. Import what defines and "
        f"registers it first; on the command line: potentia --import {'MODULE' if script else values[MODULE]} …",
        page="extending.md#a-descriptor",
    )


def made_known(values: Mapping[str, Any]) -> None:
    """Import the module that defines a descriptor, in a process that was begun by one that knows it.

    Never for files: those say nothing that is executed.

    Raises:
        ConfigError: it cannot be imported here, or does not register the class.
    """
    if values[CLASS] in DESCRIPTORS or MODULE not in values:
        return
    name, module = values[CLASS], values[MODULE]
    try:
        import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"a process cannot import {module!r}, which defines {name}: {error}", page="extending.md#a-descriptor"
        ) from error
    if name not in DESCRIPTORS:
        raise ConfigError(
            f"a process has imported {module!r}, and no descriptor {name!r} is registered by that: put "
            "@register_descriptor above the class, at the top level of a file that can be imported, no notebook",
            page="extending.md#a-descriptor",
        )


def _class(values: Mapping[str, Any]) -> type[Descriptor]:
    name = values[CLASS]
    if name not in DESCRIPTORS:
        raise ConfigError(
            f"there is no descriptor {name!r}{did_you_mean(name, DESCRIPTORS)}. A class of one's own is known by its "
            "name once @register_descriptor stands above it and its module is imported",
            page="extending.md#a-descriptor",
        )
    return DESCRIPTORS[name]


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in {CLASS, MODULE}}
