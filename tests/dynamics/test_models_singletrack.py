"""The single track: known answers of the CommonRoad vehicle models, its limits, rolling, and gains around it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dynamics.known_states import controls_of, defaults, params_of, states_of
from potentia.dynamics import RolloutSettings, get_model_spec, rollout, why_not_compiled
from potentia.dynamics.models import KINEMATIC, SINGLETRACK, augmented, kinematic_spec, singletrack_spec
from potentia.dynamics.presets import get_vehicle
from potentia.errors import ConfigError
from potentia.seeding import stream

TORCH = RolloutSettings(compiled=False)
PACKAGE = {"fordescort": 1, "bmw320i": 2, "vanagon": 3}


def reference(name):
    """Return the single track as the package has it: a hard change at 0.1 m/s."""
    return singletrack_spec(get_vehicle(name), blend="hard", blend_speed=0.1)


def test_rates_are_those_of_the_published_vector():
    """State, controls and rates are those of the CommonRoad vehicle models' own test, vehicle 2."""
    state = [2.0233348142065677, 0.0041907137716636, 0.0197545248559617, 15.7216236334290116, 0.0025857914776859]
    state += [0.0529001056654038, 0.0033012170610298]
    rates = [15.7213512030862397, 0.0925527979719355, 0.1500000000000000, 5.3536773276413925, 0.0529001056654038]
    rates += [0.6435589397748606, 0.0313297971641291]
    controls = torch.tensor([0.15, 0.63 * 9.81], dtype=torch.float64)
    for spec in (reference("bmw320i"), singletrack_spec(get_vehicle("bmw320i"))):
        found = spec.rates(torch.tensor(state, dtype=torch.float64), controls, defaults(spec))
        torch.testing.assert_close(found, torch.tensor(rates, dtype=torch.float64), rtol=0, atol=1e-14)


def test_rates_of_rolling_are_those_of_the_published_vector():
    """Of the package's own test of its kinematic model, whose point is the rear axle: no length is behind it."""
    state = [3.9579422297936526, 0.0391650102771405, 0.0378491427211811, 16.3546957860883566, 0.0294717351052816]
    rates = [16.3475935934250209, 0.4819314886013121, 0.1500000000000000, 5.1464424102339752, 0.2401426578627629]
    spec, car = kinematic_spec(get_vehicle("bmw320i")), get_vehicle("bmw320i").values
    base = torch.tensor(car["lf"] + car["lr"], dtype=torch.float64)
    controls = torch.tensor([0.15, 0.63 * 9.81], dtype=torch.float64)
    params = {**defaults(spec), "lf": base, "lr": 0 * base}
    found = spec.rates(torch.tensor(state, dtype=torch.float64), controls, params)
    torch.testing.assert_close(found, torch.tensor(rates, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", PACKAGE)
def test_rates_are_those_of_the_installed_package(name):
    module = pytest.importorskip("vehiclemodels.vehicle_dynamics_st")
    numbered = pytest.importorskip(f"vehiclemodels.parameters_vehicle{PACKAGE[name]}")
    given = getattr(numbered, f"parameters_vehicle{PACKAGE[name]}")()
    spec, random, rows = reference(name), stream(0, "package", name), 1000
    low = [-50, -50, -1.2, 0.2, -3, -2, -0.5]
    states = random.uniform(low, [50, 50, 1.2, 60, 3, 2, 0.5], (rows, 7))
    controls = random.uniform([-1, -20], [1, 20], (rows, 2))
    wanted = np.array(
        [module.vehicle_dynamics_st(list(x), list(u), given) for x, u in zip(states, controls, strict=True)]
    )
    found = spec.rates(torch.tensor(states), torch.tensor(controls), defaults(spec)).numpy()
    assert np.abs((found - wanted) / (1 + np.abs(wanted))).max() < 1e-12


@pytest.mark.parametrize("name", PACKAGE)
def test_rolling_is_that_of_the_installed_package(name):
    module = pytest.importorskip("vehiclemodels.utils.vehicle_dynamics_ks_cog")
    numbered = pytest.importorskip(f"vehiclemodels.parameters_vehicle{PACKAGE[name]}")
    given = getattr(numbered, f"parameters_vehicle{PACKAGE[name]}")()
    spec, random = kinematic_spec(get_vehicle(name)), stream(0, "package", name)
    states = random.uniform([-50, -50, -0.9, -5, -3], [50, 50, 0.9, 60, 3], (300, 5))
    controls = random.uniform([-1, -20], [1, 20], (300, 2))
    wanted = np.array(
        [module.vehicle_dynamics_ks_cog(list(x), list(u), given) for x, u in zip(states, controls, strict=True)]
    )
    found = spec.rates(torch.tensor(states), torch.tensor(controls), defaults(spec)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_rolling_slips_as_the_steering_says_and_not_by_the_square_of_its_tangent():
    """The rate of the slip angle is that of atan(tan(delta) lr/L); a known program squares tan(delta) alone."""
    delta, turn, vehicle = 0.3, 0.5, get_vehicle("f1tenth")
    ratio = vehicle.lr / (vehicle.lf + vehicle.lr)
    state = torch.tensor([0, 0, delta, 0.2, 0, 0, 0], dtype=torch.float64)
    rates = SINGLETRACK.rates(state, torch.tensor([turn, 0.0], dtype=torch.float64), defaults(SINGLETRACK))
    step = 1e-6
    change = math.atan(math.tan(delta + step) * ratio) - math.atan(math.tan(delta - step) * ratio)
    assert float(rates[6]) == pytest.approx(turn * change / (2 * step), rel=1e-4)


@pytest.mark.parametrize("v", [0.05, 0.3])
def test_slowly_it_rolls_as_the_kinematic_model_does(v):
    states, controls = states_of(SINGLETRACK, 5, v=v), controls_of(SINGLETRACK, 5)[:, 0]
    found = SINGLETRACK.rates(states, controls, defaults(SINGLETRACK))
    rolled = KINEMATIC.rates(states[:, :5], controls, defaults(KINEMATIC))
    torch.testing.assert_close(found[:, :5], rolled, rtol=1e-5, atol=1e-5)


def test_backward_it_rolls():
    states, controls = states_of(SINGLETRACK, 5, v=-2.0), controls_of(SINGLETRACK, 5)[:, 0]
    found = SINGLETRACK.rates(states, controls, defaults(SINGLETRACK))
    rolled = KINEMATIC.rates(states[:, :5], controls, defaults(KINEMATIC))
    torch.testing.assert_close(found[:, :5], rolled, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("state", "control", "found"),
    [
        ({"delta": 0.4189}, (1.0, 0.0), (0.0, 0.0)),  # at the stop
        ({"delta": 0.4189}, (-1.0, 0.0), (-1.0, 0.0)),  # and back from it
        ({"delta": -0.5}, (-1.0, 0.0), (0.0, 0.0)),
        ({"delta": 0.0}, (9.0, 0.0), (3.2, 0.0)),  # as fast as it can
        ({"v": 20.0}, (0.0, 1.0), (0.0, 0.0)),  # at full speed
        ({"v": 20.0}, (0.0, -1.0), (0.0, -1.0)),
        ({"v": 2.0}, (0.0, -99.0), (0.0, -9.51)),
        ({"v": 2.0}, (0.0, 99.0), (0.0, 9.51)),
        ({"v": 14.638}, (0.0, 99.0), (0.0, 9.51 / 2)),  # twice the speed from which power is the limit
    ],
)
def test_steering_and_motor_have_limits(state, control, found):
    states = torch.tensor([[state.get(name, 0.0) for name in SINGLETRACK.state_names]], dtype=torch.float64)
    rates = SINGLETRACK.rates(states, torch.tensor([control], dtype=torch.float64), defaults(SINGLETRACK))
    assert rates[0, 2:4].tolist() == pytest.approx(found)


def test_two_cars_that_data_cannot_tell_apart():
    states, controls = states_of(SINGLETRACK, 20), controls_of(SINGLETRACK, 20)[:, 0]
    params = params_of(SINGLETRACK, 20)
    other = {**params, "mu": params["mu"] / 1.3, "C_Sf": params["C_Sf"] * 1.3, "C_Sr": params["C_Sr"] * 1.3}
    other = {**other, "m": params["m"] * 0.7, "I": params["I"] * 0.7}
    torch.testing.assert_close(
        SINGLETRACK.rates(states, controls, other), SINGLETRACK.rates(states, controls, params), rtol=1e-11, atol=1e-11
    )
    assert SINGLETRACK.gauge_fixed().param_keys == ("mu", "C_Sr", "lf", "lr", "h", "I")


def test_gains_of_one_and_biases_of_zero_change_no_bit():
    spec = get_model_spec("singletrack-augmented")
    assert spec.vector_size == 16
    for v in (None, 0.9):
        states = states_of(SINGLETRACK, 50, **({} if v is None else {"v": v}))
        controls, params = 5 * controls_of(SINGLETRACK, 50, 10), params_of(SINGLETRACK, 50)
        gains = {key: value for key, value in defaults(spec).items() if key not in params}
        plain = rollout(SINGLETRACK, states, controls, params, 0.01)
        assert torch.equal(rollout(spec, states, controls, {**params, **gains}, 0.01), plain)


def test_each_gain_and_bias_does_what_its_name_says():
    spec = get_model_spec("singletrack-augmented")
    states, controls = states_of(spec, 5), controls_of(spec, 5)[:, 0]
    params = params_of(SINGLETRACK, 5)
    gains = {"a_d": 1.1, "b_d": 0.05, "a_v": 0.8, "b_v": 0.5, "a_r": 1.2, "b_r": -0.7, "a_b": 0.9, "b_b": 0.2}
    given = {**params, **{key: torch.tensor(value, dtype=torch.float64) for key, value in gains.items()}}
    found = spec.rates(states, controls, given)
    seen, felt = states.clone(), controls.clone()
    seen[:, 2], felt[:, 1] = 1.1 * states[:, 2] + 0.05, 0.8 * controls[:, 1] + 0.5
    plain = SINGLETRACK.rates(seen, felt, params)
    plain[:, 5], plain[:, 6] = 1.2 * plain[:, 5] - 0.7, 0.9 * plain[:, 6] + 0.2
    torch.testing.assert_close(found, plain, rtol=1e-13, atol=1e-13)


def test_gains_at_the_state_are_the_model_seen_through_instruments_that_are_off():
    """Measured states are a linear map of the true ones, with which Runge-Kutta steps commute."""
    spec = augmented(SINGLETRACK, augment_at="state")
    states, controls = states_of(spec, 6), controls_of(spec, 6, 20)
    gains = {"a_d": 1.0, "b_d": 0.03, "a_v": 0.9, "b_v": 0.2, "a_r": 1.2, "b_r": -0.3, "a_b": 0.8, "b_b": 0.05}
    params = params_of(SINGLETRACK, 6)
    given = {**params, **{key: torch.tensor(value, dtype=torch.float64) for key, value in gains.items()}}

    def true(measured):
        found = measured.clone()
        for place, key in ((2, "d"), (5, "r"), (6, "b")):
            found[..., place] = gains[f"a_{key}"] * measured[..., place] + gains[f"b_{key}"]
        return found

    felt = torch.stack((controls[..., 0], 0.9 * controls[..., 1] + 0.2), -1)
    path = rollout(spec, states, controls, given, 0.01, TORCH)
    known = rollout(SINGLETRACK, true(states), felt, params, 0.01, TORCH)
    torch.testing.assert_close(true(path), known, rtol=1e-11, atol=1e-11)
    assert why_not_compiled(spec) is None
    assert spec.gauge == SINGLETRACK.gauge
    assert spec.stiffness_fn is SINGLETRACK.stiffness_fn
    defaults_of = {**params, **{key: defaults(spec)[key] for key in gains}}
    plain = rollout(SINGLETRACK, states, controls, params, 0.01, TORCH)
    assert torch.equal(rollout(spec, states, controls, defaults_of, 0.01, TORCH), plain)
    with pytest.raises(ConfigError, match="augment_at must be one of 'rates', 'state'"):
        augmented(SINGLETRACK, augment_at="states")


def test_a_model_with_its_own_gain_of_acceleration_gets_no_second_one():
    spec = augmented(get_model_spec("singletrack-pacejka"))
    assert spec.name == "singletrack-pacejka-augmented"
    assert spec.param_keys.count("a_v") == 1
    assert "a_d" in spec.param_keys
