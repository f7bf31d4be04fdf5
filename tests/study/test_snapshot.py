"""Laws of the settings beside the results: never mixed, never asked about, never deleted."""

from __future__ import annotations

import pytest

from potentia.errors import ConfigError, FileFormatError
from potentia.study import SNAPSHOT, read_yaml, settle, task_seed, write_yaml
from potentia.study.claims import claimed

OLD = {"epochs": 3, "data": {"name": "a"}, "devices": ["cpu"]}
NEW = {"epochs": 4, "data": {"name": "a"}, "devices": ["cpu", "cpu"]}


def test_the_same_settings_go_on_and_what_is_free_may_differ(tmp_path):
    assert settle(tmp_path / "s", OLD) == OLD
    assert settle(tmp_path / "s", {**OLD, "devices": ["cuda"]}, free=("devices",))["devices"] == ["cuda"]
    assert read_yaml(tmp_path / "s" / SNAPSHOT)["devices"] == ["cuda"]


def test_other_settings_are_refused_with_what_differs(tmp_path):
    settle(tmp_path / "s", OLD)
    with pytest.raises(ConfigError, match=r"epochs: 3 → 4\nPut that back") as caught:
        settle(tmp_path / "s", NEW, free=("devices",))
    assert "devices" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"data\.name: 'a' → \(absent\)"):  # what is left out is seen
        settle(tmp_path / "s", {**OLD, "data": {}})
    with pytest.raises(ConfigError, match="did you mean 'resume'"):
        settle(tmp_path / "s", NEW, "resum")


def test_resume_goes_on_with_the_old_settings(tmp_path):
    settle(tmp_path / "s", OLD)
    assert settle(tmp_path / "s", NEW, "resume", free=("devices",)) == {**OLD, "devices": ["cpu", "cpu"]}
    assert read_yaml(tmp_path / "s" / SNAPSHOT) == OLD


def test_restart_sets_the_old_directory_aside(tmp_path):
    for k in range(3):
        settle(tmp_path / "s", {**OLD, "epochs": k}, "restart")
        (tmp_path / "s/model").write_text(str(k))
    assert [(tmp_path / name / "model").read_text() for name in ("s.old-1", "s.old-2", "s")] == ["0", "1", "2"]
    with claimed(tmp_path / "s", "t1", wait=False), pytest.raises(ConfigError, match="at work on t1"):
        settle(tmp_path / "s", NEW, "restart")


def test_restart_sets_aside_what_was_made_of_the_results_under_the_same_number(tmp_path):
    folder, made = tmp_path / "trained/s", tmp_path / "results/s"
    settle(folder, OLD, beside=[made])
    settle(folder, NEW, "restart", beside=[made])  # nothing was made of them
    made.mkdir(parents=True)
    (made / "report.html").write_text("old")
    settle(folder, OLD, "restart", beside=[made])
    assert not made.exists()
    assert (tmp_path / "results/s.old-2/report.html").read_text() == "old"
    assert read_yaml(tmp_path / "trained/s.old-2" / SNAPSHOT) == NEW


def test_yaml_has_numbers_as_one_means_them_and_no_key_twice(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: 1e-25\nb: 1.5e3\nc: x1e5\nd: -3E+2\ne: None")
    assert read_yaml(path) == {"a": 1e-25, "b": 1500.0, "c": "x1e5", "d": -300.0, "e": "None"}
    write_yaml(path, {"a": 1e-25, "b": (1, 2)})
    assert read_yaml(path) == {"a": 1e-25, "b": [1, 2]}
    path.write_text("a: 1\na: 2")
    with pytest.raises(FileFormatError, match="the key 'a' is there twice"):
        read_yaml(path)
    path.write_text("- 1")
    with pytest.raises(FileFormatError, match="must be a YAML mapping"):
        read_yaml(path)


def test_no_two_tasks_share_a_seed():
    names = [
        ("main", ""),
        *[(mode, str(k)) for mode in ("interpolation", "sparse", "UQ", "batchsize") for k in range(9)],
    ]
    seeds = {task_seed(s, model, *name) for s in (41, 42) for model in ("A", "B") for name in names}
    assert len(seeds) == 4 * len(names)
    assert task_seed(42, "A", "main", "") == task_seed(42, "A", "main", "")
