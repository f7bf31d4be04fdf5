"""What every system of fields is: a step in time for many samples at once, initial fields, and its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from potentia.errors import DataError
from potentia.operators.space import ParameterSpace

__all__ = ["FieldSystem"]


class FieldSystem(ABC):
    """Fields on a periodic grid that change in steps; the truth that a neural operator learns.

    A system below it stores its settings only. Its steps are a function of state, parameters and, where there is noise,
    of the seeds given: the same on each call and in each process of a machine.
    """

    name: ClassVar[str]
    """What it is called."""
    channels: ClassVar[tuple[str, ...]]
    """Names of the fields."""
    axes: ClassVar[tuple[str, ...]]
    """Names of the axes of space, ``("x",)`` or ``("x", "y")``."""
    time_step: ClassVar[float]
    """Time between two stored fields."""
    steps: ClassVar[int]
    """Stored fields behind the initial one, where nothing else is asked for."""
    grid: ClassVar[tuple[int, ...]]
    """Points along each axis, where nothing else is asked for."""
    bound: ClassVar[float]
    """No value of a sound field is larger."""

    @property
    @abstractmethod
    def space(self) -> ParameterSpace:
        """The parameters."""

    @abstractmethod
    def initial(self, samples: int, grid: tuple[int, ...], seed: int) -> Tensor:
        """Return initial fields; sample k is a function of ``seed`` and k only.  [samples, channels, *grid]"""

    @abstractmethod
    def step(self, fields: Tensor, parameters: Tensor, generators: list[torch.Generator] | None = None) -> Tensor:
        """Return the fields one stored step later.

        Args:
            fields: [samples, channels, *grid]
            parameters: Values, of each sample.  [samples, parameters]
            generators: Source of noise of each sample, for systems that have noise.
        """

    def settings(self) -> dict[str, Any]:
        """Return what decides its steps besides the parameters, as plain values."""
        return {}

    def trajectories(
        self,
        initial: Tensor,
        parameters: np.ndarray[Any, np.dtype[np.float64]],
        steps: int,
        seeds: np.ndarray[Any, np.dtype[np.uint64]] | None = None,
    ) -> Tensor:
        """Return the fields after 0, 1, … ``steps`` stored steps.  [samples, steps + 1, channels, *grid]

        Raises:
            DataError: shapes do not agree.
        """
        if len(parameters) != len(initial) or initial.shape[1] != len(self.channels):
            raise DataError(
                f"{self.name}: {len(initial)} initial fields of {initial.shape[1]} channels do not go with "
                f"{len(parameters)} rows of parameters and the channels {', '.join(self.channels)}"
            )
        values = torch.as_tensor(parameters, dtype=initial.dtype)
        sources = None if seeds is None else [torch.Generator().manual_seed(int(seed) % 2**63) for seed in seeds]
        fields = [initial]
        for _ in range(steps):
            fields.append(self.step(fields[-1], values, sources))
        return torch.stack(fields, 1)
