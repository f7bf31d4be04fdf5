"""Scaling: all of it inverts, what has no logarithm is named, and a data set has one map of time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from potentia.config import from_dict, to_dict
from potentia.errors import ConfigError, DataError
from potentia.storage import flatten, unflatten
from potentia.trajectories import Preprocessing, Scaling, TimeMap, Trajectories

NORMALISATIONS = ("minmax", "standardise", "disable")
every_setting = pytest.mark.parametrize(
    ("normalise", "each", "log"), list(itertools.product(NORMALISATIONS, (True, False), (True, False)))
)


def trajectories(low=1.7, high=5.5, parameters=True, **changes):
    rng = np.random.default_rng(3)
    settings = {
        "states": rng.uniform(low, high, (12, 9, 3)) * [1.0, 10.0, 1e-6],
        "times": np.linspace(2.0, 10.0, 9),
        "parameters": rng.uniform(0.1, 7.0, (12, 2)) if parameters else None,
        "labels": ("a", "b", "c"),
        "parameter_labels": ("p", "q") if parameters else (),
    }
    return Trajectories(**{**settings, **changes})


def fitted(part, **settings):
    return Preprocessing(**settings).fit(part, (float(part.times[0]), float(part.times[-1])))


@every_setting
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-13), (torch.float32, 2e-5)])
def test_the_way_back_is_the_way_there(normalise, each, log, dtype, rtol):
    part = trajectories()
    scaling = fitted(part, normalise=normalise, normalise_per_species=each, log10_transform=log)
    states = torch.tensor(part.states, dtype=dtype)
    scaled = scaling.states(states)
    assert scaled.dtype == dtype
    assert scaled.shape == states.shape
    scale = states if log else states.abs().amax()  # a logarithm keeps relative, the rest absolute precision
    assert float(((scaling.physical(scaled) - states) / scale).abs().max()) < rtol


def test_standardised_values_come_back_as_they_were():
    states = np.random.default_rng(0).uniform(1.7, 5.5, (4, 5, 2))
    part = trajectories(states=states, labels=("a", "b"), times=np.arange(5.0), parameters=False)
    scaling = fitted(part, normalise="standardise", log10_transform=False)
    back = scaling.physical(scaling.states(torch.tensor(states)))
    assert np.abs(back.numpy() - states).max() < 1e-14


@pytest.mark.parametrize("each", [True, False])
def test_the_training_part_is_normalised(each):
    part = trajectories()
    states = torch.tensor(part.states)
    axes = (0, 1) if each else (0, 1, 2)
    minmax = fitted(part, normalise_per_species=each)
    torch.testing.assert_close(minmax.states(states).amin(axes), -torch.ones(3 if each else ()).double())
    torch.testing.assert_close(minmax.states(states).amax(axes), torch.ones(3 if each else ()).double())
    standard = fitted(part, normalise="standardise", normalise_per_species=each)
    assert standard.states(states).mean(axes).abs().max() < 1e-12
    assert (standard.states(states).std(axes, correction=0) - 1).abs().max() < 1e-12
    assert standard.state_map.centre.shape == ((3,) if each else ())


def test_parameters_are_scaled_like_states():
    part = trajectories()
    parameters = torch.tensor(part.parameters)
    each = fitted(part, normalise_per_species=True, log10_transform_params=False).parameters(parameters)
    torch.testing.assert_close(each.amin(0), -torch.ones(2).double())
    torch.testing.assert_close(each.amax(0), torch.ones(2).double())
    one = fitted(part).parameters(parameters)
    torch.testing.assert_close(torch.stack([one.min(), one.max()]), torch.tensor([-1.0, 1.0]).double())
    logarithms = parameters.log10()
    ends = logarithms.min(), logarithms.max()
    torch.testing.assert_close(one, 2 * (logarithms - ends[0]) / (ends[1] - ends[0]) - 1)
    assert torch.equal(fitted(part, normalise="disable").parameters(parameters), logarithms)


@pytest.mark.parametrize("normalise", NORMALISATIONS)
@pytest.mark.parametrize("constant", [3.0, 1e4, 1e-16])
def test_a_constant_quantity_is_divided_by_nothing(normalise, constant):
    part = trajectories()
    part.states[..., 1] = constant * (1 + 1e-15 * np.arange(9))  # rounding is no spread
    scaling = fitted(part, normalise=normalise, normalise_per_species=True)
    states = torch.tensor(part.states)
    scaled = scaling.states(states)
    assert torch.isfinite(scaled).all()
    if normalise != "disable":
        assert scaled[..., 1].abs().max() < 1e-12
    torch.testing.assert_close(scaling.physical(scaled), states, rtol=1e-13, atol=0.0)


def test_states_without_a_logarithm_are_named():
    part = trajectories(low=-1.0, high=1.0)
    n = int((part.states[..., 1] <= 0).sum())
    with pytest.raises(
        DataError, match=rf"log10 needs states above 0, but b has {n} of 108 .*minimum -9\..*and 2 more"
    ):
        fitted(part)
    with pytest.raises(DataError, match="set tolerance to raise them, or log10_transform=False"):
        fitted(part)
    assert fitted(part, log10_transform=False)
    assert fitted(part, tolerance=1e-3)
    with pytest.raises(DataError, match=r"log10 needs states above 0, but c has 1 of 1 .*minimum 0\)"):
        fitted(trajectories()).states(torch.tensor([[1.0, 1.0, 0.0]]))


def test_parameters_without_a_logarithm_are_named():
    part = trajectories()
    part.parameters[4, 1] = 0.0
    with pytest.raises(DataError, match=r"parameters above 0, but q has 1 of 12 .*set log10_transform_params=False"):
        fitted(part)
    assert fitted(part, log10_transform_params=False)


def test_the_tolerance_is_a_floor_under_states_alone():
    part = trajectories()
    scaling = fitted(part, tolerance=2.0, normalise="disable")
    states = torch.tensor(part.states)
    torch.testing.assert_close(scaling.physical(scaling.states(states)), states.clamp(min=2.0))
    assert torch.equal(scaling.parameters(torch.tensor([[0.1, 0.1]])), torch.tensor([[-1.0, -1.0]]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tolerance": 0.0}, "tolerance must be above 0 where log10_transform is on"),
        ({"tolerance": -1e-9}, "tolerance must be above 0 where log10_transform is on"),
        ({"tolerance": "1e-9"}, "tolerance must be a number"),
        ({"normalise": "standardize"}, "did you mean 'standardise'"),
        ({"normalise": "disabled"}, "did you mean 'disable'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Preprocessing(**settings)


def test_a_floor_without_logarithm_may_be_any():
    assert Preprocessing(tolerance=-1.0, log10_transform=False).tolerance == -1.0


def test_settings_go_there_and_back():
    settings = Preprocessing(normalise="standardise", tolerance=1e-25, log_timesteps=True)
    assert from_dict(Preprocessing, to_dict(settings)) == settings
    with pytest.raises(ConfigError, match="did you mean 'normalise_per_species'"):
        from_dict(Preprocessing, {"normalise_per_specie": True})


def test_what_does_not_fit_the_data_is_refused():
    scaling = fitted(trajectories(parameters=False))
    with pytest.raises(DataError, match=r"states must have 3 quantities \('a', 'b', 'c'\), got 2"):
        scaling.states(torch.ones(5, 2))
    with pytest.raises(DataError, match="parameters are given, but the training data had none"):
        scaling.parameters(torch.ones(5, 2))
    with pytest.raises(DataError, match=r"there must be 2 parameters \('p', 'q'\), got 3"):
        fitted(trajectories()).parameters(torch.ones(5, 3))


@every_setting
@pytest.mark.parametrize("parameters", [True, False])
def test_a_stored_scaling_is_the_same_to_the_bit(normalise, each, log, parameters):
    part = trajectories(parameters=parameters)
    scaling = fitted(
        part, normalise=normalise, normalise_per_species=each, log10_transform=log, log_timesteps=log, tolerance=1e-9
    )
    again = Scaling.from_state(unflatten(*flatten(scaling.to_state())))
    states, times = torch.tensor(part.states), torch.tensor(part.times)
    assert torch.equal(again.states(states), scaling.states(states))
    assert torch.equal(again.times(times), scaling.times(times))
    assert (again.preprocessing, again.labels) == (scaling.preprocessing, scaling.labels)
    if parameters:
        known = torch.tensor(part.parameters)
        assert torch.equal(again.parameters(known), scaling.parameters(known))


def test_half_precision_is_computed_in_single():
    part = trajectories(low=1.0, high=2.0)
    states = torch.tensor(part.states[..., :2] * 1e3, dtype=torch.bfloat16)
    scaling = fitted(trajectories(states=part.states[..., :2] * 1e3, labels=("a", "b")))
    assert torch.equal(scaling.states(states), scaling.states(states.float()).bfloat16())


def test_gradients_pass():
    scaling = fitted(trajectories())
    scaled = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(scaling.physical, scaled)


# ------------------------------------------------------------------------------------------------------------ time


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("which", [slice(None, None, 3), slice(None, None, 7), slice(50), slice(50, 51)])
def test_a_step_has_the_same_u_in_the_set_and_in_every_part_of_it(log, which):
    times = np.geomspace(31.536, 3e15, 101) if log else np.linspace(0.0, 100.0, 101)
    whole = trajectories(states=np.ones((1, 101, 1)), times=times, labels=("a",), parameters=False)
    horizon = (float(times[0]), float(times[-1]))
    settings = Preprocessing(log_timesteps=log)
    u = settings.fit(whole, horizon).times(torch.tensor(times))
    part = whole.at_steps(which)
    assert torch.equal(settings.fit(part, horizon).times(torch.tensor(part.times)), u[which])
    assert (float(u[0]), float(u[-1])) == (0.0, 1.0)
    assert torch.all(u.diff() > 0)
    np.testing.assert_allclose(u.numpy(), np.linspace(0, 1, 101), atol=1e-14)  # the grid is even in its own map


@pytest.mark.parametrize("log", [True, False])
def test_times_go_there_and_back_also_beyond_the_horizon(log):
    there = TimeMap(2.0, 50.0, log=log)
    times = torch.tensor([[0.5, 2.0, 7.0], [50.0, 90.0, 1e4]], dtype=torch.float64)
    u = there(times)
    assert u[0, 0] < 0
    assert u[1, 1] > 1
    torch.testing.assert_close(there.inverse(u), times)


def test_strides_change_no_bit_of_u():
    times = torch.logspace(0, 6, 64, dtype=torch.float64)
    wide = torch.stack([times, times], 1)
    assert torch.equal(TimeMap(1.0, 1e6, log=True)(wide[:, 0]), TimeMap(1.0, 1e6, log=True)(times))


def test_times_without_a_map_are_refused():
    with pytest.raises(DataError, match=r"log_timesteps needs times above 0, these begin at 0: leave out"):
        TimeMap(0.0, 10.0, log=True)
    with pytest.raises(DataError, match="time -1 has no logarithm"):
        TimeMap(1.0, 10.0, log=True)(torch.tensor([2.0, -1.0]))
    with pytest.raises(DataError, match="a horizon must end after it begins, got 3 to 3"):
        TimeMap(3.0, 3.0)
