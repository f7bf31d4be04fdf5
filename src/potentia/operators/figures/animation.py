"""Fields that move: truth, prediction and error beside each other, as GIF or MP4, written whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.distance import cdist

from potentia.checks import choice, number
from potentia.errors import ConfigError
from potentia.operators.figures.film import Film
from potentia.operators.figures.images import draw_field
from potentia.operators.figures.scales import FieldScale, quiet_bar
from potentia.plots.style import GREY, TEXT_SIZE, colour, new_figure, quiet, rounded
from potentia.storage import remove_leftovers, replacing

__all__ = ["animate"]

Pixels: TypeAlias = NDArray[np.uint8]
Redraw: TypeAlias = Callable[[int], None]

_DOTS_PER_INCH = 110
_SAMPLED = 12
"""Frames that the colours of a GIF are chosen from."""
_LAST = 1.2
"""Seconds that a GIF rests on its last frame."""


def animate(
    film: Film,
    outfile: str | os.PathLike[str],
    *,
    show: Sequence[str] | None = None,
    frames_per_second: float = 8.0,
    title: str = "",
) -> Path:
    """Write fields as a moving picture, and below them how the relative error grows; scales stay the same throughout.

    Args:
        film: The fields, of one or two axes of space.
        outfile: A name that ends in .gif, or in .mp4 where ffmpeg is installed; what stood there before is replaced.
        show: Names of channels, a row each; by default all.
        frames_per_second: How many steps a second shows.
        title: Above it.

    Returns:
        The file.

    Raises:
        ConfigError: there is no such channel, the suffix is another one, its directory does not exist, or ffmpeg is
            not there or has failed.
        OSError: the file could not be written.
    """
    path = Path(outfile)
    kind = choice("the suffix of outfile", path.suffix.lower(), (".gif", ".mp4"))
    rate = number("frames_per_second", frames_per_second, low=0.1, high=60.0)
    if not path.parent.is_dir():
        raise ConfigError(f"outfile={str(outfile)!r}: the directory {str(path.parent)!r} does not exist; make it first")
    ffmpeg = shutil.which("ffmpeg")
    if kind == ".mp4" and ffmpeg is None:
        raise ConfigError("an .mp4 needs the program ffmpeg, which is not installed: install it, or write a .gif")
    remove_leftovers(path)
    frames = _frames(film, film.places(show), title)
    with replacing(path) as temporary:
        if kind == ".gif" or ffmpeg is None:
            _write_gif(list(frames), temporary, rate)
        else:
            _write_mp4(frames, temporary, rate, ffmpeg)
    return path


def _frames(film: Film, places: list[int], title: str) -> Iterator[Pixels]:
    """Yield one picture for each step.  [height, width, red green blue]"""
    figure, redraw = _still(film, places, title)
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(_DOTS_PER_INCH)
    redraw(len(film.truth) - 1)
    canvas.draw()
    figure.set_layout_engine("none")  # so that nothing moves but the fields
    for step in range(len(film.truth)):
        redraw(step)
        canvas.draw()
        whole = np.asarray(canvas.buffer_rgba())[..., :3]
        height, width = (n - n % 2 for n in whole.shape[:2])  # which H.264 wants
        yield np.ascontiguousarray(whole[:height, :width])


def _still(film: Film, places: list[int], title: str) -> tuple[Figure, Redraw]:
    """Return the figure and what draws a step into it."""
    predicted = film.prediction is not None
    plane = film.truth.ndim == 4
    columns = (3 if predicted else 1) if plane else (2 if predicted else 1)
    side = 2.2 if plane else 3.4
    height = (side if plane else 2.3) * len(places)
    figure = new_figure(0.9 + (side + 0.35) * columns, 0.55 + height + (1.25 if predicted else 0))
    parts = figure.subfigures(2 if predicted else 1, 1, squeeze=False, height_ratios=[height, 1.25][: 1 + predicted])[
        :, 0
    ]
    grid = parts[0].subplots(len(places), columns, squeeze=False)
    draw = _plane if plane else _line
    redraws = [draw(row.tolist(), film, place) for row, place in zip(grid, places, strict=True)]
    if predicted:
        redraws.append(_growth(parts[1].subplots(), film))
    head = figure.suptitle(" ", size=TEXT_SIZE + 1, weight="bold")

    def redraw(step: int) -> None:
        head.set_text(f"{title}{', ' if title else ''}t = {film.times[step]:g}")
        for one in redraws:
            one(step)

    return figure, redraw


def _plane(row: list[Axes], film: Film, place: int) -> Redraw:
    """Truth, prediction and error as images."""
    truth, name = film.truth[:, place], film.channels[place]
    scale = FieldScale.of(truth)
    movies = [(truth, scale, name if film.prediction is None else f"{name}, truth")]
    if film.prediction is not None:
        error = film.error[:, place]
        movies.append((film.prediction[:, place], scale, "prediction"))
        movies.append((error, FieldScale.of_errors(error, truth), "error"))
    images = []
    for axes, (fields, own, text) in zip(row, movies, strict=True):
        images.append(draw_field(axes, fields[0], own))
        axes.set_title(text, size=TEXT_SIZE, color=GREY)
        bar = axes.figure.colorbar(images[-1], ax=axes, aspect=22, pad=0.02, extend=own.extend(fields))
        quiet_bar(bar, "")

    def redraw(step: int) -> None:
        for image, (fields, _, _) in zip(images, movies, strict=True):
            image.set_data(fields[step].T)

    return redraw


def _line(row: list[Axes], film: Film, place: int) -> Redraw:
    """Truth and prediction as lines in one panel, the error in another."""
    truth, name = film.truth[:, place], film.channels[place]
    x = np.arange(truth.shape[1]) / truth.shape[1]
    movies = [(row[0], truth, "truth", colour(0), "-")]
    if film.prediction is not None:
        movies.append((row[0], film.prediction[:, place], "prediction", colour(1), "--"))
        movies.append((row[1], film.error[:, place], "error", colour(1), "-"))
        row[1].set_ylim(*_limits(film.error[:, place]))
        row[1].set_title("error", size=TEXT_SIZE, color=GREY)
    row[0].set_ylim(*_limits(truth))
    row[0].set_title(name, size=TEXT_SIZE, color=GREY)
    for axes in row:
        quiet(axes)
        axes.set(xlim=(0, 1), xlabel="x, part of the period")
    lines = [
        axes.plot(x, fields[0], label=text, color=tint, ls=dash, lw=1.6)[0] for axes, fields, text, tint, dash in movies
    ]
    if film.prediction is not None:
        row[0].legend(frameon=False, fontsize=TEXT_SIZE - 1, labelcolor=GREY, loc="upper right")

    def redraw(step: int) -> None:
        for line, (_, fields, _, _, _) in zip(lines, movies, strict=True):
            line.set_ydata(fields[step])

    return redraw


def _growth(axes: Axes, film: Film) -> Redraw:
    """Relative error against time, with a dot at the step that is shown."""
    quiet(axes)
    errors = 100 * film.relative_errors()
    axes.plot(film.times, errors, color=colour(1), lw=1.4)
    (dot,) = axes.plot(film.times[:1], errors[:1], "o", color=colour(1), ms=6)
    text = axes.set_title(" ", size=TEXT_SIZE, color=GREY)
    known = errors[np.isfinite(errors)]
    axes.set(ylabel="error, %", ylim=(0, 1.15 * min(float(known.max(initial=0.0)), 200.0) or 1.0))

    def redraw(step: int) -> None:
        dot.set_data(film.times[step : step + 1], errors[step : step + 1])
        text.set_text(f"relative error {rounded(errors[step])} %")

    return redraw


def _limits(fields: NDArray[np.float64]) -> tuple[float, float]:
    known = fields[np.isfinite(fields)]
    low, high = float(known.min(initial=0.0)), float(known.max(initial=0.0))
    pad = 0.06 * (high - low) or 1.0
    return low - pad, high + pad


def _write_gif(frames: list[Pixels], path: Path, rate: float) -> None:
    """Write with one set of colours for all frames, so that nothing flickers."""
    palette = _palette(np.concatenate(frames[:: max(1, len(frames) // _SAMPLED)]))
    images = [_indexed(frame, palette) for frame in frames]
    pause = round(1000 / rate)
    pauses = [pause] * (len(images) - 1) + [pause + round(1000 * _LAST)]
    images[0].save(path, format="GIF", save_all=True, append_images=images[1:], duration=pauses, loop=0, disposal=1)


def _palette(pixels: Pixels) -> Pixels:
    """Return white and colours that stand for all that occur, rare ones as well as frequent ones.  [256, 3]"""
    occurring = _packed_colours(_packed(pixels))
    found = Image.fromarray(occurring[None]).quantize(255, method=Image.Quantize.MEDIANCUT)
    known = np.asarray((found.getpalette() or [])[: 3 * 255], dtype=np.uint8).reshape(-1, 3)
    white = np.full((256 - len(known), 3), 255, dtype=np.uint8)
    return np.concatenate((white, known))


def _indexed(frame: Pixels, palette: Pixels) -> Image.Image:
    """Return a picture of the nearest colours of the palette."""
    packed = _packed(frame)
    codes, inverse = np.unique(packed, return_inverse=True)
    apart = cdist(_packed_colours(codes).astype(np.float32), palette.astype(np.float32), "sqeuclidean")
    image = Image.fromarray(apart.argmin(1).astype(np.uint8)[inverse].reshape(frame.shape[:2]))
    image.putpalette(palette.tobytes())
    return image


def _packed(pixels: Pixels) -> NDArray[np.int32]:
    """Return one number for each colour.  [height, width, 3] → [height, width]"""
    red, green, blue = np.moveaxis(pixels.astype(np.int32), -1, 0)
    packed: NDArray[np.int32] = (red << 16) | (green << 8) | blue
    return packed


def _packed_colours(packed: NDArray[np.int32]) -> Pixels:
    """Return the colours that occur.  [colours, 3]"""
    codes = np.unique(packed)
    return np.stack((codes >> 16, codes >> 8 & 255, codes & 255), 1).astype(np.uint8)


def _write_mp4(frames: Iterator[Pixels], path: Path, rate: float, ffmpeg: str) -> None:
    """Hand the frames to ffmpeg, one after the other."""
    first = next(frames)
    size = f"{first.shape[1]}x{first.shape[0]}"
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{rate:g}", "-i", "-"]
    target = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "18", "-movflags", "+faststart", "-f", "mp4", str(path)]
    command = [ffmpeg, "-y", "-loglevel", "error", *source, *target]
    content = b"".join([first.tobytes(), *(frame.tobytes() for frame in frames)])
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    if done.returncode or not path.is_file():
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise ConfigError(f"ffmpeg could not write the film: {said}; write a .gif instead")
