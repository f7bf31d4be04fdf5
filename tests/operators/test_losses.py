"""Losses and errors of fields: known answers, and parts that add up to the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from potentia.config import from_dict, plain
from potentia.errors import ConfigError, DataError
from potentia.metrics import merge
from potentia.operators import Samples
from potentia.operators.losses import LossSettings, error_figures, error_sums, initial_loss, trajectory_loss
from potentia.operators.networks.base import FieldShape
from potentia.operators.networks.fno import FNOConfig
from potentia.operators.normaliser import Normaliser


def drawn(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def samples(fields):
    n = len(fields)
    return Samples(fields=np.asarray(fields), parameters=np.zeros((n, 1)), group=np.arange(n))


@pytest.fixture
def normaliser():
    return Normaliser(torch.tensor([1.0, -2.0]).double(), torch.tensor([3.0, 0.5]).double(), 2)


def test_the_trajectory_loss_is_the_mean_squared_error():
    prediction, truth = drawn(2, 3, 2, 4, 4), drawn(2, 3, 2, 4, 4, seed=2)
    plain_loss = trajectory_loss(prediction, truth)
    torch.testing.assert_close(plain_loss, ((prediction - truth) ** 2).mean())
    torch.testing.assert_close(trajectory_loss(prediction, truth, weights=torch.ones(3).double()), plain_loss)


def test_the_relative_loss_is_in_parts_of_each_sample():
    truth = drawn(2, 3, 2, 4)
    factors = torch.tensor([1.0, 100.0]).view(2, 1, 1, 1)
    assert trajectory_loss(0.9 * truth * factors, truth * factors, relative=True).item() == pytest.approx(0.01)


def test_steps_weigh_what_they_should():
    settings = LossSettings(growth=0.5)
    weights = settings.weights(3, drawn(1))
    torch.testing.assert_close(weights, torch.tensor([12.0, 6.0, 3.0]).double() / 7)
    truth = torch.zeros(1, 3, 1, 4).double()
    late = truth.clone()
    late[:, 2] = 1
    assert trajectory_loss(late, truth, weights=weights).item() == pytest.approx(1 / 7)


def test_the_initial_loss_has_gradient_from_the_true_field_on():
    torch.manual_seed(1)
    network = FNOConfig(width=4, modes=2, layers=1).build(FieldShape(2, 1, 0)).double()
    fields = drawn(3, 7, 2, 8)
    found = initial_loss(network, fields, None, LossSettings(ic_window=2))
    once = network(fields[:, 0], None)
    wanted = ((once - fields[:, 1]) ** 2).mean() / 2 + ((network(once, None) - fields[:, 2]) ** 2).mean() / 2
    torch.testing.assert_close(found, wanted)
    one_by_one = [torch.autograd.grad(loss, list(network.layers.parameters())) for loss in (found, wanted)]
    for one, other in zip(*one_by_one, strict=True):
        torch.testing.assert_close(one, other)
    whole = initial_loss(network, fields, None, LossSettings(ic_window=20))
    torch.testing.assert_close(whole, initial_loss(network, fields, None, LossSettings(ic_window=6)))


def test_known_errors(normaliser):
    truth = drawn(3, 4, 2, 5, 6)
    figures = error_figures(error_sums(1.1 * truth, truth, normaliser))
    assert figures["rel_l2"] == pytest.approx(0.1)
    assert figures["nrmse"] == pytest.approx(0.1)
    mean_of_training = normaliser.mean.view(2, 1, 1).expand_as(truth)
    assert error_figures(error_sums(mean_of_training, truth, normaliser))["nmse"] == pytest.approx(1)
    flat = truth.mean((3, 4), keepdim=True).expand_as(truth)
    assert error_figures(error_sums(flat, truth, normaliser))["vrmse"] == pytest.approx(1)
    zero = error_figures(error_sums(torch.zeros_like(truth), truth, normaliser))
    assert (zero["rel_l2"], zero["nrmse"]) == pytest.approx((1, 1))
    assert error_figures(error_sums(truth, truth, normaliser)) == dict.fromkeys(figures, 0)
    shifted = error_figures(error_sums(truth + 1, truth, normaliser))
    assert shifted["mse"] == pytest.approx((1 / 9 + 4) / 2)


def test_errors_of_flat_fields_are_in_parts_of_a_tenth_of_the_spread_of_the_data(normaliser):
    truth = torch.full((2, 3, 2, 4, 4), 5.0).double()
    away = 0.2 * normaliser.std.view(2, 1, 1)
    assert error_figures(error_sums(truth + away, truth, normaliser))["vrmse"] == pytest.approx(2)
    pattern = normaliser.std.view(2, 1, 1) * torch.tensor([-1.0, 1.0]).double().repeat(2, 3, 2, 4, 2)
    for height, wanted in ((0.05, 2), (0.1, 2), (0.2, 1), (1.0, 0.2)):
        found = error_figures(error_sums(truth + height * pattern + away, truth + height * pattern, normaliser))
        assert found["vrmse"] == pytest.approx(wanted)


def test_vrmse_has_no_unit(normaliser):
    prediction, truth = drawn(2, 3, 2, 4, 4), 1e-3 * drawn(2, 3, 2, 4, 4, seed=2)
    kilo = Normaliser(1e3 * normaliser.mean, 1e3 * normaliser.std, 2)
    found, same = error_sums(prediction, truth, normaliser), error_sums(1e3 * prediction, 1e3 * truth, kilo)
    assert error_figures(same)["vrmse"] == pytest.approx(error_figures(found)["vrmse"])


def test_rel_l2_is_a_mean_over_samples_and_nrmse_is_not(normaliser):
    truth = torch.ones(2, 1, 2, 4, 4).double()
    truth[1] *= 10
    figures = error_figures(error_sums(truth + 1, truth, normaliser))
    assert figures["rel_l2"] == pytest.approx((1 + 0.1) / 2)
    assert figures["nrmse"] == pytest.approx(math.sqrt(2 / 101))


def test_parts_add_up_to_the_whole(normaliser):
    prediction, truth = drawn(5, 3, 2, 4, 4), drawn(5, 3, 2, 4, 4, seed=2)
    whole = error_figures(error_sums(prediction, truth, normaliser))
    halves = (error_sums(prediction[part], truth[part], normaliser) for part in (slice(2), slice(2, 5)))
    assert error_figures(merge(*halves)) == pytest.approx(whole, rel=1e-12)


def test_the_normaliser_makes_mean_0_and_spread_1():
    fields = 5 + 3 * drawn(4, 3, 2, 6).float()
    fields[:, :, 1] = 7
    found = Normaliser.fit(samples(fields))
    shown = found.scaled(fields)
    assert shown[:, :, 0].mean().abs() < 1e-6
    assert shown[:, :, 0].std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert not shown[:, :, 1].any()
    torch.testing.assert_close(found.unscaled(shown), fields)
    torch.testing.assert_close(found.scaled(fields[:, 0]), shown[:, 0])
    again = Normaliser.from_state(found.to_state())
    assert torch.equal(again.scaled(fields), shown)
    with pytest.raises(
        DataError, match=r"fields must have shape \[..., 2 channels, 1 axes of space\], got \(4, 3, 6\)"
    ):
        found.scaled(fields[:, :, 0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"growth": 0.0}, "growth must be greater than 0"),
        ({"ic_window": 0}, "ic_window must be"),
        ({"lambda_ic": -1.0}, "lambda_ic must be"),
        ({"relative": 1}, "relative must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        LossSettings(**settings)
    assert from_dict(LossSettings, plain(LossSettings(growth=0.9))) == LossSettings(growth=0.9)
