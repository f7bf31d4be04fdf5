"""Which figures an evaluation has, by the names of their files: for each, what draws it, and what is to be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import pandas as pd
from matplotlib.figure import Figure

from potentia.trajectories.evaluation import accuracy_figures as accuracy
from potentia.trajectories.evaluation import modality_figures as modality
from potentia.trajectories.evaluation import uncertainty_figures as uncertainty
from potentia.trajectories.evaluation.error_bars import CALIBRATION, EnsembleBars
from potentia.trajectories.evaluation.looks import Looks

__all__ = ["FIGURES_OF_ONE", "Drawing", "figures_of_all", "figures_of_one"]

Frames: TypeAlias = Mapping[str, pd.DataFrame]

FIGURES_OF_ONE: Mapping[str, tuple[str, ...]] = {
    "Accuracy": ("accuracy_",),
    "Training": ("losses_",),
    "Gradients": ("gradient",),
    "Roll-outs": ("example_preds_iterative", "iterative_"),
    "Less data, other batches": ("errors_over_time_", "example_preds_interpolation", "example_preds_extrapolation"),
    "Uncertainty": ("uq_",),
}
"""Topics of the page, and how the names of their figures begin."""
_IN_ALL = ("interpolation", "extrapolation", "sparse")
"""Modalities that are drawn in one figure if there are all of them."""
_VARIED = {
    "interpolation": "only every so many-th time (“interval”)",
    "extrapolation": "only the first times (as many as the “cutoff”)",
    "sparse": "only every so many-th trajectory (“factor”)",
    "batch_scaling": "batches of other sizes",
}
"""Modality → what its models were trained on."""
_ROLLED = {
    "iterative": "roll-outs, each of which goes on from its own last state",
    "interpolation": "a model that was trained on only every so many-th time",
    "extrapolation": "a model that was trained on only the first times",
}
"""Kind of an example → whose prediction it is."""
_TRAINED = {"main": "the main model", "uq": "the members of the ensemble", "batchsize": "models with other batches"}
"""Mode of a training → what was trained; of other modes, models on less data."""
_OUTERMOST = "What is still smaller is in the lowest row and the first column."
_OVER = {
    "": ("epoch", "the epochs"),
    "_equal": ("share", "the share of its epochs that are done"),
    "_duration": ("seconds", "the time of the training (s)"),
}
"""Ending of a name → what the errors of a training are drawn over, as tables and as people call it."""


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn."""

    draw: Callable[[], Figure]
    """Draws it."""
    caption: str
    """What is to be seen, in whole sentences."""


def figures_of_one(frames: Frames, name: str, looks: Looks) -> dict[str, Drawing]:
    """Return each figure of one surrogate."""
    found = _accuracy_of_one(frames, name, looks)
    if name in _names(frames, "losses"):
        own = frames["losses"]
        for mode in map(str, own[own["surrogate"] == name]["mode"].unique()):
            caption = (
                f"Errors of {name} over the epochs of its training ({_TRAINED.get(mode, 'models on less data')}): "
                "training part solid, test part dashed."
            )
            found[f"losses_{mode}"] = Drawing(partial(modality.losses, own, name, mode), caption)
    if name in _names(frames, "gradients_density"):
        tables = (frames["gradients_density"], frames["gradients_by_quantity"])
        caption = f"How many predictions of {name} have which {looks.error} where states change how fast. {_OUTERMOST}"
        found["gradient_error_heatmap"] = Drawing(partial(accuracy.density_by_slope, *tables, [name], looks), caption)
    for kind, whose in _ROLLED.items():
        if name in _names(frames, f"{kind}_example"):
            own = frames[f"{kind}_example"]
            own = own[own["surrogate"] == name]
            caption = f"One held-out trajectory: the truth, and what {name} predicts ({whose}), quantity by quantity."
            found[f"example_preds_{kind}"] = Drawing(partial(modality.examples, own, name, looks), caption)
    if name in _names(frames, "modality_over_time"):
        own = frames["modality_over_time"]
        for kind in map(str, own[own["surrogate"] == name]["modality"].unique()):
            caption = (
                f"Mean {looks.error} of {name} in time where it was trained on {_VARIED[kind]}; baselines in grey."
            )
            draw = partial(modality.modality_in_time, own, kind, name, looks)
            found[f"errors_over_time_{_file_word(kind)}"] = Drawing(draw, caption)
    if name in _names(frames, "uncertainty_over_time"):
        found |= _uncertainty_of_one(frames, name, looks)
    return found


def _accuracy_of_one(frames: Frames, name: str, looks: Looks) -> dict[str, Drawing]:
    over_time, by_quantity = frames["accuracy_over_time"], frames["accuracy_by_quantity"]
    found = {}
    for file, kind, error in (("rel_error", "relative", "relative error"), (_words(looks)[0], looks.kind, looks.error)):
        many = "rel_errors" if kind == "relative" else file
        found[f"accuracy_{many}_time"] = Drawing(
            partial(accuracy.errors_of_one_in_time, over_time, name, kind, looks),
            f"Mean and median {error} of {name} in time, and the range of most of them; baselines in grey.",
        )
        found[f"accuracy_{file}_per_quantity"] = Drawing(
            partial(accuracy.errors_by_quantity, by_quantity, name, kind, looks),
            f"Which {error} {name} has for each quantity: the middle, the middle half, and the range of most.",
        )
    return found


def figures_of_all(frames: Frames, looks: Looks) -> dict[str, Drawing]:
    """Return each figure that compares surrogates and baselines."""
    error, size = _words(looks)
    over_time, sizes = frames["accuracy_over_time"], frames["accuracy_distribution"]
    found: dict[str, Drawing] = {}
    for kind, axis, words, (file, spread) in (
        ("relative", "relative error", "relative error", ("rel_errors_time_models", "relative")),
        (looks.kind, looks.scale.axis, looks.error, (f"{error}_time", size)),
    ):
        drawn = over_time[over_time["kind"] == kind], sizes[sizes["kind"] == kind]
        found |= {
            f"accuracy_{file}": _in_time(drawn[0], looks, axis, "Errors in time", f"Mean {words} in time"),
            f"accuracy_error_dist_{spread}": _by_size(drawn[1], looks, axis, "All errors", words),
        }
    if "main" in set(frames["losses"]["mode"] if "losses" in frames else ()):
        for ending, (over, words) in _OVER.items():
            draw = partial(modality.losses_of_all, frames["losses"], over, looks)
            caption = f"Errors of the test part while each main model is trained, over {words}."
            found[f"losses_main_model{ending}"] = Drawing(draw, caption)
    if "iterative_over_time" in frames:
        rolled, rolled_sizes = frames["iterative_over_time"], frames["iterative_distribution"]
        title, words = "Errors of roll-outs in time", f"{looks.error} of roll-outs, which go on from their own states"
        found[f"iterative_{error}_time"] = _in_time(rolled, looks, looks.scale.axis, title, f"Mean {words}")
        found[f"iterative_error_dist_{size}"] = _by_size(
            rolled_sizes, looks, looks.scale.axis, "All errors of roll-outs", words
        )
    if "gradients_density" in frames:
        tables = (frames["gradients_density"], frames["gradients_by_quantity"])
        names = looks.own(frames["gradients_density"])
        caption = f"How many predictions have which {looks.error} where states change how fast. {_OUTERMOST}"
        found["gradients_heatmaps"] = Drawing(partial(accuracy.density_by_slope, *tables, names, looks), caption)
    if "timing" in frames:
        solvers = frames.get("solvers", _NO_SOLVERS)
        found["timing_inference"] = Drawing(
            partial(modality.time_of_predictions, frames["timing"], solvers, looks),
            "Time of a prediction for one trajectory (ms) over how many are predicted together"
            + ("; in grey the solver of the equations at two relative tolerances." if len(solvers) else "."),
        )
    return {**found, **_modalities_of_all(frames, looks), **_uncertainty_of_all(frames, looks)}


_NO_SOLVERS = pd.DataFrame(columns=["surrogate", "per_trajectory"])


def _in_time(table: pd.DataFrame, looks: Looks, axis: str, title: str, what: str) -> Drawing:
    draw = partial(accuracy.errors_in_time, table, looks, axis, title)
    return Drawing(draw, f"{what}, held-out part; what costs no training in grey.")


def _by_size(table: pd.DataFrame, looks: Looks, axis: str, title: str, what: str) -> Drawing:
    draw = partial(accuracy.errors_by_size, table, looks, axis, title)
    return Drawing(draw, f"Which share of the errors is smaller than which {what}: higher and farther left is better.")


def _modalities_of_all(frames: Frames, looks: Looks) -> dict[str, Drawing]:
    if "modality" not in frames:
        return {}
    table = frames["modality"]
    there = [str(kind) for kind in table["modality"].unique()]
    found: dict[str, Drawing] = {}
    for kind in there:
        word = "batch_size" if kind == "batch_scaling" else kind
        found[f"errors_{word}"] = Drawing(
            partial(modality.errors_of_modalities, table, [kind], looks),
            f"Mean {looks.error} of models that were trained on {_VARIED[kind]}.",
        )
    if set(_IN_ALL) <= set(there):
        found["errors_all_modalities"] = Drawing(
            partial(modality.errors_of_modalities, table, _IN_ALL, looks),
            f"Mean {looks.error} of models that were trained on fewer times, on early times and on fewer trajectories.",
        )
    return found


def _uncertainty_of_one(frames: Frames, name: str, looks: Looks) -> dict[str, Drawing]:
    over_time, density = frames["uncertainty_over_time"], frames["uncertainty_density"]
    example = frames["uncertainty_example"]
    return {
        "uq_example_deepensemble_preds": Drawing(
            partial(uncertainty.ensemble_example, example, name, looks),
            f"One held-out trajectory: the truth, and the mean of the ensemble of {name} with twice its spread.",
        ),
        "uq_uncertainty_over_time": Drawing(
            partial(uncertainty.spread_of_one, over_time, name, looks),
            f"Mean {looks.error} of the ensemble of {name} in time, and the mean spread of its members dashed.",
        ),
        "uq_uncertainty_errors_correlation": Drawing(
            partial(uncertainty.density_of_spread, density, [name], looks),
            f"How many predictions of the ensemble of {name} have which error at which spread. {_OUTERMOST}",
        ),
        CALIBRATION: Drawing(
            EnsembleBars.of(frames, name, looks.scale.unit).plot,
            f"Which share of the errors intervals of {name} hold, over the share that they should.",
        ),
    }


def _uncertainty_of_all(frames: Frames, looks: Looks) -> dict[str, Drawing]:
    if "uncertainty_over_time" not in frames:
        return {}
    size = _words(looks)[1]
    over_time, density = frames["uncertainty_over_time"], frames["uncertainty_density"]
    names = looks.own(density)
    return {
        f"uq_{size}_main_vs_ensemble": Drawing(
            partial(uncertainty.main_and_ensemble, over_time, looks),
            f"Mean {looks.error} of ensembles in time, and of their first members alone dashed.",
        ),
        f"uq_{size}_vs_uncertainty": Drawing(
            partial(uncertainty.spread_and_error, over_time, looks),
            f"Mean {looks.error} of ensembles in time, and the mean spread of their members dashed.",
        ),
        "uq_heatmaps": Drawing(
            partial(uncertainty.density_of_spread, density, names, looks),
            f"How many predictions of each ensemble have which error at which spread of the members. {_OUTERMOST}",
        ),
        "uq_catastrophic_detection": Drawing(
            partial(uncertainty.detection, frames["uncertainty_catastrophic"], looks),
            "Which share of the largest errors is found when the predictions of largest spread are flagged: between "
            "chance (“random”) and what knows the errors (“oracle”).",
        ),
        "uq_pit": Drawing(
            partial(uncertainty.pit_histograms, frames["uncertainty_pit"], looks),
            "Where the truth lies in the predicted distribution: flat where error bars are right, high at both ends "
            "where they are too narrow, high in the middle where they are too wide.",
        ),
    }


def _words(looks: Looks) -> tuple[str, str]:
    """What errors on the scale are called in names of files."""
    return ("delta_dex", "deltadex") if looks.scale.log10 else ("delta_linear", "deltalinear")


def _file_word(kind: str) -> str:
    return "batchsize" if kind == "batch_scaling" else kind


def _names(frames: Frames, table: str) -> set[str]:
    return set(frames[table]["surrogate"]) if table in frames else set()
