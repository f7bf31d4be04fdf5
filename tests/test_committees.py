"""Laws of the committees of all families: members are single models, files say all, error bars are learned apart."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from committee_kinds import KINDS
from potentia.ensemble import CommitteeConfig
from potentia.errors import ConfigError, DataError, FileFormatError, NotFittedError, PotentiaWarning, TrainingError


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__.lower())
def kind(request):
    return request.param()


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    return tmp_path_factory.mktemp("committee")


@pytest.fixture(scope="module")
def committee(kind, folder):
    found, result = kind.train(folder)
    assert [member.seed for member in result.completed_members] == [3, 4, 5]
    assert {one["n"] for one in result.stats.values()} == {3}
    return found


@pytest.fixture(scope="module")
def calibrated(kind, folder, committee):
    found = kind.committee.from_directory(folder)
    found.calibrate(kind.held_out, level=0.8)
    return found


def same(one, other):
    pairs = [model.fitted().network.state_dict() for model in (one, other)]
    return pairs[0].keys() == pairs[1].keys() and all(torch.equal(pairs[0][name], pairs[1][name]) for name in pairs[0])


def all_same(one, other):
    return all(map(same, one.load_members(), other.load_members()))


def test_a_member_equals_a_single_model_of_its_seed(kind, committee):
    assert same(kind.alone(seed=4), committee.load_members()[1])


def test_members_say_what_they_say_alone(kind, committee):
    alone = np.stack([kind.ask(member) for member in committee.load_members()])
    assert np.array_equal(kind.members_said(kind.ask(committee)), alone)
    turned = kind.committee.from_files(committee.member_model_paths[::-1])
    assert np.array_equal(kind.members_said(kind.ask(turned)), alone[::-1])


def test_one_member_has_no_spread(kind, committee):
    one = kind.committee.from_files(committee.member_model_paths[:1])
    assert np.array_equal(kind.members_said(kind.ask(one))[0], kind.ask(committee.load_members()[0]))
    for how in (one.calibrate, one.error_bars):
        with pytest.raises(ConfigError, match="one member has no spread: train a committee of two or more"):
            how(kind.held_out)
    assert not [name for name in kind.ask(one).frame() if "spread" in name or "std" in name]


def test_members_that_are_the_same_have_intervals_of_one_width(kind, committee):
    path = committee.member_model_paths[0]
    twice = kind.committee.from_files([path, path])
    found = twice.calibrate(kind.held_out, level=0.8).measured
    rows = found.coverage.set_index(["error_bars", "level"])
    assert (rows.loc[("calibrated", 0.8), "coverage"] > 0.7).all()
    assert (rows.loc[("raw", 0.95), "half_width"] == 0).all()


def test_a_committee_that_was_killed_goes_on_to_the_bit(kind, committee, tmp_path):
    config = kind.settings(checkpoint_dir=str(tmp_path))
    first, result = kind.train(tmp_path / "one", config=config)
    lost = result.members[1].member_dir
    states = sorted((lost / "checkpoints").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    oldest = next(path for path in states if "best" not in path.name)
    for path in (lost / "summary.json", *lost.glob("model.*"), *(path for path in states if path != oldest)):
        path.unlink()
    shutil.rmtree(result.members[2].member_dir)
    times = [path.stat().st_mtime_ns for path in first.member_model_paths[:1]]
    again, _ = kind.train(tmp_path / "one", config=config)
    assert [path.stat().st_mtime_ns for path in again.member_model_paths[:1]] == times
    assert all_same(committee, again)


def test_the_time_is_that_of_all_members(kind, tmp_path):
    late, result = kind.train(tmp_path, config=kind.settings(max_time="0.0001s"))
    assert result.resumable
    assert not late.is_trained()
    assert [member.status for member in result.members] == ["interrupted", "planned", "planned"]
    assert kind.train(tmp_path)[1].resumable is False


@pytest.mark.slow
def test_one_worker_and_two_train_the_same_members(kind, tmp_path):
    together, _ = kind.train(tmp_path / "one", 2, threads_per_member=1)
    apart, result = kind.train(tmp_path / "two", 2, max_parallel=2, threads_per_member=1)
    assert result.execution_mode == "parallel"
    assert all_same(together, apart)


def test_what_was_learned_from_is_not_measured_on(kind, committee):
    own = kind.committee.from_files(committee.member_model_paths)
    result = own.calibrate(kind.held_out, level=0.8)
    assert len(result.learned_from) == len(result.measured_on) == 150
    assert not set(result.learned_from) & set(result.measured_on)
    found = own.error_bars(kind.held_out)
    assert (found.samples, found.left_out) == (150, 150)
    with pytest.raises(DataError, match=f"all 150 {kind.pieces} are those that the calibration was learned from"):
        own.error_bars(kind.held_out.take(result.learned_from))


def test_saved_is_loaded_and_moved(kind, calibrated, folder, tmp_path):
    calibrated.save(tmp_path / "one.committee", {"for": "keeps"})
    shutil.copytree(folder, tmp_path / "moved")
    loaded = kind.committee.load(tmp_path / "one.committee")
    assert loaded.load_members()[2].metadata["extra_metadata"] == {"for": "keeps"}
    expected = kind.ask(calibrated)
    moved = kind.committee.from_directory(tmp_path / "moved")
    for other in (loaded, moved, calibrated.to("cpu")):
        found = kind.ask(other)
        assert np.array_equal(kind.members_said(found), kind.members_said(expected))
        assert np.array_equal(found.half_width, expected.half_width)
        assert repr(other) == repr(calibrated)
    assert kind.committee.from_files(calibrated.member_model_paths[:2]).calibration is None
    with pytest.raises(FileFormatError, match=kind.foreign):
        kind.one.load(tmp_path / "one.committee")


def test_members_that_are_there_stay_and_other_data_are_refused(kind, committee, folder):
    before = [path.stat().st_mtime_ns for path in committee.member_model_paths]
    kind.train(folder)
    assert [path.stat().st_mtime_ns for path in committee.member_model_paths] == before
    with pytest.raises(ConfigError, match="a committee of other data or settings"):
        kind.train(folder, fewer=True)


def test_a_forecast_is_of_all_members(kind, committee):
    data, *validation = kind.data()
    one = kind.untrained().forecast(data, kind.settings(), *validation)
    found = committee.forecast(data, kind.settings(), CommitteeConfig(5), *validation)
    assert (found.epochs, found.batches_per_epoch) == (one.epochs, one.batches_per_epoch)
    assert found.seconds_per_epoch > 2 * one.seconds_per_epoch


def test_what_cannot_be_is_refused(kind, committee, tmp_path):
    with pytest.raises(ConfigError, match="batched=True is not for"):
        kind.train(tmp_path / "no", batched=True)
    assert not (tmp_path / "no").exists()
    with pytest.raises(NotFittedError, match="no members yet"):
        kind.ask(kind.committee(kind.untrained()))
    with pytest.raises(NotFittedError, match="paths is empty"):
        kind.committee.from_files([])
    own = kind.committee.from_files(committee.member_model_paths)
    with pytest.raises(NotFittedError, match=f"call `calibrate` with held-out {kind.pieces} first"):
        _ = kind.ask(own).half_width
    needs = rf"calibrating needs {kind.pieces} to learn from and others .*, got 1: hold out"
    with pytest.raises(DataError, match=needs):
        own.calibrate(kind.held_out.take([0]))
    with pytest.raises(ConfigError, match="measure must lie between 0 and 1"):
        own.calibrate(kind.held_out, measure=1.0)
    reached = rf"highest level that 2 {kind.pieces} to learn from reach is 0.667"
    with pytest.warns(PotentiaWarning, match=reached):
        own.calibrate(kind.held_out.take(slice(0, 4)))


def test_a_member_that_fails_is_told(kind, tmp_path, monkeypatch):
    def fail(*given, **named):
        raise ValueError("no good")

    monkeypatch.setattr(kind.one, "train", fail)
    with pytest.raises(TrainingError, match=r"failed for member\(s\): 0 \(ValueError: no good\), 1"):
        kind.train(tmp_path, 2)
