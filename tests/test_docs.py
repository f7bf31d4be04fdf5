"""The documentation keeps up with the code."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGES = (
    *("potentia", "potentia.potentials", "potentia.potentials.datasets", "potentia.train", "potentia.data"),
    *("potentia.plots", "potentia.nn", "potentia.errors", "potentia.evaluate", "potentia.ode", "potentia.study"),
    *("potentia.trajectories", "potentia.trajectories.systems", "potentia.trajectories.evaluation"),
    *("potentia.trajectories.committee", "potentia.trajectories.tuning", "potentia.operators"),
    *("potentia.operators.committee", "potentia.operators.figures", "potentia.operators.systems"),
    *("potentia.dynamics", "potentia.dynamics.evaluation", "potentia.dynamics.models"),
    *("potentia.dynamics.logs", "potentia.processes", "potentia.report", "potentia.runs"),
    *(f"potentia.testing.{part}" for part in ("descriptors", "potentials", "trajectories", "dynamics", "operators")),
    *("potentia.testing.methods", "potentia.testing.estimators", "potentia.testing.structures"),
)
NOT_FOR_USERS = {"warn_user"}
LISTED = re.findall(r"^   ~([\w.]+)\.(\w+)$", (DOCS / "api.md").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_stands_on_the_api_page(package):
    names = set(importlib.import_module(package).__all__) - NOT_FOR_USERS
    assert names <= {name for _, name in LISTED}


def test_names_on_the_api_page_are_defined_where_the_page_says():
    assert len(LISTED) > 400
    assert [(m, name) for m, name in LISTED if name not in importlib.import_module(m).__all__] == []


def test_every_page_is_in_the_contents():
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    assert pages <= set((DOCS / "index.md").read_text().split())


def slug(heading):
    """Return the anchor of a heading, as MyST and code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page):
    """Return the page itself and the anchors of its headings, code left out."""
    text = re.sub(r"^```.*?^```", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return {page, *(f"{page}#{slug(heading)}" for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE))}


def pages_named_in_messages():
    """Return what ``page=`` is wherever a page of the documentation is named."""
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "page=" in text else ():
            named = [word.value for word in getattr(node, "keywords", ()) if word.arg == "page"]
            told = [value.value for value in named if isinstance(value, ast.Constant)]
            found += [(path.stem, page) for page in told if isinstance(page, str)]
    return found


def test_the_pages_that_messages_name_are_there():
    named = pages_named_in_messages()
    known = set().union(*(anchors(path.name) for path in DOCS.glob("*.md")))
    assert len(named) > 20
    assert [one for one in named if one[1] not in known] == []


def test_the_pictures_of_the_layers_are_those_of_the_contracts():
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "draw_layers.py", "--check"], capture_output=True, text=True, check=False
    )
    assert run.stdout == ""
    assert run.returncode == 0
