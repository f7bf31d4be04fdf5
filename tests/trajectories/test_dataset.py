"""Records of a data set: what fits together, what is refused by name, and parts that share nothing."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from potentia.errors import DataError, PotentiaWarning
from potentia.trajectories import Trajectories, TrajectoryData

RNG = np.random.default_rng(1)
STATES = RNG.uniform(1, 2, (20, 6, 3))
PARAMS = RNG.uniform(1, 2, (20, 2))


def rows(part):
    """Where each trajectory of a part stands in `STATES`."""
    return [int(np.flatnonzero((one == STATES).all((1, 2)))[0]) for one in part.states]


def test_one_array_is_shuffled_and_split_with_its_parameters():
    data = TrajectoryData.from_arrays(STATES, params=PARAMS, labels=["a", "b", "c"])
    parts = (data.train, data.test, data.val)
    assert [len(part) for part in parts] == [14, 2, 4]
    found = [rows(part) for part in parts]
    assert sorted(chain(*found)) == list(range(20)) != list(chain(*found))
    for part, places in zip(parts, found, strict=True):
        np.testing.assert_array_equal(part.parameters, PARAMS[places])
        np.testing.assert_array_equal(part.initial_states, STATES[places, 0])
    assert (data.train.labels, data.train.parameter_labels) == (("a", "b", "c"), ("parameter_0", "parameter_1"))
    assert data.horizon == (0.0, 1.0)
    assert data.system is None
    np.testing.assert_array_equal(data.train.times, np.linspace(0, 1, 6))


def test_the_seed_splits_and_the_global_generator_does_not():
    marks = []
    for state in (0, 1):
        np.random.seed(state)  # noqa: NPY002 (what must have no effect)
        marks.append([TrajectoryData.from_arrays(STATES, seed=seed).mark() for seed in (1, 2)])
    assert marks[0] == marks[1]
    assert marks[0][0] != marks[0][1]


@pytest.mark.parametrize("n", [10, 20, 30, 70, 100])
def test_a_split_takes_what_its_parts_say(n):
    data = TrajectoryData.from_arrays(RNG.uniform(1, 2, (n, 2, 1)))
    assert (len(data.train), len(data.test), len(data.val)) == (n * 7 // 10, n // 10, n * 2 // 10)


def test_three_arrays_stay_as_they_are():
    times = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 40.0])
    data = TrajectoryData.from_arrays(
        (STATES[:5], STATES[5:8], STATES[8:]), params=(PARAMS[:5], PARAMS[5:8], PARAMS[8:]), timesteps=times
    )
    assert rows(data.train) == list(range(5))
    assert rows(data.val) == list(range(8, 20))
    assert data.horizon == (1.0, 40.0)
    np.testing.assert_array_equal(data.test.parameters, PARAMS[5:8])
    assert data.train.labels == ("quantity_0", "quantity_1", "quantity_2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": STATES[0]}, r"states must have shape \(trajectories, times, quantities\), got \(\d+, 3\)"),
        ({"data": (STATES, STATES)}, "data must be three arrays, train, test and val.*got 2"),
        ({"data": STATES, "split": (0.7, 0.2, 0.2)}, "split must be the parts of train, test and val with sum 1"),
        ({"data": STATES, "split": (0.98, 0.01, 0.01)}, "leaves none to test"),
        ({"data": STATES, "params": PARAMS[:5]}, "params must be one array of 20 rows"),
        ({"data": STATES, "params": (PARAMS, PARAMS, PARAMS)}, "params must be one array of 20 rows"),
        ({"data": (STATES[:4], STATES[4:8], STATES[8:]), "params": PARAMS}, "params must be three arrays"),
        ({"data": (STATES[:4], STATES[4:8], STATES[8:, :5])}, r"data: val: times must have shape .*\(5,\), got \(6,\)"),
        ({"data": (STATES[:4], STATES[4:8, ..., :2], STATES[8:])}, "data: test: labels must name 2 quantities, got 3"),
        ({"data": STATES, "timesteps": np.arange(5.0)}, r"data: train: times must have shape \(times,\) = \(6,\)"),
        ({"data": STATES, "timesteps": np.array([0, 1, 2, 2, 3, 4])}, "times must increase: step 2 is 2, step 3 is 2"),
        ({"data": STATES, "labels": ["a", "b"]}, "labels must name 3 quantities, got 2"),
        ({"data": STATES, "parameter_labels": ["p"]}, "parameter_labels must name 0 parameters"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        TrajectoryData.from_arrays(**arguments)


def test_a_value_that_is_not_finite_is_named():
    states = STATES.copy()
    states[9, 4, 1] = np.nan
    with pytest.raises(DataError, match="some name: val: states of trajectory 1, step 4, quantity_1 are not finite"):
        TrajectoryData.from_arrays((states[:4], states[4:8], states[8:]), name="some name")
    params = PARAMS.copy()
    params[5, 1] = np.inf
    with pytest.raises(DataError, match="data: test: parameter 1 of trajectory 1 is not finite"):
        TrajectoryData.from_arrays((STATES[:4], STATES[4:8], STATES[8:]), params=(params[:4], params[4:8], params[8:]))


def test_held_out_trajectories_that_were_trained_on_are_refused():
    leaked = (STATES[:10], STATES[10:13], STATES[[15, 3, 7]])
    with pytest.raises(DataError, match="2 of 3 trajectories of val begin exactly as one of train, the first is val 1"):
        TrajectoryData.from_arrays(leaked)
    data = TrajectoryData.from_arrays(leaked, allow_shared=True)
    assert data.shared("train", "val").tolist() == [1, 2]
    assert data.shared("train", "test").tolist() == []


def test_models_chosen_by_what_they_were_fitted_to_are_warned_of():
    with pytest.warns(PotentiaWarning, match="1 of 2 trajectories of test begin exactly as one of train"):
        TrajectoryData.from_arrays((STATES[:10], STATES[[9, 12]], STATES[13:]))
    with pytest.warns(PotentiaWarning, match="2 of 2 trajectories of val begin exactly as one of test"):
        TrajectoryData.from_arrays((STATES[:10], STATES[[11, 12]], STATES[[12, 11]]))


def test_equal_states_with_other_parameters_are_not_the_same_start():
    same = np.repeat(STATES[:1], 3, axis=0)
    TrajectoryData.from_arrays((same[:1], same[1:2], same[2:]), params=(PARAMS[:1], PARAMS[1:2], PARAMS[2:3]))
    with pytest.raises(DataError, match="begin exactly"):
        TrajectoryData.from_arrays((same[:1], same[1:2], same[2:]), params=(PARAMS[:1], PARAMS[1:2], PARAMS[:1]))


def test_parts_are_cut_and_the_horizon_stays():
    data = TrajectoryData.from_arrays(STATES, params=PARAMS, timesteps=np.arange(6.0) * 3)
    cut = data.with_splits(data.train.take(slice(None, None, 2)).at_steps(slice(4)), data.test.at_steps([0, 3]))
    assert cut.horizon == data.horizon == (0.0, 15.0)
    assert cut.val is data.val
    assert cut.train.states.shape == (7, 4, 3)
    assert cut.train.parameters.shape == (7, 2)
    np.testing.assert_array_equal(cut.test.times, [0.0, 9.0])
    np.testing.assert_array_equal(cut.train.states, data.train.states[::2, :4])


@pytest.mark.parametrize("what", ["states", "times", "parameters", "labels", "horizon"])
def test_the_mark_sees_every_change(what):
    def made():
        return TrajectoryData.from_arrays(STATES.copy(), params=PARAMS.copy())

    one, other = made(), made()
    assert one.mark() == other.mark()
    match what:
        case "labels":
            other = TrajectoryData.from_arrays(STATES, params=PARAMS, labels=["a", "b", "c"])
        case "horizon":
            other = TrajectoryData(other.train, other.test, other.val, other.name, (0.0, 2.0))
        case _:
            getattr(other.val, what).flat[-1] += 1e-12
    assert one.mark() != other.mark()


def test_parameters_are_named_as_often_as_they_are():
    with pytest.raises(DataError, match=r"parameter_labels must name 2 parameters, got \('p',\)"):
        Trajectories(STATES, np.arange(6.0), PARAMS, ("a", "b", "c"), ("p",))


@pytest.mark.parametrize("shape", [(20,), (19, 2), (20, 0)])
def test_parameters_have_a_row_for_each_trajectory(shape):
    with pytest.raises(
        DataError, match=r"parameters must have shape \(trajectories, parameters\) = \(20, …\), and be None"
    ):
        Trajectories(STATES, np.arange(6.0), np.ones(shape), ("a", "b", "c"))
