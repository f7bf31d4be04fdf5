"""What is installed: every import is of a declared package, and the wheel holds what the sources hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = sorted((ROOT / "src" / "potentia").rglob("*.py"))
CALLED = {"PIL": "pillow", "yaml": "pyyaml"}
"""Modules whose packages have other names."""
ON_REQUEST = {"wandb"}
"""Modules that a setting asks for by name, whose packages no extra has."""


def packages(requirements):
    return {re.split(r"[\[<>=!~ ;]", one)[0].lower() for one in requirements}


def imported(path):
    """Return the packages that a file imports when it is loaded, and those that it imports later."""
    found = {True: set(), False: set()}
    left = [(ast.parse(path.read_text(encoding="utf-8")), True)]
    while left:
        node, at_once = left.pop()
        if isinstance(node, ast.Import):
            found[at_once] |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found[at_once].add(node.module.split(".")[0])
        elif isinstance(node, ast.Module | ast.stmt | ast.ExceptHandler | ast.match_case):
            at_once &= not isinstance(node, ast.FunctionDef)
            left += [(child, at_once) for child in ast.iter_child_nodes(node)]
    return found[True], found[False]


def called(names):
    own = set(names) - sys.stdlib_module_names - {"potentia"}
    return {CALLED.get(name, name).replace("_", "-").lower() for name in own}


def test_every_import_is_of_a_declared_package_and_every_declared_one_is_imported():
    declared = packages(PROJECT["dependencies"])
    extras = packages(one for name, more in PROJECT["optional-dependencies"].items() if name != "dev" for one in more)
    found = {path: imported(path) for path in SOURCES}
    assert called(set().union(*(now for path, (now, _) in found.items() if "tuning" not in path.parts))) == declared
    assert called(set().union(*(now | later for now, later in found.values()))) - declared <= extras | ON_REQUEST


@pytest.mark.slow
def test_the_wheel_holds_all_files_of_the_package_and_no_others(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if not name.split("/")[0].endswith(".dist-info")}
        entry_points = file.read(f"potentia-{PROJECT['version']}.dist-info/entry_points.txt").decode()
    there = {path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert held == {path.relative_to(ROOT / "src").as_posix() for path in there}
    assert {"potentia/py.typed", "potentia/trajectories/systems/osu2008.reactions"} <= held
    assert "potentia = potentia.cli:main" in entry_points
