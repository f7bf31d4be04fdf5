"""History as table and files, and progress bars."""

from __future__ import annotations

import csv
import io
import json
import math

import pandas as pd
import pytest

from potentia.errors import FileFormatError
from potentia.train import BatchBar, EpochBar, export, table
from potentia.train.history import read_exported
from terminals import Terminal
from train import toy

HISTORY = [{"a": 0.1 + 0.2, "b": math.nan}, {"a": 1e-300, "b": math.inf}, {"a": -0.0, "b": 2.0}]


def test_table_counts_epochs_from_one():
    frame = table(HISTORY)
    assert frame.index.tolist() == [1, 2, 3]
    assert frame.index.name == "epoch"
    assert frame["a"].tolist() == [0.1 + 0.2, 1e-300, 0.0]


def test_table_of_nothing_is_empty():
    assert table([]).empty


def test_json_is_strict(tmp_path):
    export(HISTORY, tmp_path / "h.json")

    def refuse(constant):
        pytest.fail(f"{constant} is not JSON")

    read = json.loads((tmp_path / "h.json").read_text(), parse_constant=refuse)
    assert read == {"epoch": [1, 2, 3], "a": [0.1 + 0.2, 1e-300, 0.0], "b": [None, None, 2.0]}


def test_csv_is_exact(tmp_path):
    export(HISTORY, csv_path=tmp_path / "h.csv")
    with (tmp_path / "h.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["epoch", "a", "b"]
    assert [float(row[1]).hex() for row in rows] == [row["a"].hex() for row in HISTORY]
    assert [row[2] for row in rows] == ["", "inf", "2"]


def test_a_column_without_a_value_stays_a_column(tmp_path):
    history = [{"a": 1.0, "b": math.nan}, {"a": 2.0, "b": math.nan, "c": -math.inf}]
    export(history, tmp_path / "h.json", tmp_path / "h.csv")
    read = json.loads((tmp_path / "h.json").read_text())
    assert read == {"epoch": [1, 2], "a": [1.0, 2.0], "b": [None, None], "c": [None, None]}
    frame = pd.read_csv(tmp_path / "h.csv", index_col="epoch")
    pd.testing.assert_frame_equal(frame, table(history), check_exact=True, check_index_type=False, check_dtype=False)


def test_what_was_exported_is_read_back_but_for_what_is_not_finite(tmp_path):
    export(HISTORY, tmp_path / "h.json")
    found = read_exported(tmp_path / "h.json")
    assert [row["a"] for row in found] == [row["a"] for row in HISTORY]
    assert [math.isnan(row["b"]) for row in found] == [True, True, False]
    for content in ("[1]", '{"a": 3}', '{"a": ["x"]}', '{"a": [1], "b": [1, 2]}'):
        (tmp_path / "h.json").write_text(content)
        with pytest.raises(FileFormatError, match=r"h\.json is no history: wanted are columns of numbers"):
            read_exported(tmp_path / "h.json")


def test_every_column_of_a_run_is_exported(tmp_path):
    run = toy.train(toy.new_run(), epochs=2)
    export(run.history, tmp_path / "h.json", tmp_path / "h.csv")
    assert list(json.loads((tmp_path / "h.json").read_text())) == ["epoch", *run.history[0]]
    assert (tmp_path / "h.csv").read_text().splitlines()[0] == ",".join(["epoch", *run.history[0]])


def test_bars_show_how_far_the_run_is():
    epochs, batches = Terminal(), Terminal()
    run = toy.train(
        toy.new_run(), epochs=2, callbacks=[EpochBar(2, {"test": "RMSE_test"}, file=epochs), BatchBar(file=batches)]
    )
    assert "2/2" in epochs.getvalue()
    assert f"test={run.history[-1]['RMSE_test']:.4g}" in epochs.getvalue()
    assert "epoch 2" in batches.getvalue()


def test_bars_are_silent_where_there_is_no_terminal(capfd):
    log = io.StringIO()
    toy.train(toy.new_run(), epochs=2, callbacks=[EpochBar(2, file=log), BatchBar(file=log)])
    toy.train(toy.new_run(), epochs=2, callbacks=[EpochBar(2), BatchBar()])
    assert log.getvalue() == ""
    assert capfd.readouterr() == ("", "")
