"""Systems: hand-written equations, conservation, boxes, and data whose parts share no initial condition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from potentia.errors import ConfigError, DataError
from potentia.testing.trajectories import jacobian_is_the_derivative_of_the_rates
from potentia.trajectories import SYSTEMS, System, make_data, register
from potentia.trajectories.systems import Interval, draw_starts
from trajectories.starts import first_start

NAMES = (
    *("lotka_volterra", "lv_parametric", "lv_parametric_no_params", "simple_reaction", "simple_ode"),
    *("coupled_oscillators", "osu2008"),
)
every_system = pytest.mark.parametrize("name", NAMES)
SOLVED_FAST = tuple(name for name in NAMES if name != "osu2008")


# ----------------------------------------------------------------------------------------------------- equations


def by_hand(name, x, parameters):
    """The equations once more, as they are written on paper."""
    if name in {"lotka_volterra", "lv_parametric", "lv_parametric_no_params"}:
        alpha = 0.0 if parameters is None else parameters[0]
        p1, p2, p3, q1, q2, q3 = x
        g, e = 1 - alpha, 1 + alpha
        return [
            0.5 * g * p1 - 0.02 * e * p1 * q1 - 0.01 * e * p1 * q2,
            0.6 * g * p2 - 0.03 * e * p2 * q1 - 0.015 * e * p2 * q3,
            0.4 * g * p3 - 0.01 * e * p3 * q2 - 0.025 * e * p3 * q3,
            -0.1 * q1 + 0.005 * p1 * q1 + 0.007 * p2 * q1,
            -0.08 * q2 + 0.006 * p1 * q2 + 0.009 * p3 * q2,
            -0.12 * q3 + 0.008 * p2 * q3 + 0.01 * p3 * q3,
        ]
    if name == "simple_reaction":
        a, b, c, d, e = x
        r1, r2, r3, r4, r5 = 0.25 * a, 0.5 * b * c - 0.25 * d, 0.1 * d**2, 0.15 * e, 0.05 * c
        return [-r1 + r4 + r5, r1 - r2, -r2 - r5 + r4, r2 - 2 * r3, r3 - r4]
    if name == "simple_ode":
        s1, s2, s3, s4, s5 = x
        return [
            0.1 + 0.7 * s1 * (1 - s1) - 0.25 * s1,
            0.3 * s2 * s3 - 0.5 * s2,
            -0.3 * s2 * s3 + 0.4 * s4 - 0.15 * s3,
            0.4 * s4 * (1 - 0.1 * s4) - 0.1 * s4,
            0.2 * s5 * s2 - 0.2 * s5,
        ]
    x, v = x[:5], x[5:]

    def spring(i, j):
        return 2 * (x[i] - x[j]) + 0.5 * (x[i] - x[j]) ** 3

    return [
        *v,
        -0.5 * v[0] - spring(0, 1) + 0.05 * (x[2] - x[0]) ** 2,
        -0.5 * v[1] - spring(1, 0) - spring(1, 2) + 0.05 * (x[3] - x[1]) ** 2,
        -0.5 * v[2] - spring(2, 1) - spring(2, 3) + 0.05 * (x[4] - x[2]) ** 2,
        -0.5 * v[3] - spring(3, 2) - spring(3, 4) + 0.05 * (x[0] - x[3]) ** 2,
        -0.5 * v[4] - spring(4, 3) + 0.05 * (x[1] - x[4]) ** 2,
    ]


@pytest.mark.parametrize("name", SOLVED_FAST)
def test_rates_are_those_on_paper(name):
    state, parameters = first_start(name, 3)
    np.testing.assert_allclose(
        SYSTEMS[name].rates(0.0, state, parameters), by_hand(name, state, parameters), rtol=1e-13
    )


@every_system
def test_a_jacobian_is_the_derivative_of_the_rates(name):
    _, parameters = first_start(name, 2)
    state = np.random.default_rng(0).uniform(0.5, 2.0, len(SYSTEMS[name].labels))
    jacobian_is_the_derivative_of_the_rates(SYSTEMS[name], state, parameters)


@pytest.mark.parametrize("name", SOLVED_FAST)
def test_trajectories_are_right_where_states_are_small_too(name):
    one = SYSTEMS[name]
    state, parameters = first_start(name)
    times = one.times[[0, 30, 60, 100]]
    found = one.solve(state, times, parameters)
    exact = solve_ivp(
        lambda t, x: by_hand(name, x, parameters), times[[0, -1]], state, "DOP853", times, rtol=1e-12, atol=1e-20
    ).y.T
    np.testing.assert_allclose(found, exact, rtol=2e-5, atol=1e-6 if name == "coupled_oscillators" else 0.0)
    np.testing.assert_array_equal(found[0], state)


def test_species_that_nearly_die_out_are_no_noise():
    one = SYSTEMS["lotka_volterra"]
    state = np.array([10.0, 1.0, 1.0, 1.0, 10.0, 10.0])
    found, exact = (one.solve(state, one.times, rtol=tol, atol=tol) for tol in (1e-8, 1e-12))
    assert found.min() < 1e-4
    assert np.abs(np.log10(found / exact)).max() < 1e-5


# ----------------------------------------------------------------------------------------------------------- data


@every_system
def test_boxes_and_grids_are_those_of_the_published_sets(name):
    one = SYSTEMS[name]
    starts = draw_starts(one, 64, 1)
    known = {
        "lotka_volterra": (1, 10, 100, 6),
        "lv_parametric": (1, 10, 100, 6),
        "lv_parametric_no_params": (1, 10, 100, 6),
        "simple_reaction": (0.1, 30, 3, 5),
        "simple_ode": (0.1, 10, 10, 5),
        "coupled_oscillators": (-1, 1, 3, 10),
        "osu2008": (1e-16, 1e4, 1e8 * 31_536_000, 29),
    }
    low, high, end, n = known[name]
    assert starts.states.shape == (64, n) == (64, len(one.labels))
    assert len(set(one.labels)) == n
    assert low <= starts.states.min()
    assert starts.states.max() <= high
    assert one.times.shape == (101,)
    np.testing.assert_allclose(one.times[-1], end)
    if name.startswith("lv"):
        assert starts.parameters.shape == (64, 1)
        assert 0 <= starts.parameters.min() < starts.parameters.max() <= 1
    if name == "simple_reaction":
        assert (starts.states[:, :3] <= 20).all()
        assert (starts.states[:, 3:] >= 1).all()


@pytest.mark.parametrize(("log", "median"), [(True, 10.0), (False, 50.5)])
def test_an_interval_is_filled_evenly_in_its_own_measure(log, median):
    drawn = Interval(1, 100, log=log)(np.linspace(0, 1, 101))
    np.testing.assert_allclose(np.median(drawn), median)
    np.testing.assert_allclose(drawn[[0, -1]], [1.0, 100.0])


@every_system
def test_no_part_shares_an_initial_condition_with_another(name):
    starts = draw_starts(SYSTEMS[name], 500, 42).states
    assert len(np.unique(starts, axis=0)) == 500
    made = make_data(name, n_train=2, n_test=1, n_val=1, times=SYSTEMS[name].times[:3])
    for one, other in (("train", "test"), ("train", "val"), ("test", "val")):
        assert not len(made.shared(one, other))
    made.refuse_shared()
    everything = np.concatenate([made.train.initial_states, made.test.initial_states, made.val.initial_states])
    np.testing.assert_array_equal(everything, starts[:4])


def test_more_to_hold_out_changes_nothing_else():
    def made(**sizes):
        return make_data("simple_ode", **{"n_train": 5, "n_test": 3, "n_val": 2, **sizes})

    few, many = made(), made(n_val=9)
    np.testing.assert_array_equal(few.train.states, many.train.states)
    np.testing.assert_array_equal(few.test.states, many.test.states)
    np.testing.assert_array_equal(few.val.states, many.val.states[:2])
    assert made(seed=1).mark() != few.mark() == made(seed=42).mark()


def test_data_know_where_they_are_from():
    shown, hidden = (make_data(n, n_train=2, n_test=1, n_val=1) for n in ("lv_parametric", "lv_parametric_no_params"))
    assert (shown.name, shown.system, shown.horizon) == ("lv_parametric", "lv_parametric", (0.0, 100.0))
    assert shown.train.parameter_labels == ("alpha",)
    assert shown.train.parameters.shape == (2, 1)
    np.testing.assert_array_equal(hidden.train.states, shown.train.states)
    assert (hidden.train.parameters, hidden.system) == (None, None)  # no solver can go on from what is shown
    solved = SYSTEMS[shown.system].solve(shown.val.initial_states[0], shown.val.times, shown.val.parameters[0])
    np.testing.assert_array_equal(solved, shown.val.states[0])


@pytest.mark.slow
def test_the_number_of_processes_changes_no_bit():
    sizes = {"n_train": 30, "n_test": 5, "n_val": 5}
    assert make_data("simple_ode", **sizes).mark() == make_data("simple_ode", **sizes, workers=2).mark()


def test_other_times_can_be_asked_for():
    made = make_data("simple_reaction", n_train=2, n_test=1, n_val=1, times=[0.0, 0.1, 2.0])
    assert made.horizon == (0.0, 2.0)
    assert made.train.states.shape == (2, 3, 5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "lotka_voltera"}, ConfigError, "there is no system 'lotka_voltera'; did you mean 'lotka_volterra'"),
        ({"name": "simple_ode", "n_test": 0}, ConfigError, "n_test must be an integer of at least 1"),
        (
            {"name": "simple_ode", "times": [0.0, 2.0, 1.0]},
            DataError,
            "simple_ode: times must be a list that increases",
        ),
        ({"name": "simple_ode", "workers": 0}, ConfigError, "workers must be an integer of at least 1"),
    ],
)
def test_what_cannot_be_made_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        make_data(**{"n_train": 2, "n_test": 1, "n_val": 1, **arguments})


# ----------------------------------------------------------------------------------------------------- one's own


class Decay(System):
    """dn/dt = −rate·n."""

    name = "test_decay"
    labels = ("n",)
    parameter_labels = ("rate",)
    times = np.linspace(0, 2, 5)
    box = (Interval(1, 10, log=True), Interval(0.5, 2))

    def rates(self, t, state, parameters):
        return -parameters * state


class Explosion(Decay):
    """dn/dt = n², which has an end."""

    name = "test_explosion"
    max_evaluations = 6000

    def rates(self, t, state, parameters):
        return state**2


def test_a_system_of_ones_own_is_one_like_the_others():
    register(Decay())
    made = make_data("test_decay", n_train=3, n_test=1, n_val=1)
    assert made.system == "test_decay" in SYSTEMS
    part = made.train
    exact = part.initial_states[:, None] * np.exp(-part.parameters[:, None] * part.times[:, None])
    np.testing.assert_allclose(part.states, exact, rtol=1e-6)
    Decay.name = "osu2008"
    try:
        with pytest.raises(ConfigError, match=r"a system 'osu2008' already, OSU2008 of .*: choose another name"):
            register(Decay())
    finally:
        Decay.name = "test_decay"


def test_tolerances_and_methods_of_a_solution_can_be_chosen():
    coarse, fine = (Decay().solve([3.0], Decay.times, [1.0], rtol=tol, atol=tol) for tol in (1e-2, 1e-12))
    exact = 3 * np.exp(-Decay.times)[:, None]
    assert np.abs(fine - exact).max() < 1e-9 < np.abs(coarse - exact).max()
    np.testing.assert_allclose(Decay().solve([3.0], Decay.times, [1.0], method="DOP853"), exact, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("simple_ode", ([1.0, 2.0], [0.0, 1.0]), r"simple_ode: initial must have shape \(5,\), got \(2,\)"),
        ("simple_ode", ([1.0] * 5, [1.0, 0.0]), "simple_ode: times must be a list that increases"),
        ("simple_ode", ([1.0] * 5, [0.0, 1.0], [1.0]), r"simple_ode: it takes no parameters, got \[1\.\]"),
        ("lv_parametric", ([1.0] * 6, [0.0, 1.0]), "lv_parametric: it takes alpha, got none"),
        ("lotka_volterra", ([1.0] * 5 + [0.0], [0.0, 1.0]), "must be above 0, predator_3 begins at 0"),
    ],
)
def test_what_cannot_be_solved_is_refused(name, arguments, message):
    with pytest.raises(DataError, match=message):
        SYSTEMS[name].solve(*arguments)


def test_an_unknown_method_is_refused():
    with pytest.raises(ConfigError, match=r"method must be one of 'RK23', .* got 'DOP835'; did you mean 'DOP853'"):
        Decay().solve([1.0], [0.0, 1.0], [1.0], method="DOP835")


def test_rates_of_another_shape_are_refused():
    class Wrong(Decay):
        def rates(self, t, state, parameters):
            return np.ones(2)

    with pytest.raises(DataError, match=r"test_decay: rates must return shape \(1,\), as a state has, not \(2,\)"):
        Wrong().solve([1.0], [0.0, 1.0], [1.0])


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            "DOP853",
            r"test_explosion: the trajectory from \[1\.\], parameters \[1\.\], cannot be integrated: Required step",
        ),
        ("LSODA", "test_explosion: a trajectory is at t = 1 after 6000 evaluations of the rates: it explodes there"),
    ],
)
def test_a_solver_that_gives_up_says_so(method, message):
    with pytest.raises(DataError, match=message):
        Explosion().solve([1.0], [0.0, 2.0], [1.0], method=method)
