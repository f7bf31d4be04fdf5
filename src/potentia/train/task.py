"""What the engine knows of a family: the loss of a batch, the score of a pass over data, and a row of the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from torch import Tensor, nn

from potentia.metrics import ErrorSum

if TYPE_CHECKING:
    from potentia.train.least_squares import Rows

__all__ = ["BatchLoss", "Task"]

Batch_contra = TypeVar("Batch_contra", contravariant=True)


@dataclass(frozen=True)
class BatchLoss:
    """The loss of one batch and what it adds to the errors of the epoch."""

    value: Tensor
    """Scalar to be made small, differentiable with respect to the parameters of the model."""
    sums: dict[str, ErrorSum] = field(default_factory=dict)
    """Errors in this batch by name."""
    rows: Callable[[], Iterable[Rows]] | None = None
    """Residuals behind the value with their derivatives, at the weights of now; None where there are none."""
    scores: tuple[Tensor, Tensor] | None = None
    """Numbers of the samples of the batch, and the error of each, for those who draw by errors.  [samples] each"""


class Task(Protocol[Batch_contra]):
    """A family's part in training; data, weights of the loss and units live here."""

    def loss(self, model: nn.Module, batch: Batch_contra) -> BatchLoss:
        """Return the loss of one batch."""
        ...

    def score(self, model: nn.Module) -> dict[str, ErrorSum] | None:
        """Return the exact errors on the validation data by name, or None where there is none.

        Called with the model in evaluation mode and under `torch.no_grad`; enable gradients where forces need them.
        """
        ...

    def row(self, train: Mapping[str, ErrorSum], valid: Mapping[str, ErrorSum] | None) -> dict[str, float]:
        """Return one epoch's columns in physical units: in every epoch the same names, NaN where there is no value.

        ``train`` was summed while the weights changed; it holds the names that the batches of this epoch have brought.
        """
        ...

    def monitor(self, row: Mapping[str, float]) -> float:
        """Return the value that the best model and the schedule go by: less is better, NaN is never best."""
        ...
