"""Errors over the steps of a roll-out, models beside baselines."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from potentia.errors import DataError
from potentia.plots.lines import Line, LinePanel, line_panels
from potentia.plots.style import GREY, colour

__all__ = ["error_growth"]

_DASHES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (1, 3)))


def error_growth(
    models: Mapping[str, ArrayLike],
    baselines: Mapping[str, ArrayLike],
    *,
    measure: str,
    time_step: float = 1.0,
    title: str = "Errors over the roll-out",
    outfile: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw errors against time: models in colour, baselines in grey.

    Args:
        models: Name → errors after 1, 2, … steps, [steps]; or of several seeds, [seeds, steps], whose mean is drawn and
            whose least and largest are the edges of an area.
        baselines: The same of what a model must beat.
        measure: What the errors are, ``"VRMSE"``.
        time_step: Time between two fields.
        title: Above it.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        DataError: errors have another shape.
        ConfigError: the file cannot be written there.
    """
    lines = [
        _line(name, errors, time_step, GREY, dash=_DASHES[k % len(_DASHES)])
        for k, (name, errors) in enumerate(baselines.items())
    ]
    lines += [_line(name, errors, time_step, colour(k)) for k, (name, errors) in enumerate(models.items())]
    panel = LinePanel(title=title, x_label="time", y_label=measure, lines=lines, log_y=True)
    return line_panels([panel], outfile=outfile)


def _line(name: str, errors: ArrayLike, time_step: float, tint: str, dash: object = "-") -> Line:
    known = np.asarray(errors, dtype=np.float64)
    if known.ndim not in {1, 2} or not known.size:
        raise DataError(f"errors of {name!r} must have shape [steps] or [seeds, steps], got {known.shape}")
    rows = np.atleast_2d(known)
    times = time_step * np.arange(1, rows.shape[1] + 1)
    several = len(rows) > 1
    return Line(
        label=name,
        x=times,
        y=rows.mean(0),
        band=(rows.min(0), rows.max(0)) if several else None,
        band_label="least to largest of the seeds" if several else "",
        colour=tint,
        marker="o" if len(times) == 1 else None,  # a line of one point is not seen
        dash=dash,  # type: ignore[arg-type]
    )
