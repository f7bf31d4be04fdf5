"""Names of torch devices and precisions: known ones, and devices that this machine has."""

from __future__ import annotations

import torch

from potentia.errors import ConfigError

__all__ = ["DTYPES", "require_device_name", "usable_device"]

DTYPES = {"float32": torch.float32, "float64": torch.float64}
"""Precisions that settings may name."""


def require_device_name(name: str) -> None:
    """Raise `ConfigError` unless torch knows such a device."""
    try:
        torch.device(name)
    except (RuntimeError, TypeError):
        raise ConfigError(
            f"device must be the name of a torch device such as 'cpu' or 'cuda:1', got {name!r}"
        ) from None


def usable_device(device: str | torch.device) -> torch.device:
    """Return the device, or raise `ConfigError` where this machine has none such."""
    found = torch.device(device)
    try:
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device={str(found)!r} cannot be used here: {error}") from None
    return found
