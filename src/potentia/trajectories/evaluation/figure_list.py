"""Which figures an evaluation has, by the names of their files: for each of them, what draws it from which table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import pandas as pd
from matplotlib.figure import Figure

from potentia.trajectories.evaluation import accuracy_figures as accuracy
from potentia.trajectories.evaluation import modality_figures as modality
from potentia.trajectories.evaluation import uncertainty_figures as uncertainty
from potentia.trajectories.evaluation.error_bars import CALIBRATION, EnsembleBars
from potentia.trajectories.evaluation.looks import Looks

__all__ = ["FIGURES_OF_ONE", "Draw", "figures_of_all", "figures_of_one"]

Draw: TypeAlias = Callable[[], Figure]
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


def figures_of_one(frames: Frames, name: str, looks: Looks) -> dict[str, Draw]:
    """Return what draws each figure of one surrogate."""
    over_time, by_quantity = frames["accuracy_over_time"], frames["accuracy_by_quantity"]
    error = _words(looks)[0]
    found: dict[str, Draw] = {
        "accuracy_rel_errors_time": partial(accuracy.errors_of_one_in_time, over_time, name, "relative", looks),
        f"accuracy_{error}_time": partial(accuracy.errors_of_one_in_time, over_time, name, looks.kind, looks),
        "accuracy_rel_error_per_quantity": partial(accuracy.errors_by_quantity, by_quantity, name, "relative", looks),
        f"accuracy_{error}_per_quantity": partial(accuracy.errors_by_quantity, by_quantity, name, looks.kind, looks),
    }
    if name in _names(frames, "losses"):
        own = frames["losses"]
        for mode in own[own["surrogate"] == name]["mode"].unique():
            found[f"losses_{mode}"] = partial(modality.losses, own, name, str(mode))
    if name in _names(frames, "gradients_density"):
        tables = (frames["gradients_density"], frames["gradients_by_quantity"])
        found["gradient_error_heatmap"] = partial(accuracy.density_by_slope, *tables, [name], looks)
    for kind in ("iterative", "interpolation", "extrapolation"):
        if name in _names(frames, f"{kind}_example"):
            own = frames[f"{kind}_example"]
            own = own[own["surrogate"] == name]
            found[f"example_preds_{kind}"] = partial(modality.examples, own, name, looks)
    if name in _names(frames, "modality_over_time"):
        own = frames["modality_over_time"]
        for kind in own[own["surrogate"] == name]["modality"].unique():
            draw = partial(modality.modality_in_time, own, str(kind), name, looks)
            found[f"errors_over_time_{_file_word(str(kind))}"] = draw
    if name in _names(frames, "uncertainty_over_time"):
        found |= _uncertainty_of_one(frames, name, looks)
    return found


def figures_of_all(frames: Frames, looks: Looks) -> dict[str, Draw]:
    """Return what draws each figure that compares surrogates and baselines."""
    error, size = _words(looks)
    over_time, sizes = frames["accuracy_over_time"], frames["accuracy_distribution"]
    relative, own = (over_time[over_time["kind"] == kind] for kind in ("relative", looks.kind))
    relative_sizes, own_sizes = (sizes[sizes["kind"] == kind] for kind in ("relative", looks.kind))
    axis, all_errors = looks.scale.axis, "All errors"
    in_time, by_size = accuracy.errors_in_time, accuracy.errors_by_size
    found: dict[str, Draw] = {
        "accuracy_rel_errors_time_models": partial(in_time, relative, looks, "relative error", "Errors in time"),
        f"accuracy_{error}_time": partial(in_time, own, looks, axis, "Errors in time"),
        "accuracy_error_dist_relative": partial(by_size, relative_sizes, looks, "relative error", all_errors),
        f"accuracy_error_dist_{size}": partial(by_size, own_sizes, looks, axis, all_errors),
    }
    if "main" in set(frames["losses"]["mode"] if "losses" in frames else ()):
        for ending, over in {"": "epoch", "_equal": "share", "_duration": "seconds"}.items():
            found[f"losses_main_model{ending}"] = partial(modality.losses_of_all, frames["losses"], over, looks)
    if "iterative_over_time" in frames:
        rolled, spread = frames["iterative_over_time"], frames["iterative_distribution"]
        title = "Errors of roll-outs in time"
        found[f"iterative_{error}_time"] = partial(in_time, rolled, looks, axis, title)
        found[f"iterative_error_dist_{size}"] = partial(by_size, spread, looks, axis, "All errors of roll-outs")
    if "gradients_density" in frames:
        tables = (frames["gradients_density"], frames["gradients_by_quantity"])
        names = looks.own(frames["gradients_density"])
        found["gradients_heatmaps"] = partial(accuracy.density_by_slope, *tables, names, looks)
    if "timing" in frames:
        found["timing_inference"] = partial(
            modality.time_of_predictions, frames["timing"], frames.get("solvers", _NO_SOLVERS), looks
        )
    return {**found, **_modalities_of_all(frames, looks), **_uncertainty_of_all(frames, looks)}


_NO_SOLVERS = pd.DataFrame(columns=["surrogate", "per_trajectory"])


def _modalities_of_all(frames: Frames, looks: Looks) -> dict[str, Draw]:
    if "modality" not in frames:
        return {}
    table = frames["modality"]
    there = [str(kind) for kind in table["modality"].unique()]
    found: dict[str, Draw] = {}
    for kind in there:
        word = "batch_size" if kind == "batch_scaling" else kind
        found[f"errors_{word}"] = partial(modality.errors_of_modalities, table, [kind], looks)
    if set(_IN_ALL) <= set(there):
        found["errors_all_modalities"] = partial(modality.errors_of_modalities, table, _IN_ALL, looks)
    return found


def _uncertainty_of_one(frames: Frames, name: str, looks: Looks) -> dict[str, Draw]:
    over_time, density = frames["uncertainty_over_time"], frames["uncertainty_density"]
    example = frames["uncertainty_example"]
    return {
        "uq_example_deepensemble_preds": partial(uncertainty.ensemble_example, example, name, looks),
        "uq_uncertainty_over_time": partial(uncertainty.spread_of_one, over_time, name, looks),
        "uq_uncertainty_errors_correlation": partial(uncertainty.density_of_spread, density, [name], looks),
        CALIBRATION: EnsembleBars.of(frames, name, looks.scale.unit).plot,
    }


def _uncertainty_of_all(frames: Frames, looks: Looks) -> dict[str, Draw]:
    if "uncertainty_over_time" not in frames:
        return {}
    size = _words(looks)[1]
    over_time, density = frames["uncertainty_over_time"], frames["uncertainty_density"]
    names = looks.own(density)
    return {
        f"uq_{size}_main_vs_ensemble": partial(uncertainty.main_and_ensemble, over_time, looks),
        f"uq_{size}_vs_uncertainty": partial(uncertainty.spread_and_error, over_time, looks),
        "uq_heatmaps": partial(uncertainty.density_of_spread, density, names, looks),
        "uq_catastrophic_detection": partial(uncertainty.detection, frames["uncertainty_catastrophic"], looks),
        "uq_pit": partial(uncertainty.pit_histograms, frames["uncertainty_pit"], looks),
    }


def _words(looks: Looks) -> tuple[str, str]:
    """What errors on the scale are called in names of files."""
    return ("delta_dex", "deltadex") if looks.scale.log10 else ("delta_linear", "deltalinear")


def _file_word(kind: str) -> str:
    return "batchsize" if kind == "batch_scaling" else kind


def _names(frames: Frames, table: str) -> set[str]:
    return set(frames[table]["surrogate"]) if table in frames else set()
