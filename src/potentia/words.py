"""Metrics in words: what people read in tables where programs read `rel_l2`; one place for all families."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COVERAGE", "OUTSIDE", "PARAMETERS", "POTENTIALS", "TRAJECTORIES", "in_words", "worded"]

METRICS: Mapping[str, str] = MappingProxyType({
    "loss": "loss",
    "trivial_RMSE": "RMSE of what costs no training",
    # forces and stress of potentials
    "MAE_force": "force MAE",
    "RMSE_force": "force RMSE",
    "max_force": "largest force error",
    "force_components": "force components",
    "MAE_stress": "stress MAE",
    "RMSE_stress": "stress RMSE",
    # atoms outside of what training has seen
    "features_outside": "features outside",
    "atoms_outside": "atoms outside",
    "worst_atom": "worst atom",
    "worst_feature": "worst feature",
    "worst_excess": "beyond (standard deviations)",
    "worst_distance": "distance (usual = 1)",
    # states of trajectories
    "RMSE_scaled": "RMSE of scaled states",
    "mean_relative_error": "mean relative error",
    "median_relative_error": "median relative error",
    # roll-outs of dynamics
    "scaled_error": "scaled error",
    "ade": "ADE (m)",
    "fde": "FDE (m)",
    "heading_error": "heading error (°)",
    # fields of operators
    "traj": "error of roll-outs",
    "ic": "error of first steps",
    "commit": "distance of tokens",
    "latent": "distance of latents",
    "mse": "MSE",
    "nmse": "NMSE",
    "nrmse": "NRMSE",
    "rel_l2": "relative L2",
    "vrmse": "VRMSE",
    "one_step_vrmse": "one-step VRMSE",
    "valid_time": "valid time",
    "error_low": "error, low",
    "error_mid": "error, middle",
    "error_high": "error, high",
    "energy_low": "energy, low",
    "energy_mid": "energy, middle",
    "energy_high": "energy, high",
})  # fmt: skip
"""Name of a metric in files and in Python → what it is called where people read."""
POTENTIALS: Mapping[str, str] = MappingProxyType({
    "MAE": "energy MAE",
    "RMSE": "energy RMSE",
    "max": "largest energy error",
})  # fmt: skip
"""What names without a quantity mean in tables of potentials by epoch, group and species."""
TRAJECTORIES: Mapping[str, str] = MappingProxyType({
    "loss": "MAE",
    "rmse": "RMSE",
    "mae": "MAE of the states",
    "rmse_linear": "RMSE of the states",
})  # fmt: skip
"""What the columns of a training of trajectories mean."""
COVERAGE: Mapping[str, str] = MappingProxyType({
    "coverage": "share held",
    "error": "± of the share",
    "half_width": "mean half-width",
    "n": "errors",
    "measured_on": "measured on",
    "left_out": "left out, for learned from",
    "caught": "worst 1 % among the 10 % least sure",
    "rank_correlation": "rank correlation",
    "miscalibration_area": "miscalibration area",
    "error_bars": "error bars",
    "raw_68": "raw, held at 68 %",
    "raw_95": "raw, held at 95 %",
    "calibrated_68": "calibrated, held at 68 %",
    "calibrated_95": "calibrated, held at 95 %",
})  # fmt: skip
"""What the columns of a table of coverage mean."""
OUTSIDE: Mapping[str, str] = MappingProxyType({
    "identifier": "structure",
    "low": "lowest in training",
    "high": "highest in training",
    "excess": "beyond (standard deviations)",
    "distance": "distance (usual = 1)",
})  # fmt: skip
"""What the columns of a table of atoms outside of training mean."""
PARAMETERS: Mapping[str, str] = MappingProxyType({
    "std": "deviation",
    "q05": "5 %",
    "q50": "50 %",
    "q95": "95 %",
    "min": "lowest",
    "max": "highest",
    "lo": "lower bound",
    "hi": "upper bound",
    "at_lower": "share at the lower",
    "at_upper": "share at the upper",
})  # fmt: skip
"""What the columns of a table of parameters over windows mean."""
PARTS: Mapping[str, str] = MappingProxyType({"train": "training", "val": "validation", "test": "test"})
"""Parts of the data, in front of a metric or behind it."""
_OF_A_STATE = "rmse_"


def in_words(name: str, meant: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return what a metric is called; a name that is not known is in words already.

    >>> in_words("val_rel_l2"), in_words("RMSE_test", POTENTIALS), in_words("mean error (dex)")
    ('relative L2, validation', 'energy RMSE, test', 'mean error (dex)')

    Args:
        name: Of the metric, with the part of the data in front of it or behind it.
        meant: What names mean here that mean something else elsewhere.
    """
    known = {**METRICS, **meant}
    if name in known:
        return known[name]
    for part, word in PARTS.items():
        metric = name.removeprefix(f"{part}_").removesuffix(f"_{part}")
        if metric == name:
            continue
        if metric in known:
            return f"{known[metric]}, {word}"
        if metric.startswith(_OF_A_STATE):
            return f"RMSE of {metric.removeprefix(_OF_A_STATE)}, {word}"
    return name


def worded(table: pd.DataFrame, meant: Mapping[str, str] = MappingProxyType({})) -> pd.DataFrame:
    """Return a table for people: metrics at the heads of its columns and rows are in words.

    Args:
        table: With names as programs have them.
        meant: As for `in_words`.
    """

    def word(name: object) -> object:
        return in_words(name, meant) if isinstance(name, str) else name

    found = table.rename(index=word, columns=word)
    found.index.names = [word(name) for name in table.index.names]
    return found
