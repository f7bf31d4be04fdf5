"""Laws of schedule-free learning, of the schedules that go with it, and of keeping the best weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from potentia.errors import ConfigError
from potentia.train import (
    Adam,
    BatchLoss,
    BestWeights,
    Callback,
    Checkpoints,
    Cosine,
    ExponentialAverage,
    Polynomial,
    Run,
    ScheduleFreeAdamW,
    ScheduleFreeSGD,
    Warmup,
    load_checkpoint,
)
from train import toy

METHODS = [
    ScheduleFreeAdamW(mu=0.05, batchsize=4, weight_decay=0.1),
    ScheduleFreeSGD(lr=0.3, batchsize=4),
    ScheduleFreeSGD(lr=0.1, batchsize=4, momentum=0.0, weight_decay=0.1),
]
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda m: f"{m.method_name}-{m.weight_decay}")


def stepped(method, gradients, rates=None):
    """Return trained and averaged weight after steps of one weight that begins at 1 along given gradients."""
    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    stepper = method.stepper([weight])
    for k, gradient in enumerate(gradients):
        stepper.set_rates(lambda first, k=k: first if rates is None else rates[k])
        stepper.step(lambda g=gradient: BatchLoss(g * weight.sum()))
    return weight.item(), stepper.averaged()[0].item()


def test_gradient_descent_follows_the_recursion_of_the_paper():
    z = x = y = 1.0
    total = 0.0
    gradients, rates = [0.3, -0.2, 0.5, 0.1], [0.05, 0.1, 0.2, 0.2]
    for gradient, rate in zip(gradients, rates, strict=True):
        z = z - rate * (gradient + 0.1 * y)
        total += rate**2
        x = x + rate**2 / total * (z - x)
        y = 0.1 * z + 0.9 * x
    found = stepped(ScheduleFreeSGD(lr=0.2, weight_decay=0.1), gradients, rates)
    assert found == pytest.approx((y, x), rel=1e-14)


def test_adamw_scales_steps_by_the_mean_square_and_decays_apart_from_the_gradient():
    z = x = y = 1.0
    squares = 0.0
    gradients = [0.3, -0.2, 0.5]
    for k, gradient in enumerate(gradients, start=1):
        squares = 0.99 * squares + 0.01 * gradient**2
        z = z - 0.1 * (gradient / (math.sqrt(squares / (1 - 0.99**k)) + 1e-8) + 0.5 * y)
        x = x + (z - x) / k
        y = 0.2 * z + 0.8 * x
    found = stepped(ScheduleFreeAdamW(mu=0.1, weight_decay=0.5, beta1=0.8, beta2=0.99), gradients)
    assert found == pytest.approx((y, x), rel=1e-14)


def test_without_momentum_the_average_is_that_of_plain_gradient_descent():
    class Weights(Callback):
        seen = []

        def on_batch(self, run):
            self.seen.append(run.model[0].weight.detach().clone())

    watch = Weights()
    run = toy.train(toy.new_run(ScheduleFreeSGD(lr=0.1, batchsize=4, momentum=0.0)), callbacks=[watch])
    mean = torch.stack(watch.seen).mean(dim=0)
    torch.testing.assert_close(run.average_weights["0.weight"], mean, rtol=1e-12, atol=1e-12)


@every_method
def test_the_averaged_weights_are_scored_and_saved(method, tmp_path):
    run = toy.train(toy.new_run(method), callbacks=[Checkpoints(tmp_path, {}, save_best=False)])
    model = toy.new_run(seed=99).model
    saved = load_checkpoint(tmp_path / f"checkpoint_epoch_{toy.EPOCHS:04d}.pt")
    model.load_state_dict(saved.run["model"])
    assert not torch.equal(saved.run["model"]["0.weight"], saved.run["trained_on"]["0.weight"])
    model.eval()
    with torch.no_grad():
        assert toy.Regression().score(model)["y"].rmse == run.history[-1]["RMSE_test"]


@every_method
def test_it_learns(method):
    run = toy.train(toy.new_run(method, dropout=0.0), epochs=40)
    assert run.history[-1]["RMSE_test"] < 0.8 * run.history[0]["RMSE_test"]


@every_method
def test_a_batch_that_is_not_finite_changes_nothing(method):
    run = toy.new_run(method)

    class Bad(toy.Regression):
        def loss(self, model, batch):
            loss = super().loss(model, batch)
            return type(loss)(loss.value * math.nan, loss.sums) if run.batch == 5 else loss

    class Weights(Callback):
        seen = []

        def on_batch(self, run):
            self.seen.append((run.model[0].weight.detach().clone(), run.average_weights["0.weight"].clone()))

    watch = Weights()
    with pytest.warns(UserWarning, match="left out"):
        toy.train(run, epochs=1, callbacks=[watch], task=Bad())
    for one, other in zip(watch.seen[-1], watch.seen[-2], strict=True):
        assert torch.equal(one, other)


def test_two_averages_of_one_run_are_refused():
    with pytest.raises(ConfigError, match="ScheduleFreeSGD averages the weights itself"):
        toy.new_run(METHODS[1], average=ExponentialAverage())


def test_parameters_of_two_types_and_names():
    model = nn.Sequential(nn.Linear(3, 3).double(), nn.Tanh(), nn.Linear(3, 3).double(), nn.Linear(3, 1).double())
    model[2].weight = model[0].weight
    model[3].bias = nn.Parameter(model[3].bias.detach().to(torch.float32))
    run = Run(model, ScheduleFreeAdamW(mu=0.1))
    for _ in range(2):
        values = [p.double().square().sum() for p in model.parameters()]
        run.stepper.step(lambda values=values: BatchLoss(torch.stack(values).sum()))
        run.follow_weights()
    assert {name: w.shape for name, w in run.average_weights.items()} == {
        name: w.shape for name, w in model.state_dict().items()
    }
    assert run.average_weights["3.bias"].dtype == torch.float32
    assert torch.equal(run.average_weights["0.weight"], run.average_weights["2.weight"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScheduleFreeAdamW(beta1=1.0), "beta1 must be less than 1"),
        (lambda: ScheduleFreeAdamW(mu=0), "mu must be greater than 0"),
        (lambda: ScheduleFreeSGD(momentum=1.0), "momentum must be less than 1"),
        (lambda: ScheduleFreeSGD(clip_norm=0), "clip_norm must be greater than 0"),
        (lambda: Polynomial(2, warmup_epochs=2), "total_epochs must be greater than warmup_epochs=2"),
        (lambda: Polynomial(2, power=-1), "power must be"),
        (lambda: Warmup(-1), "epochs must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


# ---------------------------------------------------------------------------------------------------- schedules


def test_a_polynomial_goes_down_with_its_power_from_the_whole_rate():
    schedule = Polynomial(10, 0.9)
    assert [schedule.rate(0.2, {}, e) for e in range(11)] == pytest.approx(
        [0.2 * (1 - e / 10) ** 0.9 for e in range(11)], rel=1e-14
    )


@pytest.mark.parametrize("schedule", [Polynomial(10, 0.9, 2), Warmup(2), Cosine(10, 2)], ids=lambda s: type(s).__name__)
def test_the_way_up_begins_at_a_tenth_and_no_rate_is_above_the_first(schedule):
    rates = [schedule.rate(0.2, {}, k / 10) for k in range(101)]
    assert rates[0] == pytest.approx(0.02)
    assert rates[10] == pytest.approx(0.11)
    assert max(rates) == rates[20] == pytest.approx(0.2)


# ------------------------------------------------------------------------------------------------ the best weights


@pytest.mark.parametrize("method", [Adam(mu=0.3, batchsize=4), METHODS[0]], ids=lambda m: m.method_name)
def test_the_best_weights_have_the_lowest_score_of_all_epochs(method):
    best = BestWeights()
    run = toy.train(toy.new_run(method), epochs=12, callbacks=[best])
    scores = [row["RMSE_test"] for row in run.history]
    assert best.take(run)
    run.model.eval()
    with torch.no_grad():
        assert toy.Regression().score(run.model)["y"].rmse == min(scores) == run.best.value


def test_the_best_weights_are_not_those_of_another_epoch():
    """Where a run went on without the callback, what it remembers is no longer the best."""
    best = BestWeights()
    run = toy.train(toy.new_run(), epochs=1, callbacks=[best])
    toy.train(run, epochs=12)
    assert run.best.epoch > 1
    assert not best.take(run)


def test_without_any_value_there_are_no_best_weights():
    best = BestWeights()
    run = toy.train(toy.new_run(), task=toy.Regression(percent=0), callbacks=[best])
    assert not best.take(run)
