"""Laws of what ends or interrupts a run: no improvement, time, signals."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from potentia.errors import ConfigError, PotentiaWarning
from potentia.train import (
    Callback,
    Checkpoints,
    EarlyStopping,
    StopOnSignal,
    TimeBudget,
    load_checkpoint,
    newest_checkpoint,
)
from potentia.train.stopping import seconds_of
from train import toy


class Given(toy.Regression):
    """Its monitored values are given."""

    def __init__(self, values):
        super().__init__()
        self.values = values
        self.epoch = 0

    def monitor(self, row):
        self.epoch += 1
        return self.values[self.epoch - 1]


def resumed(path):
    run = toy.new_run(schedule=toy.slow_schedule(), seed=99)
    load_checkpoint(path).resume(run, toy.SETTINGS)
    return run


@pytest.mark.parametrize(
    ("values", "min_delta", "epochs", "best"),
    [
        ([5, 4, 4, 4, 3, 2], 0, 4, 4),
        ([5, 4, 4, 3, 3, 3], 0, 6, 3),
        ([5, 4.9, 4.8, 3, 2, 1], 0.25, 3, 5),  # small steps are none, even where they are the best
        ([5, 4.9, 4.7, 4.6, 4.5, 1], 0.25, 5, 4.7),
        ([5, math.nan, math.nan, math.nan, 6, 4], 0, 6, None),  # no value, no count
        ([math.nan] * 6, 0, 6, None),
    ],
)
def test_no_improvement_stops_the_run(values, min_delta, epochs, best):
    run = toy.train(toy.new_run(), task=Given(values), callbacks=[EarlyStopping(2, min_delta)])
    assert run.epoch == epochs
    assert run.stopped == ("" if best is None else f"no better than {best} for 2 epochs")


@pytest.mark.parametrize("order", [1, -1], ids=["before", "behind"])
def test_a_resumed_run_remembers_how_long_it_has_waited(order, tmp_path):
    callbacks = [Checkpoints(tmp_path, toy.SETTINGS), EarlyStopping(3, min_delta=0.1)][::order]
    toy.train(toy.new_run(), epochs=3, task=Given([5, 4, 3.95]), callbacks=callbacks)
    run = resumed(newest_checkpoint(tmp_path))
    toy.train(run, task=Given([4, math.nan, 4]), callbacks=callbacks)
    assert (run.epoch, run.stopped) == (6, "no better than 4 for 3 epochs")


def test_a_run_that_was_stopped_for_good_says_so_and_stays(tmp_path):
    callbacks = [Checkpoints(tmp_path, toy.SETTINGS, every_epochs=0), EarlyStopping(1)]
    toy.train(toy.new_run(), task=Given([1, 2, 0, 0, 0, 0]), callbacks=callbacks)
    path = newest_checkpoint(tmp_path)
    assert path.name == "checkpoint_epoch_0002.pt"
    run = resumed(path)
    with pytest.warns(PotentiaWarning, match=r"stopped after epoch 2 \(no better than 1 for 1 epochs\)"):
        toy.train(run)
    assert run.epoch == 2


@pytest.mark.parametrize("every", [{"every_epochs": 0}, {"every_batches": 1}], ids=["none", "each"])
@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_time_is_up_and_the_run_goes_on_from_its_checkpoint(every, first, tmp_path, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    saving = Checkpoints(tmp_path, toy.SETTINGS, **every)
    moments = []
    for _ in range(20):
        path = newest_checkpoint(tmp_path)
        run = toy.new_run(schedule=toy.slow_schedule()) if path is None else resumed(path)
        budget = TimeBudget(8)  # a look at the clock takes a second
        toy.train(run, callbacks=[budget, saving] if first else [saving, budget])
        moments.append((run.epoch, run.batch))
        if not run.interrupted:
            break
        assert run.interrupted == "the time of 8 s is up"
        assert not run.stopped
    assert moments[:3] == [(1, 2), (2, 4), (4, 0)]
    toy.assert_same(toy.numbers(run), toy.numbers(toy.train(toy.new_run(schedule=toy.slow_schedule()))))


def test_the_time_of_all_calls_counts(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    budget, run = TimeBudget("10s"), toy.new_run()
    toy.train(run, epochs=1, callbacks=[budget])
    assert not run.interrupted
    toy.train(run, callbacks=[budget])
    assert (run.epoch, run.batch) == (1, 3)


def test_the_same_run_goes_on_when_it_is_trained_again():
    class Pause(Callback):
        def on_batch(self, run):
            run.interrupted = "pause"

    run = toy.new_run()
    for _ in range(toy.EPOCHS * 6):
        toy.train(run, callbacks=[Pause()])
    toy.assert_same(toy.numbers(run), toy.numbers(toy.train(toy.new_run())))


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("1.5h", 5400), ("45 s", 45), (0.5, 0.5)]
)
def test_durations(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "30m1h", "1.2.3h", "two hours", "-1h", 0, "0s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ConfigError, match=r"a duration must be greater than 0.*'1h30m', got"):
        TimeBudget(text)


class Send(Callback):
    """Sends a signal to this process at a place."""

    def __init__(self, one, place=(1, 2)):
        self.one = one
        self.place = place

    def on_batch(self, run):
        if (run.epoch, run.batch) == self.place:
            os.kill(os.getpid(), self.one)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_interrupts_and_the_handlers_come_back(name, tmp_path):
    one = signal.Signals[name]
    before = signal.getsignal(one)
    saving = Checkpoints(tmp_path, toy.SETTINGS, every_epochs=0)
    listening = StopOnSignal("SIGTERM", "SIGINT", "SIGUSR1")
    run = toy.train(toy.new_run(schedule=toy.slow_schedule()), callbacks=[saving, listening, Send(one)])
    assert run.interrupted == f"{name} received"
    assert signal.getsignal(one) is before
    path = newest_checkpoint(tmp_path)
    assert path.name == "checkpoint_epoch_0001_batch_000002.pt"
    whole = toy.train(toy.new_run(schedule=toy.slow_schedule()))
    toy.assert_same(toy.numbers(toy.train(resumed(path))), toy.numbers(whole))


def test_a_signal_while_it_scores_leaves_a_whole_epoch(tmp_path):
    class Scoring(toy.Regression):
        def score(self, model):
            os.kill(os.getpid(), signal.SIGTERM)
            return super().score(model)

    callbacks = [Checkpoints(tmp_path, toy.SETTINGS, every_epochs=0), StopOnSignal()]
    run = toy.train(toy.new_run(), task=Scoring(), callbacks=callbacks)
    assert (run.epoch, run.batch, len(run.history)) == (1, 0, 1)
    assert newest_checkpoint(tmp_path).name == "checkpoint_epoch_0001.pt"


def test_a_second_signal_acts_at_once():
    """With Python's own handler: what a shell starts in the background ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            toy.train(toy.new_run(), callbacks=[StopOnSignal("SIGINT"), Send(signal.SIGINT), Send(signal.SIGINT)])
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        toy.train(toy.new_run(), callbacks=[StopOnSignal(), toy.StopAfter(0, 1)])
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_trains_without_and_says_so():
    done = []

    def work():
        with pytest.warns(PotentiaWarning, match="not in the main thread"):
            done.append(toy.train(toy.new_run(), epochs=1, callbacks=[StopOnSignal()]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done[0].epoch == 1


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTREM"])
def test_signals_that_cannot_be_heard_are_refused(name):
    with pytest.raises(ConfigError, match=f"signal must be one of 'SIGTERM'.*got '{name}'"):
        StopOnSignal(name)


@pytest.mark.slow
def test_a_process_that_gets_sigterm_ends_well_and_is_resumed(tmp_path):
    command = [sys.executable, Path(toy.__file__), tmp_path, "SIGTERM"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_epoch_0002_batch_000003.pt"]
    whole = toy.train(toy.new_run(schedule=toy.slow_schedule()))
    toy.assert_same(toy.numbers(toy.train(resumed(newest_checkpoint(tmp_path)))), toy.numbers(whole))
