"""Rows of a least-squares problem: what methods that think in residuals see of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from potentia.errors import ConfigError
from potentia.train.task import BatchLoss

__all__ = ["Rows", "add_products", "rows_of"]

STRIP = 96
"""Rows of a matrix that are updated at a time."""


@dataclass(frozen=True)
class Rows:
    """Some residuals and their derivatives by the weights, scaled so that Jᵀr is the gradient of the loss.

    A row may stand for many residuals: then it is their length, and its derivative that of the length.
    """

    residual: Tensor
    """Predicted minus reference.  [rows], float64"""
    jacobian: Sequence[Tensor]
    """Derivatives, one block of parameters after the other in the order of the model's parameters: blocks share no
    parameter, and methods that keep a matrix keep one for each.  [rows, parameters of the block], float64"""


def rows_of(loss: BatchLoss, method: str) -> Iterable[Rows]:
    """Return the rows behind a loss, a part of the batch at a time, or raise `ConfigError` where there are none."""
    if loss.rows is None:
        raise ConfigError(f"{method} needs a loss made of residuals, which this task does not have: take Adam or LBFGS")
    return loss.rows()


def add_products(matrix: Tensor, rows: Tensor, alpha: float = 1.0, beta: float = 1.0) -> None:
    """Make a symmetric ``matrix`` [parameters, parameters] β·matrix + α·rowsᵀ rows, exactly symmetric again.

    In strips of the lower triangle, which the upper one mirrors: that is nearly half the work.
    """
    for begin in range(0, len(matrix), STRIP):
        end = min(begin + STRIP, len(matrix))
        strip = matrix[begin:end, :end]
        strip.addmm_(rows[:, begin:end].T, rows[:, :end], alpha=alpha, beta=beta)
        square = strip[:, begin:]
        square.copy_(square.tril() + square.tril(-1).T)
        matrix[:begin, begin:end] = strip[:, :begin].T
