"""The notebooks: in what form they are kept, and that they still say what they said."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
LISTS = ("docs/notebooks.md", "README.md")
"""Pages on which every notebook stands."""
MEGABYTES = 3
"""What all of them may take."""
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/<])/(?:home|root|tmp|var|usr|opt|mnt|Users)/|\b[A-Z]:\\\\")
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
WITHIN = 0.1
"""Numbers that a training gives differ by this part of themselves from machine to machine."""


def _refresh():
    spec = importlib.util.spec_from_file_location("refresh", ROOT / "notebooks" / "refresh.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


refresh = _refresh()
NOTEBOOKS = refresh.notebooks()
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def _read(path):
    return nbformat.read(path, as_version=4)


def _outputs(cell):
    return cell.get("outputs", [])


def _text(cell):
    """Return what a cell printed and returned, in words."""
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in _outputs(cell))


def _pictures(cell):
    return sum("image/png" in output.get("data", {}) for output in _outputs(cell))


def _value(number):
    return float(number.replace(",", "").replace("−", "-"))


def _close(kept, said):
    """Whether two numbers as they are printed mean the same: to a tenth, or to one in the last digit."""
    if not re.search(r"[.e]", kept):
        return kept == said
    last = 10.0 ** -len(kept.partition(".")[2].partition("e")[0])
    return np.isclose(_value(kept), _value(said), rtol=WITHIN, atol=0 if "e" in kept else 1.01 * last)


def _differences(kept, said):
    """Return what differs between two texts, whose spaces and rules do not count."""
    if NUMBER.sub("#", kept).split() != NUMBER.sub("#", said).split():
        return [(kept, said)]
    pairs = zip(NUMBER.findall(kept), NUMBER.findall(said), strict=True)
    return [pair for pair in pairs if not _close(*pair)]


def test_they_are_numbered_without_gaps():
    assert [path.name[:3] for path in NOTEBOOKS] == [f"{k:02d}-" for k in range(1, len(NOTEBOOKS) + 1)]


@pytest.mark.parametrize("page", LISTS)
def test_every_notebook_stands_on_the_page(page):
    listed = re.findall(r"notebooks/([\w-]+\.ipynb)", (ROOT / page).read_text())
    assert sorted(set(listed)) == [path.name for path in NOTEBOOKS]


def test_they_are_small():
    assert sum(path.stat().st_size for path in NOTEBOOKS) < MEGABYTES * 1e6


@each
def test_it_is_kept_as_a_fresh_kernel_leaves_it(path):
    notebook = _read(path)
    nbformat.validate(notebook)
    again = refresh.bare(_read(path))
    assert notebook == again
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


@each
def test_it_has_the_form_of_all(path):
    cells = _read(path).cells
    assert 8 <= len(cells) <= 15
    assert cells[0].source.startswith(f"# {int(path.name[:2])} · ")
    assert "### What to read next" in cells[-1].source
    assert sum(cell.source.count("\nassert ") for cell in cells if cell.cell_type == "code") >= 2
    assert sum(map(_pictures, cells)) in {1, 2}


@each
def test_it_says_nothing_of_errors_warnings_or_this_machine(path):
    for cell in _read(path).cells:
        assert not ABSOLUTE_PATH.search(cell.source + _text(cell))
        for output in _outputs(cell):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text


@each
def test_its_links_lead_somewhere(path):
    words = "\n".join(cell.source for cell in _read(path).cells if cell.cell_type == "markdown")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", words) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (path.parent / link).is_file()] == []


@pytest.mark.parametrize(
    ("kept", "said", "same"),
    [
        ("RMSE 0.0512 eV/Å", "RMSE  0.0527 eV/Å", True),
        ("RMSE 0.0512 eV/Å", "RMSE 0.0612 eV/Å", False),
        ("at 0.1 Å", "at 0.2 Å", True),  # one in the last digit
        ("24 of 24 atoms", "23 of 24 atoms", False),
        ("equal: True", "equal: False", False),
        ("2.5e-09 eV", "2.6e-09 eV", True),
        ("1,278 errors", "1,279 errors", False),
    ],
)
def test_what_counts_as_the_same_output(kept, said, same):
    assert (_differences(kept, said) == []) is same


@pytest.mark.slow
@each
def test_it_still_says_what_it_said(path, tmp_path):
    kept, said = _read(path).cells, refresh.executed(path, tmp_path).cells
    texts = {before.id: _differences(_text(before), _text(now)) for before, now in zip(kept, said, strict=True)}
    assert {cell: found for cell, found in texts.items() if found} == {}
    assert list(map(_pictures, kept)) == list(map(_pictures, said))
