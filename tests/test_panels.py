"""Panels of lines, densities and ranges, and the page: what they show is what was given."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from potentia.errors import ConfigError, DataError
from potentia.plots import DensityPanel, Line, LinePanel, Page, binned, density_panels, line_panels, range_rows


def panel(*lines, **settings):
    return LinePanel(title="Errors", x_label="time (s)", y_label="error (m)", lines=lines, **settings)


def line(y, label="model", **settings):
    return Line(label=label, x=np.arange(len(y)), y=y, **settings)


def words(axes):
    return [text.get_text() for text in axes.texts]


def test_a_line_is_drawn_where_its_values_are():
    figure = line_panels([panel(line([1.0, np.nan, 3.0]))])
    (drawn,) = figure.axes[0].lines
    assert drawn.get_xydata().tolist() == [[0, 1], [2, 3]]


def test_on_a_logarithmic_axis_zeros_are_left_out_and_noise_does_not_take_the_room():
    values = np.concatenate(([0.0, 1e-17], np.full(100, 0.1)))
    axes = line_panels([panel(line(values), log_y=True)]).axes[0]
    assert len(axes.lines[0].get_xydata()) == 101
    assert axes.get_ylim()[0] > 1e-3
    empty = line_panels([panel(line([0.0, -1.0]), log_y=True)]).axes[0]
    assert "no value above zero" in words(empty)


def test_panels_share_one_legend():
    panels = [
        panel(line([1, 2], "A"), line([2, 3], "B", band=([1, 2], [3, 4]), band_label="range")),
        panel(line([1], "A")),
    ]
    figure = line_panels(panels, columns=2)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["A", "B", "range"]


def test_the_last_places_of_a_grid_stay_empty_and_marks_are_named(tmp_path):
    path = tmp_path / "lines.png"
    figure = line_panels([panel(line([1, 2]), marks={"end of training": 0.5})] * 3, columns=2, outfile=path)
    assert len(figure.axes) == 4
    assert not figure.axes[3].axison
    assert "end of training" in words(figure.axes[0])
    assert path.read_bytes().startswith(b"\x89PNG")


def test_every_pair_is_counted_in_its_bin():
    x, y = np.random.default_rng(0).lognormal(size=(2, 1000))
    table = binned(np.append(x, [0.0, np.nan]), np.append(y, [1.0, 1.0]))
    assert table["count"].sum() == 1001
    one = table.iloc[len(table) // 2]
    inside = (x >= one["x_low"]) & (x < one["x_high"]) & (y >= one["y_low"]) & (y < one["y_high"])
    assert inside.sum() == one["count"]
    with pytest.raises(DataError, match="x and y must be pairs, got 2 and 1 values"):
        binned([1, 2], [1])


@pytest.mark.parametrize("pairs", [([], []), ([0.0], [0.0]), ([1.0], [1.0]), ([1.0, 2.0], [0.0, 3.0])])
def test_densities_are_drawn_of_any_pairs(pairs, tmp_path):
    one = DensityPanel(title="A", x_label="x", y_label="y", bins=binned(*pairs), diagonal=True)
    figure = density_panels([one], outfile=tmp_path / "density.png")
    assert ("no data" in words(figure.axes[0])) == (not len(pairs[0]))


def test_ranges_have_a_row_for_each_name():
    columns = {"low": 0.0, "quarter": 1.0, "median": 2.0, "three_quarters": 3.0, "high": 5.0, "mean": 2.5}
    frame = pd.DataFrame([{"name": "A", **columns}, {"name": "B", **columns}])
    axes = range_rows(frame, title="Errors", label="error (m)", ends=("5 %", "99 %")).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["A", "B"]
    with pytest.raises(ConfigError, match="no column 'median'"):
        range_rows(frame.drop(columns="median"), title="", label="", ends=("", ""))


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_needs_no_other_file_and_escapes_what_it_is_given(tmp_path):
    page = Page("A < B")
    page.section("One & two")
    page.words("<script>alert(1)</script>")
    page.table(pd.DataFrame({"x": ["* 1 *", "<b>"], "y": [np.nan, 1 / 3]}, index=["r", "s"]), caption="Numbers")
    page.fold("More")
    page.figure(line_panels([panel(line([1, 2]))]), 'a "figure"')
    page.fold("Even more")
    page.section("Last")
    page.fold("Open at the end")
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    parser = Balanced()
    parser.feed(text)
    assert not parser.open
    assert "<script>" not in text
    assert "<b>" not in text
    assert '<td class="best">1</td>' in text
    assert "<td>0.3333</td>" in text
    assert "nan" not in text
    sources = [attrs["src"] for tag, attrs in parser.seen if tag == "img"]
    assert len(sources) == 1
    assert sources[0].startswith("data:image/png;base64,")
    assert all(not attrs.get("href", "#").startswith("http") for _, attrs in parser.seen)


def test_a_page_replaces_a_page_and_no_other_file(tmp_path):
    path = tmp_path / "page.html"
    Page("First").write(path)
    Page("Second").write(path)
    assert "<h1>Second</h1>" in path.read_text()
    for other in ("", "<!DOCTYPE html>\n<html><body>mine</body></html>"):
        path.write_text(other)
        with pytest.raises(
            ConfigError, match=r"page\.html is there already, and potentia has not written it: remove it"
        ):
            Page("Third").write(path)
        assert path.read_text() == other


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is a folder: the page needs the name of a file, such as"),
        ("page.pdf", r"pages are HTML, so the name of one ends in \.html or \.htm, got '.*page\.pdf'"),
        ("none/page.html", "none' does not exist; make it first"),
    ],
)
def test_a_place_where_no_page_can_be_is_refused(tmp_path, name, message):
    with pytest.raises(ConfigError, match=message):
        Page("A").write(tmp_path / name)


def test_a_heading_is_not_said_twice():
    page = Page("A")
    page.section("Errors")
    page.table(pd.DataFrame({"x": [1.0]}), "Errors")
    page.table(pd.DataFrame({"x": [1.0]}), "By group")
    assert page.html().count(">Errors</h") == 1
    assert "<h3>By group</h3>" in page.html()


@pytest.mark.parametrize(("low", "high"), [(0.7, 1.05), (2e-4, 9e-4), (0.011, 0.019), (3.0, 40.0)])
def test_a_narrow_logarithmic_axis_has_numbers_too(low, high):
    axes = line_panels([panel(line([low, high]), log_y=True)]).axes[0]
    axes.figure.draw_without_rendering()
    bottom, top = axes.get_ylim()
    shown = [tick.label1.get_text() for tick in axes.yaxis.get_major_ticks() if bottom <= tick.get_loc() <= top]
    assert len([text for text in shown if text]) >= 3
