"""What holds for all tests: one thread, and compiled kernels that belong to the sources that are tested."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import torch

import potentia

ROOT = Path(potentia.__file__).parent


def pytest_configure() -> None:
    """Take one thread, and remove compiled kernels that are older than a source of theirs.

    What tests compute is too small for two threads, which would wait for each other beside other files' tests. Numba
    looks at the file of a function alone, so a change in another file that it calls would go unseen.
    """
    torch.set_num_threads(1)
    for compiled in ROOT.rglob("*.nb[ci]"):
        source = compiled.parent.parent / f"{compiled.name.split('.')[0]}.py"
        if not source.exists() or compiled.stat().st_mtime < max(path.stat().st_mtime for path in sources(source)):
            compiled.unlink(missing_ok=True)


@functools.cache
def sources(source: Path) -> frozenset[Path]:
    """Return a source and all of the package that it imports, at once or by others."""
    found, left = set(), {source}
    while left:
        path = left.pop()
        found.add(path)
        left |= imported(path) - found
    return frozenset(found)


@functools.cache
def imported(source: Path) -> frozenset[Path]:
    """Return the sources of the package that a source imports."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == ROOT.name:
            place = ROOT.parent.joinpath(*node.module.split("."))
            for path in (place, *(place / alias.name for alias in node.names)):
                found |= {file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()}
    return frozenset(found)
