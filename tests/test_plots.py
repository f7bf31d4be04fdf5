"""Figures: what they show is what was given, they are written whole, and nothing outside them changes."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from crossings import crossed
from potentia.errors import ConfigError, DataError
from potentia.plots import ErrorPanel, ParityPanel, error_curves, error_distribution, parity, parity_panels

HEAD = {".png": b"\x89PNG\r\n", ".pdf": b"%PDF-", ".svg": b"<?xml"}

PANEL = ErrorPanel(
    quantity="energy",
    unit="meV/atom",
    columns={
        "RMSE": {"train": "RMSE_train", "test": "RMSE_test"},
        "MAE": {"train": "MAE_train", "test": "MAE_test"},
    },
    marked="RMSE_test",
    factor=1000.0,
)


def frame(rows=12, **columns):
    epochs = np.arange(1, rows + 1)
    errors = dict.fromkeys(("RMSE_train", "RMSE_test", "MAE_train", "MAE_test"), 0.01 + 0.1 / epochs)
    return pd.DataFrame(errors | columns, index=pd.Index(epochs, name="epoch"))


def words(figure):
    return " | ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def labels(figure):
    return [label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel()) if label]


def curves(outfile=None):
    return error_curves(frame(), [PANEL], outfile=outfile)


def distribution(outfile=None):
    errors = {"train": [0.1, -0.2, 0.3], "test": [-0.5, 0.1]}
    return error_distribution(errors, quantity="force", unit="eV/Å", outfile=outfile)


def pairs(outfile=None):
    return parity([1.0, 2.0, 4.0], [1.5, 2.0, 3.0], quantity="energy", unit="eV", outfile=outfile)


LONG = "a quantity with a name of many words"


def long_distribution():
    errors = {f"{LONG} {k}": np.linspace(-1, 2, 50) * 10.0**k for k in range(3)}
    return error_distribution(errors, quantity=LONG, unit="unit of the data")


def long_pairs():
    there = np.arange(9.0)
    panels = [
        ParityPanel(quantity=LONG, unit="unit of the data", groups={LONG: (there, there + 1)}),
        ParityPanel(quantity="energy" * 20, unit="eV", groups={"all": (there, there)}),
    ]
    return parity_panels(panels)


@pytest.mark.parametrize("draw", [long_distribution, long_pairs])
def test_words_are_never_cut_off(draw):
    figure = draw()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for axes in figure.axes:
        for text in (*axes.texts, axes.xaxis.label, axes.yaxis.label):
            if text.get_text():
                box = text.get_window_extent(canvas.get_renderer())
                assert -2 <= box.x0 <= box.x1 <= figure.bbox.x1 + 2, text.get_text()
                assert -2 <= box.y0 <= box.y1 <= figure.bbox.y1 + 2, text.get_text()


every_figure = pytest.mark.parametrize("draw", [curves, distribution, pairs])


# ------------------------------------------------------------------------------------------------------ every figure


@pytest.mark.parametrize(("draw", "suffix"), crossed([curves, distribution, pairs], [*HEAD]))
def test_a_figure_is_written_as_its_suffix_says_and_nothing_else_changes(draw, suffix, tmp_path):
    path, before = tmp_path / f"figure{suffix}", dict(mpl.rcParams)
    assert isinstance(draw(path), Figure)
    assert path.read_bytes().startswith(HEAD[suffix])
    assert path.stat().st_size > 1000
    assert list(tmp_path.iterdir()) == [path]
    assert dict(mpl.rcParams) == before


@every_figure
def test_without_a_name_nothing_is_written(draw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw()
    assert not list(tmp_path.iterdir())


def test_the_file_may_be_named_by_a_string_and_replaces_what_was_there(tmp_path):
    path = tmp_path / "figure.PNG"
    path.write_text("old")
    curves(str(path))
    assert path.read_bytes().startswith(HEAD[".png"])


@every_figure
@pytest.mark.parametrize("name", ["figure.jpg", "figure", "figure.png.gz"])
def test_another_suffix_is_refused_and_what_is_possible_is_said(draw, name, tmp_path):
    with pytest.raises(ConfigError, match=r"suffix of outfile must be one of '\.png', '\.pdf', '\.svg'"):
        draw(tmp_path / name)
    assert not list(tmp_path.iterdir())


@every_figure
def test_a_directory_that_does_not_exist_is_named(draw, tmp_path):
    with pytest.raises(ConfigError, match=r"the directory '.*nowhere' does not exist; make it first"):
        draw(tmp_path / "nowhere" / "figure.png")


def test_a_notebook_shows_a_figure_without_pyplot():
    assert curves()._repr_png_().startswith(HEAD[".png"])


@pytest.mark.slow
def test_pyplot_is_never_imported(tmp_path):
    program = (
        "import sys, potentia.plots, potentia.potentials.results as results;"
        "results.TrainOut([{'RMSE_test': 0.1}]).plot_training_summary(sys.argv[1]);"
        "potentia.plots.parity([1.0], [2.0], quantity='energy', unit='eV', outfile=sys.argv[1]);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "figure.png"], check=True)


# ------------------------------------------------------------------------------------------------------------ curves


def test_curves_are_the_columns_in_the_unit_of_the_axis():
    table = frame()
    axes = error_curves(table, [PANEL]).axes[0]
    drawn = [line.get_ydata() for line in axes.lines[:4]]
    for values, column in zip(drawn, ["RMSE_train", "RMSE_test", "MAE_train", "MAE_test"], strict=True):
        np.testing.assert_allclose(values, 1000 * table[column])
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "energy error (meV/atom)"


def test_splits_differ_in_colour_and_measures_in_dash():
    train, test, train_mae, test_mae = error_curves(frame(), [PANEL]).axes[0].lines[:4]
    assert train.get_color() == train_mae.get_color() != test.get_color() == test_mae.get_color()
    assert train.get_linestyle() == test.get_linestyle() != train_mae.get_linestyle()


def test_the_lowest_point_of_the_marked_column_is_ringed_and_told():
    table = frame(RMSE_test=[0.05, 0.03, np.nan, 0.0123, 0.02, 0.0123] + [0.9] * 6)
    figure = error_curves(table, [PANEL])
    ring = figure.axes[0].lines[-1]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (4, pytest.approx(12.3))
    assert "lowest test RMSE: 12.3 meV/atom in epoch 4" in words(figure)


def test_each_curve_is_labelled_with_its_last_value():
    figure = error_curves(frame(RMSE_test=[0.5] * 11 + [0.25]), [PANEL])
    assert "test RMSE 250" in words(figure)


def test_labels_of_curves_that_end_together_are_apart_and_in_order():
    figure = error_curves(frame(RMSE_test=[0.5] * 11 + [0.0184]), [PANEL])
    heights = {text.get_text().rsplit(" ", 1)[0]: text.get_position()[1] for text in figure.axes[0].texts}
    ends = sorted(height for name, height in heights.items() if name.startswith(("train", "test")))
    assert np.diff(ends).min() > 0.07
    assert heights["test RMSE"] == ends[-1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_a_point_that_a_logarithm_cannot_show_is_left_out(bad):
    line = error_curves(frame(RMSE_train=[0.5, bad, *([0.25] * 10)]), [PANEL]).axes[0].lines[0]
    assert line.get_xdata().tolist() == [1, *range(3, 13)]


def test_a_column_without_a_finite_value_makes_no_curve_and_no_label():
    figure = error_curves(frame(RMSE_test=np.nan, MAE_test=np.nan), [PANEL])
    assert len(figure.axes[0].lines) == 2
    assert "test" not in words(figure)


@pytest.mark.parametrize("rows", [0, 1, 2, 500])
def test_any_number_of_epochs_can_be_drawn(rows, tmp_path):
    figure = error_curves(frame(rows), [PANEL, PANEL], outfile=tmp_path / "figure.png")
    assert ("no epoch was completed" in words(figure)) == (rows == 0)


def test_a_table_of_nan_says_so():
    columns = dict.fromkeys(["RMSE_train", "RMSE_test", "MAE_train", "MAE_test"], np.nan)
    assert "no finite error in any epoch" in words(error_curves(frame(**columns), [PANEL]))


@pytest.mark.parametrize("values", [[0.0300, 0.0301, 0.0302], [0.01, 1.0, 5.0], [1e-9, 1.0, 1e9], [0.02] * 3])
def test_any_range_has_at_least_two_numbers_on_its_axis(values, tmp_path):
    panel = ErrorPanel(quantity="energy", unit="eV", columns={"RMSE": {"test": "x"}})
    axes = error_curves(pd.DataFrame({"x": values}), [panel], outfile=tmp_path / "figure.png").axes[0]
    low, high = axes.get_ylim()
    shown = [tick for tick, text in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True) if text.get_text()]
    assert sum(low <= tick <= high for tick in shown) >= 2


def test_the_learning_rate_has_a_strip_of_its_own():
    figure = error_curves(frame(rate=[1e-3] * 6 + [1e-4] * 6), [PANEL], rate="rate")
    assert len(figure.axes) == 2
    assert figure.axes[1].lines[0].get_ydata().tolist() == [1e-3] * 6 + [1e-4] * 6
    assert "last 0.0001" in words(figure)


def test_a_column_that_is_not_there_is_named_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"no column 'RMSE_test' in this table; did you mean 'RMSE_tets'\?"):
        error_curves(frame().rename(columns={"RMSE_test": "RMSE_tets"}), [PANEL])


# ------------------------------------------------------------------------------------------------------------ parity


def test_rmse_and_mae_are_exact_and_carry_their_unit():
    figure = parity([1.0, 2.0, 4.0], [1.5, 2.0, 3.0], quantity="energy", unit="eV")  # errors 0.5, 0, -1
    assert "all  RMSE 0.645, MAE 0.500 eV, 3 points" in words(figure)
    assert labels(figure) == [
        "reference energy (eV)",
        "predicted energy (eV)",
        "predicted − reference (eV)",
        "share (%)",
    ]


def test_errors_may_have_a_unit_of_their_own():
    figure = parity([1.0], [1.02], quantity="energy", unit="eV", error_unit="meV", error_factor=1000.0)
    assert "RMSE 20.0, MAE 20.0 meV, 1 points" in words(figure)
    assert "predicted − reference (meV)" in labels(figure)


def test_shape_does_not_matter_as_long_as_it_is_one():
    forces = np.arange(12.0).reshape(4, 3)
    figure = parity(forces, forces + 1, quantity="force", unit="eV/Å", groups=["H", "O", "H", "H"])
    assert "H  RMSE 1.00, MAE 1.00 eV/Å, 9 points" in words(figure)
    assert "O  RMSE 1.00, MAE 1.00 eV/Å, 3 points" in words(figure)


def test_the_axes_are_equal_and_the_diagonal_goes_from_corner_to_corner():
    axes = pairs().axes[0]
    assert axes.get_xlim() == axes.get_ylim()
    assert tuple(axes.lines[0].get_xdata()) == tuple(axes.lines[0].get_ydata()) == axes.get_xlim()
    assert axes.get_box_aspect() == 1


def test_every_point_is_in_view():
    reference, predicted = np.array([-3.0, 0.0, 1.0]), np.array([-2.0, 7.0, 1.0])
    low, high = parity(reference, predicted, quantity="energy", unit="eV").axes[0].get_xlim()
    assert low < -3.0
    assert high > 7.0


def test_pairs_that_are_not_finite_are_left_out_and_counted():
    figure = parity([1.0, np.nan, 3.0, 4.0], [1.0, 2.0, np.inf, 5.0], quantity="energy", unit="eV")
    assert "RMSE 0.707, MAE 0.500 eV, 2 points, 2 not finite" in words(figure)


def test_many_points_become_a_density_of_all_of_them():
    values = np.random.default_rng(0).normal(size=30_000)
    few, many = (parity(values[:n], values[:n], quantity="energy", unit="eV") for n in (20_000, 20_001))
    counts = many.axes[0].collections[0].get_array()
    assert counts.sum() == 20_001
    assert len(few.axes[0].collections[0].get_offsets()) == 20_000
    assert few.axes[0].collections[0].get_rasterized()


def test_a_million_points_make_a_small_file(tmp_path):
    values = np.random.default_rng(0).normal(size=1_000_000)
    parity(values, values + 0.1, quantity="force", unit="eV/Å", outfile=tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").stat().st_size < 500_000


@pytest.mark.parametrize("values", [[], [np.nan], [2.0], [2.0, 2.0], [1e6, -1e6]])
def test_any_set_of_points_can_be_drawn(values, tmp_path):
    figure = parity(values, values, quantity="energy", unit="eV", outfile=tmp_path / "figure.png")
    assert ("no data" in words(figure)) == (not np.isfinite(values).any())


def test_panels_stand_beside_each_other_with_an_empty_one_among_them():
    panels = [
        ParityPanel(quantity="energy", unit="eV", groups={"train": ([1.0], [2.0]), "test": ([], [])}),
        ParityPanel(quantity="force", unit="eV/Å", groups={"train": ([], [])}),
    ]
    figure = parity_panels(panels)
    assert len(figure.axes) == 4
    assert "test  no data" in words(figure)


def test_different_shapes_are_refused():
    with pytest.raises(DataError, match=r"must have one shape \(energy\), got \(2,\) and \(3,\)"):
        parity([1.0, 2.0], [1.0, 2.0, 3.0], quantity="energy", unit="eV")
    panel = ParityPanel(quantity="energy", unit="eV", groups={"test": ([1.0, 2.0], [[1.0, 2.0]])})
    with pytest.raises(DataError, match=r"must have one shape \(energy, test\), got \(2,\) and \(1, 2\)"):
        parity_panels([panel])


@pytest.mark.parametrize("panels", [[], [ParityPanel(quantity="energy", unit="eV", groups={})]])
def test_a_panel_and_a_group_are_needed(panels):
    with pytest.raises(ConfigError, match="at least one panel, and in each at least one group"):
        parity_panels(panels)


def test_a_group_for_each_entry_is_needed():
    with pytest.raises(DataError, match=r"groups must name each of the 2 entries, got shape \(1,\)"):
        parity([1.0, 2.0], [1.0, 2.0], quantity="energy", unit="eV", groups=["H"])


# ------------------------------------------------------------------------------------------------------ distribution


def stairs(axes):
    return [patch.get_data() for patch in axes.patches if patch.get_fill() is False]


def test_shares_and_what_is_farther_out_are_the_whole():
    errors = np.concatenate([np.random.default_rng(0).normal(size=1000), [50.0, -60.0]])
    figure = error_distribution({"test": errors}, quantity="energy", unit="eV")
    values, edges, _ = stairs(figure.axes[0])[0]
    outside = int(np.sum((errors < edges[0]) | (errors > edges[-1])))
    assert f"{outside:,} points farther out" in words(figure)
    assert values.sum() == pytest.approx(100 * (1002 - outside) / 1002)
    assert len(edges) % 2 == 0  # one bin is around zero
    assert edges[0] == -edges[-1]


def test_groups_of_different_size_have_the_same_bins_and_are_comparable():
    errors = np.random.default_rng(0).normal(size=1000)
    figure = error_distribution({"once": errors, "twice": np.tile(errors, 2)}, quantity="energy", unit="eV")
    once, twice = stairs(figure.axes[0])
    np.testing.assert_allclose(once.values, twice.values)
    np.testing.assert_array_equal(once.edges, twice.edges)


def test_mean_median_and_percentile_are_told():
    figure = error_distribution({"test": np.arange(-20.0, 81.0)}, quantity="energy", unit="meV")
    told = words(figure)
    assert "mean 30.0" in told
    assert "median 30.0, 95 % 75.0, largest 80.0 meV" in told


def test_the_cumulative_curve_has_the_largest_error_at_its_end_and_few_points():
    errors = np.random.default_rng(0).normal(size=50_000)
    line = error_distribution({"test": errors}, quantity="energy", unit="eV").axes[1].lines[0]
    assert line.get_xdata()[-1] == np.abs(errors).max()
    assert line.get_ydata()[-1] == 1
    assert len(line.get_xdata()) <= 2000


@pytest.mark.parametrize(
    "errors", [[], [0.0], [np.nan, 1e-300, 1.0], *(pytest.param(e, marks=pytest.mark.slow) for e in ([0, 0, 1], [1]))]
)
def test_any_errors_can_be_drawn(errors, tmp_path):
    groups = {"train": errors, "test": []}
    error_distribution(groups, quantity="energy", unit="eV", outfile=tmp_path / "figure.png")
    assert (tmp_path / "figure.png").exists()
