"""Settings of descriptors as they stand in a file: a dataclass each, for those of users made of the constructor."""

from __future__ import annotations

import inspect
import typing
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, make_dataclass, replace
from typing import Any, Literal, TypeAlias

import torch

from potentia.config import from_plain, plain
from potentia.errors import ConfigError
from potentia.potentials.descriptors import chebyshev
from potentia.potentials.descriptors.base import Descriptor
from potentia.train.device import DTYPES

__all__ = ["AnyDescriptor", "ChebyshevDescriptor", "OwnDescriptor", "made_of", "offer", "settings_of"]

Precision = Literal["float64", "float32"]

OFFERED: dict[str, type[OwnDescriptor]] = {}
"""Name of a user's class → its settings, so that a file can name it."""


def made_of(cls: type[Descriptor], settings: dict[str, Any]) -> Descriptor:
    """Return a descriptor of plain values.

    Raises:
        ConfigError: the class does not take them.
    """
    values = dict(settings)
    if "dtype" in values:
        if values["dtype"] not in DTYPES:
            raise ConfigError(f"dtype must be float64 or float32, got {values['dtype']!r}")
        values["dtype"] = DTYPES[values["dtype"]]
    try:
        inspect.signature(cls).bind(**values)
    except TypeError as error:
        raise ConfigError(f"{cls.__name__} cannot be made of these settings: {error}") from None
    return cls(**values)


class DescriptorSettings(ABC):
    """The surroundings of an atom as numbers."""

    @abstractmethod
    def build(self) -> Descriptor:
        """Return the descriptor."""


@dataclass(frozen=True, kw_only=True)
class ChebyshevDescriptor(DescriptorSettings):
    """The surroundings of an atom as numbers: the Chebyshev descriptor of ænet."""

    species: tuple[str, ...]
    """Chemical species; their order is part of the model."""
    rad_order: int
    """Highest order of the radial expansion."""
    rad_cutoff: float
    """Radial cutoff (Å)."""
    ang_order: int
    """Highest order of the angular expansion."""
    ang_cutoff: float
    """Angular cutoff (Å)."""
    min_cutoff: float = 0.55
    """Neighbours at this distance or closer are not seen (Å)."""
    device: str = "cpu"
    """torch device on which features are computed."""
    dtype: Precision = "float64"
    """Precision of the features."""
    kernels: Literal["auto", "numba", "torch"] = "auto"
    """``"numba"`` (CPU only), ``"torch"`` (any device), or ``"auto"``: Numba where it can."""

    def build(self) -> Descriptor:
        """Return the descriptor."""
        return made_of(chebyshev.ChebyshevDescriptor, self.__dict__)


class OwnDescriptor(DescriptorSettings):
    """The surroundings of an atom as numbers: a descriptor that a user has registered."""


AnyDescriptor: TypeAlias = ChebyshevDescriptor | OwnDescriptor
"""What a block of settings holds; without ``class`` it is that of the package."""


def offer(cls: type[Descriptor]) -> None:
    """Let files of settings name a class; the arguments of its constructor are its settings."""
    hints = _hints(cls)
    fields = [
        (name, _hint(name, hints.get(name, Any)), field(**_default(one.default)))
        for name, one in inspect.signature(cls).parameters.items()
        if one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}
    ]
    names = {"build": lambda self: made_of(cls, self.__dict__), "__doc__": inspect.getdoc(cls)}
    OFFERED[cls.__name__] = make_dataclass(
        cls.__name__, fields, bases=(OwnDescriptor,), namespace=names, frozen=True, kw_only=True
    )


def settings_of(descriptor: Descriptor) -> AnyDescriptor:
    """Return the settings of a descriptor, to be computed on the CPU.

    Raises:
        ConfigError: its class is not registered, or its `settings` are not the arguments of its constructor.
    """
    cls = type(descriptor)
    values = {"class": cls.__name__, **cls.settings_on("cpu", plain(descriptor.settings(), cls.__name__))}
    found: AnyDescriptor = from_plain("descriptor", AnyDescriptor, values)
    return replace(found, kernels="auto") if isinstance(found, ChebyshevDescriptor) else found


def _hints(cls: type[Descriptor]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls.__init__)
    except NameError:  # names that only type checkers import
        return {}


def _hint(name: str, hint: Any) -> Any:
    return {"dtype": Precision, "device": str}.get(name, hint)


def _default(value: Any) -> dict[str, Any]:
    """Return how a field says the default of an argument."""
    if value is inspect.Parameter.empty:
        return {}
    if isinstance(value, torch.dtype | torch.device):
        value = str(value).removeprefix("torch.")
    return {"default_factory": lambda: value}
