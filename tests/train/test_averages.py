"""Laws of averages of the weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from potentia.errors import ConfigError
from potentia.metrics import ErrorSum
from potentia.train import Adam, Callback, Checkpoints, ExponentialAverage, Run, UniformAverage, load_checkpoint
from train import toy


class Weights(Callback):
    """Keeps a copy of the weights after each batch."""

    def __init__(self):
        self.seen = []

    def on_batch(self, run):
        self.seen.append(run.model[0].weight.detach().clone())


def train(average, **settings):
    weights = Weights()
    run = toy.train(toy.new_run(average=average), callbacks=[weights], **settings)
    return run, torch.stack(weights.seen)  # [steps, 8, 3]


def test_the_uniform_average_is_the_mean_of_all_weights():
    run, seen = train(UniformAverage())
    torch.testing.assert_close(run.average_weights["0.weight"], seen.mean(dim=0), rtol=1e-12, atol=1e-12)


def test_it_may_begin_later():
    run, seen = train(UniformAverage(start_epoch=4))
    torch.testing.assert_close(run.average_weights["0.weight"], seen[4 * 6 :].mean(dim=0), rtol=1e-12, atol=1e-12)
    assert run.average_count == 2 * 6


def test_the_exponential_average_is_uniform_at_first_and_then_forgets():
    run, seen = train(ExponentialAverage(decay=0.9))
    expected = seen[:10].mean(dim=0)
    for weights in seen[10:]:
        expected = 0.9 * expected + 0.1 * weights
    torch.testing.assert_close(run.average_weights["0.weight"], expected, rtol=1e-12, atol=1e-12)


def test_the_weights_that_are_trained_do_not_feel_it():
    run, _ = train(ExponentialAverage(0.5))
    plain, _ = train(None)
    toy.assert_same(dict(run.model.state_dict()), dict(plain.model.state_dict()))
    assert run.history[-1]["RMSE_train"] == plain.history[-1]["RMSE_train"]


def test_the_averaged_weights_are_scored():
    run, _ = train(ExponentialAverage(0.9))
    own = {name: weights.clone() for name, weights in run.model.state_dict().items()}
    run.model.eval()
    with run.averaged():
        assert torch.equal(run.model[0].weight, run.average_weights["0.weight"])
        score = toy.Regression().row(
            {"y": ErrorSum.zero}, {"y": ErrorSum.of(toy.Regression()._residual(run.model, run_test()))}
        )
    assert score["RMSE_test"] == pytest.approx(run.history[-1]["RMSE_test"], rel=1e-12)
    toy.assert_same(dict(run.model.state_dict()), own)


def run_test():
    return toy.Regression().split.test


def test_the_own_weights_come_back_after_an_error_too():
    run, seen = train(UniformAverage())
    with pytest.raises(KeyboardInterrupt), run.averaged():
        raise KeyboardInterrupt
    assert torch.equal(run.model[0].weight, seen[-1])


def test_the_average_can_be_taken_over_for_good():
    run, _ = train(UniformAverage())
    run.take_average()
    assert torch.equal(run.model[0].weight, run.average_weights["0.weight"])


def test_the_best_model_holds_the_weights_that_were_best(tmp_path):
    run = toy.train(toy.new_run(average=ExponentialAverage(0.9)), callbacks=[Checkpoints(tmp_path, {})])
    model = toy.new_run(seed=99).model
    model.load_state_dict(load_checkpoint(tmp_path / "best_model.pt").run["model"])
    model.eval()
    task = toy.Regression()
    with torch.no_grad():
        assert task.score(model)["y"].rmse == pytest.approx(run.best.value, rel=1e-12)


def test_a_batch_that_is_left_out_is_not_averaged():
    run = toy.new_run(average=UniformAverage())

    class Bad(toy.Regression):
        def loss(self, model, batch):
            loss = super().loss(model, batch)
            return type(loss)(loss.value * math.nan, loss.sums) if run.batch == 2 else loss

    with pytest.warns(UserWarning, match="left out"):
        toy.train(run, epochs=1, task=Bad())
    assert run.average_count == 5


def test_parameters_of_two_names_and_frozen_ones():
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.Linear(3, 1)).double()
    model[2].weight = model[0].weight
    model[3].bias.requires_grad_(False)
    run = toy.train(Run(model, Adam(0.1, 4), average=UniformAverage()), epochs=1)
    state = run.state()
    assert torch.equal(state["model"]["0.weight"], state["model"]["2.weight"])
    assert torch.equal(state["model"]["3.bias"], model[3].bias)
    own = model[0].weight.detach().clone()
    run.load_state(state)
    assert torch.equal(model[0].weight, own)


@pytest.mark.parametrize("decay", [0, 1, -0.1])
def test_a_decay_that_cannot_be_is_refused(decay):
    with pytest.raises(ConfigError, match=f"decay must be .*got {decay}"):
        ExponentialAverage(decay)
    with pytest.raises(ConfigError, match="start_epoch"):
        UniformAverage(start_epoch=-1)
