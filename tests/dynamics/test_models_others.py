"""Known answers of the other models: circles, matrices, tanks that keep their level, and a network that can learn."""

from __future__ import annotations

import math

import pytest
import torch

from dynamics.known_states import controls_of, defaults, states_of, tensors
from potentia.dynamics import RolloutSettings, get_model_spec, rollout
from potentia.dynamics.models import mlp_dynamics

FINE = RolloutSettings(substeps=4)


def doubles(rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_a_unicycle_that_turns_drives_a_circle():
    spec = get_model_spec("unicycle")
    path = rollout(spec, doubles([[0, 0, 0, 2.0]]), doubles([[[0.5, 0.0]] * 40]), defaults(spec), 0.1, FINE)[0]
    t = torch.arange(1, 41, dtype=torch.float64) * 0.1
    circle = torch.stack((4 * (0.5 * t).sin(), 4 * (1 - (0.5 * t).cos()), 0.5 * t, torch.full_like(t, 2)), -1)
    torch.testing.assert_close(path, circle, rtol=0, atol=1e-6)


def test_limits_of_a_unicycle_are_learned_only_where_asked():
    spec = get_model_spec("unicycle")
    limits = {"accel_min", "accel_max", "heading_rate_min", "heading_rate_max", "v_min", "v_max"}
    assert set(spec.param_keys) - set(spec.gauge_fixed().param_keys) == limits
    params = {**defaults(spec), **tensors({"accel_max": 2.0, "heading_rate_min": -1.0, "v_max": 3.0})}
    states, commands = doubles([[0, 0, 0, 1.0], [0, 0, 0, 3.0]]), doubles([[-5.0, 9.0], [0.0, 9.0]])
    rates = spec.rates(states, commands, params)
    assert rates[:, 2:].tolist() == [[-1.0, 2.0], [0.0, 0.0]]


def test_a_unicycle_ends_at_its_largest_speed_and_not_beyond():
    spec = get_model_spec("unicycle")
    params = {**defaults(spec), **tensors({"v_max": 3.0, "drag": 0.1})}
    start, commands = doubles([[0, 0, 0, 1.0]]), doubles([[[0.0, 5.0]] * 5])
    path = rollout(spec, start, commands, params, 0.3, RolloutSettings(method="rk4-clamped"))[0, :, 3]
    free = rollout(spec, start, commands, params, 0.3)[0, :, 3]
    assert float(path.max()) <= 3.0 + 1e-9
    assert float(path[-1]) == pytest.approx(3.0, abs=1e-2)
    assert float(free.max()) > 3.1


def test_a_rolling_car_drives_the_circle_of_its_steering():
    spec = get_model_spec("kinematic")
    delta, v, lf, lr = 0.25, 2.0, 0.15875, 0.17145
    slip = math.atan(math.tan(delta) * lr / (lf + lr))
    around = lr / math.sin(slip)  # radius of the centre of gravity
    turns = doubles([[[0.0, 0.0]] * 30])
    path = rollout(spec, doubles([[0, 0, delta, v, 0]]), turns, defaults(spec), 0.05, FINE)[0]
    centre = doubles([-around * math.sin(slip), around * math.cos(slip)])
    torch.testing.assert_close(
        (path[:, :2] - centre).norm(dim=1), torch.full((30,), around).double(), rtol=0, atol=1e-6
    )
    assert float(path[-1, 4]) == pytest.approx(v / around * 1.5, rel=1e-6)


def test_linear_dynamics_are_those_of_the_matrix_exponential():
    spec = get_model_spec("tv-linear")
    states, controls, params = states_of(spec, 3), controls_of(spec, 3, 4), defaults(spec)
    params["B"] = doubles([0.1, -0.2, 0.0, 0.3, 0.05])
    path = rollout(spec, states, controls, params, 0.05, FINE)
    block = torch.zeros(8, 8, dtype=torch.float64)
    block[:5, :7], block[:5, 7] = params["A"], params["B"]
    flow, state = torch.linalg.matrix_exp(0.05 * block), states
    for k in range(4):
        joined = torch.cat((state, controls[:, k], torch.ones(3, 1, dtype=torch.float64)), 1)
        state = (joined @ flow.T)[:, :5]
        torch.testing.assert_close(path[:, k], state, rtol=0, atol=1e-9)


def test_tanks_keep_their_levels_where_as_much_comes_as_goes():
    spec = get_model_spec("cascaded-tanks")
    params = tensors({"k1": 0.05, "k2": 0.06, "k3": 0.04, "k4": 0.03, "k5": 0.5, "u0": 0.5})
    upper = (0.03 * 3 / 0.05 + 0.01) ** 2 - 1e-4
    lower = (0.06 * 0.03 * 3 / 0.05 / 0.04 + 0.01) ** 2 - 1e-4
    start = doubles([[upper, lower]])
    path = rollout(spec, start, torch.full((1, 50, 1), 3.5, dtype=torch.float64), params, 4.0)
    torch.testing.assert_close(path[:, -1], start, rtol=0, atol=1e-9)


def test_a_full_upper_tank_spills_a_part_into_the_lower_one():
    spec = get_model_spec("cascaded-tanks")
    params = tensors({"k1": 0.01, "k2": 0.01, "k3": 0.02, "k4": 0.05, "k5": 0.4, "u0": 0.0})
    full, below = spec.rates(doubles([[10.0, 4.0], [9.99, 4.0]]), doubles([[5.0], [5.0]]), params)
    assert float(full[0]) == 0
    assert float(full[1] - below[1]) == pytest.approx(0.4 * (0.25 - 0.01 * 10**0.5), rel=1e-2)


def test_a_pump_below_its_first_voltage_lifts_nothing():
    spec = get_model_spec("cascaded-tanks")
    params = tensors({"k1": 0.05, "k2": 0.06, "k3": 0.04, "k4": 0.03, "k5": 0.5, "u0": 0.7})
    resting, weak, strong = spec.rates(doubles([[4.0, 4.0]] * 3), doubles([[0.0], [0.7], [1.7]]), params)
    assert torch.equal(resting, weak)
    assert float(strong[0] - weak[0]) == pytest.approx(0.03)


def slopes(spec, params):
    states, controls = states_of(spec, 4), controls_of(spec, 4, 3)
    given = {key: value.clone().requires_grad_() for key, value in params.items()}
    (rollout(spec, states, controls, given, 0.02, RolloutSettings(compiled=False)) ** 2).sum().backward()
    return {key: float(value.grad.abs().max()) for key, value in given.items()}


@pytest.mark.parametrize("frame", ["body", "world"])
def test_default_weights_can_learn_and_zeros_could_not(frame):
    spec = mlp_dynamics(8, frame)
    assert all(slope > 1e-9 for slope in slopes(spec, defaults(spec)).values())
    zeros = {key: torch.zeros_like(value) for key, value in defaults(spec).items()}
    found = slopes(spec, {**zeros, "alpha": torch.tensor(1.0, dtype=torch.float64)})
    assert found["W1"] == found["W2"] == found["b1"] == 0
    assert found["b2"] > 0


def test_sizes_of_learned_dynamics():
    world = mlp_dynamics(32, "world")
    assert world.vector_size == 32 * 9 + 32 + 7 * 32 + 7 + 1
    assert mlp_dynamics(32).vector_size == 32 * 6 + 32 + 3 * 32 + 3 + 1
    assert get_model_spec("mlp-dynamics").param_shapes["W1"] == (32, 6)
    same = mlp_dynamics(32).default_params["W1"]
    assert (same == get_model_spec("mlp-dynamics").default_params["W1"]).all()


def test_learned_dynamics_move_a_vehicle_by_its_own_speeds():
    spec = mlp_dynamics(4)
    states, controls = states_of(spec, 5), controls_of(spec, 5)[:, 0]
    rates = spec.rates(states, controls, defaults(spec))
    _, _, _, v, psi, psi_dot, beta = states.unbind(-1)
    exact = torch.stack((v * (psi + beta).cos(), v * (psi + beta).sin(), controls[:, 0], psi_dot), -1)
    torch.testing.assert_close(rates[:, [0, 1, 2, 4]], exact)
