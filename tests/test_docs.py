"""The documentation keeps up with the code."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PACKAGES = (
    *("potentia", "potentia.potentials", "potentia.potentials.datasets", "potentia.train", "potentia.data"),
    *("potentia.plots", "potentia.nn", "potentia.errors", "potentia.evaluate", "potentia.ode", "potentia.study"),
    *("potentia.trajectories", "potentia.trajectories.systems", "potentia.trajectories.evaluation"),
    *("potentia.trajectories.tuning", "potentia.dynamics", "potentia.dynamics.evaluation", "potentia.dynamics.models"),
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


@pytest.mark.parametrize(("module", "name"), LISTED)
def test_a_name_on_the_api_page_is_defined_where_the_page_says(module, name):
    assert name in importlib.import_module(module).__all__


def test_every_page_is_in_the_contents():
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    assert pages <= set((DOCS / "index.md").read_text().split())
