"""Rows of a least-squares problem: what methods that think in residuals see of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from potentia.errors import ConfigError
from potentia.train.task import BatchLoss

__all__ = ["Rows", "rows_of"]


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
