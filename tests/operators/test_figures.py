"""Figures of fields: they show the arrays that were given, on scales that the truth sets, and are written whole."""

from __future__ import annotations

import stat
import sys
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from potentia.errors import ConfigError, DataError
from potentia.operators.figures import (
    Film,
    animate,
    error_growth,
    field_rows,
    profiles,
    radial_power,
    space_time,
    spectra,
    token_timeline,
)
from potentia.operators.make import make_data

DRAWS = np.random.default_rng(0)
PLANE = Film(
    truth=DRAWS.normal(size=(4, 2, 8, 6)),
    prediction=DRAWS.normal(size=(4, 2, 8, 6)),
    channels=("u", "v"),
    time_step=0.5,
)
LINE = Film(truth=DRAWS.normal(size=(3, 1, 16)), prediction=DRAWS.normal(size=(3, 1, 16)), channels=("u",))
TOKENS = DRAWS.integers(0, 32, size=(7, 3))
NAMES = ["initial 1", "initial 2", "summary 1"]


def power(outfile=None):
    truth = DRAWS.normal(size=(2, 4, 1, 8))
    return spectra(truth, {"FNO": truth + 1}, channels=["u"], outfile=outfile)


def growth(outfile=None):
    return error_growth({"FNO": [[0.1, 0.2], [0.2, 0.3]]}, {"mean": [1, 1]}, measure="VRMSE", outfile=outfile)


every_figure = pytest.mark.parametrize(
    "draw",
    [
        lambda outfile=None: field_rows(PLANE, title="both", outfile=outfile),
        lambda outfile=None: space_time(LINE, title="one", outfile=outfile),
        lambda outfile=None: profiles(LINE, outfile=outfile),
        lambda outfile=None: token_timeline(TOKENS, TOKENS[::-1], names=NAMES, outfile=outfile),
        power,
        growth,
    ],
    ids=["field_rows", "space_time", "profiles", "token_timeline", "spectra", "error_growth"],
)


def shown(figure):
    """Return the arrays of all images, axes in order."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def limits(figure):
    return [axes.images[0].get_clim() for axes in figure.axes if axes.images]


def words(figure):
    return " | ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def frames_of(path):
    with Image.open(path) as film:
        pictures = []
        for k in range(film.n_frames):
            film.seek(k)
            pictures.append(np.asarray(film.convert("RGB")))
        return pictures, film.info


# ------------------------------------------------------------------------------------------------------ every figure


@every_figure
def test_a_figure_is_written_whole_and_changes_no_settings(draw, tmp_path):
    before = dict(mpl.rcParams)
    path = tmp_path / "figure.png"
    assert isinstance(draw(path), Figure)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]
    assert dict(mpl.rcParams) == before


def test_another_suffix_and_no_directory_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"suffix of outfile must be one of '\.png'"):
        growth(tmp_path / "figure.jpg")
    with pytest.raises(ConfigError, match="nowhere' does not exist; make it first"):
        growth(tmp_path / "nowhere" / "figure.png")


# -------------------------------------------------------------------------------------------------------------- film


def test_a_film_of_data_is_the_sample_with_names_and_times():
    data = make_data("burgers", n_train=2, n_val=1, n_test=2, grid=(16,), steps=2)
    film = Film.of(data, data.test, 1)
    np.testing.assert_array_equal(film.truth, data.test.fields[1])
    assert film.channels == ("u",)
    assert film.times.tolist() == [0.0, 0.1, 0.2]
    with pytest.raises(ConfigError, match="sample must be an integer between 0 and 1, got 2"):
        Film.of(data, data.test, 2)


def test_relative_errors_are_norms_of_all_channels_together():
    truth = np.array([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    film = Film(truth=truth, prediction=truth + [[[1.0, 0.0], [0.0, 0.0]]], channels=("u", "v"))
    np.testing.assert_allclose(film.relative_errors(), [1 / 5, 1.0])  # nothing to compare with: the error itself


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"truth": np.zeros((3, 8)), "channels": ("u",)}, r"`truth` must be finite fields .* got the shape \(3, 8\)"),
        ({"truth": np.full((2, 1, 8), np.nan), "channels": ("u",)}, "`truth` must be finite"),
        ({"truth": np.zeros((2, 2, 8)), "channels": ("u",)}, "`channels` must name 2 fields, got u"),
        (
            {"truth": np.zeros((2, 1, 8)), "prediction": np.zeros((1, 1, 8)), "channels": ("u",)},
            r"`prediction` must have the shape of `truth`, \(2, 1, 8\), got \(1, 1, 8\)",
        ),
    ],
)
def test_a_film_whose_arrays_do_not_fit_is_refused(settings, message):
    with pytest.raises(DataError, match=message):
        Film(**settings)


def test_figures_say_which_other_figure_fields_need():
    with pytest.raises(ConfigError, match="1 axes of space, not 2: use space_time"):
        field_rows(LINE)
    with pytest.raises(ConfigError, match="2 axes of space, not 1: use field_rows"):
        space_time(PLANE)
    with pytest.raises(ConfigError, match="no channel 'w'; known: u, v"):
        field_rows(PLANE, show=["w"])
    with pytest.raises(ConfigError, match="a step to show must be an integer between 0 and 3, got 4"):
        field_rows(PLANE, steps=[0, 4])


# ------------------------------------------------------------------------------------------------------------ fields


def test_rows_are_truth_prediction_and_error_and_columns_are_times():
    found = shown(field_rows(PLANE, show=["v"], steps=[0, 3]))
    wanted = [fields[step, 1].T for fields in (PLANE.truth, PLANE.prediction, PLANE.error) for step in (0, 3)]
    for image, field in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(image, field)


def test_a_wild_prediction_does_not_change_the_scale_of_the_truth():
    wild = Film(truth=PLANE.truth, prediction=1000 * PLANE.truth, channels=PLANE.channels)
    usual, found = limits(field_rows(PLANE, show=["u"], steps=[1])), limits(field_rows(wild, show=["u"], steps=[1]))
    assert found[:2] == usual[:2] == [usual[0]] * 2  # truth and prediction on one scale
    assert found[2][1] == pytest.approx(np.ptp(PLANE.truth[1, 0]))  # errors no farther than the range of the truth


def test_fields_of_both_signs_are_drawn_around_zero_and_positive_ones_from_their_least():
    signed = limits(space_time(LINE))[0]
    assert signed[0] == -signed[1] == -np.abs(LINE.truth).max()
    positive = Film(truth=np.linspace(2, 3, 16).reshape(2, 1, 8), channels=("u",))
    assert limits(space_time(positive))[0] == (2.0, 3.0)


def test_the_error_below_each_column_is_told_in_percent():
    truth = np.ones((2, 1, 4, 4))
    figure = field_rows(Film(truth=truth, prediction=1.25 * truth, channels=("u",)), steps=[1])
    assert "25.0 %" in [axes.get_xlabel() for axes in figure.axes]


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_fields_and_failed_predictions_can_be_drawn(value, tmp_path):
    truth = np.full((2, 1, 4, 4), value)
    failed = np.full_like(truth, np.nan)
    field_rows(Film(truth=truth, prediction=failed, channels=("u",)), outfile=tmp_path / "figure.png")
    line = Film(truth=truth[..., 0], prediction=failed[..., 0], channels=("u",))
    space_time(line, outfile=tmp_path / "figure.png")


def test_a_film_of_a_failed_prediction_can_be_made(tmp_path):
    animate(
        Film(truth=np.zeros((2, 1, 4, 4)), prediction=np.full((2, 1, 4, 4), np.nan), channels=("u",)),
        tmp_path / "film.gif",
    )


def test_space_time_shows_time_upwards():
    image = space_time(LINE).axes[0].images[0]
    assert image.get_extent() == [0.0, 1.0, -0.5, 2.5]
    np.testing.assert_array_equal(image.get_array(), LINE.truth[:, 0])


def test_profiles_have_a_line_for_each_time_and_dashes_for_what_is_predicted():
    lines = profiles(LINE, steps=[0, 2]).axes[0].lines
    found = [line.get_ydata() for line in lines]
    for values, wanted in zip(found, [LINE.truth[0], LINE.truth[2], LINE.prediction[2]], strict=True):
        np.testing.assert_array_equal(values, wanted[0])


# ----------------------------------------------------------------------------------------------------------- spectra


@pytest.mark.parametrize("shape", [(16,), (15,), (16, 16)])
def test_the_power_of_a_wave_is_at_its_wavenumber(shape):
    x = np.arange(shape[0]) / shape[0]
    wave = 1 + np.sqrt(2) * np.sin(2 * np.pi * 3 * x).reshape(-1, *(1,) * (len(shape) - 1)) * np.ones(shape)
    wanted = np.zeros(min(shape) // 2 + 1)
    wanted[[0, 3]] = 1
    np.testing.assert_allclose(radial_power(wave, len(shape)), wanted, atol=1e-12)


def test_the_sum_of_the_power_on_a_line_is_the_mean_square():
    fields = DRAWS.normal(size=(3, 2, 32))
    np.testing.assert_allclose(radial_power(fields, 1).sum(-1), (fields**2).mean(-1))


def test_a_turned_plane_has_the_same_power():
    field = DRAWS.normal(size=(12, 12))
    np.testing.assert_allclose(radial_power(field.T, 2), radial_power(field, 2))


def test_spectra_leave_failed_samples_out_and_say_so():
    truth = DRAWS.normal(size=(3, 2, 1, 8))
    failed = truth.copy()
    failed[1, 1] = np.nan
    figure = spectra(truth, {"FNO": failed}, channels=["u"], steps=[1])
    assert "FNO: 1 of 3 not finite" in words(figure)
    line = figure.axes[0].lines[1].get_ydata()
    np.testing.assert_allclose(line, radial_power(truth[[0, 2], 1, 0], 1)[:, 1:].mean(0))


def test_spectra_need_predictions_of_the_shape_of_the_truth():
    with pytest.raises(DataError, match=r"the prediction of 'FNO' must have the shape of `truth`"):
        spectra(np.zeros((3, 2, 1, 8)), {"FNO": np.zeros((2, 2, 1, 8))}, channels=["u"])
    with pytest.raises(DataError, match=r"`truth` must have shape \[samples, steps \+ 1, 2 channels"):
        spectra(np.zeros((3, 2, 1, 8)), {}, channels=["u", "v"])


# ------------------------------------------------------------------------------------------------- errors and tokens


def test_the_errors_of_seeds_are_a_mean_in_an_area():
    lines = growth().axes[0].lines
    np.testing.assert_allclose(lines[0].get_ydata(), [1, 1])  # baselines lie below
    np.testing.assert_allclose(lines[1].get_ydata(), [0.15, 0.25])
    np.testing.assert_allclose(lines[1].get_xdata(), [1, 2])
    with pytest.raises(DataError, match=r"errors of 'FNO' must have shape \[steps\] or \[seeds, steps\], got \(\)"):
        error_growth({"FNO": 1.0}, {}, measure="VRMSE")


def test_errors_of_one_step_are_seen_as_points():
    (line,) = error_growth({"FNO": [0.1]}, {}, measure="VRMSE").axes[0].lines
    assert line.get_marker() == "o"


def test_equal_tokens_of_a_codebook_have_one_colour_and_others_are_underlined():
    truth = np.array([[5, 0], [5, 9], [7, 0]])
    predicted = np.array([[5, 0], [5, 3], [7, 0]])
    figure = token_timeline(truth, predicted, names=["a", "b"], times=[0.0, 2.0, 4.0])
    above, below = shown(figure)
    assert above.tolist() == [[0, 0, 1], [0, 1, 0]]  # codes in the order in which they appear
    assert below.tolist() == [[0, 0, 1], [0, 2, 0]]
    assert "83% of the tokens are the true ones" in words(figure)
    (mark,) = figure.axes[1].lines
    assert np.mean(mark.get_xdata()) == 2.0


def test_wrong_tokens_are_refused():
    with pytest.raises(DataError, match=r"`truth` must have shape \[windows, 2 codebooks\], got \(7, 3\)"):
        token_timeline(TOKENS, names=["a", "b"])
    with pytest.raises(DataError, match="must be whole numbers of at least 0, got float64"):
        token_timeline(TOKENS / 2, names=NAMES)
    with pytest.raises(DataError, match=r"`prediction` must have the shape of `truth`, \(7, 3\), got \(6, 3\)"):
        token_timeline(TOKENS, TOKENS[:6], names=NAMES)


# --------------------------------------------------------------------------------------------------------- animation


@pytest.mark.parametrize(
    "film", [LINE, *(pytest.param(f, marks=pytest.mark.slow) for f in (PLANE, Film(truth=LINE.truth, channels=("u",))))]
)
def test_a_gif_has_a_frame_for_each_step_and_every_one_differs(film, tmp_path):
    path = tmp_path / "film.gif"
    path.write_text("old")
    assert animate(film, path, show=film.channels[:1], frames_per_second=10, title="film") == path
    pictures, about = frames_of(path)
    assert len(pictures) == len(film.truth)
    assert all((a != b).any() for a, b in pairwise(pictures))
    assert about["loop"] == 0
    assert (pictures[0][0, 0] == 255).all()  # white paper stays white
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "film.gif"
    path.write_text("old")
    monkeypatch.setattr(Image.Image, "save", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full; what stood there before is untouched"):
        animate(LINE, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_another_film_and_an_mp4_without_ffmpeg_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"suffix of outfile must be one of '\.gif', '\.mp4'"):
        animate(LINE, tmp_path / "film.avi")
    with pytest.raises(ConfigError, match="needs the program ffmpeg, which is not installed"):
        animate(LINE, tmp_path / "film.mp4")
    with pytest.raises(ConfigError, match="nowhere' does not exist; make it first"):
        animate(LINE, tmp_path / "nowhere" / "film.gif")


def program(path, text):
    """Write a stand-in for ffmpeg."""
    path.write_text(f"#!{sys.executable}\nimport sys\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
def test_ffmpeg_is_handed_all_frames_and_what_it_complains_of_is_told(tmp_path, monkeypatch):
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    program(
        programs / "ffmpeg", "open(sys.argv[-1], 'wb').write(sys.stdin.buffer.read() + ' '.join(sys.argv).encode())"
    )
    path = animate(LINE, tmp_path / "film.mp4")
    content = path.read_bytes()
    width, height = map(int, content[content.rindex(b" -s ") + 4 :].split()[0].split(b"x"))
    assert width % 2 == height % 2 == 0
    assert content[3 * width * height * len(LINE.truth) :].startswith(str(programs).encode())
    program(programs / "ffmpeg", "sys.exit('Unknown encoder')")
    with pytest.raises(ConfigError, match=r"ffmpeg could not write the film: Unknown encoder; write a \.gif instead"):
        animate(LINE, path)
    assert path.read_bytes() == content
