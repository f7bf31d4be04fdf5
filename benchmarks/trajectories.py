"""Surrogates of ODE systems at equal processor time: `make bench-trajectories`.

Makes the data here (no initial condition in two parts), trains every surrogate with the settings recommended for the
system for so many minutes of processor time on one thread, from several seeds, and measures on the held-out part: mean
and 99 % error in dex, time for a trajectory, and the speed-up over SciPy's solver at the surrogate's own accuracy.
All of it takes seven hours; with `--json` each training is kept there when it ends, and another run with the same file
goes on after the last one. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import time
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean, median, stdev
from typing import TypeAlias

import numpy as np
import pandas as pd
from kept import Kept, mark_of
from machine import describe_machine
from numpy.typing import NDArray
from table import number, ratio, table
from workload import CHECKOUT

from potentia.errors import DataError, PotentiaWarning
from potentia.study import SpawnedProcesses, Task, fan_out, read_yaml
from potentia.trajectories import SURROGATES, SYSTEMS, Preprocessing, TrajectoryData, fit_baselines, make_data
from potentia.trajectories.evaluation import ErrorScale, EvaluationSettings, time_predictions, time_solver
from potentia.trajectories.study_config import StudyConfig, SurrogatePlan

Floats: TypeAlias = NDArray[np.float64]
STUDIES = CHECKOUT / "examples" / "studies"
"""Settings for each system."""
SIZES = {"lotka_volterra": 350, "osu2008": 350, "simple_reaction": 700, "coupled_oscillators": 700}
"""Trajectories to fit: those of the figures that one compares with."""
TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Of SciPy's solver; the loosest that is as right as the surrogate is timed beside it."""
SOLVED = 20
"""Held-out trajectories that are solved for it."""
PROBE = 10
"""Epochs that tell how long an epoch is at first."""
TRIAL = 0.1
"""Part of the time for a short training that tells how long an epoch is as it goes on: solvers take more steps then."""


@dataclass(frozen=True)
class Trained:
    """One training and what it is worth on the held-out part."""

    system: str
    surrogate: str
    minutes: float
    seed: int
    epochs: int
    cpu: float
    """Processor time of the training, s."""
    mean: float
    """Mean error: dex, or linear where values change sign."""
    p99: float
    """99 % of the errors are smaller."""
    scaled: float
    """Mean error where each quantity runs from -1 to 1 over the training part, in logarithms where these are taken."""
    linear: float
    """Mean absolute error of the values themselves."""
    inference: float
    """Time for a trajectory among all held-out ones at once, s."""
    settings: str
    """Hash of all that the figures depend on but the code."""

    @property
    def key(self) -> tuple[str, str, float, int, str]:
        """What tells it from the others."""
        return self.system, self.surrogate, self.minutes, self.seed, self.settings


def main() -> None:
    """Train and print."""
    options = _options()
    print("# Surrogates of trajectories at equal processor time\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    print(f"- {options.jobs} trainings at a time, one thread each; seeds 1 to {options.seeds}\n")
    kept = Kept(options.json, Trained)
    for system in options.systems:
        data = make_data(system, n_train=SIZES.get(system, 350))
        print(told(data, trainings(data, options, kept), solver_times(data)), flush=True)


def trainings(data: TrajectoryData, options: argparse.Namespace, kept: Kept[Trained]) -> list[Trained]:
    """Train every surrogate for every time from every seed; what fails is told and left out."""
    before = {one.key: one for one in kept.found}
    config = StudyConfig.from_mapping(read_yaml(STUDIES / f"{data.name}.yaml"))
    tasks, found = [], []
    for minutes, plan, seed in product(options.minutes, config.surrogates, range(1, options.seeds + 1)):
        if plan.name not in options.surrogates:
            continue
        known = before.get((data.name, plan.name, minutes, seed, settings_of(data, plan, config)))
        if known is not None:
            found.append(known)
        else:
            name = f"{plan.name}, {minutes:g} minutes, seed {seed}"
            tasks.append(Task(name, partial(train, data, plan, config, minutes, seed), 1))
    executor = SpawnedProcesses(options.jobs) if options.jobs > 1 else nullcontext()
    with executor as pool:
        for end in fan_out(tasks, pool):
            if end.result is None:
                print(f"{end.name} failed: {end.error}", flush=True)
            else:
                found.append(end.result)
                kept.keep(end.result)
    return found


def train(data: TrajectoryData, plan: SurrogatePlan, config: StudyConfig, minutes: float, seed: int) -> Trained:
    """Train one surrogate for so much processor time, and measure it."""
    warnings.simplefilter("ignore", PotentiaWarning)
    surrogate = SURROGATES[plan.name](plan.network, preprocessing=config.dataset.preprocessing)

    def cpu(epochs: int) -> float:
        begun = time.process_time()
        surrogate.train(data, replace(plan.training, epochs=epochs, seed=seed, save_best=True))
        return time.process_time() - begun

    cpu(2)  # warms up
    trial = max(2, round(TRIAL * minutes * 60 / (cpu(PROBE) / PROBE)))
    epochs = max(2, round(minutes * 60 / (cpu(trial) / trial)))
    used = cpu(epochs)
    val, settings = data.val, EvaluationSettings(timing_seconds=3.0)
    predicted = surrogate.predict(val.initial_states, val.times, val.parameters)
    scale = ErrorScale.of(val)
    errors = scale.errors(predicted, val.states)
    times = time_predictions(plan.name, surrogate, val, settings)
    return Trained(
        data.name,
        plan.name,
        minutes,
        seed,
        epochs,
        used,
        mean=float(errors.mean()),
        p99=float(np.quantile(errors, 0.99)),
        scaled=float((errors / _half_range(scale(data.train.states))).mean()),
        linear=float(np.abs(predicted - val.states).mean()),
        inference=float(times["per_trajectory"].min()),
        settings=settings_of(data, plan, config),
    )


def settings_of(data: TrajectoryData, plan: SurrogatePlan, config: StudyConfig) -> str:
    """Return a hash of the settings of a surrogate and of its data."""
    return mark_of(plan, config.dataset.preprocessing, data.mark())


def _half_range(states: Floats) -> Floats:
    half: Floats = (states.max((0, 1)) - states.min((0, 1))) / 2
    return half


def solver_times(data: TrajectoryData) -> pd.DataFrame:
    """Return time and error of SciPy's solver at each tolerance with which it gets through."""
    part, system = data.val.take(slice(0, SOLVED)), SYSTEMS[data.name]
    settings, scale = EvaluationSettings(timing_seconds=10.0), ErrorScale.of(data.val)
    rows = []
    for tolerance in TOLERANCES:
        solve = partial(system.solve, rtol=tolerance, atol=tolerance)
        try:
            rows.append(time_solver(f"rtol {tolerance:g}", solve, part, scale, settings))
        except DataError:  # the solver has given up on one of them
            continue
    return pd.concat(rows, ignore_index=True)


def told(data: TrajectoryData, found: list[Trained], solvers: pd.DataFrame) -> str:
    """Return the tables of one system."""
    scale = ErrorScale.of(data.val)
    unit = "dex" if scale.log10 else "linear"
    lines = [f"## {data.name}: {len(data.train)} trajectories of {len(data.train.times)} times\n"]
    rows = []
    for name, baseline in fit_baselines(data, Preprocessing(log10_transform=scale.log10)).items():
        predicted = baseline.predict(data.val.initial_states, data.val.times, data.val.parameters)
        errors = scale.errors(predicted, data.val.states)
        cells = [number(float(errors.mean())), number(float(np.quantile(errors, 0.99)))]
        scaled = float((errors / _half_range(scale(data.train.states))).mean())
        linear = float(np.abs(predicted - data.val.states).mean())
        rows.append([name, "–", "–", "–", *cells, number(scaled), number(linear), "–", "–"])
    groups: dict[tuple[str, float], list[Trained]] = {}
    for one in found:
        groups.setdefault((one.surrogate, one.minutes), []).append(one)
    for (name, minutes), group in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1])):
        inference = median(one.inference for one in group)
        as_good = solvers[solvers["error"] <= mean(one.mean for one in group)]["per_trajectory"]
        rows.append(
            [
                name,
                f"{minutes:g}",
                f"{mean(one.cpu for one in group):.0f}",
                number(mean(one.epochs for one in group)),
                *(_spread([getattr(one, key) for one in group]) for key in ("mean", "p99", "scaled", "linear")),
                number(inference * 1e6),
                ratio(float(as_good.min()) / inference) if len(as_good) else "–",
            ]
        )
    head = ["", "minutes", "s of processor", "epochs", f"mean {unit}", f"99 % {unit}", "mean in [-1, 1]", "linear MAE"]
    lines.append(table([*head, "µs per trajectory", "over SciPy"], rows))
    told_solvers = [
        f"{row['surrogate']}: {row['per_trajectory'] * 1e3:.2f} ms, {row['error']:.1e} {unit}"
        for row in solvers.to_dict("records")
    ]
    lines.append("\nSciPy's solver for one trajectory: " + "; ".join(told_solvers) + ".")
    return "\n".join(lines) + "\n"


def _spread(values: list[float]) -> str:
    """Return mean and standard deviation over seeds."""
    return f"{number(mean(values))} ± {number(stdev(values))}" if len(values) > 1 else number(values[0])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="+", default=["lotka_volterra", "osu2008"])
    parser.add_argument("--surrogates", nargs="+", default=list(SURROGATES))
    parser.add_argument("--minutes", nargs="+", type=float, default=[2.0, 5.0, 10.0], help="of processor time")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
