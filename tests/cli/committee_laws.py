"""What holds of the commands for the committees of all families; the tests of each family inherit it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from cli.answers import told
from potentia.cli import main
from potentia.cli.run_settings import read_run_settings
from potentia.ensemble import CommitteeConfig
from potentia.yaml_files import read_yaml

__all__ = ["CommitteeLaws", "sets"]


def sets(*changes: str) -> list[str]:
    """Return options of a command that change settings."""
    return [part for one in changes for part in ("--set", one)]


class CommitteeLaws(ABC):
    """Laws of `init --members`, `train`, `evaluate`, `calibrate` and `report`, and what they ask of a family."""

    committee_class: ClassVar[type[Any]]
    member_class: ClassVar[type[Any]]
    data: ClassVar[Any]
    """What Python trains on."""
    short: ClassVar[Sequence[str]]
    """Settings of a training of two epochs."""
    first: ClassVar[str]
    """What `init` looks at."""
    held: ClassVar[str]
    """What is held out."""
    new: ClassVar[str]
    """What predictions are asked for: of it nothing was learned, or half is left out."""
    calibrated: ClassVar[str]
    """Settings that calibrate."""
    uncalibrated: ClassVar[str]
    data_block: ClassVar[Mapping[str, Any]]
    """What `init` writes of the data."""
    wanted: ClassVar[Any] = CommitteeConfig(num_members=3)
    files: ClassVar[set[str]]
    """Of a run, but for those that all have."""
    members: ClassVar[str] = "checkpoints"
    """Directory of the members."""
    loss: ClassVar[str]
    """Column of the history that is the mean of the members'."""
    along: ClassVar[Sequence[str]] = ()
    """Table of error bars over the time, where there is one."""
    counted: ClassVar[Mapping[str, Any]]
    """What a forecast tells of the data."""
    title: ClassVar[str]
    """Of the report."""
    tables: ClassVar[set[str]]
    """Of the report, on error bars."""
    refused: ClassVar[Sequence[tuple[Sequence[str], str]]]
    """Changes of the settings, and what is said of them."""
    alone: ClassVar[str]
    """What is said where one model is to be calibrated."""

    @classmethod
    @abstractmethod
    def write(cls, folder: Path) -> None:
        """Write all data into a folder."""

    def trained_in_python(self, run: SimpleNamespace, settings: Any, output: Path) -> Any:
        """Return the committee that `train` of Python makes by the settings of the run."""
        found = settings.untrained_committee()
        found.train(self.data, settings.training, replace(self.wanted, output_dir=output))
        return found

    def same(self, one: Any, other: Any) -> bool:
        """Return whether two members have the same weights."""
        pairs = [model.fitted().network.state_dict() for model in (one, other)]
        return all(torch.equal(pairs[0][name], pairs[1][name]) for name in pairs[0] | pairs[1])

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, tmp_path_factory):
        """Settings that `init` has written for three members, and a calibrated run of them."""
        folder = tmp_path_factory.mktemp("committee")
        cls.write(folder)
        settings = folder / "settings.yaml"
        assert main(["init", str(folder / cls.first), "-o", str(settings), "--members", "3"]) == 0
        given = [str(settings), *sets(*cls.short, cls.calibrated)]
        assert main(["train", *given, "--run-dir", str(folder / "run")]) == 0
        return SimpleNamespace(
            folder=folder,
            settings=settings,
            given=given,
            path=folder / "run",
            held=folder / cls.held,
            new=folder / cls.new,
            member=folder / "run" / cls.members / "member_000" / "model.pt",
        )

    @pytest.fixture(scope="class")
    @classmethod
    def committee(cls, run):
        return cls.committee_class.load(run.path / "model.safetensors")

    def all_same(self, one, other):
        pairs = zip(one.load_members(), other.load_members(), strict=True)
        return all(self.same(a, b) for a, b in pairs)

    def test_init_writes_members_with_what_they_mean(self, run):
        content = read_yaml(run.settings)
        assert content["committee"]["num_members"] == 3
        assert content["data"] == self.data_block
        text = run.settings.read_text()
        assert "# Members, each from the next seed; their spread is the error bar\n  num_members: 3\n" in text
        assert f"class: {type(self.wanted).__name__}" not in text
        assert read_run_settings(run.settings, [])[1].committee == self.wanted

    def test_the_run_is_the_committee_that_python_trains(self, run, committee):
        settings = read_run_settings(run.path / "settings.yaml", [])[1]
        own = self.trained_in_python(run, settings, run.folder / "python")
        assert self.all_same(own, committee)

    def test_a_run_holds_all_that_belongs_to_its_members(self, run):
        assert {path.name for path in run.path.iterdir()} == {
            "settings.yaml", "provenance.json", "history.csv", "model.safetensors", "errors.csv", "members.csv",
            "calibration.csv", "coverage.csv", self.members, *self.files,
        }  # fmt: skip
        members = pd.read_csv(run.path / "members.csv")
        assert members["seed"].tolist() == [1, 2, 3]
        assert members["status"].tolist() == ["completed"] * 3
        own = [pd.read_csv(run.path / self.members / f"member_{k:03d}/history.csv")[self.loss] for k in range(3)]
        np.testing.assert_allclose(pd.read_csv(run.path / "history.csv")[self.loss], np.mean(own, axis=0))
        assert self.committee_class.from_directory(run.path / self.members).calibration.level == 0.9

    def test_a_member_is_a_single_model(self, run, committee):
        assert self.same(self.member_class.load(run.member), committee.load_members()[0])

    def test_evaluate_tells_what_error_bars_hold_on_the_other_half(self, run, capsys):
        found = told(capsys, "evaluate", run.path, run.held)
        assert {row["level"] for row in found["calibration"]} == {0.9}
        then = pd.read_csv(run.path / "calibration.csv")
        assert (then["left_out"] > 0).all()
        for name in ("measured_on", "left_out"):
            assert [row[name] for row in found["calibration"]] == then[name].tolist()
        written = pd.read_csv(run.path / "coverage.csv")  # when it was learned: the same half
        np.testing.assert_allclose([row["coverage"] for row in found["coverage"]], written["coverage"])
        assert main(["evaluate", str(run.path), str(run.held)]) == 0
        out = capsys.readouterr().out
        assert all(f"{name}:\n" in out for name in ("coverage", *self.along))

    def reported_bars(self, run, capsys, *data):
        """Return what the section on error bars of a report has, on data of its own or on these."""
        report = told(capsys, "report", run.path, *(part for path in data for part in ("--data", path)))
        assert report["title"] == self.title
        (bars,) = [one for one in report["sections"] if one["title"] == "Error bars"]
        assert self.tables <= set(bars["tables"])
        return bars

    def test_a_report_is_of_all_members(self, run, capsys):
        assert self.reported_bars(run, capsys)["words"]

    def test_a_paused_committee_goes_on_to_the_bit_and_is_calibrated_later(self, run, committee, capsys):
        where = str(run.folder / "paused")
        given = ["train", *run.given, *sets(self.uncalibrated), "--run-dir", where]
        assert told(capsys, *given, *sets("training.max_time=0.0001s"))["resumable"] is True
        assert main(["predict", where, str(run.new)]) == 2
        assert "has no model yet" in capsys.readouterr().err
        assert main([*given, "--resume", *sets("committee.num_members=4")]) == 2
        assert "committee.num_members: 3 → 4" in capsys.readouterr().err
        assert told(capsys, *given, "--resume", *sets("committee.threads_per_member=1"))["resumable"] is False
        other = self.committee_class.load(run.folder / "paused/model.safetensors")
        assert self.all_same(committee, other)
        assert other.calibration is None
        assert "calibration" not in told(capsys, "evaluate", where, run.new)
        bars = told(capsys, "calibrate", where, run.held, "--level", "0.8")
        assert {row["level"] for row in bars["calibration"]} == {0.8}
        assert {row["level"] for row in told(capsys, "evaluate", where, run.new)["calibration"]} == {0.8}

    def test_a_forecast_is_of_all_members(self, run, capsys):
        before = set(run.folder.iterdir())
        found = told(capsys, "train", *run.given, "--dry-run")
        assert (found["epochs"], found["seconds"]) == (2, pytest.approx(2 * found["seconds_per_epoch"]))
        assert {name: found["data"][name] for name in self.counted} == self.counted
        assert set(run.folder.iterdir()) == before

    def test_what_cannot_be_is_one_line(self, run, capsys, tmp_path):
        shared = [
            (["committee.output_dir=x"], "committee: output_dir is decided by"),
            (["committee.num_member=2"], "did you mean 'num_members'?"),
            (["committee=null"], "data.calibrate is for the error bars of a committee"),
        ]
        trainings = [(["train", *run.given, *sets(*changes)], said) for changes, said in [*shared, *self.refused]]
        for command, said in [*trainings, (["calibrate", str(run.member), str(run.held)], self.alone)]:
            where = tmp_path / f"run {len(list(tmp_path.iterdir()))}"
            assert main([*command, *(["--run-dir", str(where)] if command[0] == "train" else [])]) == 2
            err = capsys.readouterr().err
            assert said in err
            assert err.count("\n") == 1
            assert not where.exists()
