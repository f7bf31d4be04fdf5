"""Optimizers and schedules: names and defaults, checks, and agreement with torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from potentia.errors import ConfigError
from potentia.seeding import stream
from potentia.testing.estimators import settings_go_there_and_back
from potentia.train import LBFGS, SGD, Adam, AdamW, BatchLoss, Cosine, Plateau, Run, StepDecay, TrainingMethod
from train import toy


def test_names_and_defaults():
    assert Adam().to_params_dict() == {
        **{"mu": 0.001, "batchsize": 32, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    }
    assert SGD().to_params_dict() == {"lr": 0.01, "batchsize": 32, "momentum": 0.0, "weight_decay": 0.0}
    assert AdamW().to_params_dict() == {**Adam().to_params_dict(), "weight_decay": 0.01}
    assert LBFGS().to_params_dict() == {"history": 20, "max_evaluations": 25, "tolerance": 1e-9}
    names = [method.method_name for method in (Adam(), AdamW(), SGD(), LBFGS())]
    assert names == ["adam", "adamw", "sgd", "lbfgs"]
    assert Adam(0.1, 8) == Adam(mu=0.1, batchsize=8)
    assert SGD(0.1, 8) == SGD(lr=0.1, batchsize=8)


@pytest.mark.parametrize(
    ("cls", "name", "value", "wanted"),
    [
        (Adam, "mu", 0, "mu must be greater than 0, got 0"),
        (Adam, "mu", math.nan, "mu must be a finite number"),
        (Adam, "batchsize", 0, "batchsize must be an integer of at least 1, got 0"),
        (Adam, "batchsize", 2.5, "batchsize must be an integer"),
        (Adam, "beta1", 1.0, "beta1 must be less than 1"),
        (Adam, "beta2", -0.1, "beta2 must be a finite number between 0 and 1"),
        (Adam, "weight_decay", -1, "weight_decay must be"),
        (Adam, "epsilon", "small", "epsilon must be a number"),
        (AdamW, "beta2", 1, "beta2 must be less than 1"),
        (Adam, "clip_norm", 0, "clip_norm must be greater than 0, got 0"),
        (SGD, "clip_norm", math.inf, "clip_norm must be a finite number"),
        (LBFGS, "batchsize", 0, "batchsize must be an integer of at least 1, got 0"),
        (LBFGS, "history", 0, "history must be an integer of at least 1"),
        (LBFGS, "max_evaluations", 0, "max_evaluations must be"),
        (LBFGS, "tolerance", -1, "tolerance must be"),
        (SGD, "lr", -1, "lr must be"),
        (SGD, "momentum", -1, "momentum must be"),
        (Plateau, "patience", -1, "patience must be"),
        (Plateau, "factor", 1, "factor must be between 0 and 1, got 1"),
        (Plateau, "min_lr", -1, "min_lr must be"),
        (StepDecay, "factor", 0, "factor must be between 0 and 1, got 0"),
        (StepDecay, "factor", 1.0, "factor must be between 0 and 1, got 1.0"),
        (StepDecay, "every_epochs", 0, "every_epochs must be an integer of at least 1"),
        (Cosine, "total_epochs", 1, "total_epochs must be greater than warmup_epochs=1.0, got 1"),
        (lambda **setting: Cosine(10, **setting), "warmup_epochs", -1, "warmup_epochs must be"),
        (lambda **setting: Cosine(10, **setting), "initial_fraction", 1.1, "initial_fraction must be"),
        (lambda **setting: Cosine(10, **setting), "final_fraction", -0.1, "final_fraction must be"),
    ],
)
def test_impossible_settings_are_refused_by_name(cls, name, value, wanted):
    with pytest.raises(ConfigError, match=wanted):
        cls(**{name: value})


@pytest.mark.parametrize(
    "method",
    [Adam(beta1=0.5), SGD(momentum=0.9, batchsize=None), AdamW(clip_norm=1.0), LBFGS(history=3)],
    ids=lambda method: method.method_name,
)
def test_methods_go_to_plain_and_back(method):
    settings_go_there_and_back(method, TrainingMethod)


@pytest.mark.parametrize(
    ("method", "reference"),
    [
        (Adam(0.1, 4, 0.01, 0.8, 0.9, 1e-6), lambda p: torch.optim.Adam(p, 0.1, (0.8, 0.9), 1e-6, 0.01)),
        (AdamW(0.1, 4, 0.3, 0.8, 0.9, 1e-6), lambda p: torch.optim.AdamW(p, 0.1, (0.8, 0.9), 1e-6, 0.3)),
        (SGD(0.1, 4, 0.9, 0.01), lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.01)),
    ],
    ids=["adam", "adamw", "sgd"],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=["real", "complex"])
def test_steps_are_those_of_torch(method, reference, dtype):
    ours, theirs = (nn.Parameter(torch.ones(3, dtype=dtype)) for _ in range(2))
    stepper, optimizer = method.stepper([ours]), reference([theirs])
    target = torch.arange(3.0, dtype=torch.float64)

    def loss(x):
        return (x - target).abs().square().sum()

    for _ in range(5):
        assert stepper.step(lambda: BatchLoss(loss(ours))).taken
        optimizer.zero_grad()
        loss(theirs).backward()
        optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("trial", range(5))
def test_plateau_reduces_when_torch_does(trial):
    draw = stream(7, "plateau", trial)
    settings = Plateau(patience=trial, factor=0.7, min_lr=0.02)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min", factor=0.7, patience=trial, min_lr=0.02)
    state = settings.start()
    for value in 1 + draw.normal(size=60) * np_decay(60):
        theirs.step(value)
        state = settings.after_epoch(state, value)
        assert settings.rate(0.5, state, 3.0) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert state["reductions"] > 0


def np_decay(n):
    return torch.logspace(0, -2, n, dtype=torch.float64).numpy()


def test_a_rate_that_began_below_the_floor_is_not_raised():
    settings = Plateau(patience=0, min_lr=0.1)
    state = {**settings.start(), "reductions": 3}
    assert settings.rate(0.01, state, 3.0) == 0.01


def test_no_batch_size_means_all_samples():
    assert LBFGS().samples_per_batch(24) == 24
    assert LBFGS().samples_per_batch(0) == 1  # an empty plan is refused by its own message
    assert Adam(batchsize=7).samples_per_batch(24) == 7


def test_decay_of_adamw_follows_the_scheduled_rate():
    weight = nn.Parameter(torch.full((1,), 2.0, dtype=torch.float64))
    stepper = AdamW(mu=0.1, weight_decay=0.5).stepper([weight])
    stepper.set_rates(lambda first: first * 0.3)
    stepper.step(lambda: BatchLoss(0 * weight.sum()))
    assert weight.item() == pytest.approx(2 * (1 - 0.1 * 0.3 * 0.5), rel=1e-15)


@pytest.mark.parametrize(("clip_norm", "expected"), [(1.0, 1.0), (4.99, 4.99), (6.0, 5.0), (None, 5.0)])
def test_the_gradient_of_all_weights_together_is_shortened(clip_norm, expected):
    one, two = (nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(2))
    stepper = SGD(lr=1.0, clip_norm=clip_norm).stepper([one, two])
    assert stepper.step(lambda: BatchLoss((3 * one + 4 * two).sum())).taken
    assert math.hypot(one.item(), two.item()) == pytest.approx(expected, rel=1e-6)
    assert one.item() / two.item() == pytest.approx(3 / 4, rel=1e-12)


def test_a_gradient_that_is_not_finite_is_left_out_not_clipped():
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    stepper = SGD(lr=1.0, clip_norm=1.0).stepper([weight])
    assert not stepper.step(lambda: BatchLoss(weight.sqrt().sum())).taken
    assert weight.item() == 0


def test_step_decay_reduces_every_so_many_epochs():
    schedule = StepDecay(every_epochs=2, factor=0.1)
    rates = [schedule.rate(1.0, {}, epochs) for epochs in (0, 0.5, 1.99, 2, 3.9, 4)]
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01])


def test_the_cosine_ends_at_its_final_part_and_stays_there():
    schedule = Cosine(10, warmup_epochs=0, final_fraction=0.2)
    assert [schedule.rate(2.0, {}, epochs) for epochs in (0, 5, 10, 99)] == pytest.approx([2.0, 1.2, 0.4, 0.4])


def test_warm_up_goes_from_batch_to_batch():
    rates = []

    class Look(toy.Callback):
        def on_batch(self, run):
            rates.append(run.stepper.learning_rate)

    toy.train(toy.new_run(SGD(0.1, 4), Cosine(3, warmup_epochs=1)), epochs=1, callbacks=[Look()])
    assert rates == pytest.approx([0.1 * (0.1 + 0.9 * batch / 6) for batch in range(6)])


def test_a_schedule_without_a_rate_to_change_is_refused():
    with pytest.raises(ConfigError, match="LBFGS has no learning rate that Plateau could change"):
        toy.new_run(LBFGS(), Plateau())


def test_decay_leaves_spared_weights_alone_as_a_group_of_torch_does():
    weights, others = ([nn.Parameter(torch.full((2,), k)) for k in (1.0, 2.0, 3.0)] for _ in range(2))
    spared = weights[1:]
    stepper = AdamW(mu=0.1, weight_decay=0.5, clip_norm=1.0).sparing(weights, spared)
    groups = [{"params": others[:1]}, {"params": others[1:], "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, 0.1, weight_decay=0.5)
    for _ in range(3):
        stepper.step(lambda: BatchLoss(sum(p.square().sum() for p in weights)))
        theirs.zero_grad()
        sum(p.square().sum() for p in others).backward()
        nn.utils.clip_grad_norm_(others, 1.0)
        theirs.step()
    torch.testing.assert_close(list(weights), list(others))
    moments = [one["exp_avg"] for one in stepper.state().values()]
    toy.assert_same(stepper.joined(stepper.split(moments)), moments)


def test_a_run_whose_decay_spares_weights_resumes_bit_for_bit():
    def run():
        fresh = toy.new_run()
        return Run(
            fresh.model, AdamW(0.02, 4, 0.3), seed=5, spared=[p for p in fresh.model.parameters() if p.ndim == 1]
        )

    whole = toy.train(run(), epochs=4)
    resumed = run()
    resumed.load_state(toy.train(run(), epochs=2).state())
    toy.assert_same(toy.numbers(whole), toy.numbers(toy.train(resumed, epochs=4)))


def test_a_method_that_treats_all_weights_alike_says_so():
    weight = nn.Parameter(torch.ones(1))
    with pytest.raises(ConfigError, match="SGD can spare no weights its decay: take AdamW"):
        SGD().sparing([weight], [weight])
