"""Power of fields by wavenumber, true and predicted: what a model smooths away, or makes of nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from potentia.checks import integer
from potentia.errors import DataError
from potentia.operators.figures.film import Floats
from potentia.plots.lines import Line, LinePanel, line_panels
from potentia.plots.style import colour

__all__ = ["radial_power", "spectra"]


def radial_power(fields: ArrayLike, n_axes: int) -> Floats:
    """Return the power of periodic fields at |k| = 0, 1, … half of the points of the shortest axis.

    A wavenumber counts waves along the domain; on a plane all with |k| within a half of a whole number go together. The
    sum over all of them is the mean square, as far as the corners beyond the last one hold nothing.

    Args:
        fields: [..., x] or [..., x, y]
        n_axes: Axes of space.

    Returns:
        [..., wavenumbers]

    >>> radial_power(np.cos(2 * np.pi * np.arange(8) / 8), 1).round(3).tolist()
    [0.0, 0.5, 0.0, 0.0, 0.0]
    """
    known = np.asarray(fields, dtype=np.float64)
    grid = known.shape[known.ndim - n_axes :]
    axes = tuple(range(-n_axes, 0))
    power = np.abs(np.fft.fftn(known, axes=axes, norm="forward")) ** 2
    waves = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in grid), indexing="ij")
    shell: NDArray[np.int64] = np.rint(np.sqrt(sum(k**2 for k in waves))).astype(np.int64).ravel()
    last = min(grid) // 2
    flat = power.reshape(*known.shape[: known.ndim - n_axes], -1)
    return np.stack([flat[..., shell == k].sum(-1) for k in range(last + 1)], -1)


def spectra(
    truth: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    *,
    channels: Sequence[str],
    time_step: float = 1.0,
    steps: Sequence[int] | None = None,
    outfile: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw the mean power of many samples by wavenumber, a row of panels for each channel, a column for each time.

    Args:
        truth: [samples, steps + 1, channels, *grid]
        predictions: Name of a model → what it says, of the same shape; samples that are not finite are left out, and
            the panel says how many.
        channels: Names of the fields.
        time_step: Time between two fields.
        steps: Which steps; by default the first, the middle one and the last behind the initial field.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        DataError: shapes do not agree.
        ConfigError: there is no such step, or the file cannot be written there.
    """
    known = np.asarray(truth, dtype=np.float64)
    if known.ndim not in {4, 5} or known.shape[2] != len(channels):
        raise DataError(
            f"`truth` must have shape [samples, steps + 1, {len(channels)} channels, *grid], got {known.shape}"
        )
    found = {name: np.asarray(fields, dtype=np.float64) for name, fields in predictions.items()}
    for name, fields in found.items():
        if fields.shape != known.shape:
            raise DataError(
                f"the prediction of {name!r} must have the shape of `truth`, {known.shape}, got {fields.shape}"
            )
    last = known.shape[1] - 1
    chosen = sorted({min(1, last), max(last // 2, min(1, last)), last}) if steps is None else list(steps)
    panels = []
    for place, channel in enumerate(channels):
        for step in chosen:
            integer("a step to show", step, low=0, high=last)
            parts = {name: fields[:, step, place] for name, fields in found.items()}
            panels.append(_panel(known[:, step, place], parts, f"{channel}, t = {time_step * step:g}"))
    return line_panels(panels, columns=len(chosen), outfile=outfile)


def _panel(truth: Floats, parts: Mapping[str, Floats], title: str) -> LinePanel:
    n_axes = truth.ndim - 1
    power = radial_power(truth, n_axes)[:, 1:]  # k = 0 is no wave
    k = np.arange(1, power.shape[1] + 1)
    lines = [Line(label="truth", x=k, y=power.mean(0), colour="#000000")]
    failed = []
    for place, (name, fields) in enumerate(parts.items()):
        whole = np.isfinite(fields).reshape(len(fields), -1).all(1)
        if not whole.all():
            failed.append(f"{name}: {np.count_nonzero(~whole)} of {len(fields)} not finite")
        if whole.any():
            mean = radial_power(fields[whole], n_axes)[:, 1:].mean(0)
            lines.append(Line(label=name, x=k, y=mean, colour=colour(place)))
    return LinePanel(
        title=title,
        x_label="wavenumber",
        y_label="power",
        lines=lines,
        log_x=True,
        log_y=True,
        says="; ".join(failed),
    )
