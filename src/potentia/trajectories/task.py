"""A surrogate's part in training: loss of a batch, errors in log space and in physical units, a row of the history."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from potentia.data import shuffled
from potentia.metrics import ErrorSum, merge
from potentia.train import BatchLoss, TrainingMethod
from potentia.trajectories.batches import Batch, beginning
from potentia.trajectories.dataset import Trajectories
from potentia.trajectories.networks.base import Measure, SurrogateNetwork
from potentia.trajectories.scaling import Scaling
from potentia.trajectories.time_map import TimeMap

__all__ = ["POINTS", "Scaled", "TrajectoryTask", "measure_of"]

POINTS = 65_536
"""Points (trajectory and time) that are evaluated at a time."""


@dataclass(frozen=True)
class Scaled:
    """Trajectories as a network sees them."""

    initial: Tensor
    """[trajectories, quantities]"""
    times: Tensor
    """Mapped times u, shared [times] or of each [trajectories, times]."""
    parameters: Tensor | None
    """[trajectories, parameters]"""
    states: Tensor
    """[trajectories, times, quantities]"""
    moments: Tensor
    """The same times as the data have them.  Float64"""
    time_map: TimeMap
    """From those to u."""

    @classmethod
    def of(cls, part: Trajectories, scaling: Scaling, like: Tensor) -> Self:
        """Scale trajectories in double precision, and give them type and device of ``like``."""
        states = scaling.states(torch.from_numpy(part.states)).to(like)
        given = part.parameters
        parameters = None if given is None else scaling.parameters(torch.from_numpy(given)).to(like)
        moments = torch.from_numpy(part.times).to(like.device)
        times = scaling.times(moments).to(like)
        return cls(states[:, 0].contiguous(), times, parameters, states, moments, scaling.time_map)

    def take(self, trajectories: Tensor | slice) -> Self:
        """Return some of the trajectories."""
        parameters = None if self.parameters is None else self.parameters[trajectories]
        states = self.states[trajectories]
        return replace(self, initial=self.initial[trajectories], parameters=parameters, states=states)

    def points(self, places: Tensor, begins: Tensor) -> Self:
        """Return points, each as a trajectory with one time; they are counted trajectory by trajectory.

        Args:
            places: Their numbers.  [points]
            begins: The steps whose states are the initial ones.  [points]
        """
        which, when = places // len(self.times), places % len(self.times)
        parameters = None if self.parameters is None else self.parameters[which]
        states = self.states.flatten(0, 1)  # [points, quantities]
        initial = states[places - when + begins]
        moments = self._moments(begins, when)[:, None]
        here = replace(self, initial=initial, parameters=parameters, states=states[places, None])
        return here._at(moments)

    def later(self, begin: int) -> Self:
        """Return the same trajectories as ones that begin at a later step."""
        if begin == 0:
            return self
        steps = torch.arange(begin, len(self.times), device=self.times.device)
        here = replace(self, initial=self.states[:, begin], states=self.states[:, begin:])
        return here._at(self._moments(steps[:1], steps))

    def _moments(self, begins: Tensor, steps: Tensor) -> Tensor:
        """Return the times of some steps where others are those at which the horizon begins."""
        return self.time_map.first + (self.moments[steps] - self.moments[begins])

    def _at(self, moments: Tensor) -> Self:
        """Return the same with other times."""
        return replace(self, times=self.time_map(moments).to(self.times.dtype), moments=moments)

    def chunks(self) -> Iterator[Self]:
        """Yield some trajectories at a time, in their order."""
        size = max(POINTS // len(self.times), 1)
        for begin in range(0, len(self.initial), size):
            yield self.take(slice(begin, begin + size))


class TrajectoryTask:
    """Trains a `SurrogateNetwork`; all data are tensors on its device.

    A batch is places: of points where the network is `SurrogateNetwork.scattered`, else of trajectories.

    Args:
        train: What is fitted.
        test: What the choice of the weights goes by.
        truth: The states of ``test``, in physical units and float64.  [trajectories, times, quantities]
        scaling: From physical to scaled values, and back.
        measure: What is made small of scaled states.
    """

    def __init__(self, train: Scaled, test: Scaled, truth: Tensor, scaling: Scaling, measure: Measure) -> None:
        self.train = train
        self.test = test
        self.truth = truth
        self.scaling = scaling
        self.measure = measure
        self._spread = scaling.state_map.spread.to(test.states.device)  # of one scaled unit, in log10

    def batches(
        self, network: SurrogateNetwork, method: TrainingMethod, later_starts: float, seed: int
    ) -> Callable[[int], Sequence[Batch]]:
        """Return epoch → batches, each point or trajectory once in a new order; a part of them has a later start.

        Where the size is a number of points and whole trajectories are drawn, there are as many of them as have so many
        points.
        """
        n, steps = len(self.train.initial), len(self.train.times)
        if network.scattered:
            places = shuffled(n * steps, method.samples_per_batch(n * steps), seed)
        elif network.points:
            places = shuffled(n, math.ceil(method.samples_per_batch(n * steps) / steps), seed)
        else:
            places = shuffled(n, method.samples_per_batch(n), seed)
        return beginning(places, steps, later_starts, seed, scattered=network.scattered)

    def loss(self, model: nn.Module, batch: Batch) -> BatchLoss:
        """Return the loss of one batch."""
        network = _network(model)
        part = self.part(network, batch)
        value, prediction = network.loss(self.measure, part.initial, part.times, part.parameters, part.states)
        return BatchLoss(value, {"log": self._in_log(prediction, part.states)})

    def part(self, network: SurrogateNetwork, batch: Batch) -> Scaled:
        """Return what a batch is of the training part."""
        device = self.train.initial.device
        places = torch.from_numpy(batch.places).to(device)
        if network.scattered:
            return self.train.points(places, torch.from_numpy(batch.begins).to(device))
        return self.train.take(places).later(int(batch.begins[0]))

    def score(self, model: nn.Module) -> dict[str, ErrorSum] | None:
        """Return the exact errors on the test part."""
        network, sums, begin = _network(model), dict[str, ErrorSum](), 0
        for part in self.test.chunks():
            prediction = network(part.initial, part.times, part.parameters).double()
            truth = self.truth[begin : begin + len(prediction)]
            begin += len(prediction)
            linear = ErrorSum.of(self.scaling.physical(prediction) - truth)
            sums = merge(sums, {"log": self._in_log(prediction, part.states.double()), "linear": linear})
        return sums

    def row(self, train: Mapping[str, ErrorSum], valid: Mapping[str, ErrorSum] | None) -> dict[str, float]:
        """Return mean absolute error (loss) and RMSE of log10 of the states, and both of the states of the test part.

        Without ``log10_transform`` all of them are of the states.
        """
        fitted, test = train.get("log", ErrorSum.zero), valid or {}
        known = {name: test.get(name, ErrorSum.zero) for name in ("log", "linear")}
        return {
            "train_loss": fitted.mae,
            "test_loss": known["log"].mae,
            "train_rmse": fitted.rmse,
            "test_rmse": known["log"].rmse,
            "test_mae": known["linear"].mae,
            "test_rmse_linear": known["linear"].rmse,
        }

    def monitor(self, row: Mapping[str, float]) -> float:
        """Return the mean absolute error of log10 of the states of the test part."""
        return row["test_loss"]

    def _in_log(self, prediction: Tensor, states: Tensor) -> ErrorSum:
        return ErrorSum.of((prediction.detach() - states) * self._spread.to(states.dtype))


def measure_of(loss_function: str, beta: float) -> Measure:
    """Return the measure of a name; ``beta`` is of ``"smoothl1"``."""
    return partial(functional.smooth_l1_loss, beta=beta) if loss_function == "smoothl1" else functional.mse_loss


def _network(model: nn.Module) -> SurrogateNetwork:
    assert isinstance(model, SurrogateNetwork)
    return model
