"""Roll-outs: orders of the methods, steps that stay stable, limits that no step crosses, shapes that are refused."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from dynamics.known_states import controls_of, defaults, params_of, states_of
from potentia.dynamics import RolloutSettings, get_model_spec, rollout
from potentia.dynamics.models import augmented
from potentia.dynamics.step_choice import MOST_SUBSTEPS, auto_substeps, fastest_rates

SPEC = get_model_spec("singletrack")
STEERED = tuple(
    get_model_spec(name) for name in ("singletrack", "singletrack-augmented", "singletrack-pacejka", "kinematic")
)


def start(v: float) -> torch.Tensor:
    return torch.tensor([[0, 0, 0.02, v, 0, 0, 0]], dtype=torch.float64)


def driven(steps: int) -> torch.Tensor:
    """Return controls that swing the steering and push a little, away from all limits.  [1, steps, controls]"""
    k = torch.arange(steps, dtype=torch.float64)
    return torch.stack((0.4 * torch.cos(0.3 * k), torch.full_like(k, 0.5)), -1)[None]


def exact(initial: torch.Tensor, controls: torch.Tensor, dt: float) -> np.ndarray:
    """Return the states as another solver finds them, step by step.  [steps, states]"""
    params, state, found = defaults(SPEC), initial[0].numpy(), []
    for held in controls[0]:

        def rates(t, y, held=held):
            return SPEC.rates(torch.from_numpy(y)[None], held[None], params)[0].numpy()

        state = solve_ivp(rates, (0, dt), state, method="DOP853", rtol=1e-10, atol=1e-11).y[:, -1]
        found.append(state)
    return np.array(found)


@pytest.mark.parametrize(
    ("method", "substeps", "low", "high"), [("rk4", (8, 16, 32), 14, 18), ("euler", (4, 8, 16), 1.8, 2.2)]
)
def test_errors_shrink_with_the_order_of_the_method(method, substeps, low, high):
    initial, controls = start(5.0), driven(4)
    truth = exact(initial, controls, 0.05)
    errors = []
    for n in substeps:
        settings = RolloutSettings(method=method, substeps=n)
        found = rollout(SPEC, initial, controls, defaults(SPEC), 0.05, settings)
        errors.append(np.abs(found[0].numpy() - truth).max())
    assert all(low < large / small < high for large, small in itertools.pairwise(errors)), errors


def test_a_slow_start_needs_substeps_and_those_chosen_suffice():
    """At 1.6 m/s one step of 0.05 s leaves all bounds; the chosen ones come within a per mille of another solver."""
    initial, controls = start(1.6), driven(20)
    fine = rollout(SPEC, initial, controls, defaults(SPEC), 0.05, RolloutSettings(substeps=16))
    naive = rollout(SPEC, initial, controls, defaults(SPEC), 0.05, RolloutSettings(substeps=1))
    assert float((naive - fine).abs().max()) > 10
    np.testing.assert_allclose(fine[0, :1].numpy(), exact(initial, controls[:, :1], 0.05), rtol=0, atol=1e-6)
    n = auto_substeps(SPEC, fine[0].numpy(), 0.05, params=SPEC.default_params)
    assert 3 <= n <= 5
    chosen = rollout(SPEC, initial, controls, defaults(SPEC), 0.05, RolloutSettings(substeps=n))
    assert float((chosen - fine).abs().max()) < 1e-3


def test_rates_for_all_parameters_within_the_bounds_are_larger():
    states = states_of(SPEC, 30).numpy()
    narrow = SPEC.with_fixed({key: SPEC.default_params[key] for key in ("C_Sf", "C_Sr", "m", "I", "lf", "lr", "h")})
    worst, usual = fastest_rates(narrow, states), fastest_rates(narrow, states, params=narrow.default_params)
    assert (worst >= usual).all()
    # the rates grow with mu, whose largest value is known
    largest = fastest_rates(narrow, states, params={"mu": narrow.param_bounds["mu"][1]})
    np.testing.assert_allclose(worst, largest)
    assert auto_substeps(SPEC, states, 0.5) == MOST_SUBSTEPS
    assert auto_substeps(SPEC, states, 1e-4) == 1
    assert auto_substeps(narrow, states, np.array([[1e-3, 0.02]])) == auto_substeps(narrow, states, 0.02)


def test_substeps_leave_room_for_twice_the_default_rate_but_no_more_than_the_bounds_need():
    states = states_of(SPEC, 30).numpy()
    usual = fastest_rates(SPEC, states, params=SPEC.default_params).max()
    assert fastest_rates(SPEC, states).max() > 5 * usual
    assert auto_substeps(SPEC, states, 0.02) == int(np.ceil(2 * usual * 0.02))
    close = SPEC.with_bounds({key: (0.99 * value, 1.01 * value) for key, value in SPEC.default_params.items()})
    worst = fastest_rates(close, states).max()
    assert worst < 1.2 * usual
    assert auto_substeps(close, states, 2.5 / worst) == 3  # not the 5 of twice the rate
    assert auto_substeps(SPEC, states, 2.5 / usual, params=SPEC.default_params) == 3  # given ones need no room


def test_the_worst_within_the_bounds_is_not_below_parameters_drawn_from_them():
    states, n = states_of(SPEC, 5).numpy(), 50
    spec = get_model_spec("singletrack-pacejka")
    worst = fastest_rates(spec, states)
    values = params_of(spec, n, share=1.0)
    for k in range(n):
        drawn = fastest_rates(spec, states, params={name: value[k] for name, value in values.items()})
        assert (drawn <= worst * (1 + 1e-9)).all()


def test_a_model_that_does_not_say_how_stiff_it_is_gets_one_substep():
    spec = get_model_spec("unicycle")
    assert auto_substeps(spec, states_of(spec, 3).numpy(), 1.0) == 1
    with pytest.raises(ValueError, match=r"model 'unicycle' does not say how stiff it is: give it a stiffness_fn"):
        fastest_rates(spec, states_of(spec, 3).numpy())
    with pytest.raises(ValueError, match=r"`states` must have shape \[rows, 7\], got \(3, 4\)"):
        fastest_rates(SPEC, np.zeros((3, 4)))


@pytest.mark.parametrize("spec", STEERED, ids=lambda spec: spec.name)
@pytest.mark.parametrize("substeps", [1, 3])
def test_no_step_turns_the_steering_beyond_its_stop(spec, substeps):
    states, params = states_of(spec, 6, v=4.0), params_of(spec, 6)
    controls = torch.zeros(6, 12, 2, dtype=torch.float64)
    controls[:3, :, 0], controls[3:, :, 0] = 3.0, -3.0
    stop, at = 0.4189, spec.state_names.index("delta")
    free = rollout(spec, states, controls, params, 0.05, RolloutSettings(substeps=substeps))[..., at]
    held = rollout(spec, states, controls, params, 0.05, RolloutSettings(method="rk4-clamped", substeps=substeps))
    delta = held[..., at]
    assert float(free.abs().max()) > stop + 1e-3
    assert float(delta.abs().max()) <= stop + 1e-9
    assert delta[:, -1].abs().numpy() == pytest.approx(stop, abs=1e-9)
    assert held.isfinite().all()


def test_what_begins_beyond_a_stop_is_not_thrown_back():
    states = start(4.0)
    states[0, 2] = 0.5
    clamped = RolloutSettings(method="rk4-clamped")
    on = rollout(SPEC, states, torch.full((1, 4, 2), 1.0, dtype=torch.float64), defaults(SPEC), 0.02, clamped)
    assert on[0, :, 2].tolist() == pytest.approx([0.5] * 4)
    back = rollout(SPEC, states, torch.full((1, 4, 2), -1.0, dtype=torch.float64), defaults(SPEC), 0.02, clamped)
    assert back[0, :, 2].tolist() == pytest.approx([0.48, 0.46, 0.44, 0.42])


def test_the_largest_speed_is_reached_with_gains_and_not_passed():
    spec = get_model_spec("singletrack-augmented")
    params = {**defaults(spec), "a_v": torch.tensor(1.3, dtype=torch.float64), "b_v": torch.tensor(0.4)}
    push = torch.zeros(1, 30, 2, dtype=torch.float64)
    push[..., 1] = 3.0
    states = start(19.0)
    path = rollout(spec, states, push, params, 0.1, RolloutSettings(method="rk4-clamped", substeps=2))[0, :, 3]
    assert float(path.max()) <= 20 + 1e-9
    assert float(path[-1]) == pytest.approx(20, abs=1e-6)


def test_away_from_limits_clamping_changes_nothing():
    for spec in (SPEC, augmented(SPEC), get_model_spec("singletrack-pacejka")):
        states, controls = states_of(spec, 4), 0.1 * controls_of(spec, 4, 3)
        plain = rollout(spec, states, controls, defaults(spec), 0.02)
        clamped = rollout(spec, states, controls, defaults(spec), 0.02, RolloutSettings(method="rk4-clamped"))
        torch.testing.assert_close(clamped, plain, rtol=0, atol=1e-13)


def test_windows_are_solved_each_for_itself():
    states, controls, params = states_of(SPEC, 6), controls_of(SPEC, 6, 5), params_of(SPEC, 6)
    dt = torch.linspace(0.01, 0.03, 30, dtype=torch.float64).reshape(6, 5)
    together = rollout(SPEC, states, controls, params, dt)
    for k in range(6):
        one = {key: value[k] for key, value in params.items()}
        alone = rollout(SPEC, states[k : k + 1], controls[k : k + 1], one, dt[k : k + 1])
        torch.testing.assert_close(alone[0], together[k], rtol=1e-12, atol=1e-12)


def test_a_window_can_be_cut_in_two():
    states, controls = states_of(SPEC, 3), controls_of(SPEC, 3, 8)
    whole = rollout(SPEC, states, controls, defaults(SPEC), 0.02)
    first = rollout(SPEC, states, controls[:, :5], defaults(SPEC), 0.02)
    second = rollout(SPEC, first[:, -1], controls[:, 5:], defaults(SPEC), 0.02)
    torch.testing.assert_close(torch.cat((first, second), 1), whole, rtol=0, atol=1e-12)


def test_what_does_not_fit_is_refused():
    states, controls, params = states_of(SPEC, 2), controls_of(SPEC, 2, 3), defaults(SPEC)
    with pytest.raises(ValueError, match=r"`initial_states` must have shape \[windows, 7\] for x, y, delta, v"):
        rollout(SPEC, states[:, :5], controls, params, 0.1)
    with pytest.raises(ValueError, match=r"`controls` must have shape \[2, steps, 2\] for delta_dot, accel, got"):
        rollout(SPEC, states, controls[:1], params, 0.1)
    with pytest.raises(ValueError, match=r"no parameter 'C_sf'; did you mean 'C_Sf'\?"):
        rollout(SPEC, states, controls, {**params, "C_sf": params["C_Sf"]}, 0.1)
    with pytest.raises(ValueError, match=r"parameter 'mu' of model 'singletrack' is missing"):
        rollout(SPEC, states, controls, {key: value for key, value in params.items() if key != "mu"}, 0.1)
    with pytest.raises(ValueError, match=r"parameter 'mu' must have shape \(\) or \(2,\), got \(3,\)"):
        rollout(SPEC, states, controls, {**params, "mu": torch.ones(3)}, 0.1)
    clamped = RolloutSettings(method="rk4-clamped")
    with pytest.raises(ValueError, match=r"needs limits, and model 'singletrack' has none: take 'rk4'"):
        rollout(replace(SPEC, limit_fn=None), states, controls, params, 0.1, clamped)
    with pytest.raises(ValueError, match=r"method must be one of 'rk4', 'euler', 'rk4-clamped', got 'rk5'"):
        RolloutSettings(method="rk5")
    with pytest.raises(ValueError, match=r"substeps must be an integer of at least 1, got 0"):
        RolloutSettings(substeps=0)
