"""Laws of resuming: an interrupted run goes on as if nothing had happened, or says why it cannot."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from potentia.errors import ConfigError
from potentia.testing.methods import resumed_is_unbroken
from potentia.train import (
    LBFGS,
    SGD,
    SOAP,
    Adam,
    AdamW,
    Checkpoints,
    Cosine,
    ExponentialAverage,
    Plateau,
    Polynomial,
    ScheduleFreeAdamW,
    ScheduleFreeSGD,
    StepDecay,
    UniformAverage,
    Warmup,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from train import toy

METHODS = [
    Adam(mu=0.02, batchsize=4),
    AdamW(mu=0.02, batchsize=5, clip_norm=0.5),
    SGD(lr=0.05, batchsize=4, momentum=0.9),
    ScheduleFreeAdamW(mu=0.02, batchsize=5, weight_decay=0.1),
    ScheduleFreeSGD(lr=0.05, batchsize=4),
    SOAP(mu=0.02, batchsize=4, every=3),
]
SCHEDULES = [
    None,
    toy.slow_schedule(),
    Cosine(5, warmup_epochs=1.5),
    StepDecay(2, 0.3),
    Polynomial(5, 0.9),
    Warmup(1.5),
]
WITHOUT_RATE = [LBFGS(history=3), LBFGS(batchsize=8, history=4)]
PAIRS = [*itertools.product(METHODS, SCHEDULES), *((method, None) for method in WITHOUT_RATE)]
AVERAGES = [None, ExponentialAverage(0.9, start_epoch=1)]
TRIPLES = [
    (method, schedule, average)
    for (method, schedule), average in itertools.product(PAIRS, AVERAGES)
    if average is None or not method.averages
]
FEW = [*zip(METHODS, SCHEDULES, strict=True), *((method, None) for method in WITHOUT_RATE)]
"""Each method and each schedule once; the other pairs are slow."""
every_method_schedule_and_average = pytest.mark.parametrize(
    ("method", "schedule", "average"),
    [
        pytest.param(
            *(method, schedule, average),
            marks=() if (method, schedule) in FEW else pytest.mark.slow,
            id=f"{method.method_name}-{method.batchsize}-{type(schedule).__name__}-{type(average).__name__}",
        )
        for method, schedule, average in TRIPLES
    ],
)


def resumed(path, method=None, schedule=None, settings=toy.SETTINGS, allow=(), average=None):
    run = toy.new_run(method, schedule, seed=99, average=average)  # other weights, another seed: all must come back
    load_checkpoint(path).resume(run, settings, allow)
    return run


def test_resumed_from_any_checkpoint_equals_unbroken(tmp_path):
    settings = {"schedule": toy.slow_schedule(), "average": UniformAverage(start_epoch=2)}
    saving = Checkpoints(tmp_path, toy.SETTINGS, every_batches=1)
    whole = toy.numbers(toy.train(toy.new_run(**settings), callbacks=[saving]))
    paths = sorted(tmp_path.glob("checkpoint_*.pt"))
    assert len(paths) == toy.EPOCHS * (6 + 1)
    for path in paths:
        toy.assert_same(toy.numbers(toy.train(resumed(path, **settings))), whole)


@every_method_schedule_and_average
def test_every_method_schedule_and_average_resumes_as_if_unbroken(method, schedule, average):
    resumed_is_unbroken(method, schedule, average)


def test_another_average_begins_anew_where_the_training_stands(tmp_path):
    run = toy.train(toy.new_run(average=UniformAverage()), epochs=2)
    save_checkpoint(tmp_path / "a.pt", run, toy.SETTINGS)
    for average in (None, ExponentialAverage(0.9)):
        again = resumed(tmp_path / "a.pt", average=average)
        toy.assert_same(dict(again.model.state_dict()), dict(run.model.state_dict()))
        assert again.average_weights == {}


def test_another_length_of_history_begins_anew(tmp_path):
    run = toy.train(toy.new_run(LBFGS(history=3)))
    save_checkpoint(tmp_path / "a.pt", run, toy.SETTINGS)
    assert len(resumed(tmp_path / "a.pt", LBFGS(history=3)).stepper.state()["matrix"]["s"]) == 3
    assert len(resumed(tmp_path / "a.pt", LBFGS(history=9)).stepper.state()["matrix"]["s"]) == 0


def test_the_schedule_did_reduce_so_that_the_law_above_means_something():
    run = toy.train(toy.new_run(schedule=toy.slow_schedule()))
    assert run.schedule_state["reductions"] > 0
    assert run.history[-1]["learning_rate"] < run.history[0]["learning_rate"]


def test_saving_changes_nothing(tmp_path):
    saving = Checkpoints(tmp_path, toy.SETTINGS, every_batches=2, keep=1)
    with_checkpoints = toy.train(toy.new_run(), callbacks=[saving])
    toy.assert_same(toy.numbers(with_checkpoints), toy.numbers(toy.train(toy.new_run())))


def test_interrupted_in_mid_epoch_and_resumed_equals_unbroken(tmp_path):
    saving = Checkpoints(tmp_path, toy.SETTINGS, every_batches=1)
    with pytest.raises(KeyboardInterrupt):
        toy.train(toy.new_run(), callbacks=[saving, toy.StopAfter(2, 3)])
    path = newest_checkpoint(tmp_path)
    assert path == tmp_path / "checkpoint_epoch_0002_batch_000003.pt"
    toy.assert_same(toy.numbers(toy.train(resumed(path))), toy.numbers(toy.train(toy.new_run())))


@pytest.mark.slow
def test_killed_at_any_time_and_resumed_equals_unbroken(tmp_path):
    process = subprocess.Popen([sys.executable, Path(toy.__file__), tmp_path])
    deadline = time.monotonic() + 60
    while newest_checkpoint(tmp_path) is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(random.uniform(0, 0.15))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run was over before it could be killed"
    run = resumed(newest_checkpoint(tmp_path), schedule=toy.slow_schedule())
    assert run.epoch < toy.EPOCHS
    whole = toy.train(toy.new_run(schedule=toy.slow_schedule()))
    toy.assert_same(toy.numbers(toy.train(run)), toy.numbers(whole))


def test_more_epochs_later_equal_all_epochs_at_once(tmp_path):
    save_checkpoint(tmp_path / "half.pt", toy.train(toy.new_run(), epochs=2), toy.SETTINGS)
    toy.assert_same(toy.numbers(toy.train(resumed(tmp_path / "half.pt"))), toy.numbers(toy.train(toy.new_run())))


def test_other_data_or_settings_are_refused_with_what_changed(tmp_path):
    save_checkpoint(tmp_path / "a.pt", toy.new_run(), toy.SETTINGS)
    changed = {**toy.SETTINGS, "testpercent": 10, "method": {"batchsize": 8}}
    with pytest.raises(
        ConfigError,
        match=r"testpercent: 20 → 10\n  method.batchsize: 4 → 8\n.*allowed changes: \('testpercent', 'method",
    ):
        resumed(tmp_path / "a.pt", settings=changed)
    with pytest.raises(ConfigError, match="testpercent"):
        resumed(tmp_path / "a.pt", settings=changed, allow=("batchsize",))
    resumed(tmp_path / "a.pt", settings=changed, allow=("testpercent", "method.batchsize"))
    resumed(tmp_path / "a.pt", settings=changed, allow=("testpercent", "method"))


def test_settings_that_were_allowed_to_change_hold(tmp_path):
    old = Adam(mu=0.02, batchsize=4)
    save_checkpoint(tmp_path / "a.pt", toy.train(toy.new_run(old, Plateau(patience=0)), epochs=3), {})
    slower = resumed(tmp_path / "a.pt", Adam(mu=0.002, batchsize=4, beta1=0.5), settings={})
    assert slower.stepper.learning_rate == 0.002
    assert slower.stepper.optimizer.param_groups[0]["betas"] == (0.5, 0.999)
    other = resumed(tmp_path / "a.pt", SGD(lr=0.1, batchsize=4, momentum=0.5), settings={})
    assert toy.train(other, epochs=4).epoch == 4


def test_a_batch_size_that_was_allowed_to_change_ends_the_epoch_it_stands_in(tmp_path):
    saving = Checkpoints(tmp_path, {}, every_batches=1)
    with pytest.raises(KeyboardInterrupt):
        toy.train(toy.new_run(), callbacks=[saving, toy.StopAfter(1, 5)])
    run = resumed(newest_checkpoint(tmp_path), Adam(batchsize=24), settings={})
    assert toy.train(run, epochs=3).epoch == 3


def test_a_checkpoint_can_be_opened_as_a_model(tmp_path):
    run = toy.train(toy.new_run(), epochs=1)
    save_checkpoint(tmp_path / "a.pt", run, toy.SETTINGS, {"recipe": {"hidden": (8,)}, "mean": torch.ones(3)})
    stored = load_checkpoint(tmp_path / "a.pt")
    assert stored.extra["recipe"] == {"hidden": (8,)}
    assert torch.equal(stored.extra["mean"], torch.ones(3))
    assert stored.settings == toy.SETTINGS
    model = toy.new_run(seed=99).model
    model.load_state_dict(stored.run["model"])
    toy.assert_same(dict(model.state_dict()), dict(run.model.state_dict()))
