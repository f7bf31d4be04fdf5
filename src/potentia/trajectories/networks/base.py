"""What every network of this family is: settings that build it, and states at any time from the initial one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

__all__ = ["Measure", "NetworkConfig", "Shape", "SurrogateNetwork"]

Measure = Callable[[Tensor, Tensor], Tensor]
"""Prediction, target → a number to be made small."""


@dataclass(frozen=True)
class Shape:
    """Sizes that the data set."""

    n_quantities: int
    n_parameters: int


class SurrogateNetwork(nn.Module, ABC):
    """States on whole trajectories; everything in and out is scaled."""

    points: ClassVar[bool]
    """Whether a batch is a number of points (trajectory and time); else it is a number of whole trajectories."""

    def __init__(self, hard_initial_condition: bool) -> None:
        super().__init__()
        self.hard_initial_condition = hard_initial_condition

    @property
    def scattered(self) -> bool:
        """Whether the points of a batch are drawn one by one; else whole trajectories, as many as make up its size."""
        return self.points

    @abstractmethod
    def evolve(self, initial: Tensor, times: Tensor, parameters: Tensor | None) -> Tensor:
        """Return what `forward` makes a state of; arguments and shape are the same."""

    def forward(self, initial: Tensor, times: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the states at ``times``.

        Where the initial condition is hard, this is x₀ + u·`evolve`: exact at u = 0.

        Args:
            initial: Scaled initial states.  [trajectories, quantities]
            times: Mapped times u, in any order, shared by all [times] or of each [trajectories, times].
            parameters: Scaled parameters [trajectories, parameters], None where the system has none.

        Returns:
            Scaled states.  [trajectories, times, quantities]
        """
        found = self.evolve(initial, times, parameters)
        return initial[:, None] + times[..., None] * found if self.hard_initial_condition else found

    def loss(
        self, measure: Measure, initial: Tensor, times: Tensor, parameters: Tensor | None, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what training makes small, and the prediction [trajectories, times, quantities] behind it."""
        prediction = self(initial, times, parameters)
        return measure(prediction, target), prediction

    def require_solved(self, initial: Tensor, times: Tensor, parameters: Tensor | None) -> None:
        """Raise `DataError` that names the trajectories this network has no states for, and why.

        To be asked where a prediction is not finite; a network that has states for all inputs has nothing to say.
        """


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(ABC):
    """Settings of a network."""

    hard_initial_condition: bool = False
    """Whether the state at the first time is the given one exactly, by construction."""

    @abstractmethod
    def build(self, shape: Shape) -> SurrogateNetwork:
        """Return the network; its weights are drawn from torch's generators."""
