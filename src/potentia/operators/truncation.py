"""Truncated backpropagation through time: which steps of a roll-out a batch learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from potentia.checks import choice, integer, number
from potentia.errors import DataError
from potentia.operators.networks.base import FieldNetwork
from potentia.operators.rollout import rollout
from potentia.seeding import stream

__all__ = ["Truncation", "Window"]


@dataclass(frozen=True)
class Window:
    """Steps that a batch learns from: those behind field ``begin``."""

    begin: int
    """Steps before it."""
    steps: int
    """Its own steps."""
    detach: int
    """Gradients go through so many steps at a time."""
    true_start: bool
    """Whether it begins from the true field; else from what the network makes of the steps before it."""

    def prediction(
        self, network: FieldNetwork, fields: Tensor, parameters: Tensor | None, *, checkpoint_steps: bool = False
    ) -> Tensor:
        """Return the predicted fields of the window, without the one it begins from.

        The steps before it have no gradient and are made in evaluation mode.

        Args:
            network: One step in time.
            fields: True fields, normalised.  [samples, steps + 1, channels, *grid]
            parameters: Embedded parameters [samples, parameters], None where there are none.
            checkpoint_steps: As for `rollout`.

        Returns:
            Normalised.  [samples, steps of the window, channels, *grid]
        """
        start = fields[:, self.begin] if self.true_start else self._warm_up(network, fields[:, 0], parameters)
        whole = self.detach >= self.steps
        found = rollout(
            network,
            start,
            parameters,
            self.steps,
            grad="all" if whole else self.detach,
            checkpoint_steps=checkpoint_steps,
        )
        return found[:, 1:]

    def target(self, fields: Tensor) -> Tensor:
        """Return the true fields that go with `prediction`.  [samples, steps of the window, channels, *grid]"""
        return fields[:, self.begin + 1 : self.begin + 1 + self.steps]

    def _warm_up(self, network: FieldNetwork, initial: Tensor, parameters: Tensor | None) -> Tensor:
        training = network.training
        network.eval()
        try:
            with torch.no_grad():
                now = initial
                for _ in range(self.begin):
                    now = network(now, parameters)
        finally:
            network.train(training)
        return now


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """Settings of truncated backpropagation.

    >>> [Truncation(window=4).draw(32, seed=1, number=n, progress=0.0).begin for n in range(6)]
    [15, 8, 8, 17, 6, 6]
    """

    window: int = 32
    """Steps that gradients go through; where there are fewer, all of them."""
    start: Literal["random", "tail", "chunks"] = "random"
    """Where the window is: ``"random"`` anywhere, drawn anew for each batch; ``"tail"`` the last steps, so the steps
    before are never learned from; ``"chunks"`` all steps, cut into windows between which no gradient goes."""
    teacher_start: float = 0.5
    """Probability that a window begins from the true field instead of from a warm-up by the network, when training
    begins. A warm-up by a network that knows nothing makes the target unreachable."""
    teacher_end: float = 0.0
    """That probability at the end; in between it changes evenly. With 1 for both no window is warmed up: what is
    learned is the step from true fields, at the cost of the window alone."""

    def __post_init__(self) -> None:
        integer("window", self.window, low=1)
        choice("start", self.start, ("random", "tail", "chunks"))
        for name in ("teacher_start", "teacher_end"):
            number(name, self.__dict__[name], low=0.0, high=1.0)

    def draw(self, steps: int, *, seed: int, number: int, progress: float) -> Window:
        """Return the window of one batch; equal arguments give the same one.

        Args:
            steps: Steps of the samples behind their initial field.
            seed: Of the training.
            number: Of the batch, counted from the first one of the training.
            progress: Part of the training that is done, 0 to 1.

        Raises:
            DataError: there are no steps.
        """
        if steps < 1:
            raise DataError(f"a window needs samples of at least 1 step behind the initial field, got {steps}")
        length = min(self.window, steps)
        if self.start == "chunks":
            return Window(0, steps, length, true_start=True)
        draws = stream(seed, "window", number)
        anywhere = int(draws.integers(steps - length + 1))
        begin = anywhere if self.start == "random" else steps - length
        done = min(max(progress, 0.0), 1.0)
        chance = self.teacher_start * (1 - done) + self.teacher_end * done
        return Window(begin, length, length, true_start=begin == 0 or bool(draws.random() < chance))
