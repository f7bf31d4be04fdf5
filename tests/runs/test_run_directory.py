"""Laws of the directory of a run: one for each, its files have names, and what was written comes back."""

from __future__ import annotations

import math

import pytest

from potentia.errors import ConfigError, DataError, FileFormatError
from potentia.runs import RunDirectory, mark_of_files, provenance, require_same_data, require_same_settings


def test_what_was_written_comes_back(tmp_path):
    run = RunDirectory.given(tmp_path / "runs" / "water")
    with pytest.raises(FileFormatError, match=r"there is no settings\.yaml in it"):
        RunDirectory.existing(run.path)
    run.begin({"family": "potentials", "training": {"lr": 1e-25}}, provenance(3, {"train": {"sha256": "ab"}}))
    run.write_history([{"train_loss": 0.1 + 0.2}, {"train_loss": 2.0, "skipped": 1.0}])
    again = RunDirectory.existing(run.path)
    assert again.read_settings() == {"family": "potentials", "training": {"lr": 1e-25}}
    assert again.read_provenance()["data"] == {"train": {"sha256": "ab"}}
    assert {"potentia", "python", "torch"} <= set(again.read_provenance()["versions"])
    history = again.read_history()
    assert history["train_loss"].tolist() == [0.1 + 0.2, 2.0]
    assert history.index.tolist() == [1, 2]
    assert math.isnan(history["skipped"][1])
    assert not again.is_trained


def test_tables_are_found_by_name_and_the_history_is_none_of_them(tmp_path):
    run = RunDirectory.given(tmp_path)
    run.write_history([{"loss": 1.0}])
    run.write_table("errors", run.read_history().reset_index())
    assert run.tables == {"errors": run.table("errors")}


def test_two_runs_never_share_a_directory(tmp_path):
    assert len({RunDirectory.new(tmp_path, "water").path for _ in range(3)}) == 3
    taken = RunDirectory.new(tmp_path)
    taken.begin({}, {})
    with pytest.raises(ConfigError, match="is not empty: resume what is there, or choose another run_dir"):
        RunDirectory.given(taken.path)
    one, other = RunDirectory.given(tmp_path / "both"), RunDirectory.given(tmp_path / "both")  # at the same time
    one.begin({}, {})
    with pytest.raises(ConfigError, match=r"another run has begun in .*both: choose another run_dir"):
        other.begin({}, {})
    one.begin({}, {}, resumed=True)


def test_a_run_that_was_refused_leaves_what_was_there(tmp_path):
    run = RunDirectory.given(tmp_path / "new")
    before = run.begun()
    run.begin({"family": "a"}, {})
    run.withdraw(before)
    assert not run.path.exists()
    run = RunDirectory.given(tmp_path / "old")
    run.begin({"family": "a"}, {"seed": 1})
    before = run.begun()
    run.begin({"family": "a", "training": {"epochs": 2}}, {"seed": 2}, resumed=True)
    run.withdraw(before)
    assert (run.read_settings(), run.read_provenance()) == ({"family": "a"}, {"seed": 1})


def test_a_run_goes_on_with_its_own_settings_and_data(tmp_path):
    run = RunDirectory.given(tmp_path)
    settings = {"family": "a", "data": {"file": "x"}, "training": {"lr": 0.1, "seed": 1, "device": "cpu"}}
    run.begin(settings, provenance(1, {"sha256": "ab", "parts": {"train": 3}}))
    moved = {**settings, "data": {"file": "y"}, "training": {"lr": 0.1, "seed": 1, "device": "cuda"}}
    require_same_settings(run, moved, frozenset({"device", "seed"}))
    require_same_data(run, {"sha256": "ab", "parts": {"train": 3}})
    with pytest.raises(ConfigError, match=r"begun with other settings: training\.seed: 1 → 2\. Put them back"):
        require_same_settings(run, {**settings, "training": {**settings["training"], "seed": 2}}, frozenset({"seed"}))
    with pytest.raises(ConfigError, match="is a run of a, these are settings of b"):
        require_same_settings(run, {**settings, "family": "b"}, frozenset())
    with pytest.raises(DataError, match=r"begun with other data: sha256: 'ab' → 'cd'"):
        require_same_data(run, {"sha256": "cd", "parts": {"train": 3}})


def test_the_mark_of_files_is_that_of_their_contents_and_order(tmp_path):
    for name, text in {"a": "1", "b": "2", "c": "1"}.items():
        (tmp_path / name).write_text(text)
    a, b, c = (tmp_path / name for name in "abc")
    assert mark_of_files([a, b]) == mark_of_files([c, b])
    assert mark_of_files([a, b])["sha256"] != mark_of_files([b, a])["sha256"]
    assert mark_of_files([a, b])["bytes"] == 2
