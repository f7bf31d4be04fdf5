"""Tokens over time: those of the windows of trajectories, true ones and predicted ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from potentia.checks import integer
from potentia.errors import DataError
from potentia.operators.dataset import Samples
from potentia.operators.features.windows import window_begins, windows
from potentia.operators.tokenizer import BehaviorTokenizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TokenTimelines", "token_timelines"]


@dataclass(frozen=True, eq=False)
class TokenTimelines:
    """Tokens of windows that follow each other, for some trajectories."""

    truth: NDArray[np.int64] = field(repr=False)
    """[samples, windows, entries]"""
    prediction: NDArray[np.int64] | None = field(repr=False)
    """The same of predictions, if there are any."""
    begins: NDArray[np.int64]
    """Step at which each window begins.  [windows]"""
    names: tuple[str, ...]
    """``"<category>.<level>"`` of each entry."""

    @property
    def agreement(self) -> NDArray[np.float64]:
        """Part of the tokens of predictions that are the true ones, window by window.  [windows]"""
        if self.prediction is None:
            raise DataError("there are no predictions here: give them to `token_timelines`")
        found: NDArray[np.float64] = (self.prediction == self.truth).mean((0, 2))
        return found

    def plot(
        self,
        sample: int = 0,
        *,
        time_step: float | None = None,
        title: str | None = None,
        outfile: str | os.PathLike[str] | None = None,
    ) -> Figure:
        """Draw one sample, the truth above what is predicted, and write the figure if a file is named.

        Args:
            sample: Its place.
            time_step: Time between two fields, for the axis; by default windows are counted in steps.
            title: Above it; by default it names the place.
            outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.
        """
        from potentia.operators.figures import token_timeline  # matplotlib takes half a second: only who draws pays it

        integer("sample", sample, low=0)
        if sample >= len(self.truth):
            raise DataError(f"there are {len(self.truth)} samples, so 0 to {len(self.truth) - 1}, not {sample}")
        return token_timeline(
            self.truth[sample],
            None if self.prediction is None else self.prediction[sample],
            names=self.names,
            times=self.begins * (1.0 if time_step is None else time_step),
            title=f"tokens of sample {sample}" if title is None else title,
            outfile=outfile,
        )


def token_timelines(
    tokenizer: BehaviorTokenizer,
    samples: Samples,
    predicted: NDArray[np.float32] | None = None,
    *,
    channels: Sequence[str] = (),
    every: int = 1,
) -> TokenTimelines:
    """Return the tokens of all windows of trajectories.

    Args:
        tokenizer: A trained one. Windows have its horizon, so it is best trained on `windows` of true trajectories; one
            that was trained on their first steps only has seen no others.
        samples: True trajectories, at least as long as the horizon.
        predicted: What is predicted for them.  [samples, steps + 1, channels, *grid]
        channels: Names of the channels, to be compared with those of the training.
        every: Steps from the beginning of one window to that of the next.

    Raises:
        DataError: trajectories are too short, or predictions are of another shape or not finite.
    """
    begins = window_begins(samples.steps, tokenizer.horizon, every)
    found = None if predicted is None else _as_samples(samples, predicted)
    shape = (len(samples), len(begins), len(tokenizer.codebook_sizes))

    def tokens(one: Samples) -> NDArray[np.int64]:
        return tokenizer.tokens(windows(one, tokenizer.horizon, every), channels).reshape(shape)

    levels = shape[2] // len(tokenizer.categories)
    names = tuple(f"{name}.{level}" for name in tokenizer.categories for level in range(levels))
    return TokenTimelines(tokens(samples), None if found is None else tokens(found), np.array(begins), names)


def _as_samples(samples: Samples, predicted: NDArray[np.float32]) -> Samples:
    if predicted.shape != samples.fields.shape:
        raise DataError(f"predictions must have the shape of the fields, {samples.fields.shape}, got {predicted.shape}")
    return Samples(predicted, samples.parameters, samples.group)
