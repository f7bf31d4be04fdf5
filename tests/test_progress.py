"""Bars are on terminals and in Jupyter, inside of what is watched, and only where something takes long."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace

import pytest

from potentia import progress
from potentia.cli import main
from potentia.trajectories.evaluation import evaluate
from potentia.trajectories.evaluation_settings import EvaluationSettings
from potentia.trajectories.hdf5 import write_trajectories
from potentia.trajectories.networks.fully_connected import FullyConnectedConfig
from potentia.trajectories.surrogates import FullyConnected
from potentia.trajectories.systems import make_data
from potentia.trajectories.training_config import TrajectoryTrainingConfig
from terminals import Terminal
from trajectories import decays
from trajectories.study_data import root_with, settings


def terminal(monkeypatch):
    """Make the standard error stream a terminal where nothing is too quick; of a fixture, pytest would undo it."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "DELAY", 0.0)
    return stream


def test_items_come_as_they_are_with_a_bar_where_it_is_watched(monkeypatch):
    shown = terminal(monkeypatch)
    with progress.watched():
        assert list(progress.track(range(3), "steps")) == [0, 1, 2]
        assert "steps:   0%" in shown.getvalue()
        with progress.bar(4, "members", stays=True) as bar:
            bar.update(4)
    assert "4/4" in shown.getvalue()


def test_without_a_watcher_only_what_is_asked_for_is_shown(monkeypatch):
    shown = terminal(monkeypatch)
    assert list(progress.track(range(3), "steps")) == [0, 1, 2]
    assert shown.getvalue() == ""
    assert list(progress.track(range(3), "steps", shown=True)) == [0, 1, 2]
    assert "steps" in shown.getvalue()


def test_what_is_one_or_quick_needs_no_bar(monkeypatch):
    shown = terminal(monkeypatch)
    with progress.watched():
        assert list(progress.track([7], "steps")) == [7]
        monkeypatch.setattr(progress, "DELAY", 60.0)
        assert list(progress.track(range(3), "steps")) == [0, 1, 2]
    assert shown.getvalue() == ""


def test_a_log_stays_quiet(capfd):
    with progress.watched():
        assert list(progress.track(range(3), "steps", shown=True)) == [0, 1, 2]
        with progress.bar(2, "members", shown=True, stays=True) as bar:
            bar.update(2)
    assert capfd.readouterr() == ("", "")


class KernelStream(io.StringIO):
    """A stream of a Jupyter kernel: no terminal, but a line can be written over."""


@pytest.fixture
def kernel(monkeypatch):
    monkeypatch.setitem(sys.modules, progress.KERNEL_STREAMS, SimpleNamespace(OutStream=KernelStream))
    return KernelStream()


def test_a_notebook_shows_what_is_asked_for_at_the_width_of_a_cell(monkeypatch, kernel):
    monkeypatch.setattr(sys, "stderr", kernel)
    assert list(progress.track(range(3), "steps", shown=True)) == [0, 1, 2]
    drawn = [line for line in kernel.getvalue().split("\r") if line.strip()]
    assert "steps:   0%" in drawn[0]
    assert {len(line) for line in drawn} == {progress.CELL_WIDTH}


def test_a_notebook_that_asks_for_no_bar_stores_none(monkeypatch, kernel):
    monkeypatch.setattr(sys, "stderr", kernel)
    assert list(progress.track(range(3), "steps")) == [0, 1, 2]
    with progress.bar(2, "members", stays=True) as bar:
        bar.update(2)
    assert kernel.getvalue() == ""


def test_a_file_that_is_written_from_a_notebook_stays_quiet(kernel):
    log = io.StringIO()
    with progress.watched(), progress.bar(2, "members", shown=True, file=log) as bar:
        bar.update(2)
    assert log.getvalue() == ""


def test_the_streams_of_kernels_are_where_they_are_looked_for():
    assert issubclass(pytest.importorskip(progress.KERNEL_STREAMS).OutStream, io.TextIOBase)


def test_watching_ends_also_after_an_error(monkeypatch):
    shown = terminal(monkeypatch)
    with pytest.raises(KeyError), progress.watched():
        raise KeyError
    assert list(progress.track(range(3), "steps")) == [0, 1, 2]
    assert shown.getvalue() == ""


def test_a_line_stands_beside_bars(capsys):
    progress.say("task 1: done")
    assert capsys.readouterr().out == "task 1: done\n"


@pytest.fixture(scope="module")
def surrogate(tmp_path_factory):
    root = tmp_path_factory.mktemp("surrogate")
    data = decays.data(parameters=1)
    write_trajectories(root / "decays.hdf5", data)
    found = FullyConnected(FullyConnectedConfig(hidden_size=8, num_hidden_layers=1))
    found.train(data, TrajectoryTrainingConfig(epochs=2, seed=1, show_progress=False))
    found.save(root / "model.safetensors")
    return root


def test_long_work_on_trajectories_shows_how_far_it_is(monkeypatch, surrogate):
    stream = terminal(monkeypatch)
    with progress.watched():
        make_data("simple_ode", n_train=30, n_test=4, n_val=4)
        model = FullyConnected.load(surrogate / "model.safetensors")
        data = decays.data(parameters=1)
        model.predict(data.val.initial_states, data.val.times, data.val.parameters, batch_size=1)
        evaluate({"it": model, "other": model}, data, EvaluationSettings(iterative=True))
    shown = stream.getvalue()
    for label in ("16 trajectories each", "batches of trajectories", "scores", "roll-outs of it"):
        assert label in shown


def test_a_study_shows_its_tasks(monkeypatch, capsys, tmp_path):
    shown = terminal(monkeypatch)
    (tmp_path / "config.json").write_text(
        json.dumps(settings(uncertainty={"enabled": True, "ensemble_size": 2}, verbose=False))
    )
    assert main(["study", "run", str(tmp_path / "config.json"), "--root", str(root_with(tmp_path))]) == 0
    assert "tasks: 100%" in shown.getvalue()
    assert "2/2" in shown.getvalue()
    assert "2 of 2 tasks completed, 2 of them now" in capsys.readouterr().out


def test_commands_are_quiet_in_a_log(capfd, surrogate, tmp_path):
    model, data = str(surrogate / "model.safetensors"), str(surrogate / "decays.hdf5")
    made = str(tmp_path / "made.hdf5")
    for command in (
        ["predict", model, data, "-o", str(tmp_path / "states.csv")],
        ["evaluate", model, data],
        ["report", model, "--data", data, "--json"],
        ["data", "make", "simple_ode", "--train", "20", "--test", "2", "--val", "2", "--out", made],
    ):
        assert main(command) == 0, command
        assert capfd.readouterr().err == ""
