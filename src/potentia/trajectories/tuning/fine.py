"""The space of a fine search: a decade to both sides of each number that a surrogate is trained with by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from potentia.config import to_dict
from potentia.errors import ConfigError
from potentia.trajectories.study_config import SurrogatePlan
from potentia.trajectories.training_config import OF_A_SCHEDULER
from potentia.trajectories.tuning.space import CHILDREN

__all__ = ["fine_space", "fine_summary", "fine_trials", "numbers_of"]

FINE = ("learning_rate", "regularization_factor", "beta", "poly_power", "eta_min", "momentum")
"""Settings that are searched where they matter and are not zero."""
HIGHEST = {"momentum": 0.999, "eta_min": 1.0}
"""Where a decade would lead out of what can be."""
TRIALS_EACH, LEAST_TRIALS = 10, 10


def fine_space(plan: SurrogatePlan) -> dict[str, dict[str, Any]]:
    """Return the log range [value/10, 10·value] of each of `FINE` around what ``plan`` has.

    Raises:
        ConfigError: all of them are zero.
    """
    values, space = numbers_of(plan), dict[str, dict[str, Any]]()
    for name in FINE:
        other, wanted = CHILDREN.get(name, ("", None))
        if values[name] and (not other or values[other] == wanted):
            value = float(values[name])
            high = min(10 * value, HIGHEST.get(name, float("inf")))
            space[name] = {"type": "float", "low": value / 10, "high": high, "log": True}
    if not space:
        raise ConfigError(
            f"{plan.name} has nothing to search finely: all of {', '.join(FINE)} are zero or without effect"
        )
    return space


def numbers_of(plan: SurrogatePlan) -> dict[str, Any]:
    """Return the settings of the training, those of a scheduler as they are in effect."""
    return to_dict(plan.training) | {name: plan.training.in_effect(name) for name in OF_A_SCHEDULER}


def fine_trials(space: Mapping[str, Any]) -> int:
    """Return how many trials a space is worth."""
    return max(TRIALS_EACH * len(space), LEAST_TRIALS)


def fine_summary(
    space: Mapping[str, Mapping[str, Any]], best: Sequence[Mapping[str, Any]], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what was searched around which ``values``, and what came out (the rows of the best trials)."""
    around = {name: {"default": values[name], "low": one["low"], "high": one["high"]} for name, one in space.items()}
    found = [{**row, "settings": {name: row["settings"][name] for name in space}} for row in best]
    return {"trials": fine_trials(space), "searched": around, "found": found}
