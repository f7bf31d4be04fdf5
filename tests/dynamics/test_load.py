"""Folders to windows: limits, a cache that is never stale, and parts that share nothing."""

from __future__ import annotations

import functools
import threading
from pathlib import Path

import numpy as np
import pytest

from potentia.dynamics import (
    Column,
    ColumnMap,
    Log,
    SimulationSettings,
    WindowSettings,
    cut_windows,
    get_model_spec,
    load_feature_dataset_group,
    simulate_logs,
    split_blocks,
    split_groups,
    write_log,
    write_logs,
)
from potentia.dynamics import load as load_module
from potentia.dynamics.signals import Constant
from potentia.errors import ConfigError, DataError, FileFormatError

DATA = Path(__file__).parents[2] / "../shared/data/dynamics"
CAR = get_model_spec("unicycle")
SETTINGS = WindowSettings(horizon=5, history=2, features=("grip",))


@functools.cache
def logs():
    settings = SimulationSettings(n_logs=4, duration=1.5, features={"grip": Constant(low=0, high=1)})
    return simulate_logs(CAR, settings=settings)


@pytest.fixture
def folder(tmp_path):
    write_logs(tmp_path / "drives", logs())
    return tmp_path / "drives"


@pytest.fixture
def cuts(monkeypatch):
    """How often windows were cut."""
    calls = []

    def counted(*given, **asked):
        calls.append(given)
        return cut_windows(*given, **asked)

    monkeypatch.setattr(load_module, "cut_windows", counted)
    return calls


def load(paths, **given):
    return load_feature_dataset_group(paths, CAR, **{"settings": SETTINGS, **given})


def test_a_folder_gives_what_its_logs_give(folder):
    found, made = load(folder), cut_windows(logs(), CAR, SETTINGS)
    np.testing.assert_array_equal(found.dataset.targets, made.dataset.targets)
    np.testing.assert_array_equal(found.dataset.features, made.dataset.features)
    assert found.dataset.group_names == tuple(f"log-{k:03d}.csv" for k in range(4))
    assert found.counts["kept"].tolist() == [24] * 4


def test_several_sources_are_one_data_set(tmp_path, folder):
    write_log(tmp_path / "more.npz", logs()[0])
    found = load(["drives", "more.npz"], root=tmp_path)
    assert found.dataset.group_names[3:] == ("drives/log-003.csv", "more.npz")
    assert len(found.dataset) == 5 * 24


def test_all_that_is_missing_is_named(tmp_path, folder):
    with pytest.raises(FileFormatError, match=r"no such file or folder: .*dry, .*wet$"):
        load([tmp_path / "dry", folder, tmp_path / "wet"])
    with pytest.raises(ConfigError, match=r"log-000.csv is in .*drives and in .*drives/log-000.csv|name it once"):
        load([folder, folder / "log-000.csv"])
    with pytest.raises(ConfigError, match="name it once"):
        load([folder, folder])
    with pytest.raises(ConfigError, match="no file or folder"):
        load([])


@pytest.mark.parametrize("rule", ["head", "random"])
def test_a_limit_takes_some_and_counts_the_others(folder, rule):
    whole = load(folder).dataset
    some = load(folder, samples=10, rule=rule, seed=1)
    assert len(some.dataset) == some.counts["kept"].sum() == 10
    assert some.counts["over_limit"].sum() == 86
    rows = [int(np.flatnonzero((one == whole.targets).all((1, 2)))[0]) for one in some.dataset.targets]
    assert rows == sorted(rows)
    assert (rows == list(range(10))) == (rule == "head")
    assert some.dataset.mark() == load(folder, samples=10, rule=rule, seed=1).dataset.mark()
    assert (some.dataset.mark() == load(folder, samples=10, rule=rule, seed=2).dataset.mark()) == (rule == "head")
    assert len(load(folder, samples=1000, rule=rule).dataset) == 96


def test_the_same_again_comes_from_the_cache(tmp_path, folder, cuts):
    first, second = (load(folder, cache=tmp_path / "kept" / "a.cache") for _ in range(2))
    assert len(cuts) == 1
    assert first.dataset.mark() == second.dataset.mark()
    assert first.counts.equals(second.counts)
    assert second.dataset.dt.shape == ()


def change_byte(folder):
    text = (folder / "log-002.csv").read_text()
    (folder / "log-002.csv").write_text(text[:-2] + ("1" if text[-2] != "1" else "2") + text[-1])


CHANGES = {
    "byte": change_byte,
    "log added": lambda folder: write_log(folder / "b.npz", logs()[0]),
    "log gone": lambda folder: (folder / "log-001.csv").unlink(),
    "name": lambda folder: (folder / "log-001.csv").rename(folder / "z.csv"),
    "map": lambda folder: (folder / "columns.yaml").write_text("columns: {grip: {column: grip, factor: 2}}"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_files_are_cut_again(tmp_path, folder, cuts, change):
    load(folder, cache=tmp_path / "a")
    CHANGES[change](folder)
    found = load(folder, cache=tmp_path / "a")
    assert len(cuts) == 2
    assert found.dataset.mark() == load(folder).dataset.mark()
    load(folder, cache=tmp_path / "a")
    assert len(cuts) == 3  # that without the cache


OTHER = [
    {"settings": WindowSettings(horizon=6, history=2, features=("grip",))},
    {"settings": WindowSettings(horizon=5, history=2, features=("grip",), min_speed=0.1)},
    {"samples": 7},
    {"samples": 7, "rule": "random"},
    {"columns": ColumnMap(columns={"grip": Column(column="grip", offset=1.0)})},
]


@pytest.mark.parametrize("other", OTHER)
def test_other_settings_are_cut_again(tmp_path, folder, cuts, other):
    load(folder, cache=tmp_path / "a")
    load(folder, cache=tmp_path / "a", **other)
    assert len(cuts) == 2


def test_other_bounds_of_the_model_cut_nothing_again_and_a_refresh_does(tmp_path, folder, cuts):
    load(folder, cache=tmp_path / "a")
    load_feature_dataset_group(folder, CAR.with_bounds({"drag": (0, 0.1)}), SETTINGS, cache=tmp_path / "a")
    assert len(cuts) == 1
    load(folder, cache=tmp_path / "a", refresh=True)
    assert len(cuts) == 2


@pytest.mark.parametrize("refresh", [False, True])
def test_another_file_is_never_written_over(folder, refresh):
    before = (folder / "log-000.csv").read_bytes()
    with pytest.raises(FileFormatError, match="it cannot be a cache of windows"):
        load(folder, cache=folder / "log-000.csv", refresh=refresh)
    assert (folder / "log-000.csv").read_bytes() == before


def test_a_bit_that_turned_in_the_cache_is_found(tmp_path, folder, cuts):
    mark = load(folder, cache=tmp_path / "a").dataset.mark()
    raw = bytearray((tmp_path / "a").read_bytes())
    raw[-100] ^= 1
    (tmp_path / "a").write_bytes(raw)
    assert load(folder, cache=tmp_path / "a").dataset.mark() == mark
    assert len(cuts) == 2


def test_writers_at_the_same_time_leave_a_whole_cache(tmp_path, folder):
    marks, start = [], threading.Barrier(6)

    def work(k):
        start.wait()
        marks.extend(load(folder, cache=tmp_path / "a", refresh=k % 2 == 0).dataset.mark() for _ in range(3))

    workers = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(marks) == 18
    assert len(set(marks)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "drives"]


def many(n=12, rows=60):
    """Windows whose first state says log and row."""
    zero = np.zeros(rows)
    still = {**dict.fromkeys(("y", "psi", "psi_dot", "accel"), zero), "v": zero + 10.0}
    places = [np.arange(rows) + 1000.0 * k for k in range(n)]
    drives = [Log(f"log-{k}", np.arange(rows) * 0.1, {"x": place, **still}) for k, place in enumerate(places)]
    return cut_windows(drives, CAR, WindowSettings(horizon=5, history=2, stride=2)).dataset


def test_no_log_is_in_two_parts():
    data = many()
    for seed in range(5):
        parts = split_groups(data, (0.5, 0.25, 0.25), seed)
        groups = [set(part.group.tolist()) for part in parts]
        assert [len(one) for one in groups] == [6, 3, 3]
        assert set.union(*groups) == set(range(12))
        assert sum(len(part) for part in parts) == len(data)
    assert split_groups(data, (0.5, 0.5), 1)[1].mark() != split_groups(data, (0.5, 0.5), 2)[1].mark()
    assert split_groups(data, (0.5, 0.5), 1)[1].mark() == split_groups(data, (0.5, 0.5), 1)[1].mark()


def rows_of(data):
    """All rows that windows are made of, histories too."""
    parts = (data.history[:, :, 0], data.initial_states[:, 0], data.targets[:, :, 0])
    return {round(one) for part in parts for one in part.ravel()}


def test_stretches_of_time_share_no_row():
    data = many(n=2)
    parts = split_blocks(data, (0.6, 0.2, 0.2), stride=2)
    rows = [rows_of(part) for part in parts]
    assert not rows[0] & rows[1]
    assert not (rows[0] | rows[1]) & rows[2]
    for group in (0, 1):
        first = [part.initial_states[part.group == group, 0] for part in parts]
        assert first[0].max() < first[1].min() <= first[1].max() < first[2].min()
        assert first[1].min() - first[0].max() == 8  # history + horizon + 1 rows
    assert len(parts[0]) == pytest.approx(3 * len(parts[1]), abs=4)


def test_parts_that_cannot_be_are_refused():
    data = many(n=2, rows=20)
    with pytest.raises(ConfigError, match="add up to 1"):
        split_groups(data, (0.5, 0.4), 0)
    with pytest.raises(ConfigError, match=r"3 parts of whole logs need as many logs.*split_blocks"):
        split_groups(data, (0.4, 0.3, 0.3), 0)
    with pytest.raises(ConfigError, match="a part has no windows: each log loses 7 windows"):
        split_blocks(data, (0.5, 0.5))


def test_an_unknown_rule_is_refused(folder):
    with pytest.raises(ConfigError, match="rule must be one of 'head', 'random', got 'heads'"):
        load(folder, rule="heads")
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="there is no log in"):
        load(folder / "empty")


@pytest.mark.skipif(not DATA.is_dir(), reason="the recordings are not here")
def test_a_real_drive_is_cut():
    columns = ColumnMap(
        time="time(s)",
        columns={
            "x": "x(m)",
            "y": "y(m)",
            "psi": "phi(rad)",
            "v": Column(column=("vx(m/s)", "vy(m/s)"), formula="hypot"),
            "psi_dot": "omega(rad/s)",
            "accel": "ax(m/s^2)",
        },
    )
    settings = WindowSettings(horizon=15, history=10, min_speed=5.0, features=("roll(rad)",))
    found = load(DATA / "Putnam_park2023_run4_2.csv", columns=columns, settings=settings)
    assert found.counts["kept"].sum() > 11_000
    assert found.counts["slow"].sum() > 300
    assert found.dataset.dt == pytest.approx(0.04, rel=1e-6)
    assert np.abs(found.dataset.initial_states).min(1).min() > 0  # no row of zeros
