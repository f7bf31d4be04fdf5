"""Figures of what less training data, other batches, restarts and time do to surrogates."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from potentia.plots.lines import Line, LinePanel, line_panels, shades
from potentia.plots.style import GREY, colour
from potentia.trajectories.evaluation.histories import MAIN
from potentia.trajectories.evaluation.looks import GREY_DASHES, Looks
from potentia.trajectories.evaluation.modality_errors import MODALITIES

__all__ = ["errors_of_modalities", "examples", "losses", "losses_of_all", "modality_in_time", "time_of_predictions"]

_MOST_COLUMNS = 3
_TITLES = {
    "main": "training",
    "interpolation": "training on fewer times",
    "extrapolation": "training on early times",
    "sparse": "training on fewer trajectories",
    "batchsize": "training with other batches",
    "uq": "training of the ensemble",
}
"""Mode of a training → title of its curves."""
_NOUNS = {
    "interpolation": "interval",
    "extrapolation": "cutoff",
    "sparse": "factor",
    "batchsize": "batch size",
    "uq": "member",
}
"""Mode of a training → what its trainings are told apart by."""


def errors_of_modalities(table: pd.DataFrame, modalities: Sequence[str], looks: Looks) -> Figure:
    """Draw the mean error over the value of each modality, a panel for each; dotted where it was not trained on."""
    return line_panels([_modality_panel(table, one, looks) for one in modalities], columns=_MOST_COLUMNS)


def modality_in_time(over_time: pd.DataFrame, modality: str, name: str, looks: Looks) -> Figure:
    """Draw the mean errors of one surrogate in time, a line for each value, darker the more it was trained on."""
    kind = MODALITIES[modality]
    known = over_time[over_time["modality"] == modality]
    own = known[known["surrogate"] == name]
    values = sorted(own["value"].unique().tolist(), reverse=modality in {"interpolation", "sparse"})
    lines = []
    for value, tint in zip(values, shades(len(values)), strict=True):
        part = own[own["value"] == value]
        lines.append(Line(label=f"{kind.noun} {value}".replace("_", " "), x=part["time"], y=part["mean"], colour=tint))
    marks = {}
    if modality == "extrapolation":
        times = own[own["value"] == values[0]]["time"].to_numpy()
        marks = {f"cutoff {value}": float(times[value - 1]) for value in values if value < len(times)}
    first = known["value"].min()
    references = looks.reference_lines(known[known["value"] == first], "time", "mean")
    panel = LinePanel(
        title=f"{name}: {modality.replace('_', ' ')}",
        x_label="time",
        y_label=f"mean {looks.scale.axis}",
        lines=[*references, *lines],
        log_x=looks.log_time,
        log_y=True,
        marks=marks,
    )
    return line_panels([panel])


def examples(frame: pd.DataFrame, title: str, looks: Looks) -> Figure:
    """Draw the truth and what was predicted of one trajectory, a panel for each quantity.

    ``frame`` has the columns ``source``, ``trajectory``, ``time``, ``quantity`` and ``value``.
    """
    panels: list[LinePanel] = []
    sources = [source for source in frame["source"].unique() if source != "truth"]
    label = "log10" if looks.scale.log10 else "state"
    for quantity, part in frame.groupby("quantity", sort=False):
        truth = part[part["source"] == "truth"]
        lines = [Line(label="truth", x=truth["time"], y=truth["value"], colour="#000000")]
        for k, source in enumerate(sources):
            own = part[part["source"] == source]
            lines.append(Line(label=source, x=own["time"], y=own["value"], colour=colour(k), dash=(0, (3, 1.5))))
        says = f"{title}, trajectory {int(truth['trajectory'].iloc[0])}" if not panels else ""
        text = f"{label} of {quantity}" if looks.scale.log10 else str(quantity)
        panels.append(
            LinePanel(title=str(quantity), x_label="time", y_label=text, lines=lines, log_x=looks.log_time, says=says)
        )
    return line_panels(panels, columns=_MOST_COLUMNS)


def losses(frame: pd.DataFrame, name: str, mode: str) -> Figure:
    """Draw the curves of one surrogate's trainings of one mode, the main one first: train and test in one colour."""
    own = frame[(frame["surrogate"] == name) & frame["mode"].isin([MAIN, mode])]
    if mode != MAIN:
        noun = _NOUNS.get(mode, mode)
        own = own.assign(label=(f"{noun} " + own["label"]).where(own["mode"] == mode, MAIN))
    lines = []
    for k, (label, part) in enumerate(own.groupby("label", sort=False)):
        tint = colour(k)
        lines.append(Line(label=f"{label} train".strip(), x=part["epoch"], y=part["train"], colour=tint))
        dash = (0, (3, 1.5))
        lines.append(Line(label=f"{label} test".strip(), x=part["epoch"], y=part["test"], colour=tint, dash=dash))
    unit = str(own["unit"].iloc[0])
    panel = LinePanel(
        title=f"{name}: {_TITLES.get(mode, mode)}", x_label="epoch", y_label=f"error ({unit})", lines=lines, log_y=True
    )
    return line_panels([panel])


def losses_of_all(frame: pd.DataFrame, over: str, looks: Looks) -> Figure:
    """Draw test errors of the main trainings over ``"epoch"``, the ``"share"`` of the epochs, or ``"seconds"``."""
    own = frame[frame["mode"] == MAIN]
    last = own.groupby("surrogate")["epoch"].transform("max")
    own = own.assign(share=own["epoch"] / last)
    own["seconds"] = own["share"] * own["duration"]
    label = {"epoch": "epoch", "share": "share of the epochs", "seconds": "time of training (s)"}[over]
    panel = LinePanel(
        title="Errors of the test part in training",
        x_label=label,
        y_label=f"error ({own['unit'].iloc[0]})",
        lines=looks.lines(own, over, "test"),
        log_y=True,
    )
    return line_panels([panel])


def time_of_predictions(timing: pd.DataFrame, solvers: pd.DataFrame, looks: Looks) -> Figure:
    """Draw the time for a trajectory over the size of the batch, and that of solvers as horizontal lines."""
    rows = timing[timing["surrogate"].isin(looks.surrogates)].copy()
    rows["per_trajectory_ms"] = 1e3 * rows["per_trajectory"]
    lines = looks.lines(rows, "batch_size", "per_trajectory_ms", marker="o")
    ends = [rows["batch_size"].min(), rows["batch_size"].max()]
    for k, (name, seconds) in enumerate(zip(solvers["surrogate"], solvers["per_trajectory"], strict=True)):
        dash = GREY_DASHES[k % len(GREY_DASHES)]
        lines.append(Line(label=str(name), x=ends, y=[1e3 * seconds] * 2, colour=GREY, dash=dash))
    panel = LinePanel(
        title="Time of predictions",
        x_label="trajectories in a batch",
        y_label="median time for a trajectory (ms)",
        lines=lines,
        log_x=True,
        log_y=True,
        says=f"{rows['device'].iloc[0]}, threads of torch: {int(rows['threads'].iloc[0])}",
    )
    return line_panels([panel])


def _modality_panel(table: pd.DataFrame, modality: str, looks: Looks) -> LinePanel:
    kind = MODALITIES[modality]
    own = table[table["modality"] == modality].sort_values("x")
    lines = looks.lines(own[own["region"] == "all"], "x", "mean", marker="o")
    says = ""
    if kind.regions is not None and (own["region"] == kind.regions[1]).any():
        left_out = own[own["region"] == kind.regions[1]]
        for name in looks.own(left_out):
            part = left_out[left_out["surrogate"] == name]
            lines.append(Line(label="", x=part["x"], y=part["mean"], colour=looks.colour(name), dash=(0, (1, 1.2))))
        says = "dotted: times in between" if kind.regions[1] == "between" else "dotted: later times"
    return LinePanel(
        title=modality.replace("_", " ").capitalize(),
        x_label=kind.axis,
        y_label=f"mean {looks.scale.axis}",
        lines=lines,
        log_x=modality in {"sparse", "batch_scaling"},
        log_y=True,
        says=says,
    )
