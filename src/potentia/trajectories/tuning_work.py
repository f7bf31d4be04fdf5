"""Trials of a search: settings are drawn, a surrogate is trained with them, and its error on the test part told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import torch
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.trial import TrialState

from potentia.errors import TrainingError
from potentia.study import task_seed
from potentia.train import Callback, Run
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.evaluation import ErrorScale
from potentia.trajectories.modalities import MAIN, part_of
from potentia.trajectories.search_space import draw
from potentia.trajectories.study import Study
from potentia.trajectories.study_config import StudyConfig
from potentia.trajectories.surrogates import SURROGATES
from potentia.trajectories.tuning_config import TunedSurrogate, TuningConfig

__all__ = ["COUNTED", "do_trials", "study_mapping"]

COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
"""Trials that need not be done again."""
TIMED_RUNS = 5
SLOWEST = 10.0
"""Time of a prediction that counts where there is none (s)."""
REPORTS = 20
"""So often in a training its error is looked at to end it early."""


def study_mapping(config: TuningConfig, drawn: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings of a study of the surrogates with drawn settings, by surrogate."""
    return {
        "training_id": config.tuning_id,
        "surrogates": [one.name for one in config.surrogates],
        "batch_size": [one.batch_size for one in config.surrogates],
        "epochs": [one.epochs for one in config.surrogates],
        "devices": list(config.devices),
        "seed": config.seed,
        "threads": config.threads,
        "dataset": dict(config.dataset),
        "checkpoint": True,
        "surrogate_configs": {one.name: {**one.settings, **drawn.get(one.name, {})} for one in config.surrogates},
    }


def do_trials(config: TuningConfig, root: str, surrogate: str, url: str, device: str, slot: int) -> int:
    """Do trials until there are enough, and return how many were done here."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (one,) = (one for one in config.surrogates if one.name == surrogate)
    study = Study.from_config(study_mapping(config, {}), root=root)
    name = f"{config.tuning_id}_{surrogate.lower()}"
    search = optuna.load_study(study_name=name, storage=url, pruner=_pruner(config, one))
    search.sampler = _sampler(config, task_seed(config.seed, surrogate, "sampler", slot, len(search.trials)) % 2**32)
    done = 0
    while len(search.get_trials(deepcopy=False, states=COUNTED)) < one.trials:
        search.optimize(lambda trial: _objective(trial, config, one, study, device), n_trials=1)
        done += 1
    return done


def _sampler(config: TuningConfig, seed: int) -> BaseSampler:
    if config.multi_objective:
        return NSGAIISampler(population_size=config.population_size, seed=seed)
    return TPESampler(seed=seed)


def _pruner(config: TuningConfig, one: TunedSurrogate) -> optuna.pruners.BasePruner:
    if not config.prune or config.multi_objective:
        return optuna.pruners.NopPruner()
    least = max(1, one.epochs // 8)
    return optuna.pruners.HyperbandPruner(min_resource=least, max_resource=one.epochs, reduction_factor=2)


def _objective(
    trial: optuna.Trial, config: TuningConfig, one: TunedSurrogate, study: Study, device: str
) -> float | tuple[float, float]:
    """Return the error of a trial, and the time of a prediction (s) where there are two objectives."""
    drawn = draw(trial, one.optuna_params)
    resolved = StudyConfig.from_mapping(study_mapping(config, {one.name: drawn}), study.optimal)
    (plan,) = (plan for plan in resolved.surrogates if plan.name == one.name)
    training = replace(plan.training, device=device, seed=task_seed(config.seed, one.name, "trial", trial.number))
    surrogate = SURROGATES[one.name](plan.network, preprocessing=resolved.dataset.preprocessing)
    part = part_of(study.data, resolved.dataset.subset_factor, MAIN, None)
    watch = _EndEarly(trial, max(1, one.epochs // REPORTS))
    try:
        surrogate.train(part, training, callbacks=() if config.multi_objective else (watch,))
    except (TrainingError, torch.OutOfMemoryError) as error:  # of these settings, and so a result of theirs
        trial.set_user_attr("exception", str(error))
        return (config.loss_cap, SLOWEST) if config.multi_objective else config.loss_cap
    if watch.pruned:
        raise optuna.TrialPruned
    size, seconds = _judged(surrogate, study, config)
    return (size, seconds) if config.multi_objective else size


def _judged(surrogate: TrajectorySurrogate, study: Study, config: TuningConfig) -> tuple[float, float]:
    """Return the quantile of the errors on the whole test part, and the mean time of predicting it (s)."""
    test, transforms = study.data.test, study.config.dataset.preprocessing
    scale = ErrorScale.of(
        test, transforms.log10_transform, transforms.tolerance if transforms.log10_transform else None
    )
    predicted = surrogate.predict(test.initial_states, test.times, test.parameters)
    errors = np.nan_to_num(scale.errors(predicted, test.states), nan=np.inf)
    begun = time.perf_counter()
    for _ in range(TIMED_RUNS if config.multi_objective else 0):
        surrogate.predict(test.initial_states, test.times, test.parameters)
    seconds = (time.perf_counter() - begun) / TIMED_RUNS
    return float(min(np.quantile(errors, config.target_percentile), config.loss_cap)), seconds


class _EndEarly(Callback):
    """Tells the search of the test error on the way, and stops a training that it has no hope for."""

    def __init__(self, trial: optuna.Trial, every: int) -> None:
        self.trial = trial
        self.every = every
        self.pruned = False

    def on_epoch(self, run: Run) -> None:
        """Tell every so many epochs."""
        if run.epoch % self.every or np.isnan(run.monitored):
            return
        self.trial.report(run.monitored, run.epoch)
        if self.trial.should_prune():
            self.pruned = True
            run.stopped = "pruned"
