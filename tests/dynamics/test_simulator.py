"""Simulated data: the truth is what was asked for, and everything drawn comes from the seed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from potentia.config import from_dict, to_dict
from potentia.dynamics import (
    Excitation,
    ModelSpec,
    Parameter,
    RolloutSettings,
    SimulationSettings,
    Variable,
    default_excitation,
    get_model_spec,
    read_logs,
    rollout,
    simulate_dataset,
    simulate_logs,
    write_logs,
)
from potentia.dynamics.signals import Chirp, Constant, Follow, Recorded, Smooth, Steps
from potentia.errors import ConfigError, DataError, PotentiaWarning

CAR = get_model_spec("unicycle")


def rolled(data, params):
    """The windows solved again, with other steps."""
    given = {key: torch.from_numpy(np.asarray(value)) for key, value in {**CAR.default_params, **params}.items()}
    start, controls = torch.from_numpy(data.initial_states), torch.from_numpy(data.controls)
    return rollout(CAR, start, controls, given, 0.05, RolloutSettings(substeps=20)).numpy()


def test_targets_are_the_roll_out_of_the_given_parameters():
    data = simulate_dataset(CAR, {"k_turn": 1.3, "drag": 0.2}, windows=8, horizon=12)
    truth = {"k_turn": 1.3, "drag": 0.2}
    np.testing.assert_allclose(data.targets, rolled(data, truth), atol=1e-8)
    assert np.abs(data.targets - rolled(data, {})).max() > 0.1
    assert (data.targets[..., 3] > 1.0).all()


def test_a_law_gives_each_window_its_parameters():
    data = simulate_dataset(CAR, lambda f: {"k_turn": 1 + 0.2 * np.tanh(f[:, 0])}, windows=8, horizon=12, features=2)
    assert data.features.shape == (8, 2)
    np.testing.assert_allclose(
        data.targets, rolled(data, {"k_turn": 1 + 0.2 * np.tanh(data.features[:, 0])}), atol=1e-8
    )


def test_the_history_ends_where_the_window_begins():
    data = simulate_dataset(CAR, windows=6, horizon=4, history=5)
    states = np.concatenate((data.history[:, :, :4], data.initial_states[:, None]), 1)  # [windows, past + 1, states]
    given = {key: torch.from_numpy(value) for key, value in CAR.default_params.items()}
    controls = torch.from_numpy(data.history[:, :, 4:].copy())
    again = rollout(CAR, torch.from_numpy(states[:, 0].copy()), controls, given, 0.05, RolloutSettings(substeps=20))
    np.testing.assert_allclose(states[:, 1:], again.numpy(), atol=1e-8)


def test_the_seed_decides():
    marks = [simulate_dataset(CAR, windows=4, noise=0.01, features=1, seed=seed).mark() for seed in (0, 0, 1)]
    assert marks[0] == marks[1] != marks[2]


def test_noise_is_relative_to_the_motion_or_in_units():
    clean = simulate_dataset(CAR, windows=400, horizon=20)
    moved = (clean.targets - clean.initial_states[:, None]).std((0, 1))
    noisy = simulate_dataset(CAR, windows=400, horizon=20, noise=0.01)
    np.testing.assert_allclose((noisy.targets - clean.targets).std((0, 1)), 0.01 * moved, rtol=0.05)
    np.testing.assert_array_equal(noisy.controls, clean.controls)
    only = simulate_dataset(CAR, windows=400, horizon=20, noise={"v": 0.3})
    np.testing.assert_allclose((only.targets - clean.targets).std((0, 1)), [0, 0, 0, 0.3], rtol=0.05)


SIGNALS = [
    Constant(low=-1, high=2),
    Smooth(low=-1, high=2, period=0.5),
    Steps(low=-1, high=2, hold=0.3),
    Chirp(low=-1, high=2, first=0.5, last=4),
]


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda one: type(one).__name__)
def test_a_signal_stays_within_its_bounds_and_differs_between_runs(signal):
    times = np.arange(500) * 0.02
    values = signal.draw(times, 20, np.random.default_rng(0))
    assert values.shape == (20, 500)
    assert values.min() >= -1
    assert values.max() <= 2
    assert len(np.unique(values[:, 0])) == 20
    if not isinstance(signal, Constant):
        assert (np.ptp(values, axis=1) > 1).all()


def test_smooth_has_nothing_faster_than_its_period():
    times = np.arange(2000) * 0.01
    values = Smooth(low=-1, high=1, period=2.0).draw(times, 8, np.random.default_rng(0))
    power = np.abs(np.fft.rfft((values - values.mean(1, keepdims=True)) * np.hanning(2000), axis=1)) ** 2
    fast = np.fft.rfftfreq(2000, 0.01) > 3 / 2.0  # three times: bending makes overtones
    assert power[:, fast].sum() < 0.02 * power.sum()


def test_recorded_values_drive_each_run():
    values = tuple(np.linspace(0, 1, 11))
    drive = Excitation(
        initial={"v": (5, 5)}, controls={"psi_dot": Recorded(values=values), "accel": Constant(low=0, high=0)}
    )
    data = simulate_dataset(CAR, windows=2, horizon=10, excitation=drive)
    np.testing.assert_array_equal(data.controls[:, :, 0], [values[:10]] * 2)
    with pytest.raises(ConfigError, match="has 11 values, the run has 12 rows"):
        simulate_dataset(CAR, windows=2, horizon=11, excitation=drive)


ACCEL = Constant(low=0, high=0)
WRONG = [
    ({"params": {"k_trun": 1.0}}, "no parameter 'k_trun'; did you mean 'k_turn'?"),
    ({"params": lambda f: {}}, "needs features"),
    ({"noise": {"w": 1.0}}, "has no state 'w'"),
    ({"excitation": Excitation(controls={"accel": ACCEL})}, r"what drives psi_dot"),
    ({"excitation": Excitation(controls={"acel": ACCEL})}, "did you mean 'accel'"),
    ({"excitation": Excitation(initial={"speed": (0, 1)})}, "no state 'speed' to begin from"),
    (
        {"excitation": Excitation(controls={"psi_dot": ACCEL, "accel": Follow(state="vv", reference=ACCEL)})},
        "follows the state 'vv'",
    ),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_wrong_settings_are_refused_by_name(given, message):
    with pytest.raises(ConfigError, match=message):
        simulate_dataset(CAR, **{"windows": 2, "horizon": 3, **given})


def test_parameters_that_no_network_could_find_are_told_with_their_bounds():
    low, high = CAR.parameter("k_turn").bounds
    told = rf"k_turn = 9, whose bounds are {low:g} and {high:g}: no network finds them unless its bounds are widened"
    few = SimulationSettings(n_logs=1, duration=0.5, features={"ground": Constant(low=1, high=2)})
    with pytest.warns(PotentiaWarning, match=told):
        simulate_logs(CAR, {"k_turn": 9.0}, few)
    with pytest.warns(PotentiaWarning, match=told):
        simulate_dataset(CAR, {"k_turn": [1.0, 9.0]}, windows=2, horizon=2)
    with pytest.warns(PotentiaWarning, match="k_turn = 1"):
        simulate_logs(CAR, lambda seen: {"k_turn": 10 * seen[:, 0]}, few)
    with pytest.raises(ConfigError, match="parameter 'drag' of model 'unicycle' must be finite numbers, got nan"):
        simulate_logs(CAR, {"drag": np.nan}, few)


def test_a_run_that_diverges_says_so():
    still = Excitation(initial={"v": (1e300, 1e300)}, controls={"psi_dot": ACCEL, "accel": ACCEL})
    with pytest.raises(DataError, match=r"run 0 of model 'unicycle' diverges after"):
        simulate_dataset(CAR, windows=2, horizon=10, dt=1e20, excitation=still)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".npz"])
def test_logs_in_all_formats_say_the_same(tmp_path, suffix):
    logs = simulate_logs(CAR, settings=SimulationSettings(n_logs=2, duration=0.5, noise={"v": 0.1}))
    paths = write_logs(tmp_path / "drives", logs, suffix)
    assert [path.name for path in paths] == [f"log-000{suffix}", f"log-001{suffix}"]
    for log, found in zip(logs, read_logs(tmp_path / "drives"), strict=True):
        np.testing.assert_array_equal(found.time, log.time)
        assert list(found.columns) == list(log.columns)
        for key, value in log.columns.items():
            np.testing.assert_array_equal(found.columns[key], value)


def test_a_law_follows_features_along_a_log():
    """Where the ground changes, the gain does: the heading turns by the gain of the row times the control."""
    settings = SimulationSettings(n_logs=3, duration=4, features={"wet": Steps(low=0, high=1, hold=1.0)})
    logs = simulate_logs(CAR, lambda f: {"k_turn": 1.4 - 0.8 * (f[:, 0] > 0.5)}, settings)
    gains = []
    for log in logs:
        gain = 1.4 - 0.8 * (log.columns["wet"] > 0.5)
        gains.extend(gain)
        np.testing.assert_allclose(np.diff(log.columns["psi"]), 0.05 * (gain * log.columns["psi_dot"])[:-1], atol=1e-9)
    assert len(set(gains)) == 2


def test_sensors_are_noisy_and_the_system_does_not_feel_it():
    settings = SimulationSettings(n_logs=64, duration=1)
    clean = simulate_logs(CAR, settings=settings)
    noise = {"v": 0.2, "accel": 0.1}
    noisy = simulate_logs(CAR, settings=SimulationSettings(n_logs=64, duration=1, noise=noise))
    for key in clean[0].columns:
        error = np.concatenate([b.columns[key] - a.columns[key] for a, b in zip(clean, noisy, strict=True)])
        assert error.std() == pytest.approx(noise.get(key, 0.0), rel=0.05, abs=1e-12)


USUAL = {
    "singletrack": {"v": (2.0, 6.0), "beta": (-0.4, 0.4), "delta": (-0.2, 0.2)},
    "singletrack-pacejka": {"v": (1.5, 6.0), "beta": (-0.8, 0.8)},
    "unicycle": {"v": (2.0, 6.0)},
    "bodyframe-pacejka": {"vx": (0.5, 3.0), "throttle": (-0.1, 1.0)},
    "cascaded-tanks": {"upper": (0.1, 10.0), "lower": (0.1, 10.0)},
}


@pytest.mark.parametrize("name", USUAL)
def test_the_usual_drive_keeps_a_model_where_it_lives(name):
    """It neither stops nor spins, and each of its controls is used."""
    model = get_model_spec(name)
    scale = 80 if name == "cascaded-tanks" else 1
    settings = SimulationSettings(
        n_logs=32, duration=8 * scale, dt=0.05 * scale, integration=RolloutSettings(substeps=2)
    )
    for log in simulate_logs(model, settings=settings):
        for key, (low, high) in USUAL[name].items():
            assert low <= log.columns[key].min()
            assert log.columns[key].max() <= high
        for key in model.control_names:
            assert np.ptp(log.columns[key]) > 0.1
    assert len(simulate_dataset(model, windows=3, horizon=4, dt=0.05 * scale)) == 3


def test_a_model_with_other_controls_needs_to_be_told():
    tank = ModelSpec(
        name="vessel",
        states=(Variable(name="level", unit="m"),),
        controls=(Variable(name="inflow", unit="V"),),
        parameters=(Parameter(name="k", low=0.01, high=1.0, default=0.1),),
        dynamics_fn=lambda states, controls, p: p["k"][..., None] * controls - 0.1 * states,
    )
    with pytest.raises(ConfigError, match=r"no usual drive for inflow .*: give Excitation"):
        simulate_dataset(tank)
    drive = Excitation(initial={"level": (1, 2)}, controls={"inflow": Steps(low=0, high=10, hold=2)})
    data = simulate_dataset(tank, {"k": 0.3}, windows=4, horizon=3, dt=1.0, excitation=drive)
    step = (1 - np.exp(-0.1)) * 0.3 / 0.1
    expected = data.initial_states * np.exp(-0.1) + step * data.controls[:, 0]
    np.testing.assert_allclose(data.targets[:, 0], expected, rtol=1e-6)


def test_wrong_logs_are_refused():
    with pytest.raises(ConfigError, match=r"dt must be greater than 0 and at most duration=1 s, got 2"):
        SimulationSettings(duration=1, dt=2)
    with pytest.raises(ConfigError, match="noise: 'w' is no state, control or feature"):
        simulate_logs(CAR, settings=SimulationSettings(n_logs=1, duration=1, noise={"w": 1.0}))
    with pytest.raises(ConfigError, match="suffix must be one of"):
        write_logs("nowhere", [], ".mat")


def test_settings_go_there_and_back():
    settings = SimulationSettings(
        excitation=default_excitation(CAR), features={"wet": Steps(low=0, high=1)}, noise={"v": 0.1}
    )
    assert from_dict(SimulationSettings, json.loads(json.dumps(to_dict(settings), allow_nan=False))) == settings
    free = Follow(state="v", reference=Constant(low=4, high=4), gain=1.0)
    np.testing.assert_array_equal(free.applied(np.array([4.0]), {"v": np.array([-96.0])}), [100.0])
