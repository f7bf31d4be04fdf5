"""The method of Levenberg and Marquardt: Gauss–Newton steps, damped until they lower the loss.

K. Levenberg, Q. Appl. Math. 2 (1944) 164; D. W. Marquardt, J. Soc. Ind. Appl. Math. 11 (1963) 431; the damping follows
the ratio of what a step has brought to what it promised (J. J. Moré, Lect. Notes Math. 630 (1978) 105).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from potentia.checks import integer, number
from potentia.errors import ConfigError
from potentia.train import distributed
from potentia.train.flat import FlatParameters
from potentia.train.least_squares import Rows, add_products, rows_of
from potentia.train.optimizers import TrainingMethod, check_batchsize, check_positive
from potentia.train.steppers import Step
from potentia.train.task import BatchLoss

__all__ = ["LevenbergMarquardt", "LevenbergMarquardtStepper"]

GOOD, POOR = 0.75, 0.25
"""Parts of the promised decrease above and below which the damping changes."""
LEAST = 1e-14
"""Damping is not lowered below this."""


@dataclass(frozen=True)
class LevenbergMarquardt(TrainingMethod):
    """Levenberg–Marquardt: Gauss–Newton steps over all samples, damped until they lower the loss.

    For losses made of residuals and a few thousand weights.
    """

    batchsize: int | None = None
    """Samples in a batch; None for all in one, which is what the method is made for."""
    damping: float = 0.1
    """Added to the diagonal at the beginning, as a part of its mean."""
    increase: float = 4.0
    """The damping is multiplied by this when a step has not lowered the loss, above 1 ..."""
    decrease: float = 3.0
    """... and divided by this when it has, by more than 3/4 of what was expected, above 1; doubled below 1/4."""
    max_evaluations: int = 20
    """Steps that are tried with growing damping before a batch is given up; the damping then begins anew."""

    method_name: ClassVar[str] = "lm"

    def __post_init__(self) -> None:
        check_batchsize(self.batchsize)
        check_positive("damping", self.damping)
        for name in ("increase", "decrease"):
            if number(name, self.__dict__[name]) <= 1:
                raise ConfigError(f"{name} must be above 1, got {self.__dict__[name]!r}")
        integer("max_evaluations", self.max_evaluations, low=1)

    def stepper(self, parameters: Sequence[nn.Parameter]) -> LevenbergMarquardtStepper:
        """Return the live optimizer of these parameters."""
        return LevenbergMarquardtStepper(parameters, self)


class LevenbergMarquardtStepper:
    """Solves (JᵀJ + damping · mean of its diagonal · I) step = -Jᵀr for each batch, until a step lowers the loss."""

    learning_rate = math.nan

    def __init__(self, parameters: Sequence[nn.Parameter], settings: LevenbergMarquardt) -> None:
        self._settings = settings
        self._flat = FlatParameters(parameters)
        self._damping = settings.damping

    def set_rates(self, rate: Callable[[float], float]) -> None:
        """Do nothing: the damping finds the length of each step. `Run` refuses schedules without a rate."""

    def step(self, evaluate: Callable[[], BatchLoss]) -> Step:
        """Take one step, unless the loss is not finite."""
        loss = evaluate()
        value = loss.value.item()
        if not math.isfinite(value):
            return Step(loss, taken=False)
        equations = _normal_equations(rows_of(loss, "LevenbergMarquardt"), self._flat.read())
        if equations is None:  # nothing in the batch counts
            return Step(loss, taken=True)
        matrix, gradient = equations
        if not bool(torch.isfinite(gradient + matrix.diagonal()).all()):
            return Step(loss, taken=False)
        origin = self._flat.read()
        size = float(matrix.diagonal().mean())
        for _ in range(self._settings.max_evaluations):
            move = _solved(matrix, gradient, self._damping * size)
            if move is not None:
                self._flat.write(origin + move)
                with torch.no_grad():
                    reached = evaluate().value.item()
                if reached < value:
                    promised = -float(gradient @ move + 0.5 * (move @ (matrix @ move)))
                    self._follow(promised, value - reached)
                    return Step(loss, taken=True)
            self._damping *= self._settings.increase
        self._flat.write(origin)
        self._damping = self._settings.damping
        whole = self._settings.batchsize is None
        return Step(loss, taken=True, finished="converged: no damped step lowers the loss" if whole else "")

    def averaged(self) -> None:
        """Return None: the weights that are trained are scored."""

    def state(self) -> dict[str, Any]:
        """Return the present damping."""
        return {"damping": self._damping}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the damping."""
        self._damping = state["damping"]

    def _follow(self, promised: float, brought: float) -> None:
        """Damp less where a step has brought what the linear model promised, and more where it has not."""
        if brought > GOOD * promised:
            self._damping = max(self._damping / self._settings.decrease, LEAST)
        elif brought < POOR * promised:
            self._damping *= 2


def _normal_equations(parts: Iterable[Rows], weights: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return JᵀJ [parameters, parameters] and Jᵀr [parameters] of the rows of all processes; None without any."""
    n, rows = len(weights), 0
    matrix, gradient = weights.new_zeros(n, n), weights.new_zeros(n)
    for part in parts:
        jacobian = torch.cat(list(part.jacobian), dim=1)
        rows += len(jacobian)
        add_products(matrix, jacobian)
        gradient.addmv_(jacobian.T, part.residual)
    if not distributed.greatest([rows])[0]:
        return None
    return distributed.total(matrix), distributed.total(gradient)


def _solved(matrix: Tensor, gradient: Tensor, ridge: float) -> Tensor | None:
    damped = matrix.clone()
    damped.diagonal().add_(ridge)
    root, failed = torch.linalg.cholesky_ex(damped)
    return None if int(failed) else -torch.cholesky_solve(gradient[:, None], root)[:, 0]
