"""How much memory features may take."""

from __future__ import annotations

import os
import re
from pathlib import Path

from potentia.checks import integer
from potentia.errors import ConfigError

__all__ = ["bytes_of", "machine_memory"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)i?B?")
_UNITS = {"": 1, "k": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def bytes_of(size: str | int | None) -> int:
    """Return a size in bytes; None means half of the memory of the machine.

    >>> bytes_of("1.5GB") == bytes_of(1536 * 2**20)
    True
    """
    if size is None:
        return machine_memory() // 2
    if not isinstance(size, str):
        return integer("memory_limit", size, low=0)
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise ConfigError(f"memory_limit must be bytes or like '8GB', got {size!r}")
    return int(float(match[1]) * _UNITS[match[2]])


def machine_memory() -> int:
    """Return the memory that this process may use: that of the machine, or of its control group if it has less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    group = Path("/sys/fs/cgroup/memory.max")
    if group.is_file() and (text := group.read_text().strip()).isdigit():
        found.append(int(text))
    return min(found)
