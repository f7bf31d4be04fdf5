"""Neural operators beside baselines: `make bench-operators`.

Trains every model of every problem from several seeds, one thread each, and measures on the held-out part: errors of
the roll-out and of one step beside those of zero, mean, no change and the best linear step; what parameters are worth
to it; and how well a tokenizer that knows the truth rebuilds what the model predicts. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev

import pandas as pd
import torch
from machine import describe_machine
from operator_figures import draw_figures
from operator_problems import PROBLEMS, data_of
from table import number, table

from potentia.errors import PotentiaWarning
from potentia.operators import NeuralOperator, baselines_of, evaluate
from potentia.operators.baselines import Predictor
from potentia.operators.features import feature_set
from potentia.operators.tokenizer import BehaviorTokenizer, TokenizerTrainingConfig
from potentia.storage import write_text
from potentia.study import SpawnedProcesses, Task, fan_out

COLUMNS = {
    "rel_l2": "relative L2, %",
    "nmse": "NMSE",
    "vrmse": "VRMSE",
    "one_step_vrmse": "VRMSE, one step",
    "valid_time": "valid time",
    "sensitivity": "sensitivity",
    "tokens": "tokens",
}
"""Score → head of its column."""
OVER_SPREAD = ("vrmse", "one_step_vrmse", "valid_time")
"""Those that divide by the spread of a field in space."""


@dataclass(frozen=True)
class Trained:
    """One training and what it is worth on the held-out part."""

    problem: str
    model: str
    seed: int
    weights: int
    """Numbers that are trained."""
    cpu: float
    """Processor time of the training, s."""
    scores: dict[str, dict[str, float]]
    """Group of samples → score → value."""
    growth: list[float]
    """VRMSE after each step, of the living where some die."""


def main() -> None:
    """Train and print."""
    options = _options()
    print("# Neural operators\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    print(f"- {options.jobs} trainings at a time, one thread each; seeds 1 to {options.seeds}\n")
    found: list[Trained] = []
    for problem in options.problems:
        own = trainings(problem, options)
        base = baselines(problem)
        print(told(problem, own, base), flush=True)
        found += own
        if options.json is not None:
            write_text(options.json, json.dumps([asdict(one) for one in found], indent=1) + "\n")
        if options.keep is not None:
            growth: dict[str, list[list[float]]] = {}
            for one in own:
                growth.setdefault(one.model, []).append(one.growth)
            draw_figures(problem, options.keep, growth)


def trainings(problem: str, options: argparse.Namespace) -> list[Trained]:
    """Train every model from every seed; what fails is told and left out."""
    tasks = [
        Task(f"{problem}, {model}, seed {seed}", partial(train, problem, model, seed, options.keep), 1)
        for model in PROBLEMS[problem].plans
        for seed in range(1, options.seeds + 1)
    ]
    found: list[Trained] = []
    with SpawnedProcesses(options.jobs) if options.jobs > 1 else nullcontext() as pool:
        for end in fan_out(tasks, pool):
            if end.result is None:
                print(f"{end.name} failed: {end.error}", flush=True)
            else:
                found.append(end.result)
    return found


def train(problem: str, model: str, seed: int, keep: Path | None = None) -> Trained:
    """Train one model, and measure it."""
    warnings.simplefilter("ignore", PotentiaWarning)
    torch.set_num_threads(1)
    data, plan = data_of(problem), PROBLEMS[problem].plans[model]
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        before = None
        for k, settings in enumerate(plan.trainings):
            operator = NeuralOperator(plan.network)
            operator.train(data, replace(settings, seed=seed), init_from=before)
            before = Path(folder) / f"{k}.potentia"
            operator.save(before)
    used = time.process_time() - begun
    if keep is not None:
        operator.save(keep / f"{problem}-{model.replace(' ', '-')}-{seed}.potentia")
    weights = sum(one.numel() for one in operator.network_.parameters())
    scores, growth = measured(problem, {model: operator})
    return Trained(problem, model, seed, weights, used, scores[model], growth[model])


def measured(
    problem: str, predictors: Mapping[str, Predictor]
) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, list[float]]]:
    """Return the scores of predictors by group, and their errors over the steps."""
    data, one = data_of(problem), PROBLEMS[problem]
    found = evaluate(predictors, data, system=one.system if one.sensitivity else None)
    scores = {
        name: {
            str(group): {str(key): float(value) for key, value in row.items()}
            for group, row in found.scores.xs(name).iterrows()
        }
        for name in predictors
    }
    if one.tokens:
        for name, error in token_errors(problem, predictors).items():
            scores[name]["all"]["tokens"] = error
    return scores, {name: _growth(found.by_step.xs(name)) for name in predictors}


def token_errors(problem: str, predictors: Mapping[str, Predictor]) -> dict[str, float]:
    """Return how much worse features of predictions are rebuilt from tokens than those of the truth: 1 is as well."""
    data = data_of(problem)
    tokenizer = BehaviorTokenizer()
    features, val = feature_set(data.train), feature_set(data.val)
    tokenizer.train(features, TokenizerTrainingConfig(seed=1), val=val)
    true = tokenizer.health(feature_set(data.test)).mse
    found = {}
    for name, predictor in predictors.items():
        fields = predictor.predict(data.test.initial, data.test.parameters, data.test.steps)
        found[name] = tokenizer.health(feature_set(fields)).mse / true
    return found


def baselines(problem: str) -> dict[str, dict[str, dict[str, float]]]:
    """Return the scores of what a model must beat."""
    return measured(problem, baselines_of(data_of(problem)))[0]


def told(problem: str, found: list[Trained], base: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the tables of one problem, one for each group of samples."""
    lines = [f"## {problem}: {PROBLEMS[problem].about}\n"]
    models: dict[str, list[Trained]] = {}
    for one in found:
        models.setdefault(one.model, []).append(one)
    groups = list(next(iter(base.values())))
    for group in groups:
        flat = "alive" in groups and group != "alive"  # of flat fields, VRMSE divides by nothing
        columns = [key for key in COLUMNS if not (flat and key in OVER_SPREAD)]
        rows = [[name, "–", "–", *_cells([scores[group]], columns)] for name, scores in base.items()]
        for name, seeds in models.items():
            about = [number(seeds[0].weights), _spread([one.cpu / 60 for one in seeds])]
            rows.append([name, *about, *_cells([one.scores[group] for one in seeds], columns)])
        words = "" if len(groups) == 1 else f"Samples: {group}\n\n"
        lines.append(words + table(["", "weights", "CPU min", *(COLUMNS[key] for key in columns)], rows) + "\n")
    return "\n".join(lines)


def _growth(by_step: pd.DataFrame) -> list[float]:
    """Return VRMSE over the steps, of the living where some die."""
    group = "alive" if "alive" in by_step.index.get_level_values("group") else "all"
    return [float(value) for value in by_step.xs(group)["vrmse"]]


def _cells(scores: list[dict[str, float]], columns: list[str]) -> list[str]:
    cells = []
    for key in columns:
        factor = 100 if key == "rel_l2" else 1
        known = [factor * one[key] for one in scores if math.isfinite(one.get(key, math.nan))]
        cells.append(_spread(known) if known else "–")
    return cells


def _spread(values: list[float]) -> str:
    """Return mean and standard deviation over seeds."""
    return f"{number(mean(values))} ± {number(stdev(values))}" if len(values) > 1 else number(values[0])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS), help="all by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--json", type=Path, default=None, help="write all that was measured there")
    parser.add_argument("--keep", type=Path, default=None, help="directory for the operators, figures and films")
    return parser.parse_args()


if __name__ == "__main__":
    main()
