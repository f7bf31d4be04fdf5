"""Trials of a search: settings are drawn, a surrogate is trained with them, and its error on the test part told."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.trial import TrialState

from potentia import progress
from potentia.errors import TrainingError
from potentia.study import task_seed, write_yaml
from potentia.train import Callback, Run
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.evaluation import ErrorScale
from potentia.trajectories.modalities import MAIN, part_of
from potentia.trajectories.study import Study
from potentia.trajectories.study_config import StudyConfig
from potentia.trajectories.surrogates import SURROGATES
from potentia.trajectories.training_config import TrajectoryTrainingConfig
from potentia.trajectories.tuning.config import TunedSurrogate, TuningConfig
from potentia.trajectories.tuning.space import CHILDREN, draw

__all__ = ["COUNTED", "FINISHED", "DrawnTrial", "do_trials", "settings_of", "study_mapping", "trial_of"]

COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
"""Trials that need not be done again."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""Those of them that nobody is at work on."""
TIMED_RUNS = 5
SLOWEST = 10.0
"""Time of a prediction that counts where there is none (s)."""
REPORTS = 20
"""So often in a training its error is looked at to end it early: the first rung of Hyperband is at an eighth of the
epochs, so each rung has a value that is not much older, and the database is not written to at every epoch."""
WARM_UP, WARM_UP_PART = 10, 0.1
"""So many trials, or this part of all if that is more, say how long one may take."""
WATCHED, WATCHED_PART = 10, 0.02
"""So many epochs, or this part of all if that is more, say how long a trial will take."""
SECONDS = "training_seconds"
"""Attribute of a trial with the time of its training (s)."""


def study_mapping(config: TuningConfig, drawn: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings of a study of the surrogates with drawn settings, by surrogate."""
    settings = {one.name: settings_of(config, one, drawn.get(one.name, {})) for one in config.surrogates}
    return {
        "training_id": config.tuning_id,
        "surrogates": [one.name for one in config.surrogates],
        "batch_size": [one.batch_size for one in config.surrogates],
        "epochs": [one.epochs for one in config.surrogates],
        "devices": list(config.devices),
        "seed": config.seed,
        "threads": config.threads,
        "dataset": {**config.dataset, "use_optimal_params": False},  # they are among the settings
        "checkpoint": True,
        "surrogate_configs": settings,
    }


def settings_of(config: TuningConfig, one: TunedSurrogate, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a trial that are not defaults of classes, as ``surrogate_configs`` has them.

    A default that matters only beside a setting that was drawn otherwise is left out.
    """
    found = {**config.defaults.get(one.name, {}), **one.settings}
    for name, (other, value) in CHILDREN.items():
        if other in drawn and drawn[other] != value:
            found.pop(name, None)
    return {**found, **drawn}


@dataclass(frozen=True, eq=False)
class DrawnTrial:
    """What is trained with settings that were drawn."""

    surrogate: TrajectorySurrogate
    """A recipe, until it is trained."""
    training: TrajectoryTrainingConfig
    """How."""
    part: TrajectoryData
    """On what."""


def trial_of(
    config: TuningConfig, one: TunedSurrogate, study: Study, drawn: Mapping[str, Any], number: int, device: str
) -> DrawnTrial:
    """Return what the trial of this number trains with the settings that were drawn for it."""
    resolved = StudyConfig.from_mapping(study_mapping(config, {one.name: drawn}))
    (plan,) = (plan for plan in resolved.surrogates if plan.name == one.name)
    training = replace(plan.training, device=device, seed=task_seed(config.seed, one.name, "trial", number))
    surrogate = SURROGATES[one.name](plan.network, preprocessing=resolved.dataset.preprocessing)
    return DrawnTrial(surrogate, training, part_of(study.data, resolved.dataset.subset_factor, MAIN, None))


def do_trials(config: TuningConfig, root: str, surrogate: str, url: str, device: str, slot: int) -> int:
    """Do trials until there are enough, and return how many were done here."""
    optuna.logging.set_verbosity(optuna.logging.INFO if config.optuna_logging else optuna.logging.WARNING)
    (one,) = (one for one in config.surrogates if one.name == surrogate)
    study = Study.from_config(study_mapping(config, {}), root=root)
    name = f"{config.tuning_id}_{surrogate.lower()}"
    search = optuna.load_study(study_name=name, storage=url, pruner=_pruner(config, one))
    search.sampler = _sampler(config, task_seed(config.seed, surrogate, "sampler", slot, len(search.trials)) % 2**32)
    done, counted = 0, len(search.get_trials(deepcopy=False, states=COUNTED))
    with progress.bar(one.trials, f"trials of {surrogate}", initial=counted, stays=True) as bar:
        while counted < one.trials:
            search.optimize(lambda trial: _objective(trial, config, one, study, device), n_trials=1)
            done += 1
            counted = len(search.get_trials(deepcopy=False, states=COUNTED))
            bar.update(counted - bar.n)
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
    planned = trial_of(config, one, study, drawn, trial.number, device)
    surrogate = planned.surrogate
    watch = _EndEarly(trial, one.epochs, not config.multi_objective, _longest(trial.study, config, one))
    try:
        surrogate.train(planned.part, planned.training, callbacks=(watch,))
    except (TrainingError, torch.OutOfMemoryError) as error:  # of these settings, and so a result of theirs
        trial.set_user_attr("exception", str(error))
        return (config.loss_cap, SLOWEST) if config.multi_objective else config.loss_cap
    if watch.pruned:
        trial.set_user_attr("pruned", watch.pruned)
        raise optuna.TrialPruned
    trial.set_user_attr(SECONDS, watch.seconds)
    size, seconds = _judged(surrogate, study, config)
    if config.keep_models:
        _keep(surrogate, study.root / "tuned" / config.tuning_id / "models" / one.name, trial, drawn, size)
    return (size, seconds) if config.multi_objective else size


def _keep(
    surrogate: TrajectorySurrogate, folder: Path, trial: optuna.Trial, drawn: dict[str, Any], error: float
) -> None:
    """Write the model of a trial, and beside it what was drawn for it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{type(surrogate).__name__.lower()}_{trial.number}"
    surrogate.save(folder / f"{name}.pth")
    write_yaml(folder / f"{name}.yaml", {"trial": trial.number, "error": error, "drawn": drawn, **surrogate.recipe()})


def _longest(search: optuna.Study, config: TuningConfig, one: TunedSurrogate) -> float:
    """Return the time that a training may take (s): mean and one standard deviation of the first ones."""
    if not (config.multi_objective and config.time_pruning):
        return math.inf
    first = max(WARM_UP, math.ceil(WARM_UP_PART * one.trials))
    done = search.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    seconds = [trial.user_attrs[SECONDS] for trial in done if SECONDS in trial.user_attrs][:first]
    return math.inf if len(seconds) < first else float(np.mean(seconds) + np.std(seconds))


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
    """Stops a training that there is no hope for: its numbers, its error among those of others, or its time.

    Args:
        trial: Is told of the test error on the way.
        epochs: Of the whole training.
        compares: Whether it is ended where its search says so.
        longest: Time that the whole training may take (s).
    """

    def __init__(self, trial: optuna.Trial, epochs: int, compares: bool, longest: float) -> None:
        self.trial = trial
        self.epochs = epochs
        self.compares = compares
        self.longest = longest
        self.pruned = ""
        self._begun = 0.0
        self.seconds = 0.0

    def on_begin(self, run: Run) -> None:
        """Start the clock."""
        self._begun = time.perf_counter()

    def on_epoch(self, run: Run) -> None:
        """Look at the error every so many epochs, and at the clock after each."""
        self.seconds = time.perf_counter() - self._begun
        whole = self.seconds * self.epochs / run.epoch
        if run.epoch % max(1, self.epochs // REPORTS) == 0:
            self.pruned = self._hopeless(run)
        if whole > self.longest and run.epoch >= max(WATCHED, WATCHED_PART * self.epochs):
            self.pruned = f"it would take {whole:.3g} s, longer than {self.longest:.3g} s"
        if self.pruned:
            run.stopped = "pruned"

    def _hopeless(self, run: Run) -> str:
        """Return why the error gives no hope; empty where it does."""
        if not math.isfinite(run.monitored):
            return f"its test error is not finite after epoch {run.epoch}"
        if self.compares:
            self.trial.report(run.monitored, run.epoch)
            if self.trial.should_prune():
                return f"others were better after epoch {run.epoch}"
        return ""
