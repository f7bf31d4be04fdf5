"""Fields on a line: truth, prediction and error as images over space and time, and as lines at some times."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from potentia.operators.figures.film import Film, Floats
from potentia.operators.figures.scales import FieldScale, quiet_bar
from potentia.plots.lines import Line, LinePanel, line_panels, shades
from potentia.plots.style import GREY, TEXT_SIZE, finish, new_figure

__all__ = ["profiles", "space_time"]


def space_time(
    film: Film,
    *,
    show: Sequence[str] | None = None,
    title: str = "",
    outfile: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw fields of one axis of space over time: truth, prediction and error beside each other.

    Truth and prediction share one scale, which is the truth's.

    Args:
        film: The fields.
        show: Names of channels, a row each; by default all.
        title: Above it.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        ConfigError: there is no such channel, the fields have two axes, or the file cannot be written there.
    """
    film.require_axes(1, "field_rows")
    places = film.places(show)
    columns = 1 if film.prediction is None else 3
    figure = new_figure(1.4 + 2.35 * columns, 0.5 + (0.3 if title else 0) + 2.3 * len(places))
    grid = figure.subplots(len(places), columns, squeeze=False, sharex=True, sharey=True)
    for row, place in zip(grid, places, strict=True):
        _draw_channel(figure, row.tolist(), film, place)
    for axes in grid[-1]:
        axes.set_xlabel("x, part of the period", color=GREY, size=TEXT_SIZE)
    if title:
        figure.suptitle(title, size=TEXT_SIZE + 1, weight="bold")
    return finish(figure, outfile)


def profiles(
    film: Film,
    *,
    show: Sequence[str] | None = None,
    steps: Sequence[int] | None = None,
    outfile: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw fields of one axis of space as lines, darker at later times; what is predicted is dashed.

    Args:
        film: The fields.
        show: Names of channels, a panel each; by default all.
        steps: Which steps; by default five from first to last.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        ConfigError: there is no such channel or step, the fields have two axes, or the file cannot be written there.
    """
    film.require_axes(1, "field_rows")
    chosen = film.chosen_steps(steps, 5)
    panels = [_profile_panel(film, place, chosen) for place in film.places(show)]
    return line_panels(panels, columns=min(len(panels), 2), outfile=outfile)


def _profile_panel(film: Film, place: int, steps: list[int]) -> LinePanel:
    x = np.arange(film.truth.shape[2]) / film.truth.shape[2]
    tints = shades(len(steps))
    lines = [
        Line(label=f"t = {film.times[step]:g}", x=x, y=film.truth[step, place], colour=tint)
        for step, tint in zip(steps, tints, strict=True)
    ]
    if film.prediction is not None:
        last = steps[-1]
        lines += [
            Line(
                label="prediction" if step == last else "",
                x=x,
                y=film.prediction[step, place],
                colour="#D55E00",
                dash=(0, (3, 1.5)),
            )
            for step in steps
            if step > 0
        ]
    return LinePanel(
        title=film.channels[place], x_label="x, part of the period", y_label=film.channels[place], lines=lines
    )


def _draw_channel(figure: Figure, row: list[Axes], film: Film, place: int) -> None:
    name, truth = film.channels[place], film.truth[:, place]
    scale = FieldScale.of(truth)
    first = _draw(row[0], truth, scale, film, name if film.prediction is None else f"{name}, truth")
    row[0].set_ylabel("time", color=GREY, size=TEXT_SIZE)
    if film.prediction is None:
        quiet_bar(figure.colorbar(first, ax=row, aspect=20, pad=0.02), name)
        return
    predicted, error = film.prediction[:, place], film.error[:, place]
    errors = FieldScale.of_errors(error, truth)
    _draw(row[1], predicted, scale, film, "prediction")
    last = _draw(row[2], error, errors, film, "error")
    for axes in row[1:]:
        axes.tick_params(left=False)
    quiet_bar(figure.colorbar(first, ax=row[:2], aspect=20, pad=0.02, extend=scale.extend(predicted)), name)
    quiet_bar(figure.colorbar(last, ax=row[2], aspect=20, pad=0.04, extend=errors.extend(error)), "error")


def _draw(axes: Axes, fields: Floats, scale: FieldScale, film: Film, title: str) -> AxesImage:
    """Draw fields with x to the right and time upwards, each over the half steps around its time.  [steps + 1, x]"""
    half = 0.5 * film.time_step
    extent = (0.0, 1.0, -half, float(film.times[-1]) + half)
    axes.set_title(title, size=TEXT_SIZE, color=GREY)
    axes.tick_params(color=GREY, labelcolor=GREY, labelsize=TEXT_SIZE - 1, length=2)
    axes.spines[:].set_visible(False)
    return axes.imshow(
        fields,
        cmap=scale.colours,
        norm=scale.norm,
        origin="lower",
        extent=extent,
        aspect="auto",
        interpolation="nearest",
    )
