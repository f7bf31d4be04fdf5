"""Losses: known sums, turns that do not count, scales, masks, and the same number for any horizon and batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dynamics.known_states import states_of
from potentia.dynamics import FeatureDataset, get_model_spec, truncate_dataset_timesteps
from potentia.dynamics.losses import ScaledLoss, YawL1, per_element, per_item, state_scales, wrapped_error
from potentia.seeding import stream, torch_stream

SPEC = get_model_spec("singletrack")
SCALES = (1.0, 2.0, 0.5, 1.0, 0.1, 1.0, 0.2)
SCALED = ScaledLoss(angles=SPEC.angles, scales=SCALES)
LOSSES = {
    "l1": SCALED,
    "huber": ScaledLoss(angles=SPEC.angles, scales=SCALES, measure="huber"),
    "mse": ScaledLoss(angles=SPEC.angles, scales=SCALES, measure="mse"),
    "weighted": ScaledLoss(angles=SPEC.angles, scales=SCALES, weights=(1, 1, 0, 2, 0.5, 1, 0)),
    "yaw l1": YawL1(angles=SPEC.angles),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def some(windows=5, steps=4):
    draw = torch_stream(0, "losses")
    shape = (windows, steps, 7)
    return torch.randn(shape, generator=draw, dtype=torch.float64), torch.randn(shape, generator=draw).double()


def test_the_old_loss_is_the_sum_of_magnitudes_the_short_way_round():
    predicted, target = torch.zeros(2, 3, 7), torch.zeros(2, 3, 7)
    predicted[0, 0, 0], predicted[1, 2, 5], predicted[1, 1, 4] = 2.0, -0.5, 2 * math.pi - 0.25
    loss = LOSSES["yaw l1"]
    assert float(loss(predicted, target)) == pytest.approx(2.75)
    assert per_item(loss, predicted, target).tolist() == pytest.approx([2.0, 0.75])
    assert per_element(loss, predicted, target)[1].tolist() == pytest.approx([0, 0, 0, 0, 0.25, 0.5, 0], abs=1e-6)
    total, count = loss.sums(predicted, target)
    assert (float(total), float(count)) == (pytest.approx(2.75), 2)


@every_loss
@pytest.mark.parametrize("turns", [-2, -1, 1, 2])
def test_whole_turns_of_the_heading_do_not_count(loss, turns):
    predicted, target = some()
    turned = predicted.clone()
    turned[:, 1::2, 4] += 2 * math.pi * turns
    torch.testing.assert_close(loss(turned, target), loss(predicted, target), rtol=0, atol=1e-11)


def test_errors_of_angles_are_the_short_way_round():
    found = wrapped_error(torch.tensor([3.0, 3.0]), torch.tensor([-3.0, -3.0]), (False, True))
    assert found.tolist() == pytest.approx([6.0, 6.0 - 2 * math.pi])
    errors = torch.linspace(-30, 30, 1001, dtype=torch.float64)[:, None].requires_grad_()
    short = wrapped_error(errors, torch.zeros_like(errors), (True,))
    torch.testing.assert_close(short, torch.atan2(errors.sin(), errors.cos()), rtol=0, atol=1e-13)
    short.sum().backward()
    assert (errors.grad == 1).all()
    assert wrapped_error(torch.tensor([math.inf]), torch.zeros(1), (False,)).item() == math.inf


def test_measures_of_one_error():
    target = torch.zeros(1, 1, 7)
    for error, l1, huber, mse in ((0.5, 1.0, 0.5, 1.0), (1.5, 3.0, 2.5, 9.0), (-0.25, 0.5, 0.125, 0.25)):
        predicted = target.clone()
        predicted[..., 2] = error  # scale 0.5
        found = [float(LOSSES[name](predicted, target)) * 7 for name in ("l1", "huber", "mse")]
        assert found == pytest.approx([l1, huber, mse])


@every_loss
def test_windows_and_states_put_together_give_the_whole(loss):
    predicted, target = some()
    mask = torch.ones(5, 4, dtype=torch.bool)
    whole = float(loss(predicted, target, mask))
    items, elements = per_item(loss, predicted, target, mask), per_element(loss, predicted, target, mask)
    assert items.shape == (5,)
    assert elements.shape == (5, 7)
    parts = [part.mean() if loss.averaged else part.sum() for part in (items, elements)]
    assert [float(part) for part in parts] == pytest.approx([whole, whole])


@every_loss
def test_what_does_not_count_may_be_anything(loss):
    predicted, target = some()
    mask = torch.tensor(stream(0, "mask").random((5, 4)) < 0.6)
    mask[:, 0] = True
    clean = loss(predicted, target, mask)
    holes_p, holes_t = predicted.clone(), target.clone()
    holes_p[~mask], holes_t[~mask] = float("inf"), float("nan")
    holes_p.requires_grad_()
    found = loss(holes_p, holes_t, mask)
    torch.testing.assert_close(found, clean)
    found.backward()
    assert holes_p.grad.isfinite().all()
    assert (holes_p.grad[~mask] == 0).all()


@every_loss
def test_sums_over_batches_are_those_of_the_whole(loss):
    predicted, target = some()
    mask = torch.tensor(stream(0, "mask").random((5, 4)) < 0.6)
    mask[:, 0] = True
    whole, count = loss.sums(predicted, target, mask)
    parts = [loss.sums(predicted[part], target[part], mask[part]) for part in (slice(0, 2), slice(2, 5))]
    assert float(sum(part[0] for part in parts)) == pytest.approx(float(whole))
    assert float(sum(part[1] for part in parts)) == float(count)


def test_a_constant_error_costs_the_same_over_any_horizon():
    """The old loss is a sum over steps: with the horizon it grows, and a curriculum changes its unit."""
    target = torch.zeros(3, 20, 7)
    error = target + 0.3
    assert float(SCALED(error[:, :5], target[:, :5])) == pytest.approx(float(SCALED(error, target)))
    old = LOSSES["yaw l1"]
    assert float(old(error[:, :5], target[:, :5])) == pytest.approx(float(old(error, target)) / 4)


def dataset(targets, spec=SPEC, initial=None):
    windows, steps, states = targets.shape
    return FeatureDataset(
        initial_states=np.zeros((windows, states)) if initial is None else initial,
        controls=np.zeros((windows, steps, len(spec.controls))),
        targets=targets,
        dt=np.array(0.1),
        state_names=spec.state_names,
        control_names=spec.control_names,
    )


def test_scales_are_standard_deviations_that_outliers_do_not_move():
    widths = np.array([2.0, 2.0, 0.1, 1.0, 0.3, 0.5, 0.02])
    targets = stream(0, "scales").normal(size=(500, 4, 7)) * widths
    # the square root of the mean of two squares has another median than a single magnitude
    found = state_scales(dataset(targets), SPEC)
    np.testing.assert_allclose(found[2:], widths[2:], rtol=0.1)
    assert found[0] == found[1] == pytest.approx(2.0, rel=0.3)
    targets[::20] *= 1000
    targets[::20, :, 4] = 0.1  # a heading has no outliers
    np.testing.assert_allclose(state_scales(dataset(targets), SPEC), found, rtol=0.15)


def test_scales_of_what_hardly_or_never_moves():
    targets = np.zeros((10, 3, 7))
    targets[0, 0, 2] = 0.3
    found = state_scales(dataset(targets), SPEC)
    assert found[2] == pytest.approx(0.3 / 30**0.5)
    assert (found[[0, 1, 3, 4, 5, 6]] == 1).all()


def test_scales_do_not_change_when_the_drawing_is_turned():
    start = states_of(SPEC, 40)
    moves = stream(0, "moves").normal(size=(40, 3, 7))
    turned, (x, y) = moves.copy(), (moves[..., 0], moves[..., 1])
    turned[..., 0], turned[..., 1] = 0.6 * x - 0.8 * y, 0.8 * x + 0.6 * y
    first = start.numpy()
    here, there = (dataset(first[:, None] + one, initial=first) for one in (moves, turned))
    np.testing.assert_allclose(state_scales(here, SPEC), state_scales(there, SPEC))


def test_the_loss_of_data_has_its_scales_and_weights():
    data = dataset(stream(0, "data").normal(size=(50, 6, 7)))
    loss = ScaledLoss.of_data(data, SPEC, "huber", {"psi": 0.0, "v": 3.0})
    assert loss.scales == tuple(state_scales(data, SPEC).tolist())
    assert loss.weights == (1, 1, 1, 3, 0, 1, 1)
    assert ScaledLoss.of_data(data, SPEC).weights is None
    shorter = ScaledLoss.of_data(truncate_dataset_timesteps(data, 3), SPEC)
    assert shorter.angles == SPEC.angles


def test_weights_share_out_the_same_whole():
    predicted, target = some()
    even = ScaledLoss(angles=SPEC.angles, scales=SCALES, weights=(2.0,) * 7)
    torch.testing.assert_close(even(predicted, target), SCALED(predicted, target))
    blind = LOSSES["weighted"]
    other = predicted.clone()
    other[..., [2, 6]] += 100
    torch.testing.assert_close(blind(other, target), blind(predicted, target))


def test_settings_of_a_loss_are_checked():
    with pytest.raises(ValueError, match=r"measure must be one of 'l1', 'huber', 'mse', got 'l2'"):
        ScaledLoss(angles=SPEC.angles, scales=SCALES, measure="l2")
    with pytest.raises(ValueError, match=r"scales must be 7 numbers, one for each state, got 2"):
        ScaledLoss(angles=SPEC.angles, scales=(1.0, 1.0))
    with pytest.raises(ValueError, match=r"scales must be greater than 0"):
        ScaledLoss(angles=SPEC.angles, scales=(0.0, *SCALES[1:]))
    with pytest.raises(ValueError, match=r"weights must not all be 0: nothing would be learned"):
        ScaledLoss(angles=SPEC.angles, scales=SCALES, weights=(0.0,) * 7)
    with pytest.raises(ValueError, match=r"weights name the state 'phi'; did you mean 'psi'\?"):
        ScaledLoss.of_data(dataset(np.ones((2, 2, 7))), SPEC, weights={"phi": 1.0})
    with pytest.raises(
        ValueError, match=r"must have the same shape \[windows, steps, 7\], got \(1, 2, 7\) and \(1, 3, 7\)"
    ):
        SCALED(torch.zeros(1, 2, 7), torch.zeros(1, 3, 7))
