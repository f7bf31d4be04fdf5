"""Measures of residuals: values by hand, and pulls that turn them into least-squares problems."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from potentia.potentials.losses import MAE, RMSE, Huber, measure_of
from potentia.seeding import stream

DELTA = 0.4
MEASURES = {"rmse": RMSE(), "mae": MAE(), "huber": Huber(DELTA)}
every_measure = pytest.mark.parametrize("name", MEASURES)
SHAPES = {"energies": (6,), "forces": (6, 3), "virials": (6, 3, 3)}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
WEIGHTS = torch.tensor([1.0, 0.2, 3.0, 0.0, 0.5, 1.0]).double()


def residuals(shape=(6, 3)):
    """Numbers on both sides of ±δ, away from zero."""
    draws = stream(3, "residuals")
    sizes = draws.uniform(0.05, 2 * DELTA, shape)
    return torch.tensor(sizes * draws.choice([-1, 1], shape))


def value_of(measure, residual, weight=None):
    weight = torch.ones(len(residual)).double() if weight is None else weight
    return measure.value(measure.total(residual, weight), weight.sum())


def by_hand(name, residual, weight):
    """The measure in numpy: rows have weights, the components of a row count alike."""
    r = np.abs(residual.numpy())
    each = {
        "rmse": r**2,
        "mae": r,
        "huber": np.where(r < DELTA, r**2 / (2 * DELTA), r - DELTA / 2),
    }[name]
    mean = np.average(each.reshape(len(r), -1).mean(axis=1), weights=weight.numpy())
    return math.sqrt(mean) if name == "rmse" else mean


@every_measure
@every_shape
def test_values_by_hand(name, shape):
    found = value_of(MEASURES[name], residuals(shape), WEIGHTS).item()
    assert found == pytest.approx(by_hand(name, residuals(shape), WEIGHTS), rel=1e-14)


def test_known_values_of_three_and_four():
    residual = torch.tensor([3.0, -4.0]).double()
    found = {name: value_of(measure, residual).item() for name, measure in MEASURES.items()}
    assert found == pytest.approx({"rmse": math.sqrt(12.5), "mae": 3.5, "huber": 3.5 - DELTA / 2}, rel=1e-15)


@every_measure
@every_shape
def test_pull_times_residual_is_the_gradient(name, shape):
    measure, residual = MEASURES[name], residuals(shape).requires_grad_()
    value = value_of(measure, residual, WEIGHTS)
    (expected,) = torch.autograd.grad(value, residual)
    pull = measure.pull(residual.detach(), WEIGHTS, value.detach(), WEIGHTS.sum())
    assert pull.shape == shape
    torch.testing.assert_close(pull * residual.detach(), expected, rtol=1e-13, atol=1e-15)
    assert not pull[WEIGHTS == 0].any()
    assert (pull[WEIGHTS > 0] > 0).all()


@pytest.mark.parametrize("r", [DELTA, -DELTA, DELTA * (1 - 1e-12), DELTA * (1 + 1e-12)])
def test_hubers_gradient_does_not_jump_at_delta(r):
    residual = torch.tensor([r], dtype=torch.float64, requires_grad=True)
    measure = MEASURES["huber"]
    value = value_of(measure, residual)
    (gradient,) = torch.autograd.grad(value, residual)
    assert gradient.item() == pytest.approx(math.copysign(1, r), rel=1e-11)
    assert value.item() == pytest.approx(DELTA / 2, rel=1e-11)
    one = torch.ones(1).double()
    pull = measure.pull(residual.detach(), one, value.detach(), one.sum())
    assert (pull * residual.detach()).item() == pytest.approx(math.copysign(1, r), rel=1e-11)


def test_huber_with_a_large_delta_is_the_mean_square():
    delta = 1e4
    found = value_of(Huber(delta), residuals(), WEIGHTS)
    rmse = value_of(RMSE(), residuals(), WEIGHTS)
    assert found.item() == pytest.approx(rmse.item() ** 2 / (2 * delta), rel=1e-13)


def test_huber_with_a_small_delta_is_the_mean_of_absolute_values():
    found = value_of(Huber(1e-9), residuals(), WEIGHTS).item()
    assert found == pytest.approx(value_of(MAE(), residuals(), WEIGHTS).item(), abs=1e-9)


@every_measure
def test_sums_of_halves_are_the_whole(name):
    measure, residual = MEASURES[name], residuals()
    whole = value_of(measure, residual, WEIGHTS).item()
    for cut in (0, 1, 4, 6):
        parts = [(residual[:cut], WEIGHTS[:cut]), (residual[cut:], WEIGHTS[cut:])]
        total = sum(measure.total(r, w) for r, w in parts)
        assert measure.value(total, sum(w.sum() for _, w in parts)).item() == pytest.approx(whole, rel=1e-14)


@every_measure
def test_a_weight_of_two_is_the_row_twice(name):
    measure, residual = MEASURES[name], residuals()
    heavy = value_of(measure, residual, torch.tensor([1.0, 1, 2, 1, 1, 1]).double())
    twice = value_of(measure, torch.cat([residual, residual[2:3]]))
    assert heavy.item() == pytest.approx(twice.item(), rel=1e-14)


@every_measure
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
def test_residuals_of_zero_have_finite_values_and_pulls(name, weights):
    measure, weight = MEASURES[name], torch.tensor(weights).double()
    residual = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    value = value_of(measure, residual, weight)
    (gradient,) = torch.autograd.grad(value, residual)
    pull = measure.pull(residual.detach(), weight, value.detach(), weight.sum())
    assert value.item() == pytest.approx(0, abs=1e-14)
    assert not gradient.any()
    assert torch.isfinite(pull).all()


def test_measures_are_found_by_their_names():
    assert [measure_of(name, DELTA) for name in MEASURES] == list(MEASURES.values())
