"""Laws of the training loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from potentia.data import in_order
from potentia.errors import ConfigError, DataError, PotentiaWarning, TrainingError
from potentia.metrics import ErrorSum
from potentia.train import Adam, Callback, Plateau, Run, fit
from train import toy


class Bad(toy.Regression):
    """Labels of some batches are faulty; ``where`` says whether loss or only gradient is not finite."""

    def __init__(self, bad, where="loss"):
        super().__init__()
        self.bad = bad
        self.where = where
        self.seen = 0

    def loss(self, model, batch):
        loss = super().loss(model, batch)
        self.seen += 1
        if self.seen - 1 not in self.bad:
            return loss
        weight = next(model.parameters())
        twist = (weight - weight.detach()).sum() * math.nan if self.where == "loss" else _kink(weight)
        return type(loss)(loss.value + twist, {"y": ErrorSum.of(torch.tensor([math.nan]))})


def _kink(weight):
    """0 with the gradient infinity (a square root at zero)."""
    return (weight - weight.detach()).sum().sqrt()


class Diary(Callback):
    def __init__(self):
        self.lines = []

    def on_begin(self, run):
        self.lines.append(("begin", run.epoch, run.batch))

    def on_batch(self, run):
        self.lines.append(("batch", run.epoch, run.batch))

    def on_epoch(self, run):
        self.lines.append(("epoch", run.epoch, len(run.history)))

    def on_rest(self, run):
        self.lines.append(("rest", run.epoch, run.batch))

    def on_end(self, run):
        self.lines.append(("end", run.epoch, run.batch))


def test_training_learns():
    run = toy.train(toy.new_run(Adam(mu=0.01, batchsize=4)), epochs=40)
    assert run.history[-1]["RMSE_train"] < 0.6 * run.history[0]["RMSE_train"]


def test_the_history_has_the_columns_of_the_task_and_of_the_engine():
    run = toy.train(toy.new_run(), epochs=2)
    assert list(run.history[0]) == [
        *("RMSE_train", "RMSE_test", "learning_rate", "skipped", "epoch_time", "forward_time", "backward_time")
    ]
    row = run.history[1]
    assert row["epoch_time"] > row["forward_time"] > 0
    assert row["backward_time"] > 0
    assert row["learning_rate"] == 0.02
    assert row["skipped"] == 0


def test_callbacks_are_called_in_order():
    diary = Diary()
    toy.train(toy.new_run(Adam(batchsize=12)), epochs=2, callbacks=[diary])
    assert diary.lines == [
        ("begin", 0, 0),
        *(("batch", 0, 1), ("batch", 0, 2), ("epoch", 1, 1), ("batch", 1, 1), ("batch", 1, 2), ("epoch", 2, 2)),
        ("rest", 2, 0),
        ("end", 2, 0),
    ]


def test_callbacks_are_told_of_the_end_also_after_an_interruption():
    diary = Diary()
    with pytest.raises(KeyboardInterrupt):
        toy.train(toy.new_run(), callbacks=[diary, toy.StopAfter(0, 2)])
    assert diary.lines[-1] == ("end", 0, 2)


@pytest.mark.parametrize("field", ["stopped", "interrupted"])
def test_callbacks_are_told_of_a_halt_whoever_asks_for_it(field):
    class Stop(Callback):
        def on_batch(self, run):
            if run.batch == 2:
                setattr(run, field, "enough")

    diary = Diary()
    toy.train(toy.new_run(), callbacks=[diary, Stop()])
    assert diary.lines[-3:] == [("batch", 0, 2), ("rest", 0, 2), ("end", 0, 2)]


def test_epochs_are_counted_from_the_beginning_of_the_run():
    run = toy.train(toy.new_run(), epochs=2)
    before = toy.numbers(run)
    toy.assert_same(toy.numbers(toy.train(run, epochs=2)), before)
    assert toy.train(run, epochs=3).epoch == 3


@pytest.mark.parametrize("epochs", [0, -1])
def test_no_epochs_change_nothing(epochs):
    toy.assert_same(toy.numbers(toy.train(toy.new_run(), epochs=epochs)), toy.numbers(toy.new_run()))


@pytest.mark.parametrize("batch", [2, 6])
def test_a_callback_stops_in_mid_epoch_and_the_run_can_go_on(batch):
    class Stop(Callback):
        def on_batch(self, run):
            if (run.epoch, run.batch) == (1, batch):
                run.stopped = "enough"

    run = toy.train(toy.new_run(), callbacks=[Stop()])
    assert (run.epoch, run.batch) == ((1, 2) if batch == 2 else (2, 0))  # the last batch completes the epoch
    run.stopped = ""
    toy.assert_same(toy.numbers(toy.train(run)), toy.numbers(toy.train(toy.new_run())))


def test_the_globals_of_torch_are_left_alone():
    before = torch.get_rng_state()
    toy.train(toy.new_run(), epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_seed_decides_and_the_globals_of_torch_do_not():
    torch.manual_seed(1)
    one = toy.numbers(toy.train(toy.new_run(seed=3), epochs=2))
    torch.manual_seed(2)
    toy.assert_same(toy.numbers(toy.train(toy.new_run(seed=3), epochs=2)), one)
    other = toy.numbers(toy.train(toy.new_run(seed=4), epochs=2))
    assert not torch.equal(other["model"]["0.weight"], one["model"]["0.weight"])


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_batch_that_is_not_finite_changes_nothing_and_is_counted(where):
    task = Bad({1, 3}, where)
    with pytest.warns(PotentiaWarning, match=f"epoch 1, batch 2 left out: its {where} is not finite") as caught:
        run = toy.train(toy.new_run(), epochs=2, task=task)
    assert len(caught) == 1
    assert [row["skipped"] for row in run.history] == [2, 0]
    assert all(math.isfinite(value) for row in run.history for value in row.values())


def test_a_batch_that_is_left_out_might_as_well_not_exist():
    with_bad, without = (toy.new_run(dropout=0.0) for _ in range(2))
    plan = in_order(24, 4)(0)
    with pytest.warns(PotentiaWarning, match="left out"):
        fit(with_bad, Bad({1, 3}), lambda _: plan, 1)
    fit(without, toy.Regression(), lambda _: [plan[i] for i in (0, 2, 4, 5)], 1)
    toy.assert_same(with_bad.state()["model"], without.state()["model"])
    assert with_bad.history[0]["RMSE_train"] == without.history[0]["RMSE_train"]


def test_bad_batches_leave_model_and_optimizer_as_they_were():
    run = toy.train(toy.new_run(), epochs=1)
    before = toy.numbers(run)
    with pytest.warns(PotentiaWarning, match="left out"):
        fit(run, Bad(range(100)), in_order(24, 4), 2)
    after = toy.numbers(run)
    toy.assert_same(after["model"], before["model"])
    toy.assert_same(after["method"], before["method"])
    assert run.history[-1]["skipped"] == 6
    assert math.isnan(run.history[-1]["RMSE_train"])


def test_ten_bad_batches_in_a_row_end_the_run():
    run = toy.new_run()
    task = Bad(set(range(5, 15)))
    with (
        pytest.warns(PotentiaWarning),
        pytest.raises(
            TrainingError, match=r"10 batches in a row.*epoch 3, batch 3 \(its loss\): lower the learning rate"
        ),
    ):
        toy.train(run, task=task)
    assert run.bad_in_a_row == 10


def test_nine_bad_batches_in_a_row_do_not_end_the_run():
    with pytest.warns(PotentiaWarning, match="left out"):
        run = toy.train(toy.new_run(), task=Bad(set(range(5, 14))))
    assert sum(row["skipped"] for row in run.history) == 9
    assert run.bad_in_a_row == 0


def test_without_validation_nothing_is_best_and_the_plateau_waits():
    run = toy.train(toy.new_run(schedule=Plateau(patience=0)), epochs=3, task=toy.Regression(percent=0))
    assert run.best.epoch == 0
    assert run.history[-1]["learning_rate"] == run.history[0]["learning_rate"]


def test_best_is_the_smallest_monitored_value():
    run = toy.train(toy.new_run(), epochs=8)
    values = [row["RMSE_test"] for row in run.history]
    assert run.best == (min(values), int(np.argmin(values)) + 1)


def test_no_batches_are_an_error():
    with pytest.raises(DataError, match="epoch 1 has no batches"):
        fit(toy.new_run(), toy.Regression(), in_order(0, 4), 1)


def test_a_model_without_parameters_is_an_error():
    with pytest.raises(ConfigError, match="nothing to train"):
        Run(nn.Tanh(), Adam())


def test_frozen_parameters_stay():
    run = toy.new_run()
    run.model[0].weight.requires_grad_(False)
    frozen = Run(run.model, Adam())
    before = run.model[0].weight.clone()
    toy.train(frozen, epochs=1)
    assert torch.equal(run.model[0].weight, before)
