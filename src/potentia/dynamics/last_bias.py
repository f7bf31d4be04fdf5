"""The last bias of a network that sees something, brought to a minimum of the training loss by Gauss–Newton steps.

All windows share this bias, so it is a fit of as few numbers as the model has entries, while what was learned of the
inputs stays. The rows of the problem are scaled so that Jᵀr is the gradient of the loss, whatever it measures
(iteratively reweighted least squares), and its cost is the loss itself: a step that does not lower it is not taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from potentia.dynamics.bounded_least_squares import Floats, Linearised, Problem, minimise
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.losses import StateLoss, wrapped_error
from potentia.dynamics.network import ParameterNetwork
from potentia.dynamics.parameter_box import ParameterBox
from potentia.dynamics.rollout import RolloutSettings, rollout_of_entries
from potentia.dynamics.sensitivities import rollout_jacobian, windows_at_a_time
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.task import Prior
from potentia.dynamics.vector import unflatten_params

__all__ = ["LastBiasFit", "polish_last_bias"]

REACH = 6.0
"""An entry moves no farther than this from where the training has left it (z, of which the sigmoid is taken)."""
LEAST = 0.1
"""An error below this part of the RMSE of its state weighs as one of that size: magnitudes have no curvature at 0."""
MAX_ITERATIONS, TOLERANCE = 50, 1e-9


@dataclass(frozen=True)
class LastBiasFit:
    """How the steps went."""

    iterations: int
    """Steps that were taken."""
    loss_before: float
    """Loss of the training windows that could be simulated, with what is known before."""
    loss: float
    """The same at the end; never higher."""
    left_out: int
    """Training windows that diverged at the beginning, and were not looked at."""
    reason: str
    """Why it has ended."""


def polish_last_bias(
    network: ParameterNetwork,
    inputs: Tensor,
    spec: ModelSpec,
    data: FeatureDataset,
    settings: RolloutSettings,
    loss: StateLoss,
    prior: Prior | None = None,
) -> LastBiasFit:
    """Move the last bias of a network, in place, to where the loss of the training windows is lowest near it.

    Args:
        network: In double precision on the CPU.
        inputs: What it sees of the windows.  [windows, inputs]
        spec: The model.
        data: The training windows.
        settings: How the equations are solved.
        loss: What the training has made small.
        prior: What is known before; None for nothing.
    """
    with torch.no_grad():
        outputs = network.start + network.outputs(inputs)
    begin = np.full(outputs.shape[1], 0.5)
    whole = _LastBias(outputs, spec, data, settings, loss, prior)
    finite = whole.finite(begin)
    if not finite.any():
        return LastBiasFit(0, math.nan, math.nan, len(data), "no training window could be simulated")
    if not finite.all():
        whole = _LastBias(outputs[torch.from_numpy(finite)], spec, data.take(finite), settings, loss, prior)
    before = whole.cost(begin)
    found = minimise(whole, begin, max_iterations=MAX_ITERATIONS, tolerance=TOLERANCE)
    with torch.no_grad():
        network.bias.add_(_shift(found.places))
    return LastBiasFit(found.iterations, before, found.cost, int((~finite).sum()), found.reason)


class _LastBias(Problem):
    """The training loss as a function of what is added to z; places from 0 to 1 are shifts from −REACH to REACH.

    Args:
        outputs: z of each window at the beginning.  [windows, entries]
        spec: The model.
        data: The windows.
        settings: How the equations are solved.
        loss: Of their states.
        prior: What is known before.
    """

    def __init__(
        self,
        outputs: Tensor,
        spec: ModelSpec,
        data: FeatureDataset,
        settings: RolloutSettings,
        loss: StateLoss,
        prior: Prior | None,
    ) -> None:
        self._outputs, self._spec, self._settings, self._loss = outputs, spec, settings, loss
        self._box = ParameterBox.of(spec)
        self._initial = torch.as_tensor(data.initial_states)
        self._controls = torch.as_tensor(data.controls)
        self._counted = torch.as_tensor(data.counted)
        self._targets = torch.where(self._counted[..., None], torch.as_tensor(data.targets), 0.0)
        self._dt = torch.as_tensor(np.array(data.step_lengths))
        windows, steps, states = self._targets.shape
        self._count = int(self._counted.sum()) * states if loss.averaged else windows
        # Of the mean over windows of the penalty, over their number: as the training weighs it.
        self._prior = None if prior is None else replace(prior, deviation=prior.deviation * windows)
        size = windows_at_a_time(steps, states, len(self._box.low))
        self._pieces = [slice(begin, begin + size) for begin in range(0, windows, size)]

    def finite(self, places: Floats) -> np.ndarray:
        """Return which windows can be simulated to their end.  [windows]"""
        vector = self._vector(places)
        ends = torch.cat([self._rolled(vector, part)[:, -1] for part in self._pieces])
        return np.asarray(torch.isfinite(ends).all(1).numpy())

    def cost(self, places: Floats) -> float:
        """Return the loss; infinite where a roll-out diverges."""
        vector = self._vector(places)
        total = sum(float(self._sum(self._rolled(vector, part), part)) for part in self._pieces) / self._count
        if self._prior is not None:
            off = (vector[:, self._prior.entries] - self._prior.mean) / self._prior.deviation
            total += 0.5 * float(off.square().sum())
        return total if math.isfinite(total) else math.inf

    def linearised(self, places: Floats) -> Linearised:
        """Return R and Qᵀr of rows whose Jᵀr is the gradient of the loss."""
        between = torch.sigmoid(self._outputs + _shift(places))
        slopes = torch.as_tensor(self._box.slopes(between.numpy())) * between * (1 - between) * (2 * REACH)
        vector = torch.as_tensor(self._box.values(between.numpy()))
        least = LEAST * self._rmse(vector)
        triangle = torch.zeros(0, len(places) + 1, dtype=torch.float64)
        for part in self._pieces:
            rows = self._rows(vector, slopes, least, part)
            triangle = torch.linalg.qr(torch.cat((triangle, rows)), mode="r").R
        if self._prior is not None:
            triangle = torch.linalg.qr(torch.cat((triangle, self._prior_rows(vector, slopes))), mode="r").R
        n = len(places)
        whole = np.zeros((max(n, len(triangle)), n + 1))
        whole[: len(triangle)] = triangle.numpy()
        return Linearised(whole[:n, :n], whole[:n, n])

    def trial(self, places: Floats, step: Floats) -> float:
        """Return the cost after a step."""
        return self.cost(places)

    def accept(self) -> None:
        """Nothing is carried beside the places."""

    def _vector(self, places: Floats) -> Tensor:
        """Return the entries of the parameters of each window.  [windows, entries]"""
        between = torch.sigmoid(self._outputs + _shift(places))
        return torch.as_tensor(self._box.values(between.numpy()))

    def _rolled(self, vector: Tensor, part: slice) -> Tensor:
        """Return the states after each step.  [windows, steps, states]"""
        given = (self._initial[part], self._controls[part], vector[part], self._dt[part])
        with torch.no_grad():
            return rollout_of_entries(self._spec, *given, self._settings)

    def _sum(self, states: Tensor, part: slice) -> Tensor:
        return self._loss.sums(states, self._targets[part], self._counted[part])[0]

    def _error(self, states: Tensor, part: slice) -> Tensor:
        error = wrapped_error(states, self._targets[part], self._spec.angles)
        return torch.where(self._counted[part][..., None], error, 0.0)

    def _rmse(self, vector: Tensor) -> Tensor:
        """Return the root mean square of the errors of each state, above 0.  [states]"""
        squares = torch.stack([self._error(self._rolled(vector, p), p).square().sum((0, 1)) for p in self._pieces])
        return (squares.sum(0) / self._counted.sum()).sqrt().clamp_min(1e-300)

    def _rows(self, vector: Tensor, slopes: Tensor, least: Tensor, part: slice) -> Tensor:
        """Return rows [rows, entries + 1] of some windows; the last column is the residual."""
        params = unflatten_params(vector[part], self._spec.param_keys, self._spec.param_shapes)
        given = (self._initial[part], self._controls[part], params, self._dt[part], self._settings)
        found = rollout_jacobian(self._spec, *given)
        states = found.states.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self._sum(states, part), states)
        slope = slope / self._count  # of the loss by the states.  [windows, steps, states]
        root = (slope.abs() / torch.maximum(self._error(states.detach(), part).abs(), least)).sqrt()
        residual = torch.where(root > 0, slope / root, 0.0)
        columns = torch.where(root[..., None] > 0, found.by_params * root[..., None], 0.0)
        rows = torch.cat((columns * slopes[part][:, None, None], residual[..., None]), -1)
        return rows.flatten(0, 2)

    def _prior_rows(self, vector: Tensor, slopes: Tensor) -> Tensor:
        """Return rows [windows · known, entries + 1] of what is known before."""
        assert self._prior is not None
        known, sigma = self._prior.entries, self._prior.deviation
        rows = torch.zeros(len(vector), len(known), slopes.shape[1] + 1, dtype=torch.float64)
        rows[:, torch.arange(len(known)), known] = slopes[:, known] / sigma
        rows[..., -1] = (vector[:, known] - self._prior.mean) / sigma
        return rows.flatten(0, 1)


def _shift(places: Floats) -> Tensor:
    """Return what is added to z.  [entries]"""
    return torch.as_tensor(REACH * (2 * places - 1))
