"""Modules of users that are imported before a command: they register what files and settings name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from potentia.errors import ConfigError

__all__ = ["import_modules"]


def import_modules(names: Sequence[str]) -> None:
    """Import modules, looked for in the working directory too, as ``python -m`` does.

    Raises:
        ConfigError: one cannot be imported.
    """
    here = str(Path.cwd())
    if names and here not in sys.path:
        sys.path.insert(0, here)
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"--import {name}: {error}. It takes the name of a module, as in `import NAME`, that is in the working "
                "directory, on PYTHONPATH or installed"
            ) from error
