"""Baselines: known answers, at any time, for data on which one of them is exact."""

from __future__ import annotations

import numpy as np
import pytest

from potentia.errors import DataError
from potentia.trajectories import (
    HoldInitialState,
    MeanTrajectory,
    NearestTrajectory,
    Preprocessing,
    TrajectoryData,
    fit_baselines,
)

PLAIN = Preprocessing(log10_transform=False, log10_transform_params=False)
TIMES = np.array([0.0, 1.0, 3.0])
PARAMS = np.array([[1.0], [2.0], [3.0], [4.0]])


def data(log=False, params=None):
    """Lines a + b·t, or 10 to the power of them; a is the number of the trajectory, b twice as much."""
    n = np.arange(1.0, 5.0)[:, None, None]
    lines = n + 2 * n * TIMES[:, None] * np.array([1.0, 0.5])  # [4, 3, 2]
    states = 10**lines if log else lines
    given = None if params is None else (params[:2], params[2:3], params[3:])
    return TrajectoryData.from_arrays((states[:2], states[2:3], states[3:]), params=given, timesteps=TIMES)


def test_held_states_stay():
    found = HoldInitialState(data()).predict([[1.0, 2.0], [3.0, -4.0]], [0.0, 5.0, 9.0])
    np.testing.assert_array_equal(found, np.repeat([[[1.0, 2.0]], [[3.0, -4.0]]], 3, axis=1))


@pytest.mark.parametrize("log", [False, True])
def test_the_mean_is_of_what_networks_see(log):
    model = MeanTrajectory(data(log), Preprocessing(log10_transform=log))
    line = 1.5 + 3 * TIMES[:, None] * np.array([1.0, 0.5])  # of 1 and 2
    found = model.predict(np.full((2, 2), 7.0), TIMES)
    np.testing.assert_allclose(found, np.broadcast_to(10**line if log else line, (2, 3, 2)), rtol=1e-12)


def test_between_steps_lines_are_exact_and_beyond_them_states_stay():
    model = MeanTrajectory(data(), PLAIN)
    asked = np.array([-1.0, 0.25, 2.0, 3.0, 8.0])
    inside = np.clip(asked, 0, 3)
    np.testing.assert_allclose(model.predict([[1.0, 1.0]], asked)[0, :, 0], 1.5 + 3 * inside, rtol=1e-12)


def test_each_trajectory_may_have_its_own_times():
    for model in fit_baselines(data(), PLAIN).values():
        initial = np.array([[1.0, 1.0], [2.0, 2.0]])
        times = np.array([[0.0, 0.5], [2.0, 3.0]])
        both = model.predict(initial, times)
        for n in range(2):
            np.testing.assert_array_equal(both[n], model.predict(initial[n : n + 1], times[n])[0])


def test_the_nearest_trajectory_is_exact_on_the_training_part():
    made = data(log=True)
    model = NearestTrajectory(made)
    np.testing.assert_allclose(model.predict(made.train.initial_states, TIMES), made.train.states, rtol=1e-12)
    nearest = model.predict([[20.0, 20.0], [90.0, 30.0]], TIMES)  # in decades
    np.testing.assert_allclose(nearest, made.train.states[[0, 1]], rtol=1e-12)


def test_the_nearest_trajectory_is_near_in_parameters_too():
    made = data(params=PARAMS)
    model = NearestTrajectory(made, PLAIN)
    found = model.predict(np.full((2, 2), 1.5), TIMES, [[1.1], [1.9]])
    np.testing.assert_allclose(found, made.train.states, rtol=1e-12)


def test_a_subset_of_the_steps_keeps_its_place_in_time():
    made = data()
    cut = made.with_splits(made.train.at_steps(slice(2)), made.test)
    found = MeanTrajectory(cut, PLAIN).predict([[1.0, 1.0]], [0.5, 1.0, 3.0])[0, :, 0]
    np.testing.assert_allclose(found, [3.0, 4.5, 4.5], rtol=1e-12)  # it knows nothing after 1
    one = made.with_splits(made.train.at_steps(slice(1)), made.test)
    np.testing.assert_allclose(MeanTrajectory(one, PLAIN).predict([[1.0, 1.0]], TIMES)[0, :, 0], 1.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], TIMES, [[1.0]]), r"initial_states must have shape \(trajectories, 2\), got \(2,\)"),
        (([[1.0, 2.0, 3.0]], TIMES, [[1.0]]), r"initial_states must have shape \(trajectories, 2\), got \(1, 3\)"),
        (([[1.0, 2.0]], TIMES), r"the training data have the parameters \('parameter_0',\): pass as many"),
        (([[1.0, 2.0]], TIMES, [[1.0, 2.0]]), r"parameters must have shape \(trajectories, 1\), got \(1, 2\)"),
        (([[1.0, 2.0]], TIMES, [[1.0], [2.0]]), "1 initial states need as many rows of parameters, got 2"),
        (([[1.0, 2.0]], [TIMES, TIMES], [[1.0]]), r"times must have shape \(times,\) or \(1, times\), got \(2, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    for model in fit_baselines(data(params=PARAMS), PLAIN).values():
        with pytest.raises(DataError, match=message):
            model.predict(*arguments)
