"""What holds for all tests: one thread, kernels of the sources that are tested, little collecting; and a small disk."""

from __future__ import annotations

import ast
import functools
import gc
import os
import shutil
import subprocess
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("cli.committee_laws")
ROOT = Path(find_spec("potentia").origin).parent
collect_ignore = ["potentials/own_descriptor.py"]
"""Tests and their processes import it by this name; collecting it would define its classes once more by another."""


def pytest_configure() -> None:
    """Take one thread, and remove compiled kernels that are older than a source of theirs.

    What tests compute is too small for two threads, which would wait for each other beside the tests of other files;
    the libraries look when they are imported, which nothing here does. Numba looks at the file of a function alone, so
    a change in another file that it calls would go unseen.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for compiled in ROOT.rglob("*.nb[ci]"):
        source = compiled.parent.parent / f"{compiled.name.split('.')[0]}.py"
        if not source.exists() or compiled.stat().st_mtime < max(path.stat().st_mtime for path in sources(source)):
            compiled.unlink(missing_ok=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Look for no garbage while all is imported, nor among that later on: each search would take half a second."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 kB, where one can be had."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


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
