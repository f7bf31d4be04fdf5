"""The figure of reliability: it shows the tables given, and any table can be drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crossings import crossed
from potentia.errors import ConfigError
from potentia.plots import reliability

COVERAGE = pd.DataFrame(
    {
        "group": ["all", "all", "Ti", "Ti"],
        "level": [0.5, 0.9, 0.9, 0.5],
        "coverage": [0.52, 0.88, 0.7, 0.5],
        "n": [1234, 1234, 300, 300],
    }
)
SIZES = pd.DataFrame({"half_width": [0.1, 0.2, 0.5], "needed": [0.12, 0.2, 0.4]})


def words(axes):
    return " | ".join(text.get_text() for text in axes.texts)


def test_it_shows_what_was_given(tmp_path):
    path = tmp_path / "figure.png"
    left, right = reliability(COVERAGE, SIZES, quantity="force", unit="eV/Å", outfile=path).axes
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [tuple(line.get_ydata()) for line in left.lines] == [(0, 1), (0.52, 0.88), (0.5, 0.7)]
    assert "Ti  farthest off: 70.0 % at 90 %, 300 errors" in words(left)
    assert "Coverage of force errors" in words(left)
    assert tuple(right.lines[1].get_xdata()) == (0.12, 0.2, 0.4)
    assert tuple(right.lines[0].get_xdata()) == right.get_xlim() == right.get_ylim()
    assert right.get_ylabel() == "half-width given (eV/Å)"


@pytest.mark.parametrize(
    ("sizes", "coverage"), crossed([SIZES[:0], SIZES * np.inf, SIZES * 0, SIZES[:1]], [COVERAGE, COVERAGE[:0]])
)
def test_any_table_can_be_drawn(coverage, sizes, tmp_path):
    figure = reliability(coverage, sizes, quantity="energy", unit="eV", outfile=tmp_path / "figure.svg")
    assert ("no data" in words(figure.axes[0])) == coverage.empty
    assert ("no width" in words(figure.axes[1])) == (not len(figure.axes[1].lines))


def test_a_missing_column_is_named():
    with pytest.raises(ConfigError, match=r"no column 'level' in this table; did you mean 'levels'"):
        reliability(COVERAGE.rename(columns={"level": "levels"}), SIZES, quantity="energy", unit="eV")
