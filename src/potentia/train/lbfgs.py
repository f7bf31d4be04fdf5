"""L-BFGS: quasi-Newton steps from the last few gradients (Liu and Nocedal, Math. Program. 45, 503 (1989))."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from potentia.checks import integer, number
from potentia.train.flat import FlatParameters
from potentia.train.line_search import Trial, strong_wolfe
from potentia.train.optimizers import TrainingMethod, check_batchsize
from potentia.train.steppers import Step
from potentia.train.task import BatchLoss

__all__ = ["LBFGS", "InverseHessian", "LBFGSStepper"]


@dataclass(frozen=True)
class LBFGS(TrainingMethod):
    """L-BFGS with a strong-Wolfe line search; one batch is one iteration. It has no learning rate.

    Made for the whole training part in one batch: then it is a descent, and stops by itself at a minimum. With smaller
    batches each curvature is still measured within one batch (Schraudolph, Yu and Günter, AISTATS 2007), but the line
    search follows one batch only, and nothing says when to stop.
    """

    batchsize: int | None = None
    """Samples in a batch; None for all in one."""
    history: int = 20
    """So many of the last steps are remembered; memory for twice as many copies of the weights."""
    max_evaluations: int = 25
    """So often a line search evaluates the loss at most."""
    tolerance: float = 1e-9
    """Converged where no component of the gradient is larger (loss per weight)."""

    method_name: ClassVar[str] = "lbfgs"

    def __post_init__(self) -> None:
        check_batchsize(self.batchsize)
        integer("history", self.history, low=1)
        integer("max_evaluations", self.max_evaluations, low=1)
        number("tolerance", self.tolerance, low=0)

    def stepper(self, parameters: Sequence[nn.Parameter]) -> LBFGSStepper:
        """Return the live optimizer of these parameters."""
        return LBFGSStepper(parameters, self)


class InverseHessian:
    """Limited-memory BFGS matrix in compact form (Byrd, Nocedal and Schnabel, Math. Program. 63, 129 (1994), eq. 3.1).

    The same matrix as that of the two-loop recursion, but with few operations on large arrays instead of hundreds on
    small ones. A new pair takes the row of the oldest; products are kept in the order of age.
    """

    def __init__(self, size: int, history: int, device: torch.device) -> None:
        self.history = history
        self.learned = 0
        """Pairs taken in; of them the last ``history`` are there."""
        self._s = torch.zeros(history, size, dtype=torch.float64, device=device)  # steps, [history, numbers]
        self._y = torch.zeros_like(self._s)  # changes of the gradient, [history, numbers]
        self._sy = self._s.new_zeros(0, 0)  # products s·y, upper triangle, [pairs, pairs]
        self._yy = self._s.new_zeros(0, 0)  # products y·y, [pairs, pairs]

    def __len__(self) -> int:
        return min(self.learned, self.history)

    def clear(self) -> None:
        """Be the identity again."""
        self.learned = 0
        self._sy, self._yy = self._s.new_zeros(0, 0), self._s.new_zeros(0, 0)

    def learn(self, s: Tensor, y: Tensor) -> None:
        """Take in one more pair, step and change of the gradient; a curvature that is not positive makes it forget."""
        sy, yy = torch.stack((s.dot(y), y.dot(y))).tolist()
        if not sy > torch.finfo(torch.float64).eps * yy:
            self.clear()
            return
        row, gone = self.learned % self.history, max(0, len(self) + 1 - self.history)
        self._s[row], self._y[row] = s, y
        self.learned += 1
        self._sy, self._yy = (nn.functional.pad(old[gone:, gone:], (0, 1, 0, 1)) for old in (self._sy, self._yy))
        self._sy[:, -1] = self._by_age(self._s, y)
        self._yy[:, -1] = self._yy[-1] = self._by_age(self._y, y)

    def times(self, gradient: Tensor) -> Tensor:
        """Return the product with a vector, [numbers]."""
        n = len(self)
        if n == 0:
            return gradient
        scale = self._sy[-1, -1] / self._yy[-1, -1]
        u = _solve(self._sy, self._by_age(self._s, gradient), upper=True)
        rest = self._sy.diagonal() * u + scale * (self._yy @ u - self._by_age(self._y, gradient))
        v = _solve(self._sy.mT, rest, upper=False)
        return scale * gradient + v.roll(self._turn) @ self._s[:n] - (scale * u).roll(self._turn) @ self._y[:n]

    def state(self) -> dict[str, Any]:
        """Return the pairs and their products."""
        n = len(self)
        return {"learned": self.learned, "s": self._s[:n], "y": self._y[:n], "sy": self._sy, "yy": self._yy}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over pairs; of a history of another length nothing can be used."""
        self.clear()
        n = len(state["s"])
        if n != min(state["learned"], self.history):
            return
        self.learned = state["learned"]
        self._s[:n], self._y[:n] = state["s"], state["y"]
        self._sy, self._yy = (state[name].to(self._s.device) for name in ("sy", "yy"))

    @property
    def _turn(self) -> int:
        """Row of the oldest pair."""
        return self.learned % self.history if self.learned > self.history else 0

    def _by_age(self, rows: Tensor, vector: Tensor) -> Tensor:
        """Return the products of all rows with a vector, the oldest first, [pairs]."""
        return (rows[: len(self)] @ vector).roll(-self._turn)


class LBFGSStepper:
    """Iterations of L-BFGS along the loss of a batch.

    At the accepted point of a line search loss and gradient are known. Whether the next batch asks for the same loss
    is seen from its value: when it is the same to the bit, the gradient is taken from memory, and only the forward
    pass is done again.
    """

    learning_rate = math.nan

    def __init__(self, parameters: Sequence[nn.Parameter], settings: LBFGS) -> None:
        self._settings = settings
        self._flat = FlatParameters(parameters)
        start = self._flat.read()
        self._matrix = InverseHessian(len(start), settings.history, start.device)
        self._value = math.nan
        self._gradient = torch.zeros_like(start)

    def set_rates(self, rate: Callable[[float], float]) -> None:
        """Do nothing: the line search finds the length of each step. `Run` refuses schedules without a rate."""

    def step(self, evaluate: Callable[[], BatchLoss]) -> Step:
        """Take one iteration, unless loss or gradient are not finite."""
        loss = evaluate()
        value = loss.value.item()
        if not math.isfinite(value):
            return Step(loss, taken=False)
        gradient = self._gradient if value == self._value else self._flat.gradient(loss.value)
        steepest = float(gradient.abs().max())
        if not math.isfinite(steepest):
            return Step(loss, taken=False)
        self._value, self._gradient = value, gradient
        if steepest <= self._settings.tolerance:
            why = f"converged: no component of the gradient is above {steepest:.2g}"
        elif not self._descend(evaluate):
            why = f"converged: no step lowers the loss, the largest component of the gradient is {steepest:.2g}"
        else:
            return Step(loss, taken=True)
        return Step(loss, taken=True, finished=why if self._settings.batchsize is None else "")

    def averaged(self) -> None:
        """Return None: the weights that are trained are scored."""

    def state(self) -> dict[str, Any]:
        """Return the pairs, and loss and gradient at the present weights."""
        return {"matrix": self._matrix.state(), "value": self._value, "gradient": self._gradient}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the pairs, and what is known of the present weights."""
        self._matrix.load_state(state["matrix"])
        self._value, self._gradient = state["value"], state["gradient"].to(self._gradient.device)

    def _descend(self, evaluate: Callable[[], BatchLoss]) -> bool:
        """Go to a point of smaller loss; without one, forget the curvature and try once more along the gradient."""
        origin = self._flat.read()
        found = self._search(evaluate, origin)
        if found is None and len(self._matrix):
            self._matrix.clear()
            found = self._search(evaluate, origin)
        if found is None:
            self._flat.write(origin)
            return False
        self._matrix.learn(self._flat.read() - origin, found.gradient - self._gradient)
        self._value, self._gradient = found.value, found.gradient
        return True

    def _search(self, evaluate: Callable[[], BatchLoss], origin: Tensor) -> Trial | None:
        """Go along the line of the next direction to a point of smaller loss, if there is one."""
        direction, slope = self._direction()
        line = _Line(self._flat, evaluate, origin, direction)
        start = Trial(0.0, self._value, slope, self._gradient)
        first = 1.0 if len(self._matrix) else min(1.0, 1.0 / float(self._gradient.abs().sum()))
        found = strong_wolfe(line.look, start, first, self._settings.max_evaluations)
        if found is not None:
            line.go(found.step)
        return found

    def _direction(self) -> tuple[Tensor, float]:
        """Return the quasi-Newton direction with its slope, or down the gradient where that would not descend."""
        direction = -self._matrix.times(self._gradient)
        slope = float(direction.dot(self._gradient))
        if not slope < 0:  # also NaN
            self._matrix.clear()
            direction = -self._gradient
            slope = float(direction.dot(self._gradient))
        return direction, slope


@dataclass
class _Line:
    """The weights on a line."""

    flat: FlatParameters
    evaluate: Callable[[], BatchLoss]
    origin: Tensor
    direction: Tensor
    place: float = 0.0

    def go(self, step: float) -> None:
        if step != self.place:
            self.flat.write(self.origin + step * self.direction)
            self.place = step

    def look(self, step: float) -> Trial:
        self.go(step)
        loss = self.evaluate().value
        gradient = self.flat.gradient(loss)
        value, slope = torch.stack((loss.detach().to(torch.float64), gradient.dot(self.direction))).tolist()
        return Trial(step, value, slope, gradient)


def _solve(triangle: Tensor, vector: Tensor, *, upper: bool) -> Tensor:
    solution: Tensor = torch.linalg.solve_triangular(triangle, vector[:, None], upper=upper)
    return solution[:, 0]
