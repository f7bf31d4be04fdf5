"""Windows of logs: every number is where it was recorded, and what is left out is counted by its reason."""

from __future__ import annotations

import numpy as np
import pytest

from potentia.config import from_dict, to_dict
from potentia.dynamics import (
    Log,
    RolloutSettings,
    SimulationSettings,
    WindowSettings,
    cut_windows,
    get_model_spec,
    rollout,
    simulate_logs,
)
from potentia.errors import ConfigError, DataError, PotentiaWarning

CAR = get_model_spec("unicycle")
REASONS = ["gap", "not_finite", "wrong_unit", "out_of_range", "slow"]


def counting(n, dt=0.1, name="log", **columns):
    """A log in which each number says its row: x = row, controls = row + 0.5; the speed fits to it."""
    rows = np.arange(n, dtype=float)
    still = {"y": 0 * rows, "psi": 0 * rows, "v": 0 * rows + 1 / dt}
    known = {"x": rows, **still, "psi_dot": rows + 0.5, "accel": -rows, "grip": rows**2}
    return Log(name, 5 + rows * dt, {**known, **columns})


def without(log, rows):
    """The log without some rows."""
    kept = np.delete(np.arange(len(log)), rows)
    return Log(log.name, log.time[kept], {key: value[kept] for key, value in log.columns.items()})


def cut(logs, **settings):
    return cut_windows(logs if isinstance(logs, list) else [logs], CAR, WindowSettings(**{"horizon": 4, **settings}))


def fates(windows):
    return {key: int(n) for key, n in windows.counts.sum().items() if n}


def test_numbers_are_where_they_were_recorded():
    data = cut(counting(20), history=3, stride=2, features=("grip",)).dataset
    first = np.arange(3, 16, 2)
    np.testing.assert_array_equal(data.initial_states[:, 0], first)
    np.testing.assert_array_equal(data.controls[:, :, 0], first[:, None] + [0.5, 1.5, 2.5, 3.5])
    np.testing.assert_array_equal(data.targets[:, :, 0], first[:, None] + [1, 2, 3, 4])
    np.testing.assert_array_equal(data.history[:, :, 0], first[:, None] + [-3, -2, -1])
    np.testing.assert_array_equal(data.history[:, :, 4], first[:, None] + [-2.5, -1.5, -0.5])
    np.testing.assert_array_equal(data.features, first[:, None] ** 2)
    assert data.dt == pytest.approx(0.1)
    assert data.counted.all()


def test_the_future_changes_nothing_that_is_known_before():
    """Pose, speed, history and features of a window stay as they are whatever the log does after its first state."""
    one = counting(12)
    changed = {key: np.where(np.arange(12) > 5, 7 * value + 3, value) for key, value in one.columns.items()}
    controls = {key: np.where(np.arange(12) > 4, 9.0, one.columns[key]) for key in ("psi_dot", "accel")}
    other = Log("log", one.time, {**changed, **controls})
    ours, theirs = (
        cut(log, history=3, features="*", check_units=False).dataset.take(slice(0, 3)) for log in (one, other)
    )
    np.testing.assert_array_equal(ours.initial_states, theirs.initial_states)
    np.testing.assert_array_equal(ours.history, theirs.history)
    np.testing.assert_array_equal(ours.features, theirs.features)
    assert not np.array_equal(ours.targets, theirs.targets)


def test_the_last_window_ends_with_the_log():
    data = cut(counting(10)).dataset
    assert len(data) == 6
    np.testing.assert_array_equal(data.targets[-1, :, 0], [6, 7, 8, 9])


def test_the_control_of_the_last_row_is_not_needed():
    held = np.arange(10.0)
    held[-1] = np.nan
    assert len(cut(counting(10, accel=held)).dataset) == 6


FAULTS = {
    "gap": lambda: without(counting(21), [10]),
    "not_finite": lambda: counting(20, accel=np.where(np.arange(20) == 10, np.nan, 0.0)),
    "out_of_range": lambda: counting(20, y=np.where(np.arange(20) == 10, 1e3, 0.0)),
    "slow": lambda: counting(20, v=np.where(np.arange(20) == 10, 0.01, 10.0)),
}


@pytest.mark.parametrize("reason", FAULTS)
def test_a_fault_takes_the_windows_that_touch_it(reason):
    windows = cut(FAULTS[reason](), min_speed=0.5, ranges={"y": (-100, 100)}, features=("grip",), history=1)
    touching = 6 - (reason in {"gap", "not_finite"})  # a control and a gap act between two rows
    assert fates(windows) == {"kept": 15 - touching, reason: touching}
    assert not {9, 10} & set(windows.dataset.initial_states[:, 0])


def test_features_count_at_the_first_state_only():
    grip = np.where(np.arange(20) == 10, np.nan, 1.0)
    assert fates(cut(counting(20, grip=grip), features=("grip",))) == {"kept": 15, "not_finite": 1}
    assert fates(cut(counting(20), features=("grip",), ranges={"grip": (0, 80)})) == {"kept": 9, "out_of_range": 7}


def test_each_window_has_one_fate_and_logs_are_groups():
    bad = counting(20, name="bad", y=np.full(20, np.nan), v=np.zeros(20))
    windows = cut([counting(20, name="good"), bad, counting(4, name="short")], min_speed=0.5)
    counts = windows.counts
    assert list(counts.columns) == ["kept", *REASONS, "too_short"]
    assert counts.loc["bad"].to_dict() == {**dict.fromkeys(counts.columns, 0), "not_finite": 16}
    assert counts.loc["short", "too_short"] == 1
    assert windows.dataset.group_names == ("good", "bad", "short")
    assert set(windows.dataset.group) == {0}


def test_the_speed_that_counts_is_the_models():
    car = get_model_spec("singletrack")
    (log,) = simulate_logs(car, settings=SimulationSettings(n_logs=1, duration=2))
    slow = Log("slow", log.time, {**log.columns, "v": np.full(len(log), 0.9 * car.min_speed)})
    with pytest.raises(DataError, match=r"no window is left of 1 logs \(slow: 37 slow\): lower min_speed"):
        cut_windows([slow], car, WindowSettings(horizon=4, check_units=False))
    assert len(cut_windows([slow], car, WindowSettings(horizon=4, check_units=False, min_speed=0.1)).dataset) == 37


def test_of_many_logs_the_first_ones_are_told():
    with pytest.raises(DataError, match=r"of 12 logs \(0: 1 too_short; .*; 7: 1 too_short; 4 logs more\): choose"):
        cut([counting(4, name=str(k)) for k in range(12)])


def test_nothing_left_shows_the_counts():
    with pytest.raises(DataError, match=r"no window is left of 1 logs \(log: 1 too_short\): choose a shorter horizon"):
        cut(counting(4))


def test_whole_multiples_take_rows_and_the_mean_of_controls():
    data = cut(counting(41), dt=0.4, horizon=3).dataset
    np.testing.assert_array_equal(data.targets[:, 0, 0], np.arange(4, 33, 4))
    np.testing.assert_array_equal(data.controls[:, 0, 0], np.arange(0, 29, 4) + 2.0)
    assert cut(counting(41), dt_hundredths=40, horizon=3).dataset.mark() == data.mark()


@pytest.mark.parametrize("dt", [1 / 30, 1 / 60, 0.04, 0.007])
@pytest.mark.parametrize("start", [0.0, 1692117187.4638])
def test_any_step_and_any_clock_leave_rows_as_they_are(dt, start):
    """Also one that is no whole number of hundredths, and times since 1970, which have seven digits after the point."""
    log = counting(60, dt=dt)
    windows = cut(Log("log", start + log.time, log.columns), check_units=False)
    assert windows.dataset.dt == pytest.approx(dt, rel=1e-6)
    np.testing.assert_array_equal(windows.dataset.targets[:, 0, 0], np.arange(1, 57))
    twice = cut(Log("log", start + log.time, log.columns), dt=2 * dt, check_units=False)
    np.testing.assert_array_equal(twice.dataset.targets[:, 0, 0], np.arange(2, 54, 2))


@pytest.mark.parametrize("dt", [0.25, 0.4, 0.1])
def test_other_steps_keep_the_impulse(dt):
    """What controls add up to over a window is what was held in the log, also where rows come irregularly."""
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.uniform(0.06, 0.1, 200))
    held = rng.normal(size=200)
    base = counting(200, accel=held).columns
    log = Log("log", time, {**base, "x": time * 3.0, "v": 0 * time + 3.0})
    data = cut(log, dt=dt, horizon=7, max_gap=3).dataset
    begin = np.arange(len(data)) * dt
    np.testing.assert_allclose(data.initial_states[:, 0], (begin + time[0]) * 3, atol=1e-9)  # a line is interpolated
    fine = np.linspace(0, 7 * dt, 70001)[:-1] + 7 * dt / 140000
    for window in (0, 3, len(data) - 1):
        rows = np.searchsorted(time, fine + begin[window] + time[0], side="right") - 1
        assert data.controls[window, :, 1].sum() * dt == pytest.approx(held[rows].mean() * 7 * dt, abs=1e-3)


def test_steps_of_the_log_stay_as_they_are():
    time = np.array([0, 0.1, 0.25, 0.3, 0.5, 0.55, 0.7])
    log = Log("log", time, {**counting(7).columns, "v": np.full(7, 5.0)})
    data = cut(log, dt="log", horizon=2, max_gap=2, check_units=False).dataset
    np.testing.assert_allclose(data.dt, np.stack([np.diff(time)[k : k + 2] for k in range(5)]))
    np.testing.assert_array_equal(data.targets[:, 0, 0], np.arange(1, 6))


def test_headings_go_through_the_cut_of_the_circle():
    """Interpolated over the cut, and each window begins within half a turn."""
    psi = 0.3 * np.arange(200)
    wrapped = np.arctan2(np.sin(psi), np.cos(psi))
    data = cut(counting(200, psi=wrapped), dt=0.25, horizon=5).dataset
    np.testing.assert_allclose(
        data.targets[:, :, 2] - data.initial_states[:, None, 2], [[0.75, 1.5, 2.25, 3, 3.75]] * len(data)
    )
    assert np.abs(data.initial_states[:, 2]).max() <= np.pi
    np.testing.assert_allclose(np.exp(1j * data.initial_states[:, 2]), np.exp(0.75j * np.arange(len(data))), atol=1e-9)


def test_one_unknown_heading_spoils_only_its_windows():
    psi = np.where(np.arange(20) == 10, np.nan, 3.0)
    assert fates(cut(counting(20, psi=psi))) == {"kept": 11, "not_finite": 5}
    assert fates(cut(counting(20, psi=psi), dt=0.15)) == {"kept": 4, "not_finite": 5}


def test_a_gap_is_never_crossed_by_interpolation():
    data = cut(without(counting(40), np.arange(15, 25)), dt=0.25, horizon=3).dataset
    ends = data.targets[:, -1, 0]
    begins = data.initial_states[:, 0]
    assert ((ends <= 14) | (begins >= 25)).all()


def test_the_simulator_and_the_windows_agree():
    """A window cut from a simulated log is the roll-out of its controls."""
    import torch

    logs = simulate_logs(CAR, {"k_turn": 1.2}, SimulationSettings(n_logs=2, duration=3))
    data = cut_windows(logs, CAR, WindowSettings(horizon=8, history=2)).dataset
    params = {key: torch.from_numpy(value) for key, value in CAR.with_defaults({"k_turn": 1.2}).default_params.items()}
    start, controls = torch.from_numpy(data.initial_states), torch.from_numpy(data.controls)
    found = rollout(CAR, start, controls, params, float(data.dt), RolloutSettings(substeps=20))
    np.testing.assert_allclose(found.numpy(), data.targets, atol=1e-8)


def moved(n=200, factor=1.0, psi_factor=1.0, **columns):
    """A car on a circle, with its speed and heading in other units."""
    time = np.arange(n) * 0.1
    psi = 0.2 * time + 1
    heading = np.arctan2(np.sin(psi), np.cos(psi)) * psi_factor
    known = {"x": 50 * np.sin(psi), "y": -50 * np.cos(psi), "psi": heading, "v": np.full(n, 10.0) * factor}
    zero = np.zeros(n)
    car = {"delta": zero + 0.1, "psi_dot": zero + 0.2, "beta": zero, "delta_dot": zero, "accel": zero}
    return Log("circle", time, {**known, **car, **columns})


SUSPECTS = [
    (moved(factor=3.6), r"'v' is 3.6 times the way over the time \(km/h has 3.6\)"),
    (moved(factor=1 / 3.6), r"'v' is 0.278 times the way"),
    (moved(psi_factor=180 / np.pi), r"'psi' jumps by 35\d, which looks like degrees"),
    (moved(psi=np.degrees(0.2 * np.arange(200) * 0.1 + 1)), r"'psi' turns 57\.\d times as far as the way"),
    (moved(delta=np.full(200, 5.7)), r"'delta' reaches 5.7, which looks like degrees"),
]


@pytest.mark.parametrize(("log", "message"), SUSPECTS, ids=["km/h", "slow", "psi", "psi-unwrapped", "delta"])
def test_other_units_are_suspected(log, message):
    car = get_model_spec("singletrack")
    settings = WindowSettings(horizon=4)
    good = moved()
    with pytest.raises(DataError, match=rf"no window is left.*wrong_unit.*{message}.*columns.yaml"):
        cut_windows([log], car, settings)
    with pytest.warns(PotentiaWarning, match=message):
        windows = cut_windows([good, log], car, settings)
    assert windows.counts["wrong_unit"].tolist() == [0, 196]
    assert list(windows.suspicions) == ["circle"]
    kept = cut_windows([log], car, WindowSettings(horizon=4, check_units=False, min_speed=0))
    assert kept.counts["kept"].tolist() == [196]


def test_a_position_that_is_renewed_rarely_and_noisily_is_no_wrong_unit():
    good = moved(2000)
    rng = np.random.default_rng(0)
    held = {key: np.repeat(good.columns[key][::5] + 0.05 * rng.normal(size=400), 5) for key in ("x", "y")}
    fast = Log("fast", good.time * 0.2, {**good.columns, **held, "v": good.columns["v"] * 5})
    assert not cut_windows([fast], get_model_spec("singletrack"), WindowSettings(horizon=4)).suspicions


WRONG_SETTINGS = [
    ({"horizon": 0}, "horizon must be an integer of at least 1"),
    ({"dt": 0}, "dt must be greater than 0"),
    ({"dt": 0.1, "dt_hundredths": 10}, "not both"),
    ({"max_gap": 0.5}, "max_gap must be a finite number of at least 1"),
    ({"ranges": {"v": (3, 1)}}, "range of 'v' must be a lower and a greater upper bound"),
    ({"ranges": {"vv": (0, 1)}}, "ranges: 'vv' is no state, control or feature"),
    ({"ranges": {"psi": (0, 1)}}, "'psi' is a heading"),
    ({"features": "grip"}, "features must be names of columns"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG_SETTINGS)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        cut(counting(20), **settings)


WRONG_LOGS = [
    ([], {}, "there are no logs"),
    (counting(1), {}, "no log has more than one row"),
    (
        [counting(20, name="a"), counting(20, dt=0.2, name="b"), counting(20)],
        {},
        "log 'b' has a row each 0.2 s, log 'log' each 0.1 s",
    ),
    (
        [counting(20, name="a"), counting(20, dt=0.2, name="b")],
        {},
        "log 'a' has a row each 0.1 s, log 'b' each 0.2 s: say which dt",
    ),
    (counting(20), {"dt": 0.05}, "would invent states between them: choose dt of at least 0.1"),
    (counting(20), {"features": ("gripp",)}, "no column 'gripp'; did you mean 'grip'"),
    (
        [counting(20), counting(20, name="b", wet=np.zeros(20))],
        {"features": "*"},
        r"features='\*', but 'wet' is a column",
    ),
]


@pytest.mark.parametrize(("logs", "settings", "message"), WRONG_LOGS)
def test_logs_that_cannot_be_cut_are_refused(logs, settings, message):
    with pytest.raises(DataError, match=message):
        cut(logs, **settings)


def test_a_missing_state_is_named():
    log = counting(20)
    columns = {"V": log.columns["v"], **{key: value for key, value in log.columns.items() if key != "v"}}
    with pytest.raises(DataError, match=r"log 'log' has no column 'v'.*columns.yaml"):
        cut(Log("log", log.time, columns))


def test_settings_go_there_and_back():
    settings = WindowSettings(horizon=3, dt="log", ranges={"v": (0.0, 3.0)}, features=("a", "b"))
    assert from_dict(WindowSettings, to_dict(settings)) == settings
    assert from_dict(WindowSettings, {"horizon": 3, "dt": 0.1, "features": "*"}).features == "*"
