"""Fields on a plane: truth, prediction and error in rows, times in columns."""

from __future__ import annotations

import os
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from potentia.operators.figures.film import Film, Floats
from potentia.operators.figures.scales import FieldScale, quiet_bar
from potentia.plots.style import GREY, TEXT_SIZE, finish, new_figure, rounded

__all__ = ["bare", "draw_field", "field_rows"]

_SIDE = 1.25
"""Of one image, inches."""


def field_rows(
    film: Film,
    *,
    show: Sequence[str] | None = None,
    steps: Sequence[int] | None = None,
    title: str = "",
    outfile: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw fields of two axes of space: truth, prediction and error below each other, one column for each time.

    Truth and prediction share one scale, which is the truth's: colours at an arrow of the bar lie beyond it. Under each
    column stands the relative error of all channels together.

    Args:
        film: The fields.
        show: Names of channels, a block of rows each; by default all.
        steps: Which steps; by default six from first to last.
        title: Above it.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        ConfigError: there is no such channel or step, the fields have one axis, or the file cannot be written there.
    """
    film.require_axes(2, "space_time")
    places, chosen = film.places(show), film.chosen_steps(steps)
    rows = (1 if film.prediction is None else 3) * len(places)
    figure = new_figure(1.5 + _SIDE * len(chosen), 0.5 + (0.3 if title else 0) + (_SIDE + 0.06) * rows)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.04)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(rows, len(chosen), squeeze=False)
    for axes, step in zip(grid[0], chosen, strict=True):
        axes.set_title(f"t = {film.times[step]:g}", size=TEXT_SIZE, color=GREY)
    per_channel = rows // len(places)
    for k, place in enumerate(places):
        _draw_channel(figure, grid[k * per_channel : (k + 1) * per_channel].tolist(), film, place, chosen)
    if film.prediction is not None:
        for axes, error in zip(grid[-1], film.relative_errors()[chosen], strict=True):
            axes.set_xlabel(f"{rounded(100 * error)} %", size=TEXT_SIZE, color=GREY)
        grid[-1][0].annotate(
            "rel. error",
            (0, 0),
            (-4, -4),
            "axes fraction",
            "offset points",
            ha="right",
            va="top",
            color=GREY,
            size=TEXT_SIZE,
        )
    if title:
        figure.suptitle(title, size=TEXT_SIZE + 1, weight="bold")
    return finish(figure, outfile)


def draw_field(axes: Axes, field: Floats, scale: FieldScale) -> AxesImage:
    """Draw one field with x to the right and y upwards.  [x, y]"""
    bare(axes)
    return axes.imshow(field.T, cmap=scale.colours, norm=scale.norm, origin="lower", interpolation="nearest")


def bare(axes: Axes) -> None:
    """Take ticks and frame away."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _draw_channel(figure: Figure, rows: list[list[Axes]], film: Film, place: int, steps: list[int]) -> None:
    name, truth = film.channels[place], film.truth[steps, place]
    scale = FieldScale.of(truth)
    first = [draw_field(axes, field, scale) for axes, field in zip(rows[0], truth, strict=True)]
    _name_row(rows[0][0], name if film.prediction is None else f"{name}, truth")
    if film.prediction is None:
        quiet_bar(figure.colorbar(first[0], ax=rows[0], aspect=12, pad=0.015), name)
        return
    predicted, error = film.prediction[steps, place], film.error[steps, place]
    errors = FieldScale.of_errors(error, truth)
    _name_row(rows[1][0], "prediction")
    _name_row(rows[2][0], "error")
    for axes, field in zip(rows[1], predicted, strict=True):
        draw_field(axes, field, scale)
    last = [draw_field(axes, field, errors) for axes, field in zip(rows[2], error, strict=True)]
    both = [*rows[0], *rows[1]]
    quiet_bar(
        figure.colorbar(first[0], ax=both, aspect=24, shrink=0.95, pad=0.015, extend=scale.extend(predicted)), name
    )
    quiet_bar(
        figure.colorbar(last[0], ax=rows[2], aspect=12, shrink=0.9, pad=0.015, extend=errors.extend(error)), "error"
    )


def _name_row(axes: Axes, text: str) -> None:
    axes.set_ylabel(text, color=GREY, size=TEXT_SIZE)
