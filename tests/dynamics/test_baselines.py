"""Baselines: a circle is followed exactly, and what stays the same stays the same."""

from __future__ import annotations

import numpy as np
import pytest

from dynamics.known_drives import CAR, drive
from potentia.dynamics import FeatureDataset, RolloutSettings, get_model_spec
from potentia.dynamics.baselines import ConstantTurn, Persistence, fit_baselines, predict_all
from potentia.dynamics.polish import FitSettings
from potentia.errors import ConfigError, DataError

TRACK, UNICYCLE, BODY = (get_model_spec(name) for name in ("singletrack", "unicycle", "bodyframe-pacejka"))


def windows(spec, start, steps=40, dt=0.05, history=None):
    start = np.asarray(start, dtype=np.float64)
    return FeatureDataset(
        start,
        np.zeros((len(start), steps, len(spec.controls))),
        np.zeros((len(start), steps, len(spec.states))),
        np.array(dt),
        spec.state_names,
        spec.control_names,
        history=history,
    )


def circle(start, speed, course, rate, times):
    radius = speed / rate
    x = start[0] + radius * (np.sin(course + rate * times) - np.sin(course))
    y = start[1] - radius * (np.cos(course + rate * times) - np.cos(course))
    return np.stack((x, y), -1)


def test_a_circle_is_followed_exactly():
    times = 0.05 * np.arange(1, 41)
    data = windows(TRACK, [[1.0, 2.0, 0.1, 5.0, 0.3, 0.8, 0.05]])  # x y delta v psi psi_dot beta
    found = ConstantTurn(TRACK).predict(data)[0]
    np.testing.assert_allclose(found[:, :2], circle((1.0, 2.0), 5.0, 0.35, 0.8, times), atol=1e-12)
    np.testing.assert_allclose(found[:, 4], 0.3 + 0.8 * times, atol=1e-12)
    np.testing.assert_array_equal(found[:, [2, 3, 5, 6]], np.tile([0.1, 5.0, 0.8, 0.05], (40, 1)))


def test_velocities_of_the_body_are_a_course_and_a_speed():
    times = 0.05 * np.arange(1, 41)
    data = windows(BODY, [[0.0, 0.0, 0.2, 3.0, 0.4, -1.1]])  # x y psi vx vy r
    found = ConstantTurn(BODY).predict(data)[0]
    expected = circle((0.0, 0.0), np.hypot(3.0, 0.4), 0.2 + np.arctan2(0.4, 3.0), -1.1, times)
    np.testing.assert_allclose(found[:, :2], expected, atol=1e-12)


def test_without_a_turn_rate_the_history_says_it_and_else_it_is_straight_on():
    start = [[0.0, 0.0, 0.5, 2.0]]  # x y psi v
    straight = ConstantTurn(UNICYCLE).predict(windows(UNICYCLE, start))[0]
    np.testing.assert_allclose(straight[-1, :2], 4.0 * np.array([np.cos(0.5), np.sin(0.5)]), atol=1e-12)
    past = np.zeros((1, 2, 6))
    past[0, :, 2] = (0.3, 0.4)
    turning = ConstantTurn(UNICYCLE).predict(windows(UNICYCLE, start, history=past))[0]
    np.testing.assert_allclose(turning[:, 2], 0.5 + 2.0 * 0.05 * np.arange(1, 41), atol=1e-12)


def test_turning_the_plane_turns_the_prediction():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(20, 7))
    angle, turned = 0.7, start.copy()
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned[:, :2], turned[:, 4] = start[:, :2] @ rotation.T, start[:, 4] + angle
    one, other = (ConstantTurn(TRACK).predict(windows(TRACK, states)) for states in (start, turned))
    np.testing.assert_allclose(other[..., :2], one[..., :2] @ rotation.T, atol=1e-12)


def test_persistence_keeps_every_state():
    data = windows(BODY, np.random.default_rng(1).normal(size=(5, 6)))
    np.testing.assert_array_equal(Persistence(BODY).predict(data), np.repeat(data.initial_states[:, None], 40, axis=1))


def test_the_fit_is_as_good_as_the_truth_and_the_defaults_are_not():
    data = drive(TRACK, CAR, windows=16, horizon=6)
    found = predict_all(fit_baselines(TRACK, data, FitSettings(rollout=RolloutSettings(compiled=False))), data)
    assert list(found) == ["constant turn", "persistence", "default parameters", "constant fit"]
    errors = {name: float(np.abs(states - data.targets).max()) for name, states in found.items()}
    assert errors["constant fit"] < 1e-8
    assert min(errors[name] for name in found if name != "constant fit") > 1e-3


def test_models_without_a_place_have_no_circle():
    tanks = get_model_spec("cascaded-tanks")
    assert not ConstantTurn.suits(tanks)
    with pytest.raises(ConfigError, match="model 'cascaded-tanks' has no positions, heading and speed"):
        ConstantTurn(tanks)


def test_windows_of_another_model_are_refused():
    data = windows(UNICYCLE, [[0.0, 0.0, 0.0, 1.0]])
    with pytest.raises(DataError, match=r"the windows have states .* model 'singletrack' has"):
        Persistence(TRACK).predict(data)
