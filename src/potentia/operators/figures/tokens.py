"""Tokens of behaviour over time: one row for each codebook, one colour for each code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from potentia.errors import DataError
from potentia.plots.style import GREY, TEXT_SIZE, finish, heading, new_figure

__all__ = ["token_timeline"]

_Row: TypeAlias = tuple[str, NDArray[np.int64], NDArray[np.int64] | None]
"""Words, tokens, and the true ones where these are not them."""
_NUMBERED = 40
"""Up to so many windows, codes are written into their cells."""


def token_timeline(
    truth: ArrayLike,
    prediction: ArrayLike | None = None,
    *,
    names: Sequence[str],
    times: ArrayLike | None = None,
    title: str = "tokens",
    outfile: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw the tokens of windows that follow each other in one sample; where a prediction has others, a cell is marked.

    Codes of different codebooks have nothing to do with each other, so colours compare along a row only: each row gives
    them out in the order in which its codes appear.

    Args:
        truth: [windows, codebooks]
        prediction: Of the same shape.
        names: Names of the codebooks.
        times: At which each window begins, equally spaced; by default their numbers.  [windows]
        title: Above it.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        DataError: shapes do not agree, or tokens are no whole numbers of at least 0.
        ConfigError: the file cannot be written there.
    """
    known = _tokens("truth", truth, len(names))
    windows = len(known)
    begins = np.arange(windows, dtype=np.float64) if times is None else np.asarray(times, dtype=np.float64)
    if begins.shape != (windows,):
        raise DataError(f"`times` must have shape [windows] = ({windows},), got {begins.shape}")
    shown: list[_Row] = [(title if prediction is None else f"{title}, truth", known, None)]
    if prediction is not None:
        predicted = _tokens("prediction", prediction, len(names))
        if predicted.shape != known.shape:
            raise DataError(f"`prediction` must have the shape of `truth`, {known.shape}, got {predicted.shape}")
        shown.append((f"{title}, prediction", predicted, known))
    width = min(12.0, 1.8 + max(3.6, 0.28 * windows))
    figure = new_figure(width, (0.85 + 0.26 * len(names)) * len(shown))
    rows = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
    both = known if prediction is None else np.concatenate((known, predicted))
    places = _places(both)
    for axes, (text, tokens, wanted), place in zip(rows, shown, np.split(places, len(shown)), strict=True):
        _draw(axes, tokens, place, begins, names)
        heading(axes, text, [] if wanted is None else [(_agreement(tokens, wanted), GREY)])
        if wanted is not None:
            _mark(axes, tokens != wanted, begins)
    rows[-1].set_xlabel("time" if times is not None else "window", color=GREY, size=TEXT_SIZE)
    return finish(figure, outfile)


def _tokens(name: str, value: ArrayLike, codebooks: int) -> NDArray[np.int64]:
    known = np.asarray(value)
    if known.ndim != 2 or known.shape[1] != codebooks or not len(known):
        raise DataError(f"`{name}` must have shape [windows, {codebooks} codebooks], got {known.shape}")
    if not np.issubdtype(known.dtype, np.integer) or known.min() < 0:
        raise DataError(f"`{name}` must be whole numbers of at least 0, got {known.dtype} from {known.min()}")
    return known.astype(np.int64)


def _places(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each code in the order in which the codes of its row appear.  [windows, codebooks]"""
    found = np.empty_like(tokens)
    for k, column in enumerate(tokens.T):
        codes, first, inverse = np.unique(column, return_index=True, return_inverse=True)
        order = np.empty(len(codes), dtype=np.int64)
        order[np.argsort(first)] = np.arange(len(codes))
        found[:, k] = order[inverse]
    return found


def _draw(
    axes: Axes, tokens: NDArray[np.int64], places: NDArray[np.int64], begins: NDArray[np.float64], names: Sequence[str]
) -> None:
    tints = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    colours = ListedColormap([*tints[1::2], *tints[::2]])  # pale ones first: numbers are written upon them
    windows, codebooks = tokens.shape
    width = _width(begins)
    extent = (begins[0] - width / 2, begins[-1] + width / 2, codebooks - 0.5, -0.5)
    axes.imshow(
        places.T % colours.N,
        cmap=colours,
        vmin=0,
        vmax=colours.N - 1,
        extent=extent,
        aspect="auto",
        interpolation="nearest",
    )
    axes.set_yticks(range(codebooks), list(names))
    axes.tick_params(color=GREY, labelcolor=GREY, labelsize=TEXT_SIZE - 1, length=2)
    axes.spines[:].set_visible(False)
    axes.hlines(np.arange(codebooks - 1) + 0.5, *extent[:2], color="white", lw=2)
    if windows <= _NUMBERED:
        for (window, codebook), code in np.ndenumerate(tokens):
            axes.text(float(begins[window]), codebook, str(code), ha="center", va="center", size=6.5, color="#222222")


def _mark(axes: Axes, other: NDArray[np.bool_], begins: NDArray[np.float64]) -> None:
    """Draw a line below the cells whose tokens are other ones."""
    width = _width(begins)
    for window, codebook in np.argwhere(other).tolist():
        middle = begins[window]
        axes.plot(
            [middle - 0.42 * width, middle + 0.42 * width],
            [codebook + 0.36] * 2,
            color="#D55E00",
            lw=2,
            solid_capstyle="butt",
        )


def _agreement(tokens: NDArray[np.int64], wanted: NDArray[np.int64]) -> str:
    return f"{(tokens == wanted).mean():.0%} of the tokens are the true ones; the others are underlined"


def _width(begins: NDArray[np.float64]) -> float:
    return float(begins[1] - begins[0]) if len(begins) > 1 else 1.0
