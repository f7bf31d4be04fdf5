"""Trainings that are killed at random moments, disks that are full, and files that are damaged: nothing is lost."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from potentia import Kalman
from potentia.errors import FileFormatError
from potentia.train import Checkpoints, load_checkpoint, newest_checkpoint
from potentials import killed_trainings, small_data
from potentials.killed_trainings import SETTINGS
from potentials.runs import result, train
from potentials.small_data import GRADIENTS


@pytest.fixture(scope="module")
def unbroken():
    """Return the result of a training of so many epochs that nobody disturbed."""
    known = {}

    def unbroken(epochs):
        if epochs not in known:
            known[epochs] = result(*train(iterations=epochs, **GRADIENTS))
        return known[epochs]

    return unbroken


def goes_on(path, unbroken):
    """Resume to the end of the next epoch but one, and compare with the training that nobody disturbed."""
    potential, out = train(None, path, iterations=2, **GRADIENTS)
    assert result(potential, out) == unbroken(len(out.errors))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="killed trainings are forked")
@pytest.mark.parametrize("kills", [pytest.param(50, marks=pytest.mark.slow)])
def test_a_killed_training_leaves_whole_files_and_goes_on_as_if_unbroken(kills, tmp_path, unbroken):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, killed_trainings.__file__, str(tmp_path), str(kills), str(kills)]
    subprocess.run(command, env=environment, check=True, timeout=30 + 10 * kills)
    places = set()
    for k in range(kills):
        names = [path.name for path in (tmp_path / str(k)).iterdir()]
        whole = [name for name in names if name.endswith(".pt")]
        assert len(names) <= len(whole) + 1  # the one that was being written
        for name in whole:
            load_checkpoint(tmp_path / str(k) / name)
        newest = newest_checkpoint(tmp_path / str(k))
        places.add(newest.name)
        goes_on(newest, unbroken)
    assert len(places) > kills // 6


def test_killed_while_it_rotates_the_newest_checkpoint_is_there(tmp_path, monkeypatch, unbroken):
    """Death comes between writing the new checkpoint and removing the old one."""

    unlink = Path.unlink

    def dies(path, missing_ok=False):
        if path.name.startswith("checkpoint_epoch"):
            raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", dies)
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint_dir=tmp_path, max_checkpoints=1, iterations=3, **SETTINGS)
    assert len(list(tmp_path.iterdir())) == 2
    goes_on(newest_checkpoint(tmp_path), unbroken)


# -------------------------------------------------------------------------------------------------------- bad files


@pytest.mark.parametrize("cut", [0, 1, 8, 200, -1, -300])
def test_a_cut_checkpoint_is_named_and_the_one_before_goes_on(cut, tmp_path, unbroken):
    train(checkpoint_dir=tmp_path, iterations=2, **SETTINGS)
    newest = newest_checkpoint(tmp_path)
    newest.write_bytes(newest.read_bytes()[:cut])
    with pytest.raises(FileFormatError, match=newest.name):
        train(None, newest, **GRADIENTS)
    newest.unlink()
    goes_on(newest_checkpoint(tmp_path), unbroken)


def test_a_flipped_bit_in_the_header_is_not_believed(tmp_path):
    train(checkpoint_dir=tmp_path, iterations=1, **SETTINGS)
    path = newest_checkpoint(tmp_path)
    content = bytearray(path.read_bytes())
    content[3] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=path.name):
        train(None, path, **GRADIENTS)


# -------------------------------------------------------------------------------------- disks that take no more


def disturbed(folder, error, *, epochs, **settings):
    """Train on a disk that takes no more after a while, and return what stood there before and is still there."""
    potential = small_data.fresh()
    config = small_data.config(checkpoint_dir=folder, iterations=epochs, **(SETTINGS | settings))
    with pytest.raises(OSError, match=r"checkpoint_epoch_") as caught:
        potential.train(small_data.frames(), config)
    assert caught.value.errno == error
    assert not potential.is_trained()
    whole = sorted(path.name for path in folder.iterdir())
    assert all(name.endswith(".pt") for name in whole)  # nothing half written is left
    for name in whole:
        load_checkpoint(folder / name)
    return whole


def test_a_full_disk_is_one_clear_error_and_what_is_there_goes_on(small_disk, unbroken):
    assert len(disturbed(small_disk, errno.ENOSPC, epochs=50)) > 1
    goes_on(newest_checkpoint(small_disk), unbroken)


@pytest.fixture
def no_file_beyond():
    """Return a setter of the largest size that a file may have, which is taken back at the end."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_may_not_grow_is_one_clear_error(tmp_path, no_file_beyond, unbroken):
    train(checkpoint_dir=tmp_path, iterations=1, **SETTINGS)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    no_file_beyond(min(sizes.values()) // 2)
    potential = small_data.fresh()
    config = small_data.config(checkpoint_dir=tmp_path, **SETTINGS)
    newest = newest_checkpoint(tmp_path)
    with pytest.raises(OSError, match="checkpoint_epoch_") as caught:
        potential.train(small_data.frames(), config, newest)
    no_file_beyond(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    assert caught.value.errno == errno.EFBIG
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == sizes
    goes_on(newest, unbroken)


def test_a_directory_that_is_read_only_is_one_clear_error(small_disk, unbroken):
    train(checkpoint_dir=small_disk, iterations=1, **SETTINGS)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    newest = newest_checkpoint(small_disk)
    with pytest.raises(OSError, match="checkpoint_epoch_") as caught:
        train(None, newest, checkpoint_dir=small_disk, **SETTINGS)
    assert caught.value.errno == errno.EROFS
    goes_on(newest, unbroken)


def test_a_disk_that_fails_at_the_end_of_an_epoch_loses_only_what_came_after(tmp_path, monkeypatch, unbroken):
    """Whatever the system says while a checkpoint is renamed into place: the older ones are whole."""
    replace, times = os.replace, []

    def failing(source, target, **options):
        times.append(target)
        if len(times) > 4:
            raise OSError(errno.EIO, "Input/output error", os.fspath(target))
        return replace(source, target, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing)
        assert len(disturbed(tmp_path, errno.EIO, epochs=5)) == 4
    goes_on(newest_checkpoint(tmp_path), unbroken)


def test_kalman_is_killed_and_goes_on_too(tmp_path, monkeypatch):
    settings = {"method": Kalman(batchsize=4), **GRADIENTS}
    saved, write = [], Checkpoints.on_settled

    def dies(callback, run):
        write(callback, run)
        saved.append(run.epoch)
        if len(saved) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "on_settled", dies)
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint_dir=tmp_path, iterations=4, **(SETTINGS | settings))
    potential, out = train(None, newest_checkpoint(tmp_path), iterations=2, **settings)
    assert result(potential, out) == result(*train(iterations=len(out.errors), **settings))
