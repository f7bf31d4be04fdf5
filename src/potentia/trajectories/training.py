"""One training of a trajectory surrogate: from data and settings to weights, history and record."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from potentia.config import to_dict
from potentia.errors import DataError
from potentia.seeding import torch_seeded
from potentia.train import Callback, Forecast, Run, seed_of
from potentia.train.checkpoint import checkpoint_of, go_on
from potentia.train.device import DTYPES, usable_device
from potentia.train.prepared import Prepared
from potentia.trajectories.batches import Batch
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.networks.base import NetworkConfig, Shape, SurrogateNetwork
from potentia.trajectories.results import TrainOut
from potentia.trajectories.scaling import Preprocessing, Scaling
from potentia.trajectories.task import Scaled, TrajectoryTask, measure_of
from potentia.trajectories.training_config import TrajectoryTrainingConfig

__all__ = ["Fitted", "Training", "describe"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a surrogate has learned."""

    network: SurrogateNetwork
    scaling: Scaling
    record: dict[str, Any]
    """How it was trained."""

    @property
    def shape(self) -> Shape:
        """Sizes that the data have set."""
        return Shape(len(self.scaling.labels), len(self.scaling.parameter_labels))


@dataclass(frozen=True)
class Ready(Prepared[Batch]):
    """A training of a surrogate before its first batch."""

    task: TrajectoryTask
    network: SurrogateNetwork
    """The model of ``run``."""
    scaling: Scaling


@dataclass(frozen=True)
class Training:
    """Settings of one training; `run` carries it out."""

    kind: str
    """Of the surrogate's files."""
    network: NetworkConfig
    preprocessing: Preprocessing
    config: TrajectoryTrainingConfig

    def run(
        self,
        data: TrajectoryData,
        resume_from: str | os.PathLike[str] | None,
        allow: Collection[str],
        callbacks: Sequence[Callback] = (),
    ) -> tuple[Fitted, TrainOut]:
        """Train, from new weights or from where a checkpoint stands."""
        ready, config = self.prepare(data, resume_from, allow), self.config
        record = self._record(data, ready.fingerprint)
        learned = {"scaling": ready.scaling.to_state(), "record": record}
        extra = {"kind": self.kind, "recipe": describe(self.network, self.preprocessing), "learned": learned}
        shown = {"train": "train_loss", "test": "test_loss"}
        ended = ready.carry_out(config, config.epochs, extra, shown, callbacks)
        record |= ended.record
        out = TrainOut(**ended.told, n_train_samples=len(data.train), dex=self.preprocessing.log10_transform)
        return Fitted(ready.network, ready.scaling, record), out

    def forecast(self, data: TrajectoryData) -> Forecast:
        """Measure the first batches of the training, and give back how long it would take."""
        return self.prepare(data, None, ()).forecast(self.config.epochs)

    def prepare(
        self, data: TrajectoryData, resume_from: str | os.PathLike[str] | None, allow: Collection[str]
    ) -> Ready:
        """Scale the data, put them on the device, and set up network and run."""
        config = self.config
        device = usable_device(config.device)
        _require_beginning(data)
        checkpoint = checkpoint_of(self.kind, resume_from)
        seed = seed_of(config.seed, checkpoint)
        scaling = self.preprocessing.fit(data.train, data.horizon)
        network = self._fresh(Shape(data.train.n_quantities, data.train.n_parameters), seed).to(device)
        run = Run(network, config.method(points=network.points), config.schedule(), seed, config.average)
        fingerprint = {
            "recipe": describe(self.network, self.preprocessing),
            "config": config.fingerprint(),
            "data": data.mark(),
            "seed": seed,
        }
        go_on(run, checkpoint, fingerprint, allow)
        like = torch.empty(0, dtype=DTYPES[config.precision], device=device)
        train, test = (Scaled.of(part, scaling, like) for part in (data.train, data.test))
        truth = torch.from_numpy(data.test.states).to(device)
        task = TrajectoryTask(train, test, truth, scaling, measure_of(config.loss_function, config.beta))
        batches = task.batches(network, run.method, config.later_starts, seed)
        return Ready(run, task, batches, fingerprint, network, scaling)

    def _fresh(self, shape: Shape, seed: int) -> SurrogateNetwork:
        """Return the network with new weights: the same on every device, and but for rounding in every precision."""
        with torch_seeded(torch.device("cpu"), seed, "weights"):
            network = self.network.build(shape)
        return network.to(DTYPES[self.config.precision])

    def _record(self, data: TrajectoryData, fingerprint: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "training_config": self.config.plain(),
            "seed": fingerprint["seed"],
            "data": {
                "name": data.name,
                "system": data.system,
                "mark": fingerprint["data"],
                "horizon": list(data.horizon),
            },
            "n_train_samples": len(data.train),
            "n_timesteps": len(data.train.times),
        }


def describe(network: NetworkConfig, preprocessing: Preprocessing) -> dict[str, Any]:
    """Return the recipe of a surrogate as plain values."""
    return {"network": to_dict(network), "preprocessing": to_dict(preprocessing)}


def _require_beginning(data: TrajectoryData) -> None:
    """Refuse parts whose first state is not the one at the first time of the horizon, from which all others follow."""
    for name in ("train", "test"):
        times = (data.train if name == "train" else data.test).times
        if times[0] != data.horizon[0]:
            raise DataError(
                f"{data.name}: {name} begins at time {times[0]:g}, the horizon at {data.horizon[0]:g}: keep the first "
                "step, whose state is the initial one"
            )
