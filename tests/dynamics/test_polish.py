"""Constant parameters from roll-outs: known ones are found again, with bounds, noise, priors and bad beginnings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear

from dynamics.known_drives import CAR, EULER, EXPLOSIVE, ORCA, combinations, drive, explosive_data, race, rolled
from potentia.config import from_dict, to_dict
from potentia.dynamics import FeatureDataset, ModelSpec, Parameter, RolloutSettings, Variable, get_model_spec, rollout
from potentia.dynamics.parameter_box import ParameterBox, params_of
from potentia.dynamics.polish import FitSettings, fit_constant
from potentia.dynamics.sensitivities import rollout_jacobian
from potentia.errors import ConfigError, DataError, TrainingError

ETHZ = Path(__file__).parents[2] / "../shared/data/dynamics/DYN-PP-ETHZ.npz"
TRACK = get_model_spec("singletrack")


def rates_of_line(states, controls, p):
    return (p["slope"] * controls[..., 0] - p["decay"] * states[..., 0])[..., None]


LINE = ModelSpec(
    name="line",
    states=(Variable(name="level", unit="m"),),
    controls=(Variable(name="push"),),
    parameters=(
        Parameter(name="slope", low=0.0, high=5.0, default=1.0),
        Parameter(name="decay", low=0.01, high=10.0, default=0.5, scale="log"),
    ),
    dynamics_fn=rates_of_line,
)
TRUE_LINE = {"slope": 2.0, "decay": 1.5}


def line_data(windows=20, steps=6, noise=0.0, seed=0, params=TRUE_LINE):
    rng = np.random.default_rng(seed)
    start, controls = rng.normal(size=(windows, 1)), rng.normal(size=(windows, steps, 1))
    data = FeatureDataset(start, controls, np.zeros((windows, steps, 1)), np.array(0.1), ("level",), ("push",))
    exact = rolled(LINE, data, params)
    return replace(
        data,
        initial_states=start + noise * rng.normal(size=start.shape),
        targets=exact + noise * rng.normal(size=exact.shape),
    )


def mid_range(spec):
    return params_of(spec, ParameterBox.of(spec).values(np.full(spec.vector_size, 0.5)))


# ---------------------------------------------------------------------------------------------- known parameters


def test_what_data_can_tell_of_a_car_is_found_to_rounding():
    """The gauge (C_Sf, m) is held at other values than the truth has: only combinations can agree, and do."""
    fit = fit_constant(TRACK, drive(TRACK, CAR, windows=24, horizon=8))
    assert fit.converged
    assert fit.params["m"] == TRACK.default_params["m"] != CAR["m"]
    np.testing.assert_allclose(combinations(fit.params), combinations(CAR), rtol=1e-8)
    assert fit.undetermined == 0
    assert fit.entries == ("mu", "C_Sr", "lf", "lr", "h", "I")


def test_noise_of_one_percent_costs_less_than_three():
    data = drive(TRACK, CAR, windows=48, horizon=10)
    moved = (data.targets - data.initial_states[:, None]).std((0, 1))
    noisy = drive(TRACK, CAR, windows=48, horizon=10, noise=0.01 * moved)
    fit = fit_constant(TRACK, noisy, FitSettings(noise=tuple(0.01 * moved), initial_states="fitted"))
    np.testing.assert_allclose(combinations(fit.params), combinations(CAR), rtol=0.03)
    assert 0.9 < fit.rms < 1.1
    assert (
        np.abs(fit.initial_states - data.initial_states).mean()
        < np.abs(noisy.initial_states - data.initial_states).mean()
    )


def test_seventeen_coefficients_of_a_race_car_from_single_steps():
    spec = get_model_spec("bodyframe-pacejka")
    fit = fit_constant(spec, race(), FitSettings(rollout=EULER), start=mid_range(spec))
    assert worst(fit.params) < 1e-6


@pytest.mark.skipif(not ETHZ.is_file(), reason="the recording is not here")
def test_seventeen_coefficients_from_15_percent_of_the_public_recording():
    with np.load(ETHZ) as file:
        states, controls = file["dstates"].T[:, :6], file["inputs"].T
    spec = get_model_spec("bodyframe-pacejka")
    rows = np.random.default_rng(0).permutation(np.arange(1, 1000))[:150]
    data = FeatureDataset(
        states[rows],
        controls[rows][:, None],
        states[rows + 1][:, None],
        np.array(0.02),
        spec.state_names,
        spec.control_names,
    )
    fit = fit_constant(spec, data, FitSettings(rollout=EULER), start=mid_range(spec))
    assert worst(fit.params) < 1e-6


def worst(params):
    return max(abs(float(params[key]) / value - 1) for key, value in ORCA.items())


# -------------------------------------------------------------------------------------- bounds, priors, what is held


def test_a_parameter_whose_best_value_is_outside_ends_at_its_bound_and_the_others_adapt():
    data = line_data()
    narrow = LINE.with_bounds({"slope": (0.0, 1.8)})
    fit = fit_constant(narrow, data)
    assert fit.at_bounds == {"slope": "upper"}
    assert fit.params["slope"] == 1.8
    assert fit.errors[0] == 0
    costs = [fit_constant(LINE.with_fixed({"slope": 1.8}), data).cost]
    assert fit.cost == pytest.approx(costs[0], rel=1e-9)  # the best that the other can do beside it
    assert fit.frame().loc["slope", "at_bound"] == "upper"


def test_a_fit_that_begins_at_a_bound_leaves_it():
    fit = fit_constant(LINE, line_data(), start={"slope": 0.0, "decay": 10.0})
    assert fit.params["slope"] == pytest.approx(2.0, rel=1e-9)
    assert fit.params["decay"] == pytest.approx(1.5, rel=1e-9)


def test_where_most_parameters_end_at_bounds_they_are_those_of_scipy():
    """One step of Euler's method with rates W·u is a linear problem, with correlated columns."""
    n, random = 40, np.random.default_rng(3)
    spec = ModelSpec(
        name="linear",
        states=(Variable(name="y"),),
        controls=tuple(Variable(name=f"u{k}") for k in range(n)),
        parameters=(Parameter(name="W", low=-1.0, high=1.0, default=0.1, shape=(n,)),),
        dynamics_fn=lambda states, controls, p: (p["W"] * controls).sum(-1, keepdim=True),
    )
    u = random.standard_normal((80, n)) @ (np.eye(n) + 0.3 * random.standard_normal((n, n)))
    targets = u @ (3.0 * random.standard_normal(n)) + random.standard_normal(80)
    data = FeatureDataset(
        np.zeros((80, 1)), u[:, None], targets[:, None, None], np.array(1.0), spec.state_names, spec.control_names
    )
    expected = lsq_linear(u, targets, (-1, 1), method="bvls", tol=1e-14)
    fit = fit_constant(spec, data, FitSettings(rollout=EULER))
    assert len(fit.at_bounds) == int(np.sum(expected.active_mask != 0)) > n / 4
    np.testing.assert_allclose(fit.params["W"], expected.x, atol=1e-9)


def test_fixed_parameters_stay_and_are_returned():
    fit = fit_constant(LINE, line_data(), FitSettings(fixed={"decay": 1.5}))
    assert fit.entries == ("slope",)
    assert float(fit.params["decay"]) == 1.5
    assert float(fit.params["slope"]) == pytest.approx(2.0, rel=1e-9)


def test_a_prior_weighs_as_measurements_do():
    """One parameter and known noise: the posterior is the mean of both, weighted by inverse variances."""
    spec = LINE.with_fixed({"decay": 1.5})
    data = line_data(noise=0.05)
    free = fit_constant(spec, data, FitSettings(noise=(0.05,)))
    value, error = float(free.values[0]), float(free.errors[0])
    both = fit_constant(spec, data, FitSettings(noise=(0.05,), priors={"slope": (2.2, error)}))
    assert float(both.values[0]) == pytest.approx((value + 2.2) / 2, rel=1e-9)
    assert float(both.errors[0]) == pytest.approx(error / np.sqrt(2), rel=1e-9)
    unknown = fit_constant(spec, data, FitSettings(priors={"slope": (2.2, 1e-6)}))
    assert float(unknown.values[0]) == pytest.approx(2.2, abs=1e-4)


def test_parameters_of_any_shape():
    def rates(states, controls, p):
        return (p["A"] @ states[..., None])[..., 0]

    spec = ModelSpec(
        name="linear",
        states=(Variable(name="a"), Variable(name="b")),
        controls=(),
        parameters=(Parameter(name="A", low=-2.0, high=2.0, default=0.1, shape=(2, 2)),),
        dynamics_fn=rates,
    )
    true = np.array([[-0.5, 1.0], [-1.0, -0.2]])
    start = np.random.default_rng(0).normal(size=(6, 2))
    data = FeatureDataset(start, np.zeros((6, 5, 0)), np.zeros((6, 5, 2)), np.array(0.1), ("a", "b"), ())
    fit = fit_constant(spec, replace(data, targets=rolled(spec, data, {"A": true})))
    np.testing.assert_allclose(fit.params["A"], true, rtol=1e-9)
    assert fit.entries == ("A[0, 0]", "A[0, 1]", "A[1, 0]", "A[1, 1]")


# ---------------------------------------------------------------------------------------------------------- errors


def test_standard_errors_are_the_scatter_of_repeated_measurements():
    data, found = line_data(), []
    for seed in range(16):
        noise = 0.02 * np.random.default_rng(100 + seed).normal(size=data.targets.shape)
        found.append(fit_constant(LINE, replace(data, targets=data.targets + noise)))
    values = np.array([fit.values for fit in found])
    predicted = np.mean([fit.errors for fit in found], axis=0)
    np.testing.assert_allclose(values.std(0), predicted, rtol=0.5)
    assert found[0].correlation[0, 0] == pytest.approx(1.0)


def test_noisy_initial_states_bias_parameters_unless_they_are_fitted():
    data = line_data(windows=300, steps=4, noise=0.5)
    given, fitted = (
        fit_constant(LINE, data, FitSettings(noise=(0.5,), initial_states=how)) for how in ("given", "fitted")
    )
    assert abs(fitted.values[1] - 1.5) < 3 * fitted.errors[1]
    assert given.rms > 1.1 > fitted.rms > 0.9


def test_what_does_not_count_changes_nothing():
    data = line_data(noise=0.05)
    wrong = data.targets.copy()
    wrong[:5, 3:] = np.nan
    mask = np.ones((20, 6), dtype=bool)
    mask[:5, 3:] = False
    masked = replace(data, targets=wrong, mask=mask)
    assert np.isfinite(fit_constant(LINE, masked).values).all()
    other = replace(data, targets=np.where(mask[..., None], data.targets, 7.0), mask=mask)
    np.testing.assert_array_equal(fit_constant(LINE, masked).values, fit_constant(LINE, other).values)


def test_undetermined_directions_are_counted_and_have_no_error():
    fit = fit_constant(TRACK, drive(TRACK, CAR, windows=8, horizon=5), FitSettings(gauge="free", max_iterations=12))
    assert fit.undetermined == 2
    errors = dict(zip(fit.entries, fit.errors, strict=True))
    assert all(np.isinf(errors[key]) for key in ("mu", "C_Sf", "C_Sr", "m", "I"))
    assert all(np.isfinite(errors[key]) for key in ("lf", "lr", "h"))
    np.testing.assert_allclose(combinations(fit.params), combinations(CAR), rtol=1e-6)


# ------------------------------------------------------------------------------------------------------ beginnings


def test_roll_outs_that_diverge_at_the_beginning_are_told_or_overcome():
    data = explosive_data()
    with pytest.raises(TrainingError, match="diverge at every beginning: take more substeps"):
        fit_constant(EXPLOSIVE, data)
    warmed = fit_constant(EXPLOSIVE, data, FitSettings(warm_up=(1,)))
    assert float(warmed.params["k"]) == pytest.approx(-1.0, rel=1e-8)
    several = fit_constant(EXPLOSIVE, data, FitSettings(starts=12, seed=3))
    assert several.costs[0] == np.inf
    assert float(several.params["k"]) == pytest.approx(-1.0, rel=1e-8)
    again = fit_constant(EXPLOSIVE, data, FitSettings(starts=12, seed=3))
    assert several.costs == again.costs


# -------------------------------------------------------------------------------------------------------- refusals


def test_settings_there_and_back():
    settings = FitSettings(rollout=RolloutSettings(substeps=3), priors={"m": (3.0, 0.1)}, warm_up=(1, 5))
    assert to_dict(from_dict(FitSettings, to_dict(settings))) == to_dict(settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fixed": {"decai": 1.0}}, "fixed names the parameter 'decai'; did you mean 'decay'"),
        ({"fixed": {"slope": 1.0, "decay": 1.0}}, "every parameter is fixed"),
        ({"priors": {"slope": (1.0, 0.0)}}, "priors of 'slope' must have standard deviations above 0"),
        ({"priors": {"slope": (1.0, 0.1)}, "fixed": {"slope": 1.0}}, "priors names 'slope', which is held"),
        ({"noise": (0.1, 0.1)}, "noise must be one number for each of the states level"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        fit_constant(LINE, line_data(), FitSettings(**settings))


def test_beginnings_and_windows_that_do_not_fit():
    with pytest.raises(ConfigError, match=r"start of parameter 'slope' must lie within \[0.0, 5.0\], got 7.0"):
        fit_constant(LINE, line_data(), start={"slope": 7.0})
    with pytest.raises(DataError, match="the windows have states"):
        fit_constant(TRACK, line_data())
    with pytest.raises(ConfigError, match="noise must be above 0"):
        FitSettings(noise=(0.0,))


# ---------------------------------------------------------------------------------------------------- derivatives


@pytest.mark.parametrize("method", ["rk4", "euler", "rk4-clamped"])
def test_derivatives_of_roll_outs_are_finite_differences(method):
    """Limits of the steering are reached on the way: they have derivatives too."""
    spec, settings = get_model_spec("singletrack"), RolloutSettings(method=method, substeps=2, compiled=False)
    data = drive(spec, CAR, windows=6, horizon=5)
    start, controls = torch.as_tensor(data.initial_states), torch.as_tensor(data.controls)
    controls[:3, :, 0] *= 8
    params = {key: torch.tensor(value, dtype=torch.float64) for key, value in CAR.items()}
    found = rollout_jacobian(spec, start, controls, params, 0.05, settings, by_initial=True)

    def moved(shift, change):
        return rollout(spec, start + shift, controls, {**params, **change}, 0.05, settings)

    np.testing.assert_allclose(found.states, moved(0.0, {}), atol=1e-12)
    for k, key in enumerate(spec.param_keys):
        step = 1e-6 * params[key]
        slope = (moved(0.0, {key: params[key] + step}) - moved(0.0, {key: params[key] - step})) / (2 * step)
        np.testing.assert_allclose(found.by_params[..., k], slope, atol=1e-6 * float(slope.abs().max()))
    for k in range(7):
        shift = 1e-6 * torch.eye(7, dtype=torch.float64)[k]
        slope = (moved(shift, {}) - moved(-shift, {})) / 2e-6
        np.testing.assert_allclose(found.by_initial[..., k], slope, atol=1e-6 * float(slope.abs().max()))
