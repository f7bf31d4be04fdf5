"""What holds for every model: derivatives, rest, turns, mirrors, leading axes, and parameters that nothing can tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dynamics.known_states import controls_of, defaults, mirrored, params_of, states_of, tensors
from potentia.dynamics import MODEL_SPECS, RolloutSettings, get_model_spec, list_model_specs, rollout
from potentia.dynamics.models import augmented, mlp_dynamics, pacejka_spec, singletrack_spec
from potentia.dynamics.presets import VEHICLES, get_vehicle
from potentia.testing import dynamics as laws

VARIANTS = {
    "singletrack, hard": singletrack_spec(blend="hard", name="singletrack-hard"),
    "pacejka, ellipse": pacejka_spec(friction_ellipse=True, name="pacejka-ellipse"),
    "pacejka, newton": pacejka_spec(tyre_force="newton", name="pacejka-newton"),
    "pacejka, motor": pacejka_spec(drive="motor", name="pacejka-motor"),
    "pacejka, augmented": augmented(pacejka_spec()),
    "singletrack, instruments": augmented(singletrack_spec(), augment_at="state"),
    "mlp, world": mlp_dynamics(4, frame="world", name="mlp-world"),
}
SMALL = {"mlp-dynamics": mlp_dynamics(4)}
EVERY = {**{name: SMALL.get(name, MODEL_SPECS[name]) for name in list_model_specs()}, **VARIANTS}
NOT_VEHICLES = {"cascaded-tanks"}
PLANAR = [name for name in EVERY if name not in {*NOT_VEHICLES, "tv-linear", "mlp, world"}]
EVEN = [name for name in PLANAR if name not in {"mlp-dynamics", "unicycle"}]
STIFF = [name for name, spec in EVERY.items() if spec.stiffness_fn is not None]
every_model = pytest.mark.parametrize("spec", EVERY.values(), ids=EVERY)
# Laws of the equations: `test_compiled` compares machine code with torch for each of these models.
TORCH, RK4 = RolloutSettings(compiled=False), RolloutSettings(substeps=2, compiled=False)


def named(names):
    return pytest.mark.parametrize("spec", [EVERY[name] for name in names], ids=names)


@every_model
def test_derivatives_of_a_roll_out_are_those_of_differences(spec):
    laws.roll_outs_have_the_derivatives_of_differences(
        spec, states_of(spec, 2), controls_of(spec, 2, 5), params_of(spec, 2), 0.02
    )


@named([name for name in EVERY if "v_s" in EVERY[name].constants and "hard" not in name])
def test_derivatives_where_tyres_take_over_from_rolling(spec):
    around = float(np.asarray(spec.constants["v_s"]))
    states = states_of(spec, 2, v=around, beta=0.02)
    laws.roll_outs_have_the_derivatives_of_differences(spec, states, controls_of(spec, 2, 5), params_of(spec, 2), 0.004)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
@every_model
def test_at_rest_rates_and_their_derivatives_are_finite(spec, compiled):
    laws.at_rest_rates_and_derivatives_are_finite(spec, RolloutSettings(compiled=compiled))


@named([name for name in PLANAR if name not in {"mlp-dynamics", "bodyframe-pacejka"}])
def test_what_stands_still_stays_where_it_is(spec):
    still = torch.zeros(1, len(spec.states), dtype=torch.float64)
    still[0, spec.state_names.index("psi")] = 1.0
    controls = torch.zeros(1, 5, len(spec.controls), dtype=torch.float64)
    torch.testing.assert_close(rollout(spec, still, controls, defaults(spec), 0.1, TORCH)[:, -1], still)


@named(PLANAR)
def test_a_turned_world_gives_the_turned_path(spec):
    laws.turned_world_gives_the_turned_path(
        spec, states_of(spec, 4), controls_of(spec, 4, 10), params_of(spec, 4), 0.02, RK4
    )


@named(EVEN)
def test_a_mirrored_start_gives_the_mirrored_path(spec):
    states, controls = states_of(spec, 4), controls_of(spec, 4, 10)
    params = defaults(spec)  # biases to one side are 0
    path = rollout(spec, states, controls, params, 0.02, RK4)
    seen = rollout(spec, mirrored(spec.state_names, states), mirrored(spec.control_names, controls), params, 0.02, RK4)
    torch.testing.assert_close(seen, mirrored(spec.state_names, path), rtol=0, atol=1e-9)


@every_model
def test_rates_take_any_leading_axes(spec):
    laws.rates_take_any_leading_axes(spec, states_of(spec, 6), controls_of(spec, 6)[:, 0], params_of(spec, 6))


@every_model
def test_defaults_lie_inside_the_bounds_where_a_network_can_reach_them(spec):
    laws.defaults_lie_inside_the_bounds(spec)


@every_model
def test_a_parameter_of_the_gauge_can_be_made_up_for_by_others(spec):
    """The rates' derivatives by all parameters have so many null directions, and by those that are left none."""
    if spec.name.startswith("mlp") or spec.name == "tv-linear":
        pytest.skip("more parameters than a few states tell apart")
    states, controls = states_of(spec, 60), controls_of(spec, 60)[:, 0]
    keys, values = spec.param_keys, defaults(spec)
    if spec.name == "cascaded-tanks":
        states[::3, 0] = 10.5  # a full tank, which alone spills
    if "augmented" in spec.name:
        states[:, spec.state_names.index("v")] += 4  # no rolling, which a gain of the rates would see
    bounds = {key: (torch.as_tensor(low), torch.as_tensor(high)) for key, (low, high) in spec.param_bounds.items()}
    values = {key: value + 0.02 * (bounds[key][1] - value) for key, value in values.items()}
    span = torch.stack([bounds[key][1] - bounds[key][0] for key in keys])

    def rates(vector):
        return spec.rates(states, controls, dict(zip(keys, vector.unbind(), strict=True))).reshape(-1)

    jacobian = torch.autograd.functional.jacobian(rates, torch.stack(list(values.values())), vectorize=True) * span
    jacobian = jacobian / jacobian.reshape(60, -1, len(keys)).abs().amax((0, 2)).clamp(min=1e-12).repeat(60)[:, None]
    free = [k for k, key in enumerate(keys) if key not in spec.gauge]
    assert int((torch.linalg.svdvals(jacobian) > 1e-9).sum()) == len(free)
    assert torch.linalg.svdvals(jacobian[:, free]).min() > 1e-6


@named(STIFF)
def test_no_eigenvalue_is_larger_than_the_stiffness_says(spec):
    speed = {spec.speed: 1.2}
    states = torch.cat((states_of(spec, 20), states_of(spec, 20, **speed)))
    params = params_of(spec, 40)
    if "b_v" in params:
        params["b_v"] = 0 * params["b_v"]
    laws.no_eigenvalue_is_larger_than_the_stiffness_says(spec, states, params)


@pytest.mark.parametrize("vehicle", VEHICLES.values(), ids=VEHICLES)
def test_every_known_vehicle_can_be_every_model_of_vehicles(vehicle):
    for spec in (singletrack_spec(vehicle), pacejka_spec(vehicle), pacejka_spec(vehicle, drive="motor")):
        states = states_of(spec, 5, v=max(3.0, 2 * vehicle.v_s))
        states[:, 5] *= 0.1
        path = rollout(spec, states, 0.05 * controls_of(spec, 5, 5), defaults(spec), 0.01, replace(TORCH, substeps=8))
        assert path.isfinite().all()
        assert (path[:, -1, :2] - states[:, :2]).norm(dim=1).max() < 0.05 * 1.5 * states[0, 3]


def test_an_unknown_vehicle_is_refused():
    with pytest.raises(ValueError, match=r"there is no vehicle 'f1tenht'; did you mean 'f1tenth'\?"):
        get_vehicle("f1tenht")


def test_settings_of_models_are_checked():
    with pytest.raises(ValueError, match=r"blend must be one of 'smooth', 'hard', got 'soft'"):
        singletrack_spec(blend="soft")
    with pytest.raises(ValueError, match=r"drive must be one of 'accel', 'motor'"):
        pacejka_spec(drive="pedal")
    with pytest.raises(ValueError, match=r"tyre_force must be one of 'load', 'newton'"):
        pacejka_spec(tyre_force="N")
    with pytest.raises(ValueError, match=r"frame must be one of 'body', 'world'"):
        mlp_dynamics(4, frame="car")
    with pytest.raises(ValueError, match=r"hidden_size must be an integer of at least 1"):
        mlp_dynamics(0)


def test_only_a_single_track_with_limits_can_be_augmented():
    with pytest.raises(ValueError, match=r"model 'unicycle' cannot be augmented: that takes the states x, y, delta"):
        augmented(get_model_spec("unicycle"))
    with pytest.raises(ValueError, match=r"'singletrack' cannot be augmented"):
        augmented(replace(get_model_spec("singletrack"), limit_fn=None))


def test_vehicles_have_their_published_numbers():
    small, ford = get_vehicle("f1tenth"), get_vehicle("fordescort")
    assert (small.m, small.lf, small.lr, small.C_Sf) == (3.74, 0.15875, 0.17145, 4.718)
    assert ford.mu * ford.C_Sf == pytest.approx(21.92)
    orca = get_vehicle("orca")
    assert orca.front.D * orca.mu * orca.loads[0] == pytest.approx(0.192)
    assert orca.rear.D * orca.mu * orca.loads[1] == pytest.approx(0.1737)
    assert tensors(singletrack_spec(ford).default_params)["m"] == ford.m
