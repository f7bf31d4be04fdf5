"""What a search would do: which settings it would draw from where, how often, and how long that is likely to take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
import pandas as pd

from potentia.study import task_seed
from potentia.train import Forecast
from potentia.trajectories.study import Study
from potentia.trajectories.tuning.config import TunedSurrogate, TuningConfig
from potentia.trajectories.tuning.space import CHILDREN, draw
from potentia.trajectories.tuning.work import trial_of

__all__ = ["expected_trials", "searched"]

MEASURED = 3
"""So many trials of each surrogate are drawn at random and measured: how long one takes depends on what is drawn."""


def searched(config: TuningConfig) -> pd.DataFrame:
    """Return a row for each setting that is searched: ``surrogate``, ``setting``, and in words what it is drawn from.

    ``drawn_from`` is a range or choices, ``only_with`` the value of another setting without which it is not drawn.
    """
    rows = []
    for one in config.surrogates:
        for name, entry in one.optuna_params.items():
            other, value = CHILDREN.get(name, ("", None))
            only = f"{other} {value}" if other in one.optuna_params else ""
            rows.append((one.name, name, _in_words(entry), only))
    return pd.DataFrame(rows, columns=["surrogate", "setting", "drawn_from", "only_with"])


def expected_trials(config: TuningConfig, study: Study, done: Mapping[str, int]) -> pd.DataFrame:
    """Return a row for each surrogate with the time and memory that its trials are likely to need.

    Columns: ``surrogate``; ``trials`` in all and ``done`` of them; ``epochs`` of each; ``seconds_per_trial``, the mean
    of some that were drawn at random, and ``fastest`` and ``slowest`` of these; ``seconds`` of all trials that are
    left, one after the other; ``memory_bytes``, the most that a trial needs. Trials that are ended early take less.

    Args:
        config: Settings of the search.
        study: The data.
        done: Surrogate → trials that need not be done again.
    """
    rows: list[dict[str, Any]] = []
    for one in config.surrogates:
        left = max(0, one.trials - done.get(one.name, 0))
        measured = [_measured(config, one, study, number) for number in range(MEASURED if left else 0)]
        seconds = pd.Series([found.seconds_total for found in measured], dtype=float)
        rows.append({
            "surrogate": one.name,
            "trials": one.trials,
            "done": one.trials - left,
            "epochs": one.epochs,
            "seconds_per_trial": float(seconds.mean()),
            "fastest": float(seconds.min()),
            "slowest": float(seconds.max()),
            "seconds": float(seconds.mean()) * left if left else 0.0,
            "memory_bytes": max((found.memory_bytes or 0 for found in measured), default=0),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _measured(config: TuningConfig, one: TunedSurrogate, study: Study, number: int) -> Forecast:
    """Return the forecast of a trial whose settings are drawn evenly from the space."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of each study that it makes
    sampler = optuna.samplers.RandomSampler(seed=task_seed(config.seed, one.name, "expected", number) % 2**32)
    drawn = draw(optuna.create_study(sampler=sampler).ask(), one.optuna_params)
    trial = trial_of(config, one, study, drawn, number, config.devices[0])
    return trial.surrogate.forecast(trial.part, trial.training)


def _in_words(entry: Mapping[str, Any]) -> str:
    """Return a range or choices.

    >>> _in_words({"type": "float", "low": 1e-4, "high": 1e-2, "log": True})
    '0.0001 to 0.01, logarithmic'
    """
    if "choices" in entry:
        return ", ".join(map(str, entry["choices"]))
    if entry["type"] == "int":
        step = f", in steps of {entry['step']}" if entry["step"] > 1 else ""
        return f"{entry['low']} to {entry['high']}{step}"
    return f"{entry['low']:g} to {entry['high']:g}{', logarithmic' if entry['log'] else ''}"
