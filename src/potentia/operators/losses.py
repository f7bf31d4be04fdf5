"""What training makes small of fields over time, and the errors that are reported of them, as exact sums."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.checks import integer, number
from potentia.errors import ConfigError
from potentia.metrics import ErrorSum
from potentia.operators.networks.base import FieldNetwork
from potentia.operators.normaliser import Normaliser
from potentia.operators.rollout import rollout

__all__ = ["LossSettings", "error_figures", "error_sums", "initial_loss", "over_spread", "trajectory_loss"]

TINY = 1e-12
"""Keeps divisions by the size of a field finite where the field is 0 (its unit, squared)."""
FLAT = 0.1
"""Spread of a field in space, in deviations of its channel over the training part, below which it counts as flat.

VRMSE is in parts of the spread. A field without any has no such error: whatever is left of its pattern in a prediction
would be large beside nothing, and single fields would make the mean. So the error of a flat field is in parts of this
spread. Patterns have more of it, and their errors are what they would be without a floor: of Gray-Scott, living ones
0.3 and more, dead fields less than 0.001."""


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """How the error of fields becomes one number."""

    relative: bool = False
    """Whether the squared error of a sample is divided by its own mean square: small fields count as much as large."""
    growth: float = 1.0
    """Weight of a step of the window in parts of that of the step before: below 1, early steps count more."""
    ic_window: int = 4
    """Steps of the initial loss: rolled out from the true initial fields, with gradient through all of them."""
    lambda_traj: float = 1.0
    """Weight of the trajectory loss."""
    lambda_ic: float = 0.3
    """Weight of the initial loss; at 0 it is not computed. It teaches the first steps, which windows may never see."""

    def __post_init__(self) -> None:
        if not isinstance(self.relative, bool):
            raise ConfigError(f"relative must be True or False, got {self.relative!r}")
        if number("growth", self.growth, low=0.0) == 0.0:
            raise ConfigError("growth must be greater than 0: at 0, all steps but the first would not count")
        integer("ic_window", self.ic_window, low=1)
        for name in ("lambda_traj", "lambda_ic"):
            number(name, getattr(self, name), low=0.0)

    def weights(self, steps: int, like: Tensor) -> Tensor:
        """Return the weights of steps; their mean is 1.  [steps]"""
        powers = torch.tensor(self.growth, dtype=torch.float64) ** torch.arange(steps)
        return (powers / powers.mean()).to(like)


def trajectory_loss(
    prediction: Tensor, truth: Tensor, *, relative: bool = False, weights: Tensor | None = None
) -> Tensor:
    """Return the mean squared error over samples, steps, channels and points.

    Args:
        prediction: Normalised.  [samples, steps, channels, *grid]
        truth: Of the same shape.
        relative: Whether that of each sample is divided by the mean square of its truth.
        weights: Of the steps, see `LossSettings.weights`; equal if None.  [steps]
    """
    squared = (prediction - truth).square()
    if not relative and weights is None:
        return squared.mean()
    of_steps = squared.flatten(2).mean(2)  # [samples, steps]
    if weights is not None:
        of_steps = of_steps * weights
    of_samples = of_steps.mean(1)
    if relative:
        of_samples = of_samples / (truth.square().flatten(1).mean(1) + TINY)
    return of_samples.mean()


def initial_loss(
    network: FieldNetwork,
    fields: Tensor,
    parameters: Tensor | None,
    settings: LossSettings,
    *,
    checkpoint_steps: bool = False,
) -> Tensor:
    """Return the trajectory loss of the first ``settings.ic_window`` steps from the true initial fields.

    Args:
        network: One step in time.
        fields: True fields, normalised.  [samples, steps + 1, channels, *grid]
        parameters: Embedded parameters [samples, parameters], None where there are none.
        settings: Steps, weights.
        checkpoint_steps: As for `rollout`.
    """
    steps = min(settings.ic_window, fields.shape[1] - 1)
    found = rollout(network, fields[:, 0], parameters, steps, checkpoint_steps=checkpoint_steps)[:, 1:]
    return trajectory_loss(
        found, fields[:, 1 : steps + 1], relative=settings.relative, weights=settings.weights(steps, fields)
    )


def error_sums(prediction: Tensor, truth: Tensor, normaliser: Normaliser) -> dict[str, ErrorSum]:
    """Return the sums that `error_figures` needs; those of parts add up to those of the whole.

    Parts are sets of samples. Of some steps only: give those steps.

    Args:
        prediction: In physical units.  [samples, steps, channels, *grid]
        truth: Of the same shape.
        normaliser: What networks see fields through.
    """
    p, u = prediction.detach().double(), truth.detach().double()
    squared = (p - u).square()
    size = u.square().flatten(1).sum(1)  # [samples]
    relative = (squared.flatten(1).sum(1) / (size + TINY)).sqrt()
    shown = normaliser.scaled(u)
    return {
        "fields": ErrorSum.of(normaliser.scaled(p) - shown),
        "from_mean": ErrorSum.of(shown),
        "error": ErrorSum.of(p - u),
        "truth": ErrorSum.of(u),
        "rel_l2": ErrorSum.of(relative),
        "vrmse": ErrorSum.of(over_spread(p, u, normaliser)),
    }


def over_spread(prediction: Tensor, truth: Tensor, normaliser: Normaliser) -> Tensor:
    """Return the error of each field in parts of its spread in space, or of that of a flat one, see `FLAT`.

    Args:
        prediction: In physical units.  [samples, steps, channels, *grid]
        truth: Of the same shape.
        normaliser: Its deviations are those of the training part.

    Returns:
        √(⟨(p − u)²⟩/max(⟨(u − ⟨u⟩)²⟩, (0.1 σ)²)), where ⟨ ⟩ is over points.  [samples, steps, channels]
    """
    squared = (prediction - truth).square().flatten(3).mean(3)
    floor = (FLAT * normaliser.std.to(truth)).square()  # [channels]
    return (squared / torch.maximum(truth.flatten(3).var(3, correction=0), floor)).sqrt()


def error_figures(sums: Mapping[str, ErrorSum]) -> dict[str, float]:
    """Return errors by name.

    * ``mse``: mean squared error of normalised fields, and ``nmse``: the same in parts of that of the mean of the
      training part, which so scores 1.
    * ``rel_l2``: mean over samples of ‖p − u‖/‖u‖ over steps, channels and points, in physical units.
    * ``nrmse``: ‖p − u‖/‖u‖ over all samples at once, in physical units.
    * ``vrmse``: mean over samples, steps and channels of √(⟨(p − u)²⟩/⟨(u − ⟨u⟩)²⟩), where ⟨ ⟩ is over points: the
      mean of the field scores 1. Below the bar is at least (0.1 σ)², with the deviation σ of the channel over the
      training part: errors of flat fields are in parts of a tenth of it, see `over_spread`.
    """
    fields, mean = sums["fields"], sums["from_mean"]
    return {
        "mse": _ratio(fields.squared, fields.count),
        "nmse": _ratio(fields.squared, mean.squared),
        "rel_l2": sums["rel_l2"].mae,
        "nrmse": math.sqrt(_ratio(sums["error"].squared, sums["truth"].squared)),
        "vrmse": sums["vrmse"].mae,
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
