"""Laws of run directories: each run has its own, also when many begin in the same second."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from potentia.dynamics.run_directory import RunDirectory
from potentia.errors import ConfigError, FileFormatError

BEGUN = time.strptime("2026-01-02 03:04:05", "%Y-%m-%d %H:%M:%S")


def test_names_tell_model_time_and_mode(tmp_path):
    first = RunDirectory.of_model(tmp_path, "unicycle", begun=BEGUN).path
    assert first == tmp_path / "results" / "unicycle" / "run_20260102-030405"
    assert RunDirectory.of_model(tmp_path, "unicycle", begun=BEGUN).path.name == "run_20260102-030405_01"
    other = RunDirectory.of_model(tmp_path, "unicycle", "none", BEGUN).path
    assert other.name == "run_20260102-030405_ablation_none"
    assert (
        RunDirectory.of_model(tmp_path, "unicycle", "none", BEGUN).path.name == "run_20260102-030405_ablation_none_01"
    )
    assert RunDirectory.of_model(tmp_path, "unicycle").path.name.startswith(time.strftime("run_%Y"))


def test_fifty_at_a_time_get_fifty_directories(tmp_path):
    with ThreadPoolExecutor(50) as pool:
        made = list(pool.map(lambda _: RunDirectory.of_model(tmp_path, "unicycle", begun=BEGUN).path, range(50)))
    assert len(set(made)) == 50
    assert all(path.is_dir() for path in made)


def test_a_directory_that_was_asked_for_must_be_empty(tmp_path):
    made = RunDirectory.given(tmp_path / "a" / "b")
    assert made == RunDirectory.given(tmp_path / "a" / "b")
    made.settings.write_text("{}")
    with pytest.raises(ConfigError, match="is not empty: resume what is there, or choose another run_dir"):
        RunDirectory.given(tmp_path / "a" / "b")
    assert RunDirectory.existing(tmp_path / "a" / "b").read_settings() == {}
    with pytest.raises(FileFormatError, match=r"there is no settings\.yaml in it"):
        RunDirectory.existing(tmp_path)
