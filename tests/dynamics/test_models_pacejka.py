"""Tyres of the Magic Formula: limits where they are linear, a published drift, and data with known coefficients."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics.known_states import controls_of, defaults, params_of, states_of, tensors
from potentia.dynamics import RolloutSettings, get_model_spec, rollout
from potentia.dynamics.models import bodyframe_spec, pacejka_spec, singletrack_spec
from potentia.dynamics.models.magic_formula import magic_formula, steepest
from potentia.dynamics.presets import get_vehicle
from potentia.seeding import stream

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "dynamics"
DRIFT = [FOLDER / f"reference_single_track_drift{number}.mat" for number in ("", "2", "3")]
ETHZ = FOLDER / "DYN-PP-ETHZ.npz"
KNOWN = {"Bf": 5.579, "Cf": 1.2, "Df": 0.192, "Ef": -0.083, "Shf": -0.0013, "Svf": 0.00043}
KNOWN |= {"Br": 5.3852, "Cr": 1.2691, "Dr": 0.1737, "Er": -0.019, "Shr": -0.00376, "Svr": 0.00091}
KNOWN |= {"Cm1": 0.287, "Cm2": 0.0545, "Cr0": 0.0518, "Cr2": 0.00035, "Iz": 27.8e-6}


def test_small_angles_give_linear_tyres_to_third_order():
    vehicle = get_vehicle("f1tenth")
    curved, straight = pacejka_spec(vehicle), singletrack_spec(vehicle)
    states, controls = states_of(straight, 10, v=5.0), 0 * controls_of(straight, 10)[:, 0]
    errors = []
    for size in (0.02, 0.01, 0.005):
        small = states.clone()
        small[:, [2, 5, 6]] *= torch.tensor([size, 5 * size, size]) / torch.tensor([0.3, 1.0, 0.1])
        difference = curved.rates(small, controls, defaults(curved)) - straight.rates(
            small, controls, defaults(straight)
        )
        errors.append(float(difference[:, 5:].abs().max()))
    for large, small in itertools.pairwise(errors):
        assert 6 < large / small < 10
    assert errors[-1] < 1e-2


def test_a_slope_is_never_steeper_than_its_bound():
    angles = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    for b in (1.0, 5.0, 30.0):
        for c in (0.5, 1.3, 2.0, 2.5):
            for e in (-3.0, -1.0, -0.3, 0.0, 0.7, 1.0):
                given = [torch.tensor(value, dtype=torch.float64) for value in (b, c, e)]
                slope = magic_formula(angles, *given).diff() / angles.diff()
                assert float(slope.max()) <= float(steepest(*given)) * (1 + 1e-9), (b, c, e)


def test_the_force_of_a_tyre_has_a_peak_of_one():
    angles = torch.linspace(0, 3, 3001, dtype=torch.float64)
    force = magic_formula(angles, *(torch.tensor(value, dtype=torch.float64) for value in (10.0, 1.9, 0.9)))
    assert float(force.max()) == pytest.approx(1, abs=1e-5)
    assert float(force[-1]) < 0.9


def test_a_peak_in_newton_is_friction_times_load_at_rest():
    vehicle = get_vehicle("f1tenth")
    loaded, newton = pacejka_spec(vehicle), pacejka_spec(vehicle, tyre_force="newton")
    states, controls = states_of(loaded, 10), 0 * controls_of(loaded, 10)[:, 0]
    assert {"mu", "h"}.isdisjoint(newton.param_keys)
    torch.testing.assert_close(
        newton.rates(states, controls, defaults(newton)), loaded.rates(states, controls, defaults(loaded))
    )


def test_braking_takes_from_cornering_what_the_ellipse_says():
    vehicle = replace(get_vehicle("f1tenth"), drive_front=0.0, brake_front=0.0)
    free, bound = pacejka_spec(vehicle), pacejka_spec(vehicle, friction_ellipse=True)
    states = torch.tensor([[0, 0, 0, 5.0, 0, 1.0, 0.0]], dtype=torch.float64)
    for accel, left in ((0.0, 1.0), (-4.0, None), (-9.0, 0.01)):
        controls = torch.tensor([[0.0, accel]], dtype=torch.float64)
        rear = vehicle.mu * (9.81 * vehicle.lf + accel * vehicle.h) / (vehicle.lf + vehicle.lr)  # [], N/kg
        share = max(1 - (accel / rear) ** 2, 1e-4) ** 0.5 if left is None else left
        spins = [float(spec.rates(states, controls, defaults(spec))[0, 5]) for spec in (free, bound)]
        # the front axle is not braked: what changes is the moment of the rear axle alone
        front_alone = float(free.rates(states, controls, {**defaults(free), "D_r": torch.tensor(0.0)})[0, 5])
        assert spins[1] - front_alone == pytest.approx(share * (spins[0] - front_alone), rel=1e-9)


def test_a_motor_pushes_less_the_faster_it_turns():
    spec = pacejka_spec(drive="motor")
    params = {**defaults(spec), "Cr0": torch.tensor(0.3), "Cr2": torch.tensor(0.02)}
    states = torch.zeros(2, 7, dtype=torch.float64)
    states[:, 3] = torch.tensor([2.0, 8.0])
    found = spec.rates(states, torch.tensor([[0.0, 0.5], [0.0, 2.0]], dtype=torch.float64), params)[:, 3]
    motor, m = get_vehicle("f1tenth").driving, float(params["m"])
    assert float(found[0]) == pytest.approx(((motor.Cm1 - motor.Cm2 * 2) * 0.5 - 0.3 - 0.02 * 4) / m, rel=1e-6)
    assert float(found[1]) == pytest.approx((motor.Cm1 - motor.Cm2 * 8 - 0.3 - 0.02 * 64) / m, rel=1e-6)  # cut at 1


def test_cornering_costs_speed():
    spec, linear = get_model_spec("singletrack-pacejka"), get_model_spec("singletrack")
    states = torch.tensor([[0, 0, 0.3, 6.0, 0, 2.0, -0.05]], dtype=torch.float64)
    controls = torch.zeros(1, 2, dtype=torch.float64)
    assert float(spec.rates(states, controls, defaults(spec))[0, 3]) < -0.5
    assert float(linear.rates(states, controls, defaults(linear))[0, 3]) == 0


def test_rates_are_those_of_another_implementation():
    package = "gymkhana.envs.dynamic_models.single_track_pacejka.single_track_pacejka"
    module = pytest.importorskip(package)
    vehicle = replace(get_vehicle("f1tenth"), drive_front=0.0, brake_front=0.0)
    spec, random = pacejka_spec(vehicle), stream(0, "other")
    drawn = {key: float(value[0]) for key, value in params_of(spec, 1).items()}
    drawn |= dict.fromkeys(("Sh_f", "Sh_r", "Sv_f", "Sv_r", "b_v", "Cr0", "Cr2"), 0.0) | {"a_v": 1.0}
    states = random.uniform([-5, -5, -0.4, 6, -3, -3, -0.6], [5, 5, 0.4, 20, 3, 3, 0.6], (500, 7))
    controls = random.uniform([-5, -15], [5, 15], (500, 2))
    other = {**drawn, **vehicle.limits, "I_z": drawn["I"], "h_s": drawn["h"]}
    wanted = np.array([module.vehicle_dynamics_stp(x, u, other) for x, u in zip(states, controls, strict=True)])
    found = spec.rates(torch.tensor(states), torch.tensor(controls), tensors(drawn)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


def drift(path):
    """Return states and controls of a drift, each control the mean of both ends of its step.  [times, ...] both"""
    loadmat = pytest.importorskip("scipy.io").loadmat
    found = loadmat(path, squeeze_me=True)
    names = ("xPos", "yPos", "delta", "v", "psi", "dPsi", "beta")
    states = np.stack([found["x_State"][name].item() for name in names], 1)
    controls = np.stack([found["u_Input"][name].item() for name in ("U_vdelta", "U_ax")], 1)
    return states, (controls[:-1] + controls[1:]) / 2


@pytest.mark.skipif(not DRIFT[0].exists(), reason="needs the drift data of the single-track benchmark")
def test_a_drift_of_thirty_seconds_is_reproduced_with_the_coefficients_of_its_tyre():
    """Data of a model with nine states and wheels that slip; linear tyres are four hundred times as far away."""
    states, controls = drift(DRIFT[0])
    scale, rows = states[5:3500:5].std(0), slice(3500, 5000, 5)
    held = controls[3500:4995].reshape(-1, 5, 2).mean(1)
    errors = {}
    for spec in (pacejka_spec(get_vehicle("fordescort")), singletrack_spec(get_vehicle("fordescort"))):
        start = torch.tensor(states[3500:3501])
        settings = RolloutSettings(substeps=2)
        path = rollout(spec, start, torch.tensor(held[None]), defaults(spec), 0.1, settings)[0].numpy()
        errors[spec.name] = (((path - states[rows][1:]) / scale) ** 2).sum()
    assert errors["singletrack-pacejka"] < 0.2
    assert errors["singletrack"] > 50


@pytest.mark.skipif(not ETHZ.exists(), reason="needs the simulated laps of the 1:43 car")
def test_laps_of_the_small_car_are_steps_of_euler_with_the_known_coefficients():
    with np.load(ETHZ, allow_pickle=False) as found:
        states, controls = found["dstates"][:6].T, found["inputs"].T
    spec = get_model_spec("bodyframe-pacejka")
    start, held = torch.tensor(states[1:1000]), torch.tensor(controls[1:1000, None])
    path = rollout(spec, start, held, tensors(KNOWN), 0.02, RolloutSettings(method="euler"))
    np.testing.assert_allclose(path[:, 0].numpy(), states[2:1001], rtol=0, atol=1e-12)


def test_seventeen_numbers_of_the_body_frame_hold_the_published_ones():
    spec = bodyframe_spec()
    assert spec.param_keys == (
        *("Bf", "Cf", "Df", "Ef", "Shf", "Svf", "Br", "Cr", "Dr", "Er", "Shr", "Svr"),
        *("Cm1", "Cm2", "Cr0", "Cr2", "Iz"),
    )
    for key, (low, high) in spec.param_bounds.items():
        assert low < KNOWN[key] < high, key
    assert spec.state_names == ("x", "y", "psi", "vx", "vy", "r")


def test_the_body_frame_is_the_single_track_in_other_states():
    vehicle = replace(get_vehicle("orca"), drive_front=0.0)
    body, track = bodyframe_spec(vehicle), pacejka_spec(vehicle, drive="motor", tyre_force="newton")
    states = states_of(track, 10, v=3.0)  # well above the speed at which it rolls
    x, y, delta, v, psi, r, beta = states.unbind(-1)
    throttle = torch.linspace(-0.5, 1, 10, dtype=torch.float64)
    zeros = torch.zeros_like(throttle)
    by_track = track.rates(states, torch.stack((zeros, throttle), -1), defaults(track))
    same = torch.stack((x, y, psi, v * beta.cos(), v * beta.sin(), r), -1)
    params = {**defaults(body), "Cr0": torch.tensor(0.0), "Cr2": torch.tensor(0.0)}
    # the track loses motor force with v, the body with vx: without that they are one
    params["Cm2"], given = torch.tensor(0.0), {**defaults(track), "Cm2": torch.tensor(0.0)}
    by_track = track.rates(states, torch.stack((zeros, throttle), -1), given)
    by_body = body.rates(same, torch.stack((throttle, delta), -1), params)
    speeding = by_body[:, 3] * beta.cos() + by_body[:, 4] * beta.sin()
    sliding = (by_body[:, 4] * beta.cos() - by_body[:, 3] * beta.sin()) / v
    found = torch.stack((by_body[:, 0], by_body[:, 1], zeros, speeding, by_body[:, 2], by_body[:, 5], sliding), -1)
    torch.testing.assert_close(found, by_track, rtol=1e-9, atol=1e-9)
