"""Neural operators beside baselines: `make bench-operators`.

Trains every model of every problem from several seeds, one thread each, and measures on the held-out part: errors of
the roll-out and of one step beside those of zero, mean, no change and the best linear step; what parameters are worth
to it; and whether a tokenizer that was trained on the truth finds the same behaviour in what the model predicts. With
`--json`, what is measured is written part by part, and parts that are there already are not measured again. Nothing
here passes or fails.
"""

from __future__ import annotations

import argparse
import functools
import math
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev

import pandas as pd
import torch
from kept import Kept, mark_of
from machine import describe_machine
from operator_figures import draw_figures
from operator_problems import PROBLEMS, data_of
from table import number, table

from potentia.errors import PotentiaWarning
from potentia.operators import NeuralOperator, baselines_of, evaluate, validate_tokens
from potentia.operators.baselines import Predictor
from potentia.operators.features import feature_set
from potentia.operators.tokenizer import BehaviorTokenizer, TokenizerTrainingConfig
from potentia.study import SpawnedProcesses, Task, fan_out

COLUMNS = {
    "rel_l2": "relative L2, %",
    "nmse": "NMSE",
    "vrmse": "VRMSE",
    "one_step_vrmse": "VRMSE, one step",
    "valid_time": "valid time",
    "sensitivity": "sensitivity",
    "tokens": "tokens rebuilt",
    "agreement": "tokens agree, %",
}
"""Score → head of its column."""
IN_PERCENT = ("rel_l2", "agreement")


@dataclass(frozen=True)
class Measured:
    """A model of one seed, or a baseline, and what it is worth on the held-out part."""

    problem: str
    model: str
    seed: int | None
    """None for a baseline."""
    settings: str
    """Hash of all that the figures depend on but the code."""
    weights: int | None
    """Numbers that are trained."""
    cpu: float | None
    """Processor time of the training, s."""
    scores: dict[str, dict[str, float]]
    """Group of samples → score → value."""
    growth: list[float]
    """VRMSE after each step, of the living where some die."""


def main() -> None:
    """Train what has not been trained yet, and print all that is known of the systems asked for."""
    options = _options()
    print("# Neural operators\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    print(f"- {options.jobs} trainings at a time, one thread each\n", flush=True)
    kept = Kept(options.json, Measured)
    kept.found = [one for one in kept.found if _is_current(one)]
    for problem in options.systems:
        for new in measurements(problem, kept.found, options):
            kept.keep(*new)
        own = [one for one in kept.found if one.problem == problem]
        print(told(problem, own), flush=True)
        if options.keep is not None:
            models = dict.fromkeys(one.model for one in own if one.seed is not None)
            growth = {name: [one.growth for one in own if one.model == name] for name in models}
            draw_figures(problem, options.keep, growth)


def measurements(problem: str, known: list[Measured], options: argparse.Namespace) -> Iterator[list[Measured]]:
    """Yield what is missing as it is measured: every model from every seed, and the baselines; failures are told."""
    done = {(one.model, one.seed) for one in known if one.problem == problem}
    tasks = [
        Task(f"{problem}, {model}, seed {seed}", partial(train, problem, model, seed, options.keep), 1)
        for seed in options.seeds
        for model in PROBLEMS[problem].plans
        if (model, seed) not in done and model in (options.models or PROBLEMS[problem].plans)
    ]
    if not any(seed is None for _, seed in done):
        tasks.append(Task(f"{problem}, baselines", partial(baselines, problem), 1))
    with SpawnedProcesses(options.jobs) if options.jobs > 1 else nullcontext() as pool:
        for end in fan_out(tasks, pool):
            if end.result is None:
                print(f"{end.name} failed: {end.error}", flush=True)
            else:
                yield end.result


def train(problem: str, model: str, seed: int, keep: Path | None = None) -> list[Measured]:
    """Train one model, and measure it."""
    warnings.simplefilter("ignore", PotentiaWarning)
    torch.set_num_threads(1)
    data, plan = data_of(problem), PROBLEMS[problem].plans[model]
    watched = replace(data, val=data.val.take(slice(0, PROBLEMS[problem].watched)))
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        before = None
        for k, settings in enumerate(plan.trainings):
            operator = NeuralOperator(plan.network)
            operator.train(watched, replace(settings, seed=seed), init_from=before)
            before = Path(folder) / f"{k}.potentia"
            operator.save(before)
    used = time.process_time() - begun
    if keep is not None:
        operator.save(keep / f"{problem}-{model.replace(' ', '-')}-{seed}.potentia")
    weights = sum(one.numel() for one in operator.network_.parameters())
    scores, growth = measured(problem, {model: operator})
    mark = settings_of(problem, model)
    return [Measured(problem, model, seed, mark, weights, used, scores[model], growth[model])]


def baselines(problem: str) -> list[Measured]:
    """Measure what a model must beat."""
    warnings.simplefilter("ignore", PotentiaWarning)
    torch.set_num_threads(1)
    predictors = baselines_of(data_of(problem))
    scores, growth = measured(problem, predictors)
    mark = settings_of(problem, None)
    return [Measured(problem, name, None, mark, None, None, scores[name], growth[name]) for name in predictors]


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
        for name, predictor in predictors.items():
            shown = validate_tokens(predictor, tokenizer_of(problem), data, n_samples=None)
            agreement = float(shown.levels["agreement"].iloc[0])
            scores[name]["all"] |= {"tokens": shown.ratio, "agreement": agreement}
    return scores, {name: _growth(found.by_step.xs(name)) for name in predictors}


@functools.cache
def tokenizer_of(problem: str) -> BehaviorTokenizer:
    """Return the tokenizer of the truth of a problem."""
    data = data_of(problem)
    train, val = (feature_set(part, channels=data.channels) for part in (data.train, data.val))
    tokenizer = BehaviorTokenizer()
    tokenizer.train(train, TokenizerTrainingConfig(seed=1), val=val)
    return tokenizer


def settings_of(problem: str, model: str | None) -> str:
    """Return a hash of the settings of the data, and of a model unless it is None."""
    one = PROBLEMS[problem]
    data = (type(one.system).__name__, one.system.settings(), one.sizes, one.every)
    plan = None if model is None else (one.plans[model], one.watched)
    return mark_of(data, plan)


def _is_current(one: Measured) -> bool:
    """Return whether a record is of the present settings; what is not is told."""
    problem = PROBLEMS.get(one.problem)
    known = problem is not None and (one.seed is None or one.model in problem.plans)
    if known and one.settings == settings_of(one.problem, None if one.seed is None else one.model):
        return True
    print(f"- {one.problem}, {one.model}, seed {one.seed}: left out, its settings have changed", flush=True)
    return False


def told(problem: str, found: list[Measured]) -> str:
    """Return the tables of one problem, one for each group of samples."""
    lines = [f"## {problem}: {PROBLEMS[problem].about}\n"]
    models: dict[str, list[Measured]] = {}
    for one in sorted(found, key=lambda one: (one.seed is not None, one.seed or 0)):
        models.setdefault(one.model, []).append(one)
    groups = list(found[0].scores) if found else []
    for group in groups:
        columns = [key for key in COLUMNS if any(key in one.scores[group] for one in found)]
        rows = []
        for name, seeds in models.items():
            trained = [one.cpu / 60 for one in seeds if one.cpu is not None]
            about = [number(seeds[0].weights), _spread(trained) if trained else "–", str(len(trained) or "–")]
            rows.append([name, *about, *_cells([one.scores[group] for one in seeds], columns)])
        words = "" if len(groups) == 1 else f"Samples: {group}\n\n"
        head = ["", "weights", "CPU min", "seeds", *(COLUMNS[key] for key in columns)]
        lines.append(words + table(head, rows) + "\n")
    return "\n".join(lines)


def _growth(by_step: pd.DataFrame) -> list[float]:
    """Return VRMSE over the steps, of the living where some die."""
    group = "alive" if "alive" in by_step.index.get_level_values("group") else "all"
    return [float(value) for value in by_step.xs(group)["vrmse"]]


def _cells(scores: list[dict[str, float]], columns: list[str]) -> list[str]:
    cells = []
    for key in columns:
        factor = 100 if key in IN_PERCENT else 1
        known = [factor * one[key] for one in scores if math.isfinite(one.get(key, math.nan))]
        cells.append(_spread(known) if known else "–")
    return cells


def _spread(values: list[float]) -> str:
    """Return mean and standard deviation over seeds."""
    return f"{number(mean(values))} ± {number(stdev(values))}" if len(values) > 1 else number(values[0])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--models", nargs="+", help="only these, by name")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--json", type=Path, help="go on with what is there, and write all that is measured there")
    parser.add_argument("--keep", type=Path, help="directory for the operators, figures and films")
    return parser.parse_args()


if __name__ == "__main__":
    main()
