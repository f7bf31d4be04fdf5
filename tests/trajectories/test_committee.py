"""Committees of surrogates beyond the laws of all: spreads in dex, intervals that hold what they promise in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from potentia.calibration import NormalCalibration, Scaling
from potentia.ensemble import CommitteeConfig, drawn
from potentia.ensemble.learning import learned
from potentia.errors import ConfigError, DataError, FileFormatError, PotentiaWarning
from potentia.trajectories import (
    SURROGATES,
    FullyConnected,
    FullyConnectedConfig,
    LatentPoly,
    LatentPolyConfig,
    MultiONet,
    Preprocessing,
    TrajectoryTrainingConfig,
)
from potentia.trajectories.committee import CommitteePrediction, TrajectoryCommittee
from potentia.trajectories.committee.measured import held_out
from potentia.trajectories.committee.windows import TimeWindows
from potentia.trajectories.ensembles import ensemble_of
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.evaluation import EvaluationSettings, evaluate
from trajectories import decays
from trajectories.test_surrogates import SMALL

DATA = decays.data(parameters=1)
HELD_OUT = decays.decays(300, "held out", parameters=1)
NEW = decays.decays(300, "new", parameters=1)
NETWORK = FullyConnectedConfig(hidden_size=8, num_hidden_layers=1, activation="tanh")


def settings(**changed):
    return TrajectoryTrainingConfig(**({"epochs": 8, "batch_size": 32, "seed": 3, "learning_rate": 1e-2} | changed))


def committee_in(folder, members=3, config=None, one=None, data=DATA, **how):
    found = TrajectoryCommittee(FullyConnected(NETWORK) if one is None else one)
    wanted = CommitteeConfig(members, output_dir=folder, **how)
    return found, found.train(data, config or settings(), wanted)


def trained(config, on=DATA):
    alone = FullyConnected(NETWORK)
    alone.train(on, config)
    return alone


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("committee")


@pytest.fixture(scope="module")
def committee(folder):
    found, result = committee_in(folder)
    assert [member.seed for member in result.completed_members] == [3, 4, 5]
    assert result.stats["min_test_loss"]["n"] == 3
    return found


@pytest.fixture(scope="module")
def calibrated(folder, committee):
    found = TrajectoryCommittee.from_directory(folder)
    found.calibrate(HELD_OUT, level=0.8)
    return found


def question(n=5):
    return HELD_OUT.initial_states[:n], HELD_OUT.times, HELD_OUT.parameters[:n]


def same(one, other):
    pairs = [model.network_.state_dict() for model in (one, other)]
    return all((pairs[0][name] == pairs[1][name]).all() for name in pairs[0])


def all_same(one, other):
    return all(map(same, one.load_members(), other.load_members()))


def test_mean_and_spread_are_those_of_the_members_in_any_order(committee):
    found = committee.predict(*question())
    alone = np.stack([member.predict(*question()) for member in committee.load_members()])
    assert np.array_equal(found.member_states, alone)
    np.testing.assert_allclose(found.states, np.exp(np.log(alone).mean(0)))
    np.testing.assert_allclose(found.spread, np.log10(alone).std(0, ddof=1))
    assert found.spread.shape == (5, 11, 3)
    turned = TrajectoryCommittee.from_files(committee.member_model_paths[::-1]).predict(*question())
    np.testing.assert_allclose(turned.states, found.states)
    np.testing.assert_allclose(turned.spread, found.spread, atol=1e-14)


def test_the_spread_is_that_of_a_study(committee):
    members, scale = committee.load_members(), ErrorScale.of(DATA.val)
    whole, _ = ensemble_of("it", members, DATA.val, scale)
    found = committee.predict(DATA.val.initial_states, DATA.val.times, DATA.val.parameters)
    np.testing.assert_allclose(found.spread, whole.spread)
    np.testing.assert_allclose(np.log10(found.states), whole.mean)
    modalities = {"uncertainty": {"it": members}}
    told = evaluate({"it": members[0]}, DATA, EvaluationSettings(figures=False), modalities=modalities)
    assert told.metric("it", "UQ", "average_uncertainty_log") == pytest.approx(found.spread.mean())


def test_where_no_logarithm_is_learned_all_is_in_the_unit_of_the_states(tmp_path):
    linear = FullyConnected(NETWORK, preprocessing=Preprocessing(log10_transform=False, normalise="standardise"))
    found, _ = committee_in(tmp_path, 2, one=linear)
    alone = np.stack([member.predict(*question()) for member in found.load_members()])
    said = found.predict(*question())
    np.testing.assert_allclose(said.states, alone.mean(0))
    np.testing.assert_allclose(said.spread, alone.std(0, ddof=1))
    assert found.calibrate(HELD_OUT, level=0.8).measured.bars["B"].unit == "unit of the data"
    assert found.predict(*question()).low[2, 3, 1] < said.states[2, 3, 1]


def test_the_table_tells_mean_spread_and_interval_of_each_state(calibrated):
    found = calibrated.predict(*question())
    table = found.frame()
    assert len(table) == 5 * 11
    row = table[(table["trajectory"] == 2) & (table["time"] == 1.0)].iloc[0]
    assert row["B"] == found.states[2, 5, 1]
    assert row["B_spread"] == found.spread[2, 5, 1]
    assert row["B_half_width"] == found.half_width[2, 5, 1]
    assert row["B_low"] == pytest.approx(row["B"] / 10 ** row["B_half_width"])
    assert row["B_high"] == pytest.approx(row["B"] * 10 ** row["B_half_width"])
    assert row["level"] == 0.8


def test_any_times_have_intervals_those_of_each_trajectory_too(calibrated):
    initial, _, parameters = question()
    times = np.linspace(0.03, 1.9, 7)
    shared = calibrated.predict(initial, times, parameters)
    of_each = calibrated.predict(initial, np.tile(times, (5, 1)), parameters)
    np.testing.assert_allclose(of_each.half_width, shared.half_width, rtol=1e-6)
    assert np.isfinite(shared.half_width).all()
    assert of_each.frame()["time"].tolist() == pytest.approx(np.tile(times, 5).tolist())


@pytest.mark.filterwarnings("ignore:.* times are outside the horizon")
def test_behind_the_last_time_nothing_is_promised(calibrated):
    initial, _, parameters = question()
    found = calibrated.predict(initial, [1.0, 2.0, 2.5], parameters)
    with pytest.warns(PotentiaWarning, match="intervals at the level 0.8 are infinite at some of these times"):
        width = found.half_width
    assert np.isfinite(width[:, :2]).all()
    assert np.isinf(width[:, 2]).all()


@pytest.mark.parametrize("resample", ["bootstrap", "subset"])
def test_whole_trajectories_are_drawn(resample, tmp_path):
    wanted = CommitteeConfig(2, output_dir=tmp_path, resample=resample)
    found = TrajectoryCommittee(FullyConnected(NETWORK))
    twice = replace(DATA, train=DATA.train.take(np.repeat(np.arange(12), 2)))  # each beginning is there twice
    found.train(twice, settings(epochs=1), wanted)
    places = drawn(wanted, twice.train.group, 4)
    counts = np.bincount(places, minlength=24).reshape(12, 2)
    assert (counts[:, 0] == counts[:, 1]).all()
    assert len(set(counts[:, 0])) > 1
    own = replace(twice, train=twice.train.take(places))
    assert same(trained(settings(epochs=1, seed=4), on=own), found.load_members()[1])


@pytest.mark.parametrize("name", SURROGATES)
def test_members_are_of_any_class(name, tmp_path):
    one = SURROGATES[name](SMALL[name])
    found, _ = committee_in(tmp_path / "members", 2, settings(epochs=1, batch_size=8), one)
    expected = found.predict(*question())
    assert expected.spread.any()
    found.save(tmp_path / "one")
    for other in (TrajectoryCommittee.load(tmp_path / "one"), TrajectoryCommittee.from_directory(found.directory)):
        assert np.array_equal(other.predict(*question()).member_states, expected.member_states)
        assert repr(other) == repr(found)


def test_errors_of_known_size_give_the_known_factor():
    draw, part = np.random.default_rng(1), decays.decays(400, "many", steps=21)
    factors = np.repeat([1.0, 2.0, 0.5], [1, 10, 10])[:, None]  # two times to a window
    std = draw.uniform(0.01, 0.02, part.states.shape)
    centre = np.log10(part.states) + draw.normal(size=std.shape) * std * factors
    sign = np.array([1.0, -1.0]).reshape(2, 1, 1, 1) / np.sqrt(2)  # two members, divided by one
    scale = ErrorScale.learned(log10=True, tolerance=None)
    found = CommitteePrediction(
        member_states=10 ** (centre + sign * std), times=part.times, labels=part.labels, scale=scale
    )
    held = held_out(found, part, TimeWindows.of(part.times))
    assert held.groups == len(held) == 400
    known = learned(held, Scaling(offset=0.0), 0.9, ["a"], TrajectoryCommittee.words)
    for window, factor in ((1, 2.0), (5, 2.0), (6, 0.5), (10, 0.5)):
        one = known.of["B"].groups[f"window {window}"]
        assert isinstance(one, NormalCalibration)
        assert one.factor == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize("method", [None, Scaling()], ids=["conformal", "scaling"])
def test_intervals_hold_what_they_promise_at_each_time(method, committee):
    own = TrajectoryCommittee.from_files(committee.member_model_paths)
    result = own.calibrate(HELD_OUT, level=0.8, method=method)
    assert len(result.learned_from) == len(result.measured_on) == 150
    assert not set(result.learned_from) & set(result.measured_on)
    for bars in (result.measured, own.error_bars(NEW)):
        assert {one.unit for one in bars.bars.values()} == {"dex"}
        assert (bars.by_step["RMSE"] > 0).all()
        if method is not None:
            continue
        for quantity, one in bars.bars.items():
            windows = one.at_level.set_index("group")
            assert len(windows) == 11
            # learned from 150 trajectories and measured on 150 or 300: both draws count
            binomial = np.sqrt(0.8 * 0.2 * (1 / 150 + 1 / bars.samples))
            assert (abs(windows["coverage"] - 0.8) < 4 * binomial).all(), quantity
        own_rows = bars.by_step[bars.by_step["quantity"] == "B"]
        assert own_rows["window"].tolist() == [f"window {k}" for k in range(1, 11)]
        assert own_rows["end"].tolist() == pytest.approx(HELD_OUT.times[1:].tolist())
    assert "measured on 300 trajectories" in str(bars)


def test_times_that_were_not_calibrated_are_told_apart(committee, tmp_path):
    own = TrajectoryCommittee.from_files(committee.member_model_paths)
    own.calibrate(HELD_OUT.at_steps(slice(0, 6)), level=0.8)
    found = own.error_bars(NEW)
    rows = found.by_step[found.by_step["quantity"] == "B"].set_index("window")
    assert rows.index.tolist() == [*(f"window {k}" for k in range(1, 6)), "outside"]
    assert rows.loc["outside", "calibrated_68"] == 1
    assert rows.loc["window 5", "calibrated_68"] < 1
    assert np.isnan(rows.loc["outside", "end"])
    found.plot("B", tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").read_bytes()[1:4] == b"PNG"


def test_the_mean_is_a_predictor(committee):
    found = evaluate({"mean": committee.mean()}, DATA, EvaluationSettings(figures=False))
    states = committee.predict(DATA.val.initial_states, DATA.val.times, DATA.val.parameters).states
    error = np.abs(np.log10(states / DATA.val.states)).mean()
    assert found.metric("mean", "accuracy", "mean_absolute_error_log") == pytest.approx(error)


def test_what_cannot_be_is_refused(committee, tmp_path):
    negative = replace(DATA, train=replace(DATA.train, states=-DATA.train.states))
    with pytest.raises(DataError, match="log10 needs states above 0"):
        committee_in(tmp_path / "no", data=negative)
    assert not (tmp_path / "no").exists()
    own = TrajectoryCommittee.from_files(committee.member_model_paths)
    with pytest.raises(DataError, match="error bars need trajectories with a time behind the first"):
        own.calibrate(HELD_OUT.at_steps([0]))
    states = HELD_OUT.states.copy()
    states[3, 2, 1] = 0.0
    with pytest.raises(DataError, match="log10 of B does not exist: 1 of its values are not above zero"):
        own.calibrate(replace(HELD_OUT, states=states))


def test_surrogates_that_differ_make_no_committee(committee, tmp_path):
    bare = FullyConnected(NETWORK)
    bare.train(decays.data(), settings(epochs=1))
    bare.save(tmp_path / "bare")
    other = LatentPoly(LatentPolyConfig(latent_features=2, coder_width=8))
    other.train(DATA, settings(epochs=1, batch_size=8))
    other.save(tmp_path / "other")
    for name, what in (("bare", "other parameters"), ("other", "another class")):
        with pytest.raises(ConfigError, match=rf"{name} has {what} than .*: they make no committee"):
            TrajectoryCommittee.from_files([*committee.member_model_paths, tmp_path / name])
    committee.save(tmp_path / "committee")
    with pytest.raises(FileFormatError, match="holds a committee of trajectory surrogates, not a surrogate"):
        TrajectoryCommittee.from_files([tmp_path / "committee"])


def test_a_committee_is_of_the_class_of_its_surrogate():
    assert TrajectoryCommittee(MultiONet()).recipe()["surrogate"] == "MultiONet"
