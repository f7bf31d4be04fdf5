"""Windows to look at: the best, the median and the worst, and typical ones of calm and of hard driving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.checks import integer
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.motion import Motion
from potentia.dynamics.spec import ModelSpec

__all__ = ["Scenario", "choose_scenarios"]

Floats: TypeAlias = NDArray[np.float64]
STRATA = {1: ("any",), 2: ("calm", "hard"), 3: ("calm", "lively", "hard")}


@dataclass(frozen=True)
class Scenario:
    """One window, and why it is shown."""

    name: str
    """Short, for the name of a file."""
    window: int
    """Its number."""
    says: str
    """Why it is shown."""


def choose_scenarios(spec: ModelSpec, dataset: FeatureDataset, errors: Floats, count: int = 6) -> list[Scenario]:
    """Return windows at quantiles of their errors, then typical ones of each range of lateral acceleration.

    Half of them, at least three if there are so many, are at even quantiles from the best to the worst; the others
    have the median error of their range of speed times turn rate, or of further quantiles where a model has none.

    Args:
        spec: The model.
        dataset: Windows.
        errors: One of each window.  [windows]
        count: How many; fewer where there are fewer windows.
    """
    count = min(integer("count", count, low=1), len(dataset))
    order = np.argsort(np.where(np.isnan(errors), np.inf, errors), kind="stable")
    hardness = _hardness(spec, dataset)
    by_error = count if hardness is None else max(min(count, 3), count - 3)
    found = [Scenario(name, int(order[place]), says) for name, place, says in _quantiles(len(order), by_error)]
    taken = {one.window for one in found}
    if hardness is None or count == by_error:
        return found
    edges = np.quantile(hardness, np.linspace(0, 1, count - by_error + 1))
    for k, name in enumerate(STRATA[count - by_error]):
        inside = [window for window in order.tolist() if edges[k] <= hardness[window] <= edges[k + 1]]
        free = [window for window in inside if window not in taken]
        if free:
            window = free[len(free) // 2]
            taken.add(window)
            says = f"typical of lateral accelerations of {edges[k]:.2g} to {edges[k + 1]:.2g} m/s²"
            found.append(Scenario(name, window, says))
    return found


def _quantiles(windows: int, count: int) -> list[tuple[str, int, str]]:
    even = np.linspace(0, windows - 1, count) if count > 1 else np.array([windows // 2])
    places = np.unique(np.round(even).astype(int)).tolist()
    found = []
    for place in places:
        share = place / max(windows - 1, 1)
        if place == 0 and count > 1:
            found.append(("best", place, f"smallest error of {windows} windows"))
        elif place == windows - 1 and count > 1:
            found.append(("worst", place, f"largest error of {windows} windows"))
        elif abs(share - 0.5) < 1 / windows:
            found.append(("median", place, f"median error of {windows} windows"))
        else:
            found.append((f"quantile-{100 * share:.0f}", place, f"{100 * share:.0f} % of the windows are better"))
    return found


def _hardness(spec: ModelSpec, dataset: FeatureDataset) -> Floats | None:
    """Return the mean magnitude of the lateral acceleration of each window (m/s²), None if a model has none."""
    motion = Motion.of(spec)
    side = None if motion is None else motion.side_acceleration(dataset.targets)
    if side is None:
        return None
    counted = dataset.counted
    found: Floats = np.where(counted, np.abs(side), 0.0).sum(1) / counted.sum(1)
    return found
