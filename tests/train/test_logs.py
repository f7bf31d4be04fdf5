"""Laws of logs: a line at once, a resumed run tells what the unbroken one does, and W&B only where it was asked for."""

from __future__ import annotations

import json
import sys
import types

import pytest

from potentia.errors import ConfigError, FileFormatError, PotentiaWarning
from potentia.train import Checkpoints, JsonLines, Recording, WandbLog, load_checkpoint, read_json_lines
from train.toy import SETTINGS, TIMES, Regression, StopAfter, new_run, train

COLUMNS = {"RMSE_train": "train/epoch", "RMSE_test": "val/y"}


def test_every_epoch_is_a_line_and_what_is_not_finite_is_null(tmp_path):
    run = train(new_run(), 3, [Recording(JsonLines(tmp_path / "metrics.jsonl"))], Regression(percent=0))
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [(one["epoch"], one["batch"], one["step"]) for one in found] == [(1, 0, 8), (2, 0, 16), (3, 0, 24)]
    assert [one["RMSE_test"] for one in found] == [None] * 3
    assert [one["RMSE_train"] for one in found] == [row["RMSE_train"] for row in run.history]


def test_errors_between_records_of_batches_sum_to_those_of_the_epoch(tmp_path):
    recording = Recording(JsonLines(tmp_path / "m.jsonl"), COLUMNS, every_batches=2, measure="rmse")
    run = train(new_run(), 1, [recording])
    *batches, epoch = read_json_lines(tmp_path / "m.jsonl")
    assert [one["batch"] for one in batches] == [2, 4, 6]
    assert {"epoch", "batch", "step", "train/epoch", "val/y", "skipped"} < set(epoch)
    assert all(one["learning_rate"] == 0.02 for one in batches)
    mean_square = sum(one["train/y"] ** 2 for one in batches) / 3  # three times as many samples
    assert mean_square**0.5 == pytest.approx(run.history[0]["RMSE_train"])


def test_a_resumed_run_leaves_the_lines_of_an_unbroken_one(tmp_path):
    def recording(name):
        return Recording(JsonLines(tmp_path / name), every_batches=1)

    def told(name):
        return [{k: v for k, v in one.items() if k not in TIMES} for one in read_json_lines(tmp_path / name)]

    train(new_run(), 4, [recording("unbroken.jsonl")])
    saving = Checkpoints(tmp_path, SETTINGS, every_batches=3)
    with pytest.raises(KeyboardInterrupt):
        train(new_run(), 4, [recording("broken.jsonl"), saving, StopAfter(2, 5)])
    assert told("broken.jsonl")[-1]["batch"] == 5
    with (tmp_path / "broken.jsonl").open("a") as file:
        file.write('{"epoch": 2, "ba')  # killed in the middle of a line
    run = new_run()
    load_checkpoint(tmp_path / "checkpoint_epoch_0002_batch_000003.pt").resume(run, SETTINGS)
    train(run, 4, [recording("broken.jsonl")])
    assert told("broken.jsonl") == told("unbroken.jsonl")
    train(new_run(), 1, [recording("broken.jsonl")])
    assert {one["epoch"] for one in told("broken.jsonl")} == {0, 1}  # a new run begins a new file


def test_what_is_no_record_is_refused(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"loss": 1}\n')
    with pytest.raises(FileFormatError, match="line 1 is no record of a run"):
        read_json_lines(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").write_text('{"epoch": 1, "batch": 0}\nloss\n')
    with pytest.raises(FileFormatError, match="line 2 is no JSON"):
        read_json_lines(tmp_path / "m.jsonl")


def test_a_column_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="the history has no column 'RMSE_tset'; did you mean 'RMSE_test'"):
        train(new_run(), 1, [Recording(JsonLines(tmp_path / "m.jsonl"), {"RMSE_tset": "val/y"})])


@pytest.fixture
def wandb(monkeypatch):
    """Weights & Biases as far as a log uses it; it keeps what it was told."""
    told = types.SimpleNamespace(init=None, metrics={}, logged=[], finished=0, summary={})

    class There:
        summary = told.summary

        def define_metric(self, name, step_metric=None):
            told.metrics[name] = step_metric

        def log(self, values):
            told.logged.append(values)

        def finish(self):
            told.finished += 1

    def init(**given):
        told.init = given
        return There()

    module = types.ModuleType("wandb")
    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return told


def test_wandb_gets_losses_by_step_and_by_epoch(wandb, tmp_path):
    log = WandbLog("cars", "run_1", {"lr": 0.02}, by_step=["train/y"], by_epoch=["val/y"], directory=tmp_path)
    run = train(new_run(), 2, [Recording(log, COLUMNS, every_batches=3)])
    assert wandb.init == {
        "project": "cars", "config": {"lr": 0.02}, "name": "run_1", "id": "run_1", "resume": "allow",
        "dir": str(tmp_path),
    }  # fmt: skip
    assert wandb.metrics == {"step": None, "train/y": "step", "epoch": None, "val/y": "epoch"}
    assert [one["step"] for one in wandb.logged] == [3, 6, 6, 9, 12, 12]
    assert [one["val/y"] for one in wandb.logged if "val/y" in one] == [row["RMSE_test"] for row in run.history]
    assert wandb.summary == {"best_value": run.best.value, "best_epoch": run.best.epoch}
    assert wandb.finished == 1


def test_wandb_is_closed_after_an_error(wandb):
    with pytest.raises(KeyboardInterrupt):
        train(new_run(), 2, [Recording(WandbLog("cars")), StopAfter(1, 0)])
    assert wandb.finished == 1


def test_without_wandb_a_run_goes_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.warns(PotentiaWarning, match="wandb is not installed") as caught:
        run = train(new_run(), 2, [Recording(WandbLog("cars"))])
    assert len(caught) == 1
    assert run.epoch == 2
