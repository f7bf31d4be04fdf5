"""What neural operators are measured on, and with which settings: Burgers, Gray-Scott, the random operator."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from potentia.operators import FNOConfig, OperatorData, OperatorTrainingConfig, UAFNOConfig
from potentia.operators.make import make_data
from potentia.operators.networks.base import FieldNetworkConfig
from potentia.operators.systems import FieldSystem
from potentia.operators.systems.burgers import Burgers
from potentia.operators.systems.gray_scott import GrayScott
from potentia.operators.systems.random_conv import RandomConv

__all__ = ["PROBLEMS", "Plan", "Problem", "data_of"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A network and the trainings that follow each other, each from the weights of the one before."""

    network: FieldNetworkConfig
    trainings: tuple[OperatorTrainingConfig, ...]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Data and plans."""

    system: FieldSystem
    sizes: tuple[int, int, int]
    """Sets of parameters in train, val and test."""
    every: int = 1
    """Steps of the system between two fields."""
    plans: Mapping[str, Plan]
    """Name of a model → how it is trained."""
    sensitivity: bool = True
    """Whether the system is asked how much parameters matter."""
    tokens: bool = False
    """Whether tokens are trained on the truth and asked of predictions."""
    about: str
    """Told above the tables."""


def _steps(epochs: int, window: int, **others: object) -> OperatorTrainingConfig:
    """Return settings of a training of windows that begin from true fields, the first steps no more often."""
    known = OperatorTrainingConfig(
        epochs=epochs, batch_size=8, lr=4e-3, weight_decay=1e-5, bptt_window=window, teacher_start=1.0, lambda_ic=0.0
    )
    return replace(known, **others)


def _in_two_parts(one_step: int, windows: int, window: int, lr: float) -> tuple[OperatorTrainingConfig, ...]:
    """Return one step from anywhere first, which costs little, then windows at a lower rate."""
    return _steps(one_step, 1, lr=lr), _steps(windows, window, lr=lr / 4)


_FNO = FNOConfig(scale=1.0)
_UAFNO = UAFNOConfig(
    base_channels=12, encoder_levels=2, modes=8, afno_blocks=1, residual_blocks=1, mixing_groups=4, scale=1.0
)
_PLANE = {
    "FNO": Plan(network=_FNO, trainings=_in_two_parts(40, 20, 4, 4e-3)),
    "U-AFNO": Plan(network=_UAFNO, trainings=_in_two_parts(40, 20, 4, 3e-3)),
    "FNO without parameters": Plan(
        network=replace(_FNO, use_parameters=False), trainings=_in_two_parts(40, 20, 4, 4e-3)
    ),
}
_BURGERS = OperatorTrainingConfig(
    epochs=60, batch_size=20, lr=3e-3, weight_decay=1e-5, bptt_window=1, lambda_ic=0.0, relative_loss=True
)

PROBLEMS: Mapping[str, Problem] = {
    "burgers": Problem(
        system=Burgers(lowest=0.01, highest=0.01),
        sizes=(1000, 200, 200),
        every=10,
        plans={"FNO": Plan(network=FNOConfig(width=32, modes=16, update="direct"), trainings=(_BURGERS,))},
        sensitivity=False,
        about="ν = 0.01, 256 points, u(0) to u(1) in one step; 1,000 samples to fit, 200 held out",
    ),
    "gray_scott": Problem(
        system=GrayScott(),
        sizes=(512, 64, 64),
        plans=_PLANE,
        tokens=True,
        about="512 sets of parameters to fit, 64 held out; 32×32 points, 32 steps of 40",
    ),
    "random_conv": Problem(
        system=RandomConv(),
        sizes=(512, 64, 64),
        plans={name: _PLANE[name] for name in ("FNO", "FNO without parameters")},
        about="random convolutional operator: 512 sets of parameters to fit, 64 held out; 32×32 points, 32 steps",
    ),
    "random_conv_independent": Problem(
        system=RandomConv(weights="independent"),
        sizes=(512, 64, 64),
        plans={name: _PLANE[name] for name in ("FNO", "FNO without parameters")},
        sensitivity=False,
        about="negative control: each sample has weights of its own, so that parameters tell little",
    ),
}
"""By name; each can be asked for."""


@functools.cache
def data_of(name: str) -> OperatorData:
    """Return the data of a problem; the same in each process."""
    problem = PROBLEMS[name]
    train, val, test = problem.sizes
    return make_data(problem.system, n_train=train, n_val=val, n_test=test, every=problem.every)
