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
    watched: int = 16
    """Samples of val that a training looks at after each epoch: rolled out to the end, more would cost more than what
    is learned from."""
    plans: Mapping[str, Plan]
    """Name of a model → how it is trained."""
    sensitivity: bool = True
    """Whether the system is asked how much parameters matter."""
    tokens: bool = False
    """Whether tokens are trained on the truth and asked of predictions."""
    about: str
    """Told above the tables."""


def _in_two_parts(one_step: int, windows: int, lr: float = 4e-3) -> tuple[OperatorTrainingConfig, ...]:
    """Return epochs of one step from anywhere, which cost little, then of windows of 4 steps at a lower rate.

    The rate stays as it is in the first part and falls to 0 in the second one only. The weights are the last ones:
    roll-outs of a network that knows single steps only are too much a matter of luck to choose by.
    """
    first = OperatorTrainingConfig(
        epochs=one_step,
        batch_size=8,
        lr=lr,
        lr_schedule="constant",
        weight_decay=1e-5,
        bptt_window=1,
        teacher_start=1.0,
        teacher_end=1.0,
        lambda_ic=0.0,
        save_best=False,
    )
    return first, replace(first, epochs=windows, lr=lr / 4, lr_schedule="cosine", bptt_window=4)


def _with_and_without(network: FNOConfig, trainings: tuple[OperatorTrainingConfig, ...]) -> dict[str, Plan]:
    """Return plans of a network, and of the same one that does not see the parameters."""
    return {
        "FNO": Plan(network=network, trainings=trainings),
        "FNO without parameters": Plan(network=replace(network, use_parameters=False), trainings=trainings),
    }


_UAFNO = UAFNOConfig(
    base_channels=12, encoder_levels=2, modes=8, afno_blocks=1, residual_blocks=1, mixing_groups=4, scale=1.0
)
_BURGERS = OperatorTrainingConfig(
    epochs=40, batch_size=20, lr=3e-3, weight_decay=1e-5, bptt_window=1, lambda_ic=0.0, relative_loss=True
)

PROBLEMS: Mapping[str, Problem] = {
    "burgers": Problem(
        system=Burgers(lowest=0.01, highest=0.01),
        sizes=(1000, 200, 200),
        every=10,
        watched=200,
        plans={"FNO": Plan(network=FNOConfig(width=32, modes=16, update="direct"), trainings=(_BURGERS,))},
        sensitivity=False,
        about="ν = 0.01, 256 points, u(0) to u(1) in one step; 1,000 samples to fit, 200 held out",
    ),
    "gray_scott": Problem(
        system=GrayScott(),
        sizes=(512, 64, 64),
        plans={
            **_with_and_without(FNOConfig(scale=1.0, isotropic=True), _in_two_parts(30, 8)),
            "U-AFNO": Plan(network=_UAFNO, trainings=_in_two_parts(16, 4, 3e-3)),
        },
        tokens=True,
        about="512 sets of parameters to fit, 64 held out; 32×32 points, 32 steps of 40",
    ),
    "random_conv": Problem(
        system=RandomConv(),
        sizes=(512, 64, 64),
        plans=_with_and_without(FNOConfig(scale=1.0), _in_two_parts(20, 5)),
        about="random convolutional operator: 512 sets of parameters to fit, 64 held out; 32×32 points, 32 steps",
    ),
    "random_conv_independent": Problem(
        system=RandomConv(weights="independent"),
        sizes=(512, 64, 64),
        plans=_with_and_without(FNOConfig(scale=1.0), _in_two_parts(10, 3)),
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
