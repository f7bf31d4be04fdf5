"""Logs: three formats say the same, names and units become the model's, and what is wrong is named with its file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from potentia.config import from_dict, to_dict
from potentia.dynamics import Column, ColumnMap, Log, read_logs, write_log
from potentia.errors import ConfigError, DataError, FileFormatError

DATA = Path(__file__).parents[2] / "../shared/data/dynamics"
RNG = np.random.default_rng(3)
TIME = np.cumsum(RNG.uniform(0.01, 0.02, 9)) + 1.7e9
DRIVE = Log("drive", TIME, {"x": RNG.normal(size=9), "v": RNG.normal(size=9) * 1e-7})
SUFFIXES = (".csv", ".json", ".npz")


def one(path, *given):
    (log,) = read_logs(path, *given)
    return log


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_log_comes_back_bit_by_bit(tmp_path, suffix):
    gap = Log("drive", TIME, {**DRIVE.columns, "w, wet": np.where(np.arange(9) == 4, np.nan, 1.0)})
    write_log(tmp_path / f"drive{suffix}", gap)
    found = one(tmp_path / f"drive{suffix}")
    assert found.name == f"drive{suffix}"
    np.testing.assert_array_equal(found.time, gap.time)
    assert list(found.columns) == ["x", "v", "w, wet"]
    for key, values in gap.columns.items():
        np.testing.assert_array_equal(found.columns[key], values)


def test_a_folder_gives_its_logs_in_order_with_those_below_it(tmp_path):
    (tmp_path / "wet").mkdir()
    for name in ("b.csv", "a.npz", "wet/c.json", "wet/.hidden.csv"):
        write_log(tmp_path / name, DRIVE)
    (tmp_path / "notes.txt").write_text("nothing")
    assert [log.name for log in read_logs(tmp_path)] == ["a.npz", "b.csv", "wet/c.json"]


def test_rows_in_json_may_be_records(tmp_path):
    rows = [{"time": 0, "v": 1}, {"time": 1}, {"time": 2, "v": 3, "note": "wet"}]
    found = one(written(tmp_path / "a.json", json.dumps(rows)))
    np.testing.assert_array_equal(found.columns["v"], [1, np.nan, 3])
    assert list(found.columns) == ["v"]


def test_a_header_may_be_the_last_comment_and_fields_may_be_empty(tmp_path):
    text = "# a car\n\n# time;vx (m/s) ; tyre\n0;1;soft\n# stop\n1;;soft\n2;3;soft\n"
    found = one(written(tmp_path / "a.csv", text))
    np.testing.assert_array_equal(found.time, [0, 1, 2])
    np.testing.assert_array_equal(found.columns["vx (m/s)"], [1, np.nan, 3])
    assert list(found.columns) == ["vx (m/s)"]


def test_arrays_with_two_axes_are_cut_into_columns(tmp_path):
    states = RNG.normal(size=(2, 5))
    np.savez(
        tmp_path / "a.npz", time=np.arange(5.0), states=states, inputs=states[:, :4].T, mass=3.7, who=np.array("me")
    )
    found = one(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.columns["states[1]"], states[1])
    np.testing.assert_array_equal(found.columns["inputs[0]"], [*states[0, :4], np.nan])
    np.testing.assert_array_equal(found.columns["mass"], np.full(5, 3.7))
    assert "who" not in found.columns


UNITS = [
    ("deg", 180.0, np.pi),
    ("deg/s", 90.0, np.pi / 2),
    ("km/h", 36.0, 10.0),
    ("g", 2.0, 19.6133),
    ("ms", 40.0, 0.04),
    ("rpm", 60.0, 2 * np.pi),
    ("%", 50.0, 0.5),
]


@pytest.mark.parametrize(("unit", "value", "si"), UNITS)
def test_units_become_si(tmp_path, unit, value, si):
    path = written(tmp_path / "a.csv", f"time,q\n0,{value}\n1,{2 * value}\n")
    found = one(path, ColumnMap(columns={"own": Column(column="q", unit=unit, factor=-1, offset=5)}))
    np.testing.assert_allclose(found.columns["own"], [5 - si, 5 - 2 * si], rtol=1e-14)
    assert list(found.columns) == ["own"]


def test_speed_and_slip_come_from_two_columns_and_a_rate_from_one(tmp_path):
    path = written(tmp_path / "a.csv", "t,vx,vy,steer\n0,3,4,0\n10,0,-2,0.1\n30,1,0,0.5\n")
    columns = {
        "v": Column(column=("vx", "vy"), formula="hypot", unit="km/h"),
        "beta": Column(column=("vy", "vx"), formula="atan2"),
        "delta": "steer",
        "delta_dot": Column(column="steer", formula="rate"),
    }
    found = one(path, ColumnMap(time=Column(column="t", unit="ms"), columns=columns)).columns
    np.testing.assert_allclose(found["v"] * 3.6, [5, 2, 1])
    np.testing.assert_allclose(found["beta"], [np.arctan2(4, 3), -np.pi / 2, 0])
    np.testing.assert_allclose(found["delta_dot"], [10, 20, np.nan])
    assert list(found) == ["v", "beta", "delta", "delta_dot"]


def test_a_turn_rate_goes_through_full_turns(tmp_path):
    path = written(tmp_path / "a.csv", "time,heading\n0,350\n1,10\n2,200\n3,\n4,180\n")
    found = one(path, ColumnMap(columns={"psi_dot": Column(column="heading", unit="deg", formula="turn_rate")}))
    np.testing.assert_allclose(np.rad2deg(found.columns["psi_dot"]), [20, -170, np.nan, np.nan, np.nan])


def test_the_nearest_columns_yaml_says_what_columns_are(tmp_path):
    (tmp_path / "other" / "deep").mkdir(parents=True)
    for name in ("a.csv", "other/b.csv", "other/deep/c.csv"):
        written(tmp_path / name, "t,speed\n0,3.6\n100,7.2\n")
    yaml = "time: {column: t, unit: ms}\ncolumns:\n  v: {column: speed, unit: %s}\n"
    written(tmp_path / "columns.yaml", yaml % "km/h")
    written(tmp_path / "other/columns.yaml", yaml % "m/s")
    found = {log.name: log.columns["v"][0] for log in read_logs(tmp_path)}
    assert found == {"a.csv": 1.0, "other/b.csv": 3.6, "other/deep/c.csv": 3.6}
    assert one(tmp_path / "a.csv").columns["v"][0] == 1.0
    given = ColumnMap(time=Column(column="t", unit="ms"), columns={"w": "speed"})
    assert [list(log.columns) for log in read_logs(tmp_path, given)] == [["w"]] * 3


def test_a_map_goes_there_and_back():
    given = ColumnMap(dt=0.1, columns={"v": Column(column=("a", "b"), formula="hypot"), "x": "px"})
    assert from_dict(ColumnMap, json.loads(json.dumps(to_dict(given)))) == given


def test_files_without_times_have_a_step(tmp_path):
    found = one(written(tmp_path / "a.csv", "u,y,\n1,2,\n3,4,\n"), ColumnMap(dt=4.0))
    np.testing.assert_array_equal(found.time, [0, 4])
    assert list(found.columns) == ["u", "y"]


BAD_MAPS = [
    ("colums: {}", ConfigError, "columns.yaml: ColumnMap has no setting 'colums'; did you mean 'columns'"),
    ("columns: {v: {column: v, unit: kmh}}", ConfigError, "no unit 'kmh' for a column; did you mean 'km/h'"),
    ("columns: {v: {column: v, formula: hypot}}", ConfigError, "'hypot' needs two columns, got 'v'"),
    ("columns: {v: {column: [v, v], formula: atan2, unit: deg}}", ConfigError, "gives rad: leave the unit out"),
    ("columns: {v: sped}", DataError, "a.csv has no column 'sped'; did you mean 'speed'"),
    ("columns: {v: tyre}", DataError, r"a.csv: column 'tyre' is text \('soft' in row 0\)"),
    ("time: tim", DataError, "a.csv has no column 'tim' for the time; did you mean 'time'"),
    ("dt: 0", ConfigError, "dt must be greater than 0"),
]


@pytest.mark.parametrize(("yaml", "error", "message"), BAD_MAPS)
def test_a_wrong_map_is_refused(tmp_path, yaml, error, message):
    written(tmp_path / "a.csv", "time,speed,tyre\n0,1,soft\n1,2,soft\n")
    written(tmp_path / "columns.yaml", yaml)
    with pytest.raises(error, match=message):
        read_logs(tmp_path)


def test_a_column_with_a_word_in_it_is_told_with_its_row(tmp_path):
    (log,) = read_logs(written(tmp_path / "a.csv", "time,v\n0,1\n1,2x\n2,3\n"))
    with pytest.raises(DataError, match=r"a.csv: column 'v' is text \('2x' in row 1\); it must be numbers"):
        log.column("v")


BAD_FILES = [
    ("a.csv", "0,1\n1,2\n", FileFormatError, "a.csv has no header: its first line must name the columns"),
    ("a.csv", "", FileFormatError, "a.csv holds no rows"),
    ("a.csv", "time,v\n", FileFormatError, "a.csv holds no rows"),
    ("a.csv", "time,v,v\n0,1,2\n", FileFormatError, "columns are there twice: v"),
    ("a.csv", "time,v\n0,1\n1,2,3\n", FileFormatError, "cannot be read as columns"),
    ("a.csv", "time,v\n0,1,2\n1,2,3\n", FileFormatError, "header has 2 fields, the rows have 3"),
    (
        "a.csv",
        "time,v,w\n0,1,2\n1,2,3\n2,3",
        FileFormatError,
        "a.csv, line 4: the file breaks off inside of this row, ",
    ),
    ("a.csv", "# a\n\ntime,v,w\n0,1,2\n1,-", FileFormatError, "a.csv, line 5: .* after 2 of 3 fields: remove the row"),
    ("a.csv", "time,v,w\n0,1,2\n1,2\n2,3,4\n", FileFormatError, "a.csv, line 3 has 2 fields, the header has 3: remove"),
    ("a.csv", "stamp,v\n0,1\n", DataError, "no column 'time' for the time; known: stamp, v; or, where rows"),
    ("a.csv", "time,v\n0,1\n2,2\n1,3\n", DataError, "a.csv: the time goes back, 2.0 s in row 1 and 1.0 s after it"),
    ("a.csv", "time,v\n0,1\n2,2\n2,3\n", DataError, "a.csv: the time is there twice, 2.0 s in row 1 and 2.0 s"),
    ("a.csv", "time,v\n0,1\n,2\n", DataError, "the time is not finite in row 1"),
    ("a.json", "{", FileFormatError, "no whole JSON file"),
    ("a.json", "7", FileFormatError, "a.json holds no columns"),
    ("a.json", '{"time": "x"}', FileFormatError, "holds no columns of numbers"),
    ("a.json", '{"time": [0, 1, 2], "v": [1]}', DataError, r"'v' has shape \(1,\), and the log has 3 rows"),
    ("a.npz", "PK rubbish", FileFormatError, "a.npz is no .npz file of plain arrays"),
    ("a.txt", "time,v\n0,1\n", FileFormatError, "its name must end in .csv, .json, .npz"),
]


@pytest.mark.parametrize(("name", "text", "error", "message"), BAD_FILES)
def test_a_file_that_is_no_log_is_refused(tmp_path, name, text, error, message):
    with pytest.raises(error, match=message):
        read_logs(written(tmp_path / name, text))


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(FileFormatError, match=r"no such file or folder: .*lap"):
        read_logs(tmp_path / "lap")
    with pytest.raises(DataError, match="there is no log in"):
        read_logs(tmp_path)
    with pytest.raises(DataError, match="log 'drive' has no column 'vv'; did you mean 'v'"):
        DRIVE.column("vv")


def test_python_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", time=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FileFormatError, match=r"no \.npz file of plain arrays"):
        read_logs(tmp_path / "a.npz")


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="ending of a log must be one of"):
        write_log(tmp_path / "a.xls", DRIVE)
    with pytest.raises(ConfigError, match="a column 'time' beside the time"):
        write_log(tmp_path / "a.csv", Log("a", TIME, {"time": TIME}))
    with pytest.raises(DataError, match=r"column 'v' has shape \(3,\), the time has \(9,\)"):
        Log("a", TIME, {"v": np.zeros(3)})


@pytest.mark.skipif(not DATA.is_dir(), reason="the recordings are not here")
def test_recordings_of_others_are_read():
    racer = ColumnMap(
        time="time(s)",
        columns={
            "v": Column(column=("vx(m/s)", "vy(m/s)"), formula="hypot"),
            "psi": "phi(rad)",
            "brake": Column(column="brake_ped_cmd(kPa)", unit="kPa"),
        },
    )
    log = one(DATA / "Putnam_park2023_run4_2.csv", racer)
    assert len(log) == 11900
    assert log.columns["v"].max() == pytest.approx(32.4, abs=0.1)
    assert log.columns["brake"][0] == pytest.approx(1.8e6)
    np.testing.assert_allclose(np.diff(log.time), 0.04, atol=1e-6)
    small = one(DATA / "DYN-PP-ETHZ.npz").columns
    assert small["states[3]"][0] == pytest.approx(0.1)
    assert np.isnan(small["inputs[0]"]).sum() == 1
    tanks = one(DATA / "cascaded_tanks.csv", ColumnMap(dt=4.0))
    assert len(tanks) == 1024
