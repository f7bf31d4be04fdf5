"""Committees of parameter networks beyond the laws of all: spreads of states and parameters, intervals by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from committee_kinds import Dynamics
from potentia.calibration import Scaling
from potentia.dynamics.baselines import Persistence
from potentia.dynamics.committee import CommitteePrediction, DynamicsCommittee
from potentia.dynamics.committee.measured import held_out
from potentia.dynamics.evaluation import evaluate_rollouts
from potentia.ensemble.learning import learned
from potentia.errors import ConfigError, DataError, PotentiaWarning

KIND = Dynamics()
NEW = KIND.windows(300, 4)
SPEC = KIND.untrained().spec_
HEADING = SPEC.state_names.index("psi")


@pytest.fixture(scope="module")
def committee(tmp_path_factory):
    found, _ = KIND.train(tmp_path_factory.mktemp("committee"), resample="bootstrap")
    return found


def own(committee):
    return DynamicsCommittee.from_files(committee.member_model_paths)


def test_mean_and_spread_are_those_of_the_members(committee):
    told = KIND.ask(committee)
    alone = np.stack([KIND.ask(member) for member in committee.load_members()])
    assert told.states == pytest.approx(alone.mean(0))
    assert told.states_std == pytest.approx(alone.std(0))
    windows = KIND.held_out.take(slice(0, 5))
    drag = np.stack([member.predict_params(windows)["drag"] for member in committee.load_members()])
    assert told.params["drag"] == pytest.approx(drag.mean(0))
    assert told.params_std["drag"] == pytest.approx(drag.std(0))


def test_the_table_tells_of_the_last_state_and_of_the_parameters(committee):
    calibrated = own(committee)
    calibrated.calibrate(KIND.held_out, level=0.8)
    told = KIND.ask(calibrated)
    table = told.frame()
    assert len(table) == 5
    assert table["std_v"].to_numpy() == pytest.approx(told.states_std[:, -1, SPEC.state_names.index("v")])
    assert table["half_width_psi"].to_numpy() == pytest.approx(told.half_width[:, -1, HEADING])
    assert table["std_of_drag"].to_numpy() == pytest.approx(told.params_std["drag"])
    assert table["level"].unique() == [0.8]


def test_the_mean_is_a_predictor(committee):
    baselines = {"hold": Persistence(SPEC)}
    predictions = {"mean": committee.mean().predict(NEW), "hold": baselines["hold"].predict(NEW)}
    found = evaluate_rollouts(SPEC, NEW, predictions, baselines=["hold"])
    assert found.by_window["mean"].mean() < found.by_window["hold"].mean()
    np.testing.assert_array_equal(predictions["mean"], committee.predict(NEW).states)


@pytest.mark.parametrize("method", [None, Scaling()], ids=["conformal", "scaling"])
def test_intervals_hold_what_they_promise_at_each_step(method, committee):
    found = own(committee)
    result = found.calibrate(KIND.held_out, level=0.8, method=method)
    for bars in (result.measured, found.error_bars(NEW)):
        assert set(bars.bars) == set(SPEC.state_names)
        assert bars.by_step["time"].tolist()[:5] == pytest.approx(np.cumsum(NEW.step_lengths[0]).tolist())
        if method is not None:
            continue
        for state, one in bars.bars.items():
            steps = one.at_level.set_index("group")
            assert len(steps) == 6
            # learned from 150 windows and measured on 150 or 300: both draws count
            binomial = np.sqrt(0.8 * 0.2 * (1 / 150 + 1 / bars.samples))
            assert (abs(steps["coverage"] - 0.8) < 4 * binomial).all(), state
    assert "measured on 300 windows" in str(bars)


def test_errors_of_known_size_give_the_known_factor_where_headings_turn_and_targets_are_missing():
    draw, windows = np.random.default_rng(1), KIND.windows(400, 5)
    factors = np.array([2.0, 1.0, 0.5, 1.0, 2.0])
    std = draw.uniform(0.01, 0.02, windows.targets.shape)
    off = draw.normal(size=std.shape) * std * factors[:, None]
    turned = np.zeros_like(off)
    turned[..., HEADING] = 2 * np.pi  # the same heading, a turn further
    mask = draw.random(windows.counted.shape) < 0.8
    mask[:, 0] = True
    missing = replace(windows, targets=np.where(mask[..., None], windows.targets + off + turned, np.nan), mask=mask)
    sign = np.array([1.0, -1.0]).reshape(2, 1, 1, 1)
    said = CommitteePrediction(spec=SPEC, member_states=windows.targets + sign * std, member_params={})
    held = held_out(said, missing)
    known = learned(held, Scaling(offset=0.0), 0.9, ["a"], DynamicsCommittee.words)
    for state in SPEC.state_names:
        for step, factor in enumerate(factors, 1):
            assert known.of[state].groups[f"step {step}"].factor == pytest.approx(factor, rel=0.12), (state, step)


def test_steps_where_nothing_counts_and_those_behind_the_last_are_promised_nothing(committee):
    found = own(committee)
    mask = KIND.held_out.counted.copy()
    mask[:, 3:] = False
    found.calibrate(replace(KIND.held_out, mask=mask), level=0.8)
    assert list(found.calibration.of["v"].groups) == ["step 1", "step 2", "step 3"]
    with pytest.warns(PotentiaWarning, match=r"intervals at the level 0.8 are infinite at some of these 5 steps"):
        width = KIND.ask(found).half_width
    assert np.isfinite(width[:, :3]).all()
    assert np.isinf(width[:, 3:]).all()


def test_whole_logs_are_drawn_where_windows_overlap(committee):
    found, logs = own(committee), tuple(f"log {k}" for k in range(30))
    overlapping = replace(KIND.held_out, group=np.arange(300) // 10, group_names=logs)
    result = found.calibrate(overlapping, level=0.8, blocks="logs")
    assert result.calibration.blocks == 15
    assert not {k // 10 for k in result.learned_from} & {k // 10 for k in result.measured_on}
    with pytest.raises(DataError, match="needs windows to learn from and others to measure on"):
        found.calibrate(replace(overlapping, group=np.zeros(300, dtype=int)), blocks="logs")
    with pytest.raises(ConfigError, match="blocks must be"):
        found.calibrate(overlapping, blocks="log")


def test_what_a_member_cannot_simulate_is_left_out_and_told(committee, monkeypatch):
    found, first = own(committee), KIND.held_out.initial_states[:, 0]
    predict = type(found.load_members()[1]).predict

    def flies_away(beyond):
        def wild(net, data):
            states = predict(net, data)
            states[data.initial_states[:, 0] > beyond, -1] = np.inf
            return states

        return wild

    monkeypatch.setattr(type(found.load_members()[1]), "predict", flies_away(np.quantile(first, 0.9)))
    with pytest.warns(PotentiaWarning, match="30 of 300 windows are left out of the error bars: not all members can"):
        assert found.error_bars(KIND.held_out).samples == 270
    monkeypatch.setattr(type(found.load_members()[1]), "predict", flies_away(-np.inf))
    with pytest.raises(DataError, match="not all members can simulate any of these 300 windows to its end"):
        found.error_bars(KIND.held_out)


def test_networks_of_other_models_make_no_committee(committee, tmp_path):
    other = type(KIND.untrained())("unicycle", hidden=(8,), bounds={"drag": (0.0, 0.5)})
    other.train(KIND.data()[0], KIND.settings())
    other.save(tmp_path / "other")
    with pytest.raises(ConfigError, match=r"other has another model, or other bounds, than .*: they make no committee"):
        DynamicsCommittee.from_files([*committee.member_model_paths, tmp_path / "other"])
