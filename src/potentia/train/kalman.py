"""The extended Kalman filter as a training method: weights as a state, references as measurements of it.

S. Singhal, L. Wu, Adv. Neural Inf. Process. Syst. 1 (1989) 133; with one covariance for each block of weights ("node
decoupled", G. V. Puskorius, L. A. Feldkamp, IEEE Trans. Neural Netw. 5 (1994) 279), all measurements of a batch taken
together ("multi-stream"), and a forgetting factor that grows to 1 (T. B. Blank, S. D. Brown, J. Chemom. 8 (1994) 391).

With residuals r and their derivatives J_b by block b, each of covariance P_b, a batch changes

    S = damping·loss/rows·I + Σ_b J_b P_b J_bᵀ
    w_b -= P_b J_bᵀ S⁻¹ r
    P_b = (P_b - P_b J_bᵀ S⁻¹ J_b P_b) / forgetting

Rows have the gradient of the loss (`potentia.train.least_squares`): those of a root mean square L of n residuals are
the residuals over √(nL), so that noise of variance damping·L² of these is noise of damping·L/n of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from potentia.checks import number
from potentia.errors import ConfigError
from potentia.train import distributed
from potentia.train.flat import FlatParameters
from potentia.train.least_squares import Rows, add_products, rows_of
from potentia.train.optimizers import TrainingMethod, check_batchsize, check_positive
from potentia.train.steppers import Step
from potentia.train.task import BatchLoss

__all__ = ["Kalman", "KalmanStepper"]

ROUNDING = 1e-10
"""Part of the largest variance that rounding may take from the others in a batch (generously)."""


@dataclass(frozen=True)
class Kalman(TrainingMethod):
    """Extended Kalman filter with one covariance for each network: few epochs, each dearer than one of Adam.

    For losses made of residuals, and networks of up to some thousand weights: the covariances take 8 bytes times the
    square of the weights of each network.
    """

    batchsize: int | None = 32
    """Samples whose references are taken in at a time; None for all."""
    damping: float = 1.0
    """How much of the residuals counts as noise of the references: at 1, the variance of these is as large as the
    square of the present loss. Small values learn fast and may go astray, large ones learn slowly."""
    forgetting: float = 0.98
    """Weight of all that was learned before the present batch at the beginning, in (0, 1] ..."""
    forgetting_rate: float = 0.9987
    """... which grows to 1: after each batch 1 minus it is multiplied by this, in (0, 1]."""
    process_noise: float = 0.0
    """Added to the variance of each weight after each batch: keeps the filter ready to learn."""

    method_name: ClassVar[str] = "kalman"

    def __post_init__(self) -> None:
        check_batchsize(self.batchsize)
        check_positive("damping", self.damping)
        for name in ("forgetting", "forgetting_rate"):
            if not 0 < number(name, self.__dict__[name]) <= 1:
                raise ConfigError(f"{name} must be above 0 and at most 1, got {self.__dict__[name]!r}")
        number("process_noise", self.process_noise, low=0)

    def stepper(self, parameters: Sequence[nn.Parameter]) -> KalmanStepper:
        """Return the live filter of these parameters."""
        return KalmanStepper(parameters, self)


class KalmanStepper:
    """Filters batch after batch."""

    learning_rate = math.nan

    def __init__(self, parameters: Sequence[nn.Parameter], settings: Kalman) -> None:
        self._settings = settings
        self._flat = FlatParameters(parameters)
        self._forgetting = settings.forgetting
        self._covariance: list[Tensor] = []  # of each block [parameters, parameters]

    def set_rates(self, rate: Callable[[float], float]) -> None:
        """Do nothing: the covariance finds the length of each step. `Run` refuses schedules without a rate."""

    def step(self, evaluate: Callable[[], BatchLoss]) -> Step:
        """Take in one batch, unless something in it is not finite."""
        loss = evaluate()
        value = loss.value.item()
        if not math.isfinite(value) or value <= 0:  # nothing to learn from what is met exactly
            return Step(loss, taken=value <= 0)
        rows = _of_all(list(rows_of(loss, "Kalman")), self._flat.read())
        if not len(rows.residual):  # nothing in the batch counts
            return Step(loss, taken=True)
        if not self._covariance:
            self._covariance = [_unit(block) for block in rows.jacobian]
        change = self._change(rows, value)
        if change is None:
            return Step(loss, taken=False)
        self._flat.write(self._flat.read() - change)
        rate = self._settings.forgetting_rate
        self._forgetting = rate * self._forgetting + (1 - rate)
        return Step(loss, taken=True)

    def averaged(self) -> None:
        """Return None: the weights that are trained are scored."""

    def state(self) -> dict[str, Any]:
        """Return the covariances and the present forgetting factor."""
        return {"forgetting": self._forgetting, "covariance": self._covariance}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the covariances."""
        self._forgetting = state["forgetting"]
        device = self._flat.read().device
        self._covariance = [block.to(device, copy=True) for block in state["covariance"]]  # they are changed in place

    def _change(self, rows: Rows, loss: float) -> Tensor | None:
        """Return what the weights are to lose, and learn; None, and nothing learned, where it would not be finite."""
        gains, spread = self._spread(rows, loss)
        if not bool(torch.isfinite(spread.diagonal() + rows.residual).all()):
            return None
        root, failed = torch.linalg.cholesky_ex(spread)
        if int(failed):  # what was learned is rounded away: begin anew
            self._covariance = [_unit(block) for block in rows.jacobian]
            gains, spread = self._spread(rows, loss)
            spread.diagonal().add_(ROUNDING * spread.diagonal().max())
            root = torch.linalg.cholesky(spread)
        weighted = torch.cholesky_solve(rows.residual[:, None], root)[:, 0]
        for gain, covariance in zip(gains, self._covariance, strict=True):
            self._narrow(covariance, torch.linalg.solve_triangular(root, gain, upper=False))
        return torch.cat([weighted @ gain for gain in gains])

    def _spread(self, rows: Rows, loss: float) -> tuple[list[Tensor], Tensor]:
        """Return J P of each block [rows, parameters], and S [rows, rows]."""
        gains = [block @ p for block, p in zip(rows.jacobian, self._covariance, strict=True)]
        n = len(rows.residual)
        spread = torch.zeros(n, n, dtype=torch.float64, device=rows.residual.device)
        spread.diagonal().add_(self._settings.damping * loss / n)
        for gain, block in zip(gains, rows.jacobian, strict=True):
            spread.addmm_(gain, block.T)
        return gains, spread

    def _narrow(self, covariance: Tensor, seen: Tensor) -> None:
        """Take off what the batch has ``seen``, and forget a little, but never know less than at the beginning."""
        mean = float(covariance.diagonal().mean() - seen.square().sum() / len(covariance))
        kept = max(self._forgetting, min(mean, 1.0))
        add_products(covariance, seen, alpha=-1 / kept, beta=1 / kept)
        if self._settings.process_noise:
            covariance.diagonal().add_(self._settings.process_noise)


def _unit(block: Tensor) -> Tensor:
    return torch.eye(block.shape[1], dtype=block.dtype, device=block.device)


def _of_all(parts: Sequence[Rows], weights: Tensor) -> Rows:
    """Return the rows of all processes, of which some may have none, in the order of their ranks."""
    if not distributed.active():
        return _together(parts)
    widths = [block.shape[1] for block in parts[0].jacobian] if parts else []
    widths = distributed.greatest(widths + [0] * (len(weights) - len(widths)))
    if not any(widths):
        return _together(())
    own = [torch.cat((part.residual[:, None], *part.jacobian), dim=1) for part in parts]
    whole = distributed.stacked(torch.cat(own) if own else weights.new_zeros(0, 1 + len(weights)))
    residual, *blocks = whole.split([1, *(width for width in widths if width)], dim=1)
    return Rows(residual[:, 0].contiguous(), [block.contiguous() for block in blocks])


def _together(parts: Sequence[Rows]) -> Rows:
    if not parts:
        return Rows(torch.zeros(0, dtype=torch.float64), [])
    blocks = zip(*(part.jacobian for part in parts), strict=True)
    return Rows(torch.cat([part.residual for part in parts]), [torch.cat(block) for block in blocks])
