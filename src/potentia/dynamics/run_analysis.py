"""What is looked at after a training: errors beside baselines, what the data can tell, drawn windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.dynamics.baselines import (
    Baseline,
    ConstantParameters,
    ConstantTurn,
    Persistence,
    fit_baselines,
    predict_all,
)
from potentia.dynamics.dataset import FeatureDataset, truncate_dataset_timesteps
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.evaluation import RolloutEvaluation, evaluate_rollouts, scenario_figures
from potentia.dynamics.identifiability import IdentifiabilityReport
from potentia.dynamics.polish import FitSettings
from potentia.dynamics.run_config import RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.dynamics.run_inputs import RunInputs, read_windows
from potentia.dynamics.spec import ModelSpec
from potentia.errors import TrainingError, warn_user
from potentia.seeding import stream
from potentia.storage import write_text

__all__ = ["NETWORK", "Analysis", "Predictor", "analyse", "baselines_of", "evaluated"]

Floats: TypeAlias = NDArray[np.float64]

NETWORK = "network"
"""What tables and figures call the trained network."""
FITTED_ON = 256
"""Constant parameters, for comparison, are fitted to no more windows than this."""
FITTED_NUMBERS = 1_000_000
"""Steps of these windows times entries of the parameters are no more either: a network inside a model has hundreds."""
ROUGH_ITERATIONS, ROUGH = 15, 1e-5
"""Iterations and tolerance of that fit: to be compared with, it need not be exact."""


class Predictor(Protocol):
    """What was trained: a network, or the mean of several."""

    def predict(self, dataset: FeatureDataset, /) -> Floats:
        """Return the states after each step.  [windows, steps, states]"""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found on one part of the windows."""

    evaluation: RolloutEvaluation = field(repr=False)
    """Errors of the network and of baselines."""
    identifiability: IdentifiabilityReport = field(repr=False)
    """What these windows tell about the parameters."""

    @property
    def metrics(self) -> pd.DataFrame:
        """A row for each prediction and metric."""
        return self.evaluation.metrics


def analyse(
    config: RunConfig, inputs: RunInputs, net: DynamicsParameterNet, directory: RunDirectory
) -> dict[str, Analysis]:
    """Look at each part, and write tables, ``identifiability.json`` and figures."""
    baselines = baselines_of(net, inputs.training, config)
    found = {}
    for part, windows in inputs.parts.items():
        evaluation = evaluated(net.spec_, {NETWORK: net}, windows, baselines)
        found[part] = Analysis(evaluation, net.identifiability(windows))
        write_text(directory.evaluation(part), evaluation.metrics.to_csv(index=False, float_format="%.17g"))
        _draw(config, _drawn_windows(config, inputs, part), net, baselines, directory.analysis(part))
    found["training"].identifiability.write(str(directory.identifiability))
    return found


def baselines_of(net: DynamicsParameterNet, training: FeatureDataset, config: RunConfig) -> dict[str, Baseline]:
    """Return what the network is compared with, constant parameters fitted to some of the training windows included.

    Warns:
        PotentiaWarning: no constant parameters could be fitted, so that tables go without them.
    """
    spec, settings = net.spec_, net.rollout_
    if config.constant_fit:
        n = min(FITTED_ON, max(FITTED_NUMBERS // (spec.vector_size * training.n_steps), 1), len(training))
        drawn = stream(config.seed, "windows of the constant fit").permutation(len(training))[:n]
        rough = FitSettings(rollout=settings, max_iterations=ROUGH_ITERATIONS, tolerance=ROUGH)
        try:
            return fit_baselines(spec, training.take(np.sort(drawn)), rough)
        except TrainingError as error:
            warn_user(f"tables go without a constant fit: {error}")
    found: dict[str, Baseline] = {
        "persistence": Persistence(spec),
        "default parameters": ConstantParameters(spec, None, settings),
    }
    return {"constant turn": ConstantTurn(spec), **found} if ConstantTurn.suits(spec) else found


def evaluated(
    spec: ModelSpec, asked: Mapping[str, Predictor], windows: FeatureDataset, baselines: Mapping[str, Baseline]
) -> RolloutEvaluation:
    """Return errors of what was trained beside those of baselines."""
    predictions = {**{name: one.predict(windows) for name, one in asked.items()}, **predict_all(baselines, windows)}
    return evaluate_rollouts(spec, windows, predictions, baselines=list(baselines))


def _drawn_windows(config: RunConfig, inputs: RunInputs, part: str) -> FeatureDataset:
    """Return the windows that figures show: those of the part, shortened, or cut again where they are to be longer."""
    windows, steps = inputs.parts[part], config.analysis_horizon
    if steps is None:
        return windows
    if steps <= windows.n_steps:
        return truncate_dataset_timesteps(windows, steps)
    validation = part == "validation"
    longer = replace(config, horizon=steps, dataset_cache=None, val_dataset_cache=None)
    paths = config.val_dataset if validation else config.dataset
    return read_windows(longer, inputs.spec, paths, validation=validation).dataset


def _draw(
    config: RunConfig,
    windows: FeatureDataset,
    net: DynamicsParameterNet,
    baselines: Mapping[str, Baseline],
    directory: Path,
) -> None:
    predictions = {NETWORK: net.predict(windows), **predict_all(baselines, windows)}
    params = net.predict_params(windows)
    directory.mkdir(parents=True, exist_ok=True)
    figures = scenario_figures(
        net.spec_, windows, predictions, params, baselines=list(baselines), count=config.analysis_scenarios
    )
    for name, figure in figures:
        figure.savefig(directory / f"{name}.png")
