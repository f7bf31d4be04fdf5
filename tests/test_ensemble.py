"""Laws of committees of anything: their records, what is trained again, and how members are put together."""

from __future__ import annotations

import json
import math
import shutil
from functools import partial

import numpy as np
import pytest

import fanned_out
from potentia.calibration import Scaling, SplitConformal
from potentia.ensemble import (
    ByGroup,
    CommitteeConfig,
    Member,
    MemberResult,
    SpreadCalibration,
    aggregated,
    multiplicity,
    read_metadata,
)
from potentia.ensemble.run import Committee, OneByOne, train_members
from potentia.errors import ConfigError, DataError, FileFormatError, TrainingError


def train(folder, *, failing=(), seeds=(5, 6, 7), identity=None, **settings):
    config = CommitteeConfig(len(seeds), member_seeds=seeds, output_dir=folder, **settings)
    members = [
        Member(k, seed, 3, "cpu", folder.absolute() / f"member_{k:03d}", checkpoints=k > 0)
        for k, seed in enumerate(seeds)
    ]
    committee = Committee(config, members, identity or {"data": "a"}, {"kind": "toy"})
    work = partial(fanned_out.member, str(folder) + ".marks", tuple(failing))
    return train_members(committee, OneByOne.of(work, config, None), MemberResult)


def trained(folder):
    """Return the members that were trained, in the order of their beginning."""
    path = folder.with_name(folder.name + ".marks")
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_members_are_trained_and_told_of(tmp_path):
    result = train(tmp_path / "c")
    assert [member.status for member in result.members] == ["completed"] * 3
    assert [member.model_path.read_text() for member in result.members] == ["5", "6", "7"]
    assert result.stats == {"rmse": {"mean": 6.0, "std": math.sqrt(2 / 3), "min": 5.0, "max": 7.0, "n": 3}}
    frame = result.to_dataframe()
    assert list(frame.columns)[:4] == ["member", "seed", "split_seed", "device"]
    assert frame["rmse"].tolist() == [5.0, 6.0, 7.0]
    assert frame["error"].isna().all()
    assert "rmse: 6 ± 0.82" in str(result)
    assert "completed_members: 3 of 3" in str(result)


def test_records_hold_relative_paths_and_strict_json(tmp_path):
    train(tmp_path / "c")
    shutil.move(tmp_path / "c", tmp_path / "moved")
    text = (tmp_path / "moved/committee_metadata.json").read_text()
    assert str(tmp_path) not in text
    found = json.loads(text, parse_constant=pytest.fail)
    assert found["schema_version"] == "1.0"
    assert found["failures"] == []
    assert found["kind"] == "toy"
    entry = found["members"][1]
    assert entry == json.loads((tmp_path / "moved/member_001/summary.json").read_text())
    assert entry["metrics"] == {"rmse": 6.0, "never": None}
    assert (entry["model_path"], entry["checkpoint_dir"]) == ("member_001/model.pt", "member_001/checkpoints")
    record = MemberResult.from_metadata(entry, tmp_path / "moved")
    assert record.model_path.read_text() == "6"
    assert math.isnan(record.metrics["never"])
    assert found["members"][0]["checkpoint_dir"] is None


@pytest.mark.parametrize("parallel", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_those_that_fail_are_told_and_only_they_are_trained_again(parallel, tmp_path):
    folder = tmp_path / "c"
    with pytest.raises(TrainingError, match=r"failed for member\(s\): 1 \(ValueError: member 1 is no good\)"):
        train(folder, failing=(1,), max_parallel=parallel)
    found = read_metadata(folder)
    assert [entry["status"] for entry in found["members"]] == ["completed", "failed", "completed"]
    assert found["execution_mode"] == ("sequential" if parallel == 1 else "parallel")
    assert found["failures"] == [found["members"][1]]
    assert "raise ValueError" in found["failures"][0]["traceback"]
    (tmp_path / "c.marks.mended").touch()
    result = train(folder, failing=(1,))
    assert sorted(trained(folder)) == [0, 1, 1, 2]
    assert len(result.completed_members) == 3


@pytest.mark.slow
def test_a_member_whose_process_dies_is_told_too(tmp_path):
    with pytest.raises(TrainingError, match=r"0 \(TrainingError: its process has died"):
        train(tmp_path / "c", failing=(0,), seeds=(99, 1, 2), max_parallel=2)
    assert [entry["status"] for entry in read_metadata(tmp_path / "c")["members"]] == [
        "failed",
        "completed",
        "completed",
    ]


def test_an_interrupt_ends_a_sequence_and_the_next_call_goes_on(tmp_path):
    result = train(tmp_path / "c", failing=(1,), seeds=(1, 98, 3))
    assert [member.status for member in result.members] == ["completed", "interrupted", "planned"]
    assert result.members[1].error == "the time is up"
    (tmp_path / "c.marks.mended").touch()
    assert len(train(tmp_path / "c", failing=(1,), seeds=(1, 98, 3)).completed_members) == 3
    assert trained(tmp_path / "c") == [0, 1, 1, 2]


def test_more_members_are_added_to_those_that_are_there(tmp_path):
    train(tmp_path / "c")
    assert len(train(tmp_path / "c", seeds=(5, 6, 7, 8)).completed_members) == 4
    assert trained(tmp_path / "c") == [0, 1, 2, 3]


def test_a_directory_holds_one_committee(tmp_path):
    train(tmp_path / "c")
    with pytest.raises(ConfigError, match=r"data: 'a' → 'b'\n.*\n?.*output_dir"):
        train(tmp_path / "c", identity={"data": "b"})
    with pytest.raises(ConfigError, match="seed of member 1: 6 → 60"):
        train(tmp_path / "c", seeds=(5, 60, 7))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema_version": "2.0", "members": []}'])
def test_a_record_that_is_none_is_named(content, tmp_path):
    (tmp_path / "committee_metadata.json").write_text(content)
    with pytest.raises(FileFormatError, match="committee_metadata"):
        read_metadata(tmp_path)
    with pytest.raises(FileFormatError, match="holds no committee"):
        read_metadata(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_members": 0}, "num_members"),
        ({"base_seed": 1.5}, "base_seed"),
        ({"member_seeds": [1]}, "member_seeds must have length equal to num_members"),
        ({"member_seeds": [1, 1, 2]}, "must differ"),
        ({"max_parallel": 0}, "max_parallel"),
        ({"devices": []}, "must not be empty when provided"),
        ({"devices": "cuda"}, "must list"),
        ({"resample": "bootstap"}, "did you mean 'bootstrap'"),
        ({"subset_fraction": 0.0}, "above 0"),
        ({"threads_per_member": 0}, "threads_per_member"),
        ({"batched": True, "max_parallel": 2}, "one device"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        CommitteeConfig(**({"num_members": 3} | settings))


def test_seeds_and_devices_take_turns():
    assert CommitteeConfig(3).seeds(default=4) == [4, 5, 6]
    assert CommitteeConfig(2, base_seed=1).seeds(default=4) == [1, 2]
    assert CommitteeConfig(2, member_seeds=[9, 3]).seeds(default=4) == [9, 3]
    assert CommitteeConfig(2).seeds(None) != CommitteeConfig(2).seeds(None)
    config = CommitteeConfig(3, devices=["cuda:0", "cuda:1"])
    assert [config.device_of(k, "cpu") for k in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]


def test_resampling_is_what_it_says():
    bootstrap = CommitteeConfig(2, resample="bootstrap")
    counts = [multiplicity(bootstrap, 4000, seed) for seed in (1, 2)]
    assert all(count.sum() == 4000 for count in counts)
    assert all(abs((count == 0).mean() - math.exp(-1)) < 0.03 for count in counts)  # (1 - 1/n)^n
    assert not np.array_equal(*counts)
    assert np.array_equal(counts[0], multiplicity(bootstrap, 4000, 1))
    part = multiplicity(CommitteeConfig(2, resample="subset", subset_fraction=0.25), 8, 1)
    assert sorted(part) == [0] * 6 + [1] * 2
    assert multiplicity(CommitteeConfig(2, resample="subset", subset_fraction=0.01), 8, 1).sum() == 1
    assert multiplicity(CommitteeConfig(2), 3, 1).tolist() == [1, 1, 1]


def test_members_are_put_together_axis_by_axis():
    values = np.random.default_rng(0).normal(size=(4, 5, 3))
    found = aggregated(values)
    assert np.array_equal(found.value, values.mean(0))
    assert np.array_equal(found.std, values.std(0))
    assert np.array_equal(aggregated(values, "reference", 2).value, values[2])
    with pytest.raises(ConfigError, match="reference_member"):
        aggregated(values, "reference", 4)
    with pytest.raises(ConfigError, match="'mean', 'reference'"):
        aggregated(values, "median")


def test_a_calibration_is_written_and_read_with_all_that_it_knows(tmp_path):
    draw = np.random.default_rng(2)
    error, spread = draw.normal(size=(2, 40, 3)), draw.uniform(1, 2, (40, 3))
    by_step = ByGroup({"step 1": SplitConformal().fit(error[0], spread), "step 2": Scaling().fit(error[1], spread)})
    alone = SplitConformal().fit(error[0])
    known = SpreadCalibration(level=0.8, of={"u": by_step, "v": alone}, members=("a", "b"), blocks=40, seen=("x",))
    known.to_json(tmp_path / "c.json")
    found = SpreadCalibration.from_json(tmp_path / "c.json")
    assert (found.level, found.members, found.blocks, found.seen) == (0.8, ("a", "b"), 40, ("x",))
    steps = ["step 1"] * 20 + ["step 2"] * 19 + ["step 3"]
    width = found.of["u"].half_width(spread, 0.8, steps)
    assert np.array_equal(width, by_step.half_width(spread, 0.8, steps))
    assert np.array_equal(width[20:39], by_step.groups["step 2"].half_width(spread[20:39], 0.8))
    assert np.isinf(width[39]).all()
    assert np.array_equal(found.of["v"].half_width(spread, 0.8), alone.half_width(spread, 0.8))
    assert found.is_of(["b", "a"])
    assert not found.is_of(["a", "a"])
    with pytest.raises(DataError, match="goes by the spread and by groups: give both"):
        by_step.half_width(spread, 0.8)
    text = (tmp_path / "c.json").read_text().replace('"blocks"', '"block"')
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(FileFormatError, match="lacks 'blocks': calibrate again"):
        SpreadCalibration.from_json(tmp_path / "c.json")
