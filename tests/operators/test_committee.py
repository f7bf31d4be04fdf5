"""Committees of operators beyond the laws of all: spreads of fields, intervals that hold what they promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from operators.fields_data import NETWORK, data, same, settings, trained, waves, weights
from potentia.calibration import NormalCalibration, Scaling
from potentia.ensemble import CommitteeConfig, drawn
from potentia.ensemble.learning import learned
from potentia.errors import ConfigError, DataError, PotentiaWarning
from potentia.operators import FNOConfig, NeuralOperator, OperatorCommittee, evaluate
from potentia.operators.committee import CommitteePrediction
from potentia.operators.committee.measured import held_out
from potentia.operators.dataset import Samples
from potentia.operators.space import ParameterSpace

HELD_OUT = waves(300, first_group=1000, seed=9)
NEW = waves(300, first_group=2000, seed=10)


def committee_in(folder, members=3, config=None, **how):
    found = OperatorCommittee(NeuralOperator(NETWORK))
    result = found.train(data(), config or settings(epochs=2), CommitteeConfig(members, output_dir=folder, **how))
    return found, result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("committee")


@pytest.fixture(scope="module")
def committee(folder):
    found, result = committee_in(folder)
    assert [member.seed for member in result.completed_members] == [3, 4, 5]
    assert result.stats["min_val_loss"]["n"] == 3
    return found


@pytest.fixture(scope="module")
def calibrated(committee):
    committee.calibrate(HELD_OUT, level=0.8)
    return committee


def question(n=5):
    return HELD_OUT.initial[:n], HELD_OUT.parameters[:n], 4


def all_weights(committee):
    return [weights(member) for member in committee.load_members()]


def test_mean_and_spread_are_those_of_the_members_in_any_order(committee):
    found = committee.predict(*question())
    alone = np.stack([member.predict(*question()) for member in committee.load_members()])
    assert np.array_equal(found.member_fields, alone)
    np.testing.assert_allclose(found.fields, alone.mean(0), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.fields_std, alone.std(0), rtol=1e-5, atol=1e-7)
    assert found.fields_std.shape == (5, 5, 1, 16)
    assert not found.fields_std[:, 0].any()
    turned = OperatorCommittee.from_files(committee.member_model_paths[::-1]).predict(*question())
    np.testing.assert_allclose(turned.fields, found.fields, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(turned.fields_std, found.fields_std, rtol=1e-6, atol=1e-7)


def test_the_table_tells_mean_spread_and_half_width_of_each_field(calibrated):
    found = calibrated.predict(*question())
    table = found.frame()
    assert len(table) == 5 * 5
    last = table[(table["sample"] == 2) & (table["step"] == 4)].iloc[0]
    assert last["spread"] == pytest.approx(np.sqrt(np.square(found.fields_std[2, 4].astype(float)).mean()))
    assert last["half_width"] == pytest.approx(found.half_width[2, 4].mean(), rel=1e-5)
    assert (last["time"], last["level"]) == (2.0, 0.8)
    assert not table[table["step"] == 0][["spread", "half_width"]].to_numpy().any()


def test_the_mean_is_a_predictor(committee):
    some = data()
    scores = evaluate({"mean": committee.mean(), "one": committee.load_members()[0]}, some).scores["rel_l2"]
    fields = committee.predict(some.test.initial, some.test.parameters, some.test.steps).fields
    norms = [np.linalg.norm(one[:, 1:].reshape(4, -1), axis=1) for one in (fields - some.test.fields, some.test.fields)]
    assert scores["mean", "all"] == pytest.approx(np.mean(norms[0] / norms[1]), rel=1e-5)


@pytest.mark.parametrize("resample", ["bootstrap", "subset"])
def test_whole_sets_of_parameters_are_drawn(resample, tmp_path):
    some = data()
    twice = replace(some, train=replace(some.train, group=some.train.group // 2))  # two simulations of each set
    wanted = CommitteeConfig(2, output_dir=tmp_path, resample=resample)
    found = OperatorCommittee(NeuralOperator(NETWORK))
    found.train(twice, settings(epochs=1), wanted)
    places = drawn(wanted, twice.train.group, 4)
    counts = np.bincount(places, minlength=10).reshape(5, 2)
    assert (counts[:, 0] == counts[:, 1]).all()
    assert len(set(map(tuple, counts))) > 1
    alone, _ = trained(settings(epochs=1, seed=4), on=replace(twice, train=twice.train.take(places)))
    assert same(weights(alone), all_weights(found)[1])


def prediction(truth, std, seed=0):
    """Return what two members say whose mean is off by ``factor`` standard deviations of their spread."""
    sign = np.array([1.0, -1.0]).reshape(2, *[1] * truth.ndim)
    return CommitteePrediction(member_fields=(truth + sign * std).astype(np.float32), channels=("u",), time_step=1.0)


def test_errors_of_known_size_give_the_known_factor():
    draw, n, steps = np.random.default_rng(1), 200, 3
    factors, std = np.array([2.0, 1.0, 0.5]), draw.uniform(0.5, 2.0, (n, steps + 1, 1, 32))
    centre = draw.normal(size=std.shape)
    off = draw.normal(size=std.shape) * std
    off[:, 1:] *= factors[:, None, None]
    samples = Samples(centre + off, np.empty((n, 0)), np.arange(n))
    held = held_out(prediction(centre, std), samples)
    found = learned(held, Scaling(offset=0.0), 0.9, ["a"], OperatorCommittee.words)
    for step, factor in enumerate(factors, 1):
        one = found.of["u"].groups[f"step {step}"]
        assert isinstance(one, NormalCalibration)
        assert one.factor == pytest.approx(factor, rel=0.02)


@pytest.mark.parametrize("method", [None, Scaling()], ids=["conformal", "scaling"])
def test_intervals_hold_what_they_promise_at_each_lead_time(method, folder, committee):
    own = OperatorCommittee.from_files(committee.member_model_paths)
    result = own.calibrate(HELD_OUT, level=0.8, method=method)
    assert len(result.learned_from) == len(result.measured_on) == 150
    assert not set(result.learned_from) & set(result.measured_on)
    for bars in (result.measured, own.error_bars(NEW)):
        rows = bars.coverage.set_index(["error_bars", "level"])
        raw, held = rows.loc[("raw", 0.95)], rows.loc[("calibrated", 0.95)]
        assert raw["coverage"] < 0.8  # members err together: the spread alone is too narrow
        if method is not None:
            continue
        assert abs(held["coverage"] - 0.95) < 4 * held["error"]
        steps = bars.bars["u"].at_level.set_index("group")
        assert len(steps) == 7
        # learned from 150 simulations and measured on 150 or 300: both draws count
        assert (abs(steps["coverage"] - 0.8) < 4 * np.sqrt(2) * steps["error"]).all()
        assert bars.by_step["calibrated_95"].between(0.85, 1.0).all()
        assert (bars.by_step["RMSE"] > 0).all()
    assert "measured on 300 simulations" in str(bars)


def test_of_large_fields_some_points_stand_for_all(committee):
    fine = waves(200, first_group=3000, seed=11, grid=400)
    found, again = committee.error_bars(fine), committee.error_bars(fine)
    assert found.coverage["n"].unique().tolist() == [200 * 6 * 64]
    assert found.by_step.equals(again.by_step)
    told = committee.predict(fine.initial, fine.parameters, fine.steps)
    error = (told.fields - fine.fields)[:, 1:].astype(float)
    np.testing.assert_allclose(found.by_step["RMSE"], np.sqrt(np.square(error).mean((0, 2, 3))), rtol=0.03)
    width = told.fields_std[:, 1:].astype(float)
    held = (np.abs(error) <= 1.959964 * width).mean((0, 2, 3))
    np.testing.assert_allclose(found.by_step["raw_95"], held, atol=0.02)


def test_the_figure_has_a_few_lead_times(calibrated, tmp_path):
    found = calibrated.error_bars(NEW)
    (bars,) = found.drawn()
    assert bars.coverage["group"].unique().tolist() == ["all", "step 1", "step 4", "step 6"]
    found.plot("u", tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").read_bytes()[1:4] == b"PNG"
    with pytest.raises(ConfigError, match="channel"):
        found.plot("v")


def test_behind_the_last_step_nothing_is_promised(calibrated):
    initial, parameters, _ = question()
    found = calibrated.predict(initial, parameters, 8)
    with pytest.warns(PotentiaWarning, match=r"intervals at the level 0.8 are infinite at some of these 8 steps"):
        width = found.half_width
    assert np.isfinite(width[:, :7]).all()
    assert np.isinf(width[:, 7:]).all()


def test_what_cannot_be_is_refused(tmp_path):
    def train(on=None, config=None, operator=None, **how):
        untrained = OperatorCommittee(operator or NeuralOperator(NETWORK))
        untrained.train(on or data(), config or settings(), CommitteeConfig(2, output_dir=tmp_path / "no", **how))

    with pytest.raises(ConfigError, match="n_samples takes the first samples, and resample='bootstrap' draws from all"):
        train(config=settings(n_samples=4), resample="bootstrap")
    with pytest.raises(DataError, match="needs 1 axes of at least 40 points"):
        train(operator=NeuralOperator(FNOConfig(width=2, modes=20, layers=1)))
    assert not (tmp_path / "no").exists()


def test_operators_of_other_fields_make_no_committee(committee, tmp_path):
    some = data()
    parts = {name: Samples(part.fields, np.empty((len(part), 0)), part.group) for name, part in some.parts().items()}
    bare = replace(some, **parts, space=ParameterSpace(()))
    trained(settings(epochs=1), on=bare)[0].save(tmp_path / "bare.op")
    with pytest.raises(ConfigError, match=r"bare\.op has other parameters than .*: they make no committee"):
        OperatorCommittee.from_files([*committee.member_model_paths, tmp_path / "bare.op"])


@pytest.mark.filterwarnings("ignore:the roll-outs of . of 4 samples leave the numbers")
def test_what_a_member_cannot_roll_out_is_left_out_and_told(committee):
    wild = OperatorCommittee.from_files(committee.member_model_paths)
    few = HELD_OUT.take(slice(0, 4))
    found = wild.error_bars(few)
    wild.load_members()[1].network_.scale.data.fill_(1e30)
    with pytest.raises(DataError, match="not all members can roll out any of these 4 samples"):
        wild.error_bars(few)
    assert found.samples == 4
