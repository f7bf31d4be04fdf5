"""An epoch of each surrogate of trajectories over its forward and backward passes: `make bench-trajectory-epochs`.

Lotka-Volterra, 350 trajectories of 100 steps, networks and batches of `examples/studies`. In turns: an epoch
of `train`, with drawing of batches, optimizer, sums of errors and the score of the test part; and loss and gradient of
as many batches, cut before the clock starts. One thread; nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from machine import describe_machine
from table import number, ratio, table
from timing import Work, alternate

from potentia.study import read_yaml
from potentia.trajectories import SURROGATES, TrajectoryData, make_data
from potentia.trajectories.study_config import StudyConfig, SurrogatePlan
from potentia.trajectories.task import Scaled, TrajectoryTask, measure_of

STUDY = Path(__file__).parent.parent / "examples" / "studies" / "lotka_volterra.yaml"
EPOCHS = 12


def main() -> None:
    """Measure and print."""
    options = _options()
    torch.set_num_threads(1)
    data = make_data("lotka_volterra", n_train=350)
    config = StudyConfig.from_mapping(read_yaml(STUDY))
    print("# An epoch of surrogates of trajectories\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    print(
        f"- one thread; {len(data.train)} trajectories of {len(data.train.times)} times; medians in ms of processor\n"
    )
    rows = []
    for plan in config.surrogates:
        if plan.name not in options.surrogates:
            continue
        works: dict[str, Work] = {"train": partial(_epoch, plan, config, data), "passes": _passes(plan, config, data)}
        found = {key: 1e3 * times.median for key, times in alternate(works, options.rounds, options.limit).items()}
        rows.append([plan.name, *map(number, found.values()), ratio(found["train"] / found["passes"])])
    print(table(["", "epoch of `train`", "forward and backward", "ratio"], rows))


def _epoch(plan: SurrogatePlan, config: StudyConfig, data: TrajectoryData) -> dict[str, float]:
    """Return the processor time of an epoch among others: two trainings less one of half the epochs."""
    surrogate = SURROGATES[plan.name](plan.network, preprocessing=config.dataset.preprocessing)
    taken = []
    for epochs in (EPOCHS, 2 * EPOCHS):
        begun = time.process_time()
        surrogate.train(data, replace(plan.training, epochs=epochs, seed=1))
        taken.append(time.process_time() - begun)
    return {"": (taken[1] - taken[0]) / EPOCHS}


def _passes(plan: SurrogatePlan, config: StudyConfig, data: TrajectoryData) -> Callable[[], dict[str, float]]:
    """Return a function that times loss and gradient of an epoch's batches, of a network trained a little."""
    surrogate = SURROGATES[plan.name](plan.network, preprocessing=config.dataset.preprocessing)
    surrogate.train(data, replace(plan.training, epochs=EPOCHS, seed=1))
    network, scaling = surrogate.fitted().network.train(), surrogate.fitted().scaling
    scaled = Scaled.of(data.train, scaling, torch.empty(0))
    measure = measure_of(plan.training.loss_function, plan.training.beta)
    task = TrajectoryTask(scaled, scaled, torch.from_numpy(data.train.states), scaling, measure)
    batches = task.batches(network, plan.training.method(points=network.points), plan.training.later_starts, 1)(0)
    parts = [task.part(network, batch) for batch in batches]

    def passes() -> dict[str, float]:
        taken = []
        for _ in range(EPOCHS):
            begun = time.process_time()
            for part in parts:
                network.zero_grad()
                value, _ = network.loss(measure, part.initial, part.times, part.parameters, part.states)
                value.backward()
            taken.append(time.process_time() - begun)
        return {"": statistics.median(taken)}

    return passes


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--surrogates", nargs="+", default=list(SURROGATES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each surrogate, at most")
    return parser.parse_args()


if __name__ == "__main__":
    main()
