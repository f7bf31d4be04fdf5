"""Optimizers and schedules: names and defaults, checks, and agreement with torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from potentia.config import from_dict, plain
from potentia.errors import ConfigError
from potentia.seeding import stream
from potentia.train import SGD, Adam, BatchLoss, Plateau, TrainingMethod


def test_names_and_defaults():
    assert Adam().to_params_dict() == {
        **{"mu": 0.001, "batchsize": 32, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    }
    assert SGD().to_params_dict() == {"lr": 0.01, "batchsize": 32, "momentum": 0.0, "weight_decay": 0.0}
    assert (Adam().method_name, SGD().method_name) == ("adam", "sgd")
    assert Adam(0.1, 8) == Adam(mu=0.1, batchsize=8)
    assert SGD(0.1, 8) == SGD(lr=0.1, batchsize=8)


@pytest.mark.parametrize(
    ("cls", "name", "value", "wanted"),
    [
        (Adam, "mu", 0, "mu must be greater than 0, got 0"),
        (Adam, "mu", math.nan, "mu must be a finite number"),
        (Adam, "batchsize", 0, "batchsize must be an integer of at least 1, got 0"),
        (Adam, "batchsize", 2.5, "batchsize must be an integer"),
        (Adam, "beta1", 1.0, "beta1 must be less than 1"),
        (Adam, "beta2", -0.1, "beta2 must be a finite number between 0 and 1"),
        (Adam, "weight_decay", -1, "weight_decay must be"),
        (Adam, "epsilon", "small", "epsilon must be a number"),
        (SGD, "lr", -1, "lr must be"),
        (SGD, "momentum", -1, "momentum must be"),
        (Plateau, "patience", -1, "patience must be"),
        (Plateau, "factor", 1, "factor must be between 0 and 1, got 1"),
        (Plateau, "min_lr", -1, "min_lr must be"),
    ],
)
def test_impossible_settings_are_refused_by_name(cls, name, value, wanted):
    with pytest.raises(ConfigError, match=wanted):
        cls(**{name: value})


@pytest.mark.parametrize("method", [Adam(beta1=0.5), SGD(momentum=0.9)], ids=lambda method: method.method_name)
def test_methods_go_to_plain_and_back(method):
    assert from_dict(TrainingMethod, plain(method)) == method


@pytest.mark.parametrize(
    ("method", "reference"),
    [
        (Adam(0.1, 4, 0.01, 0.8, 0.9, 1e-6), lambda p: torch.optim.Adam(p, 0.1, (0.8, 0.9), 1e-6, 0.01)),
        (SGD(0.1, 4, 0.9, 0.01), lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.01)),
    ],
    ids=["adam", "sgd"],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=["real", "complex"])
def test_steps_are_those_of_torch(method, reference, dtype):
    ours, theirs = (nn.Parameter(torch.ones(3, dtype=dtype)) for _ in range(2))
    stepper, optimizer = method.stepper([ours]), reference([theirs])
    target = torch.arange(3.0, dtype=torch.float64)

    def loss(x):
        return (x - target).abs().square().sum()

    for _ in range(5):
        assert stepper.step(lambda: BatchLoss(loss(ours))).taken
        optimizer.zero_grad()
        loss(theirs).backward()
        optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("trial", range(5))
def test_plateau_reduces_when_torch_does(trial):
    draw = stream(7, "plateau", trial)
    settings = Plateau(patience=trial, factor=0.7, min_lr=0.02)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min", factor=0.7, patience=trial, min_lr=0.02)
    state = settings.start()
    for value in 1 + draw.normal(size=60) * np_decay(60):
        theirs.step(value)
        state = settings.after_epoch(state, value)
        assert settings.rate(0.5, state) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert state["reductions"] > 0


def np_decay(n):
    return torch.logspace(0, -2, n, dtype=torch.float64).numpy()


def test_a_rate_that_began_below_the_floor_is_not_raised():
    settings = Plateau(patience=0, min_lr=0.1)
    state = {**settings.start(), "reductions": 3}
    assert settings.rate(0.01, state) == 0.01
