"""Sections on a training: its errors over the epochs, and the time that it and a prediction take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import pandas as pd
from matplotlib.figure import Figure

from potentia.evaluate import readable_duration, readable_time
from potentia.report.sections import Section

__all__ = ["Curves", "learning_section", "time_section"]

LONG = 120.0
"""Times above are written as hours, minutes and seconds (s)."""


class Curves(Protocol):
    """What the training of any estimator returns."""

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """One row for each epoch."""
        ...

    @property
    def errors(self) -> pd.DataFrame:
        """Errors by epoch."""
        ...

    def plot_training_summary(self) -> Figure:
        """Draw them."""
        ...


def learning_section(
    out: Curves,
    unit: str = "",
    meant: Mapping[str, str] | None = None,
    shown: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
) -> Section:
    """Return the section on errors over the epochs.

    Args:
        out: What the training has returned, or its history alone.
        unit: What the columns are in, in words.
        meant: What names of metrics mean here, see `potentia.words.in_words`.
        shown: Makes of the table of the last and lowest errors what people see.
    """
    section = Section("Learning")
    if not out.history:
        return section.says("No history came with this model.")
    section.figure(
        out.plot_training_summary(), "Errors over the epochs; those of training are summed while weights change."
    )
    errors = out.errors.dropna(axis=1, how="all")
    last = errors.iloc[[-1]].T.set_axis(["last epoch"], axis=1).assign(lowest=errors.min()).rename_axis("error")
    epochs = f"{len(out.history)} epoch{'s' * (len(out.history) != 1)}"
    return section.table(
        f"After {epochs}{unit and f' ({unit})'}", last, shown=None if shown is None else shown(last), meant=meant
    )


def time_section(history: Sequence[Mapping[str, float]], more: Mapping[str, float]) -> Section:
    """Return the section on times.

    >>> section = time_section([{"epoch_time": 2.0}, {"epoch_time": 4.0}], {"prediction, per window": 1e-6})
    >>> [row["seconds"] for row in section.plain()["tables"]["Time"]]
    [6.0, 3.0, 1e-06]

    Args:
        history: A row for each epoch, whose times are taken.
        more: What else was measured (s).
    """
    epochs = [row["epoch_time"] for row in history if "epoch_time" in row]
    seconds = {"training": sum(epochs), "one epoch": sum(epochs) / len(epochs)} if epochs else {}
    seconds |= more
    section = Section("Time")
    if not seconds:
        return section.says("No times came with this model.")
    index = pd.Index(list(seconds), name="what")
    written = [readable_duration(s) if s >= LONG else readable_time(s) for s in seconds.values()]
    frame, shown = (
        pd.DataFrame({"seconds": seconds.values()}, index=index),
        pd.DataFrame({"time": written}, index=index),
    )
    return section.table("Time", frame, shown=shown)
