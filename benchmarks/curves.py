"""Errors against time of a training, and how to print and draw them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from potentia import StructureDataset, TorchANNPotential, TorchTrainingConfig, TrainOut

__all__ = ["Curve", "draw", "follow"]


@dataclass(frozen=True)
class Curve:
    """One training."""

    name: str
    seconds: np.ndarray
    """From the beginning of reading to the end of each epoch.  [epochs]"""
    errors: pd.DataFrame
    """As in `TrainOut.errors`, a row for each epoch."""
    out: TrainOut

    def first_below(self, **limits: float) -> float:
        """Return the seconds to the first epoch with all errors at or below the limits; infinity if there is none."""
        met = np.all([self.errors[name].to_numpy() <= limit for name, limit in limits.items()], axis=0)
        return float(self.seconds[met][0]) if met.any() else float("inf")

    def at(self, seconds: float) -> pd.Series | None:
        """Return the errors of the last epoch that had ended by then."""
        done = int((self.seconds <= seconds).sum())
        return self.errors.iloc[done - 1] if done else None

    def plain(self) -> dict[str, object]:
        """Return all as plain values."""
        columns = {name: self.errors[name].tolist() for name in self.errors}
        return {"name": self.name, "seconds": self.seconds.tolist(), **columns}


def follow(
    name: str,
    potential: TorchANNPotential,
    config: TorchTrainingConfig,
    train: StructureDataset,
    test: StructureDataset,
    before: float,
) -> Curve:
    """Train and time; ``before`` are the seconds that reading and featurising have taken.

    What the training does besides its epochs (looking at the labels, final errors) is counted before the first one.
    """
    begun = time.perf_counter()
    out = potential.train(train_dataset=train, test_dataset=test, config=config)
    whole = time.perf_counter() - begun
    epochs = out.timing["epoch_time"].to_numpy()
    return Curve(name, before + whole - epochs.sum() + np.cumsum(epochs), out.errors, out)


def draw(curves: Sequence[Curve], column: str, factor: float, label: str, lines: dict[str, float], path: Path) -> None:
    """Draw one error of all trainings against time, and levels to compare with."""
    figure, axes = plt.subplots(figsize=(6.4, 4.2), constrained_layout=True)
    for curve in curves:
        axes.plot(curve.seconds, factor * curve.errors[column], marker=".", label=curve.name)
    for name, level in lines.items():
        axes.axhline(factor * level, color="0.4", linestyle="--", linewidth=0.8)
        axes.annotate(
            name, (0.99, factor * level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8
        )
    axes.set(xlabel="seconds from the beginning of reading", ylabel=label, yscale="log")
    axes.legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)
