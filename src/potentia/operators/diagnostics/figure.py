"""A diagnosis as one figure: what is rebuilt, which codes are used, how errors grow, what the spectrum keeps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from potentia.operators.diagnostics.findings import OPERATOR, Findings
from potentia.operators.evaluation import BANDS, VALID
from potentia.plots.style import GREY, TEXT_SIZE, colour, finish, heading, new_figure, quiet

__all__ = ["draw"]


def draw(findings: Findings, outfile: str | os.PathLike[str] | None = None) -> Figure:
    """Draw the four panels, and write the figure if a file is named."""
    figure = new_figure(8.1, 6.1)
    for axes, panel in zip(figure.subplots(2, 2).ravel(), (_rebuilt, _codes, _growth, _bands), strict=True):
        panel(axes, findings)
    return finish(figure, outfile)


def _rebuilt(axes: Axes, findings: Findings) -> None:
    one = findings.reconstruction
    _bars(axes, list(one.categories), {"": list(one.categories.values())})
    axes.axhline(one.true_error, color=GREY, linewidth=1, linestyle="--")
    axes.set_ylabel("mean square error")
    heading(axes, "Features rebuilt from codes", [(f"{one.word}; dashed: all features of the truth", GREY)])


def _codes(axes: Axes, findings: Findings) -> None:
    one = findings.diversity
    _bars(axes, ["predicted", "truth", "reachable", "all"], {"": [one.used, one.true_used, one.reachable, one.codes]})
    axes.set_ylabel("codes")
    heading(axes, "Codes in use", [(f"{one.word}; entropy {one.entropy:.2f}, truth {one.true_entropy:.2f}", GREY)])


def _growth(axes: Axes, findings: Findings) -> None:
    table = findings.evaluation.by_step.reset_index()
    whole = table[table["group"] == "all"]
    for k, name in enumerate(whole["predictor"].unique()):
        rows = whole[whole["predictor"] == name]
        wide = 2.0 if name == OPERATOR else 1.0
        axes.plot(rows["time"], rows["vrmse"], color=colour(k), linewidth=wide, label=name)
    axes.axhline(VALID, color=GREY, linewidth=1, linestyle="--")
    axes.set(xlabel="time", ylabel="VRMSE", yscale="log")
    axes.legend(frameon=False, fontsize=TEXT_SIZE - 2, labelcolor=GREY)
    quiet(axes)
    heading(axes, "Error over a roll-out", [("dashed: valid below", GREY)])


def _bands(axes: Axes, findings: Findings) -> None:
    scores = findings.evaluation.scores.xs("all", level="group")
    kinds = {kind: [float(scores[f"{kind}_{band}"][OPERATOR]) for band in BANDS] for kind in ("error", "energy")}
    _bars(axes, list(BANDS), kinds)
    axes.axhline(1.0, color=GREY, linewidth=1, linestyle="--")
    axes.set_ylabel("in parts of the truth")
    axes.legend(frameon=False, fontsize=TEXT_SIZE - 2, labelcolor=GREY)
    heading(axes, "Waves by length", [("long, middle and short ones", GREY)])


def _bars(axes: Axes, names: Sequence[str], kinds: Mapping[str, Sequence[float]]) -> None:
    """Draw bars of each kind side by side; what is not finite has none."""
    width = 0.8 / len(kinds)
    places = np.arange(len(names))
    for k, (kind, values) in enumerate(kinds.items()):
        heights = np.where(np.isfinite(values), values, 0.0)
        axes.bar(places + (k - (len(kinds) - 1) / 2) * width, heights, width * 0.9, color=colour(k), label=kind)
    axes.set_xticks(places, names)
    quiet(axes)
