"""What every system of fields is: a step in time for many samples at once, initial fields, and its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import is_dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from potentia.config import to_dict
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
        return to_dict(self) if is_dataclass(self) else {}

    @property
    def needs_seeds(self) -> bool:
        """Whether its steps draw noise, or weights for each sample."""
        return False

    def kinds(self, samples: int, seed: int) -> list[str]:
        """Return the names of the kinds of the fields that `initial` returns."""
        return [self.name] * samples

    def drawn(self, seed: int) -> bytes:
        """Return what is drawn from seeds to make the steps of the sample with this seed of noise; for check sums."""
        return b""

    def solve(
        self, initial: Tensor, parameters: Tensor, steps: int, every: int, generators: list[torch.Generator] | None
    ) -> Tensor:
        """Return what `trajectories` does, of tensors that it has looked at; for systems that do many steps at once."""
        fields = [initial]
        for _ in range(steps):
            fields.append(fields[-1])
            for _ in range(every):
                fields[-1] = self.step(fields[-1], parameters, generators)
        return torch.stack(fields, 1)

    def trajectories(
        self,
        initial: Tensor,
        parameters: np.ndarray[Any, np.dtype[np.float64]],
        steps: int,
        seeds: np.ndarray[Any, np.dtype[np.uint64]] | None = None,
        every: int = 1,
    ) -> Tensor:
        """Return the fields after 0, 1, … ``steps`` times ``every`` steps.  [samples, steps + 1, channels, *grid]

        Raises:
            DataError: shapes do not agree.
        """
        if initial.ndim != 2 + len(self.axes) or initial.shape[1] != len(self.channels):
            raise DataError(
                f"{self.name}: initial fields must have shape [samples, {len(self.channels)} channels, "
                f"{', '.join(self.axes)}], got {tuple(initial.shape)}"
            )
        if np.shape(parameters) != (len(initial), len(self.space)):
            raise DataError(
                f"{self.name}: {len(initial)} initial fields need parameters [{len(initial)}, {len(self.space)}] "
                f"({', '.join(self.space.names) or 'none'}), got {np.shape(parameters)}"
            )
        values = torch.from_numpy(np.array(parameters, dtype=np.float64))
        sources = None if seeds is None else [torch.Generator().manual_seed(int(seed) % 2**63) for seed in seeds]
        return self.solve(initial, values, steps, every, sources)
