"""Seconds per epoch, time per atom of predictions, and what stands beside them: kernels alone, and plain torch."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from measure_kernels import KernelWork
from plain_training import FORCE_WEIGHT, PlainTraining
from reference_autograd import plain_torch
from timing import Times, alternate, middle, seconds
from workload import Settings, Workload

__all__ = ["TrainingFigures", "measure_training"]

LIMIT = 25.0
"""Seconds for all rounds at one setting."""


@dataclass(frozen=True)
class TrainingFigures:
    """Figures at one setting and number of threads, float64."""

    times: dict[str, Times]
    """Seconds: ``energy``, ``force`` (epochs), ``set-up`` (what a training call takes besides its epochs), ``kernels``
    (VJP and JVP of all structures), ``predict``, and ``plain.energy``, ``plain.force``, ``plain.predict``."""
    least_epochs: dict[str, float]
    """The fastest epoch of each training, s."""


def measure_training(workload: Workload, settings: Settings, rounds: int, epochs: int) -> TrainingFigures:
    """Measure at the present number of threads; each round trains anew for ``epochs`` epochs."""
    work = KernelWork.of(workload, settings, torch.float64)
    plain = PlainTraining(workload, settings)
    trained = workload.potential(settings)
    trained.train(workload.structures, workload.config(1, FORCE_WEIGHT))
    least: dict[str, float] = {}

    def train(name: str, count: int, force_weight: float) -> dict[str, float]:
        potential = workload.potential(settings)
        begun = time.perf_counter()
        results = potential.train(workload.structures, workload.config(count, force_weight))
        whole = time.perf_counter() - begun
        times = results.timing["epoch_time"]
        least[name] = min(least.get(name, float("inf")), float(times.min()))
        return {"": float(times.iloc[1:].median()), "set-up": whole - float(times.sum())}

    with plain_torch():
        times = alternate(
            {
                "force": lambda: train("force", epochs, FORCE_WEIGHT),
                "kernels": work.derivatives,
                "energy": lambda: train("energy", 5 * epochs, 0.0),
                "plain.energy": lambda: {"": middle(plain.energy_epoch, epochs)},
                "predict": lambda: {"": seconds(lambda: trained.predict(workload.structures, eval_forces=True))},
                "plain.predict": lambda: {"": seconds(plain.predict)},
                "plain.force": lambda: {"": seconds(plain.force_epoch)},
            },
            rounds,
            LIMIT,
        )
    times["kernels"] = times.pop("kernels.vjp") + times.pop("kernels.jvp")
    return TrainingFigures(times, least)
