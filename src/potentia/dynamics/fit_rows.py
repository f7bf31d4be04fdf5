"""Residuals of roll-outs as rows of a least-squares problem: scaled, angles wrapped, and reduced window by window.

Initial states that are fitted too belong to one window each: a QR decomposition takes them out of its rows, so that a
fit with ten thousand of them has no larger matrix than one without.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from potentia.dynamics.bounded_least_squares import Floats, Linearised, Problem
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.losses import wrapped_error
from potentia.dynamics.parameter_box import ParameterBox
from potentia.dynamics.rollout import RolloutSettings, rollout
from potentia.dynamics.sensitivities import rollout_jacobian, windows_at_a_time
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.vector import unflatten_params

__all__ = ["Prior", "RolloutProblem"]


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known of the entries beforehand, as normal distributions."""

    mean: Floats
    """[entries]"""
    sigma: Floats
    """Standard deviations; infinite where nothing is known.  [entries]"""


class RolloutProblem(Problem):
    """The residuals of all windows of a dataset as functions of constant parameters.

    Args:
        spec: The model.
        dataset: Its windows.
        scales: By which the residuals of each state are divided.  [states]
        settings: How the equations are solved.
        prior: Known beforehand, in the unit of the scaled residuals; None for nothing.
        fit_initial: Whether initial states are fitted: those of the data are then measurements like the targets.
    """

    def __init__(
        self,
        spec: ModelSpec,
        dataset: FeatureDataset,
        scales: Floats,
        settings: RolloutSettings,
        prior: Prior | None = None,
        fit_initial: bool = False,
    ) -> None:
        self._spec, self._prior, self._fit_initial = spec, prior, fit_initial
        self._settings = settings
        self._box = ParameterBox.of(spec)
        self._measured = torch.as_tensor(dataset.initial_states)
        self._controls = torch.as_tensor(dataset.controls)
        self._counted = torch.as_tensor(dataset.counted)
        self._targets = torch.where(self._counted[..., None], torch.as_tensor(dataset.targets), 0.0)
        self._dt = torch.as_tensor(np.array(dataset.step_lengths))
        self._scales = torch.as_tensor(scales)
        self._windows = self._pieces()
        self._inner: list[tuple[Tensor, Tensor, Tensor]] = []
        self.initial = self._measured.clone()
        """Initial states that are used.  [windows, states]"""
        self._tried = self.initial

    @property
    def rows(self) -> int:
        """Residuals of targets that count."""
        return int(self._counted.sum()) * self._targets.shape[2]

    def residuals(self, places: Floats) -> Tensor:
        """Return the scaled residuals, zero where targets do not count.  [windows, steps, states]"""
        return self._residuals(places, self.initial)

    def squares(self, places: Floats) -> float:
        """Return the sum of the squared residuals, those of fitted initial states included and priors not."""
        own = float(self._shift(self.initial).square().sum()) if self._fit_initial else 0.0
        return float(self.residuals(places).square().sum()) + own

    def cost(self, places: Floats) -> float:
        """Return half the sum of the squared residuals with the present initial states."""
        return self._cost(places, self.initial)

    def linearised(self, places: Floats) -> Linearised:
        """Return R and Qᵀr of all rows by the places."""
        n = len(places)
        slopes = torch.as_tensor(self._box.slopes(places))
        params = self._params(places)
        triangle = torch.zeros(0, n + 1, dtype=torch.float64)
        self._inner = []
        for part in self._windows:
            rows = self._rows_of(part, params, slopes)
            triangle = torch.linalg.qr(torch.cat((triangle, rows)), mode="r").R
        prior = self._prior_rows(places)
        if prior is not None:
            triangle = torch.linalg.qr(torch.cat((triangle, prior)), mode="r").R
        whole = np.zeros((max(n, len(triangle)), n + 1))
        whole[: len(triangle)] = triangle.numpy()
        return Linearised(whole[:n, :n], whole[:n, n])

    def trial(self, places: Floats, step: Floats) -> float:
        """Return the cost after a step; initial states follow it as their own rows have it."""
        self._tried = self.initial
        if self._fit_initial:
            move = torch.as_tensor(step)
            shifts = [
                -torch.linalg.solve_triangular(own, (rest + cross @ move)[..., None], upper=True)[..., 0]
                for own, cross, rest in self._inner
            ]
            self._tried = self.initial + torch.cat(shifts)
        return self._cost(places, self._tried)

    def accept(self) -> None:
        """Keep the initial states of the last trial."""
        self.initial = self._tried

    def _pieces(self) -> list[slice]:
        columns = len(self._box.low) + (self._targets.shape[2] if self._fit_initial else 0)
        _, steps, states = self._targets.shape
        size = windows_at_a_time(steps, states, columns)
        return [slice(begin, begin + size) for begin in range(0, len(self._measured), size)]

    def _params(self, places: Floats) -> dict[str, Tensor]:
        vector = torch.as_tensor(self._box.values(places))
        return unflatten_params(vector, self._spec.param_keys, self._spec.param_shapes)

    def _scaled(self, states: Tensor, part: slice) -> Tensor:
        error = wrapped_error(states, self._targets[part], self._spec.angles)
        return torch.where(self._counted[part][..., None], error / self._scales, 0.0)

    def _residuals(self, places: Floats, initial: Tensor) -> Tensor:
        params = self._params(places)
        with torch.no_grad():
            found = [
                self._scaled(
                    rollout(self._spec, initial[part], self._controls[part], params, self._dt[part], self._settings),
                    part,
                )
                for part in self._windows
            ]
        return torch.cat(found)

    def _cost(self, places: Floats, initial: Tensor) -> float:
        total = 0.5 * float(self._residuals(places, initial).square().sum())
        if self._fit_initial:
            total += 0.5 * float(self._shift(initial).square().sum())
        if self._prior is not None:
            total += 0.5 * float((((self._box.values(places) - self._prior.mean) / self._prior.sigma) ** 2).sum())
        return total if math.isfinite(total) else math.inf

    def _shift(self, initial: Tensor, part: slice = slice(None)) -> Tensor:
        return wrapped_error(initial, self._measured[part], self._spec.angles) / self._scales

    def _rows_of(self, part: slice, params: dict[str, Tensor], slopes: Tensor) -> Tensor:
        """Return rows [rows, entries + 1] of some windows; what is behind the bar is the residual."""
        given = (self.initial[part], self._controls[part], params, self._dt[part], self._settings)
        found = rollout_jacobian(self._spec, *given, by_initial=self._fit_initial)
        counted = self._counted[part][..., None, None]
        error = self._scaled(found.states, part)  # [windows, steps, states]
        columns = torch.where(counted, found.by_params / self._scales[:, None], 0.0) * slopes
        rows = torch.cat((columns, error[..., None]), -1).flatten(1, 2)  # [windows, steps · states, entries + 1]
        if found.by_initial is None:
            return rows.flatten(0, 1)
        own = torch.where(counted, found.by_initial / self._scales[:, None], 0.0).flatten(1, 2)
        return self._without_initial(part, own, rows)

    def _without_initial(self, part: slice, own: Tensor, rows: Tensor) -> Tensor:
        """Take the initial states out of the rows of their windows, and keep what finds them again."""
        windows, states = own.shape[0], own.shape[2]
        measured = torch.diag(1.0 / self._scales).expand(windows, -1, -1)
        nothing = torch.zeros(windows, states, rows.shape[2] - 1, dtype=torch.float64)
        shift = self._shift(self.initial[part], part)
        above = torch.cat((measured, nothing, shift[..., None]), -1)
        triangle = torch.linalg.qr(torch.cat((above, torch.cat((own, rows), -1)), 1), mode="r").R
        first, rest = triangle[:, :states], triangle[:, states:]
        self._inner.append((first[..., :states], first[..., states:-1], first[..., -1]))
        kept: Tensor = rest[..., states:]
        return kept.flatten(0, 1)

    def _prior_rows(self, places: Floats) -> Tensor | None:
        if self._prior is None:
            return None
        slopes = np.diag(self._box.slopes(places) / self._prior.sigma)
        off = (self._box.values(places) - self._prior.mean) / self._prior.sigma
        return torch.as_tensor(np.concatenate((slopes, off[:, None]), axis=1))
