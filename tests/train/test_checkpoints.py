"""Laws of checkpoint files: names, rotation, the best model, and writes that fail."""

from __future__ import annotations

import errno
import os

import pytest
import torch

from potentia.errors import ConfigError, FileFormatError
from potentia.storage import write_file
from potentia.train import Checkpoints, StepNames, load_checkpoint, newest_checkpoint
from train import toy


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def epochs(*numbers):
    return [f"checkpoint_epoch_{number:04d}.pt" for number in numbers]


def test_names_carry_the_completed_epochs_and_batches(tmp_path):
    saving = Checkpoints(tmp_path / "new" / "deep", toy.SETTINGS, every_batches=5, save_best=False)
    assert not (tmp_path / "new").exists()
    toy.train(toy.new_run(), epochs=2, callbacks=[saving])
    assert names(tmp_path / "new" / "deep") == [
        "checkpoint_epoch_0000_batch_000005.pt",
        "checkpoint_epoch_0001.pt",
        "checkpoint_epoch_0001_batch_000005.pt",
        "checkpoint_epoch_0002.pt",
    ]


def test_names_by_steps_count_from_the_beginning_and_rotation_leaves_whole_epochs(tmp_path):
    saving = Checkpoints(tmp_path, {}, every_batches=4, keep=1, save_best=False, naming=StepNames())
    toy.train(toy.new_run(), epochs=3, callbacks=[saving])  # 6 batches an epoch
    assert names(tmp_path) == ["epoch_1.pt", "epoch_2.pt", "epoch_3.pt", "step_16.pt"]
    assert newest_checkpoint(tmp_path, StepNames()).name == "epoch_3.pt"
    assert newest_checkpoint(tmp_path) is None
    (tmp_path / "epoch_3.pt").unlink()
    assert newest_checkpoint(tmp_path, StepNames()).name == "step_16.pt"


def test_every_so_many_epochs_and_after_the_last_one(tmp_path):
    toy.train(toy.new_run(), callbacks=[Checkpoints(tmp_path, {}, every_epochs=4, save_best=False)])
    assert names(tmp_path) == epochs(4, 6)


def test_none_at_all(tmp_path):
    toy.train(toy.new_run(), callbacks=[Checkpoints(tmp_path / "never", {}, every_epochs=0, save_best=False)])
    assert names(tmp_path) == []


def test_best_model_is_the_run_at_its_best(tmp_path):
    run = toy.train(toy.new_run(), epochs=12, callbacks=[Checkpoints(tmp_path, {})])
    best = load_checkpoint(tmp_path / "best_model.pt")
    assert best.run["epoch"] == run.best.epoch
    then = load_checkpoint(tmp_path / epochs(run.best.epoch)[0])
    toy.assert_same(best.run["model"], then.run["model"])


def test_rotation_keeps_the_newest_by_number_past_epoch_10000(tmp_path):
    run = toy.new_run()
    run.epoch = 9997
    toy.train(run, epochs=10001, callbacks=[Checkpoints(tmp_path, {}, keep=3)])
    assert names(tmp_path) == ["best_model.pt", "checkpoint_epoch_10000.pt", "checkpoint_epoch_10001.pt", *epochs(9999)]
    assert newest_checkpoint(tmp_path).name == "checkpoint_epoch_10001.pt"


def test_rotation_orders_epochs_and_batches_by_time(tmp_path):
    toy.train(toy.new_run(), epochs=2, callbacks=[Checkpoints(tmp_path, {}, every_batches=3, keep=3, save_best=False)])
    assert names(tmp_path) == [
        *("checkpoint_epoch_0001_batch_000003.pt", "checkpoint_epoch_0001_batch_000006.pt", "checkpoint_epoch_0002.pt")
    ]


def test_rotation_touches_nothing_that_this_run_has_not_written(tmp_path):
    foreign = [
        "checkpoint_epoch_0001_batch_000002.pt",
        "checkpoint_epoch_0900.pt",
        "notes.txt",
        "checkpoint_epoch_x.pt",
    ]
    for name in foreign:
        (tmp_path / name).write_text("mine")
    toy.train(toy.new_run(), epochs=5, callbacks=[Checkpoints(tmp_path, {}, keep=1, save_best=False)])
    assert names(tmp_path) == sorted([*foreign, *epochs(5)])
    assert all((tmp_path / name).read_text() == "mine" for name in foreign)


def test_a_resumed_run_rotates_what_it_wrote_before(tmp_path):
    saving = {"keep": 2, "save_best": False}
    toy.train(toy.new_run(), epochs=3, callbacks=[Checkpoints(tmp_path, {}, **saving)])
    run = toy.new_run()
    load_checkpoint(newest_checkpoint(tmp_path)).resume(run, {})
    toy.train(run, epochs=4, callbacks=[Checkpoints(tmp_path, {}, **saving)])
    assert names(tmp_path) == epochs(3, 4)


def test_newest_of_nothing_is_none(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "absent") is None


def test_the_old_one_goes_after_the_new_one_is_written(tmp_path, monkeypatch):
    saving = Checkpoints(tmp_path, {}, keep=1, save_best=False)
    run = toy.train(toy.new_run(), epochs=1, callbacks=[saving])
    monkeypatch.setattr(os, "replace", _disk_full)
    with pytest.raises(OSError, match=r"No space left.*untouched.*checkpoint_epoch_0002\.pt"):
        toy.train(run, epochs=2, callbacks=[saving])
    assert names(tmp_path) == epochs(1)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / epochs(1)[0]).run["epoch"] == 1


def _disk_full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("option", "value"), [("keep", 0), ("every_epochs", -1), ("every_batches", -1), ("every_epochs", 1.5)]
)
def test_impossible_settings_are_refused_by_name(tmp_path, option, value):
    with pytest.raises(ConfigError, match=option):
        Checkpoints(tmp_path, {}, **{option: value})


def test_other_files_are_refused(tmp_path):
    write_file(tmp_path / "a.pt", "potential", {}, {})
    with pytest.raises(FileFormatError, match=r"a\.pt holds a potential, not a checkpoint"):
        load_checkpoint(tmp_path / "a.pt")
    torch.save({"model": 1}, tmp_path / "b.pt")
    with pytest.raises(FileFormatError, match="pickle"):
        load_checkpoint(tmp_path / "b.pt")


def test_a_long_history_weighs_eight_bytes_a_number(tmp_path):
    run = toy.train(toy.new_run(), epochs=1, callbacks=[Checkpoints(tmp_path, {})])
    small = (tmp_path / "best_model.pt").stat().st_size
    run.history = run.history * 1000
    Checkpoints(tmp_path, {}).on_settled(run)
    large = (tmp_path / "best_model.pt").stat().st_size
    assert large - small < 1000 * len(run.history[0]) * 8 * 1.05
