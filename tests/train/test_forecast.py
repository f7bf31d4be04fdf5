"""Laws of forecasts: they change nothing, and come true."""

from __future__ import annotations

import pytest
import torch

from potentia.errors import ConfigError, DataError
from potentia.train import LBFGS, SGD, Adam, ExponentialAverage, Forecast, fit, forecast
from train import toy


class Clock:
    """Goes on when something takes its time, whatever else the machine does (s)."""

    now = 0.0


class Slow(toy.Regression):
    """Each batch takes 4 ms, each score 10 ms, and the first of each is compiled for 100 ms."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.seconds = {"loss": 0.1, "score": 0.1}

    def loss(self, model, batch):
        self.clock.now += self.seconds["loss"]
        self.seconds["loss"] = 0.004
        return super().loss(model, batch)

    def score(self, model):
        self.clock.now += self.seconds["score"]
        self.seconds["score"] = 0.01
        return super().score(model)


def look(run, task=None, epochs=toy.EPOCHS, **settings):
    task = task or toy.Regression()
    return forecast(run, task, toy.batches(run, task), epochs, **settings)


@pytest.mark.parametrize("begun", [0, 2])
@pytest.mark.parametrize("method", [Adam(0.02, 4), SGD(0.05, 4, momentum=0.9), LBFGS()], ids=lambda m: m.method_name)
def test_it_changes_no_number_of_the_run(method, begun):
    run, quiet = (toy.train(toy.new_run(method, average=ExponentialAverage(0.9)), epochs=begun) for _ in range(2))
    globals_before = torch.get_rng_state()
    before, times = toy.numbers(run), dict(run.times)
    look(run, seconds=0)
    toy.assert_same(toy.numbers(run), before)
    assert run.times == times
    assert torch.equal(torch.get_rng_state(), globals_before)
    toy.assert_same(toy.numbers(toy.train(run)), toy.numbers(toy.train(quiet)))


def test_it_comes_true(monkeypatch):
    """An epoch is drawn in 7 ms."""
    run, clock = toy.new_run(), Clock()
    monkeypatch.setattr("time.perf_counter", lambda: clock.now)
    task = Slow(clock)
    draw = toy.batches(run, task)

    def drawn(epoch):
        clock.now += 0.007
        return draw(epoch)

    told = forecast(run, task, drawn, toy.EPOCHS)
    assert clock.now == pytest.approx(0.007 + 0.1 + 0.2 + 0.1 + 0.01, abs=0.004)  # batches for `seconds`, no longer
    assert told.batches_per_epoch == 6
    assert told.epochs == toy.EPOCHS
    begun = clock.now
    fit(run, task, drawn, toy.EPOCHS)
    assert told.seconds_total == pytest.approx(clock.now - begun)


def test_what_is_done_is_not_counted():
    run = toy.train(toy.new_run(), epochs=2)
    assert look(run, seconds=0).epochs == 4
    run.batch = 3
    assert look(run, seconds=0).epochs == 3.5
    assert look(run, epochs=1, seconds=0).seconds_total == 0


def test_memory_is_that_of_the_process():
    held = torch.ones(2**24)  # 64 MiB
    found = look(toy.new_run(), seconds=0).memory_bytes
    assert held.nbytes < found < 2**40
    assert "of memory" in str(look(toy.new_run(), seconds=0))


def test_no_batches_and_no_steps_are_refused():
    with pytest.raises(DataError, match="epoch 1 has no batches"):
        forecast(toy.new_run(), toy.Regression(), lambda _: [], 3)
    with pytest.raises(ConfigError, match="steps must be an integer of at least 1"):
        look(toy.new_run(), steps=0)
    with pytest.raises(ConfigError, match="seconds must be"):
        look(toy.new_run(), seconds=-1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "0.012 s"), (9.96, "10 s"), (59.7, "1 min 0 s"), (119.9, "2 min 0 s"), (7260, "2 h 1 min")],
)
def test_times_are_told_in_words(seconds, text):
    assert str(Forecast(1, 2, seconds)) == f"1 epochs of 2 batches: {text} each, {text} in all"
