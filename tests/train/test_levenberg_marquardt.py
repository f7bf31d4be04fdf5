"""Levenberg–Marquardt: known answers, the damping by hand, and what it does where nothing helps."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from potentia.config import from_dict, plain
from potentia.errors import ConfigError, PotentiaWarning
from potentia.seeding import torch_stream
from potentia.train import BatchLoss, Checkpoints, LevenbergMarquardt, Plateau, Rows, Run, TrainingMethod
from potentia.train import load_checkpoint as load
from train import toy

METHOD = LevenbergMarquardt(damping=0.1)
IN_PARTS = LevenbergMarquardt(batchsize=8, damping=0.1, max_evaluations=5)


class Problem:
    """Half the sum of squares of a function of a vector, differentiated by autograd; it counts how often it is asked.

    ``blocks`` are the sizes of the blocks of the Jacobian, ``cut`` is where rows are cut into two parts.
    """

    def __init__(self, function, start, blocks=None, cut=None):
        self.function = function
        self.weights = nn.Parameter(torch.as_tensor(start, dtype=torch.float64))
        self.blocks = blocks or [len(self.weights)]
        self.cut = cut
        self.values = []

    def __call__(self):
        residual = self.function(self.weights)
        value = residual.square().sum() / 2
        self.values.append(value.item())
        return BatchLoss(value, rows=self.rows)

    def rows(self):
        residual = self.function(self.weights).detach()
        jacobian = torch.autograd.functional.jacobian(self.function, self.weights.detach())
        for part in (slice(0, self.cut), slice(self.cut, None)) if self.cut else (slice(None),):
            yield Rows(residual[part], jacobian[part].split(self.blocks, dim=1))

    def stepper(self, **settings):
        return LevenbergMarquardt(**settings).stepper([self.weights])


def rosenbrock(w):
    return torch.stack((10 * (w[1] - w[0] ** 2), 1 - w[0]))


def line(noise=1.0, rows=12):
    def draw(name, *shape):
        return torch.randn(*shape, generator=torch_stream(3, name), dtype=torch.float64)

    x, y = draw("x", rows, 4), draw("y", rows)
    return lambda w: x @ w - noise * y, torch.linalg.lstsq(x, noise * y).solution


@pytest.mark.parametrize(("blocks", "cut"), [(None, None), ([1, 3], None), ([2, 2], 5)])
def test_a_linear_problem_is_solved_in_one_step(blocks, cut):
    function, expected = line()
    problem = Problem(function, torch.zeros(4), blocks, cut)
    assert problem.stepper(damping=1e-13).step(problem).taken
    torch.testing.assert_close(problem.weights.detach(), expected, rtol=1e-10, atol=1e-11)


def test_one_damped_step_by_hand():
    function, _ = line()
    problem = Problem(function, torch.ones(4))
    x = torch.autograd.functional.jacobian(function, torch.zeros(4).double())
    matrix, gradient = x.T @ x, x.T @ function(torch.ones(4).double())
    ridge = 0.5 * matrix.diagonal().mean() * torch.eye(4, dtype=torch.float64)
    problem.stepper(damping=0.5).step(problem)
    expected = 1 - torch.linalg.solve(matrix + ridge, gradient)
    torch.testing.assert_close(problem.weights.detach(), expected, rtol=1e-12, atol=1e-13)


def test_rosenbrocks_valley_is_walked_to_its_end():
    problem = Problem(rosenbrock, [-1.2, 1.0])
    stepper = problem.stepper()
    losses = [stepper.step(problem).loss.value.item() for _ in range(30)]
    torch.testing.assert_close(problem.weights.detach(), torch.ones(2).double(), rtol=1e-9, atol=1e-9)
    assert all(later <= earlier for earlier, later in pairwise(losses))


def test_the_loss_is_never_raised_however_bad_the_model():
    generator = torch_stream(5, "bad")
    for _ in range(10):
        start = 3 * torch.randn(3, generator=generator).double()
        problem = Problem(lambda w: torch.stack((torch.sin(5 * w[0]) + w[1], w[1] * w[2] - 1, w.cos().sum())), start)
        stepper = problem.stepper(damping=1e-6)
        losses = [stepper.step(problem).loss.value.item() for _ in range(15)]
        assert all(later <= earlier for earlier, later in pairwise(losses))


def test_the_damping_shrinks_where_the_model_holds_and_not_below_its_least():
    function, _ = line()
    problem = Problem(function, torch.zeros(4))
    stepper = problem.stepper(damping=0.9, decrease=3.0)
    stepper.step(problem)
    assert stepper.state()["damping"] == pytest.approx(0.3, rel=1e-14)
    tiny = problem.stepper(damping=1e-14)
    with torch.no_grad():
        problem.weights.zero_()
    tiny.step(problem)
    assert tiny.state()["damping"] == 1e-14


def test_the_damping_grows_with_each_step_that_does_not_lower_the_loss():
    """An arctangent: the undamped step from 3 goes to -9.5; by hand, which damping comes back below."""
    problem = Problem(torch.atan, [3.0])
    stepper = problem.stepper(damping=1e-3, increase=4.0)
    assert stepper.step(problem).taken
    slope, tried = 1 / 10, 0
    damping = 1e-3
    while abs(3 - math.atan(3) / slope / (1 + damping)) >= 3:
        damping, tried = damping * 4, tried + 1
    move = -math.atan(3) / slope / (1 + damping)
    assert tried > 0
    assert problem.weights.item() == pytest.approx(3 + move, rel=1e-12)
    assert len(problem.values) == tried + 2
    promised = -(math.atan(3) * slope * move + slope**2 * move**2 / 2)
    ratio = (problem.values[0] - problem.values[-1]) / promised
    factor = {True: 1 / 3, False: 2.0 if ratio < 0.25 else 1.0}[ratio > 0.75]
    assert stepper.state()["damping"] == pytest.approx(damping * factor, rel=1e-14)


@pytest.mark.parametrize(("bend", "factor"), [(0.0, 1 / 3), (0.4, 1 / 3), (0.8, 1.0), (0.95, 2.0)])
def test_the_damping_follows_what_a_step_has_brought(bend, factor):
    """With r = w + bend (1 - w)², the step from 1 to nearly 0 brings 1 - bend² of the 1/2 that it promises."""
    problem = Problem(lambda w: w + bend * (1 - w) ** 2, [1.0])
    stepper = problem.stepper(damping=1e-9)
    stepper.step(problem)
    assert problem.values == pytest.approx([0.5, bend**2 / 2], abs=1e-8)
    assert stepper.state()["damping"] == pytest.approx(1e-9 * factor, rel=1e-12)


def test_at_a_minimum_it_stops_and_says_why():
    function, solution = line()
    problem = Problem(function, solution)
    stepper = problem.stepper(damping=1e-3, max_evaluations=3)
    for _ in range(3):
        step = stepper.step(problem)
        if step.finished:
            break
    assert step.taken
    assert step.finished == "converged: no damped step lowers the loss"
    torch.testing.assert_close(problem.weights.detach(), solution, rtol=1e-12, atol=1e-13)
    assert stepper.state()["damping"] == 1e-3


def test_with_batches_it_goes_on_where_one_of_them_is_met():
    problem = Problem(lambda w: w - 1, [1.0])
    step = problem.stepper(batchsize=4, max_evaluations=3).step(problem)
    assert (step.taken, step.finished, len(problem.values)) == (True, "", 4)
    assert problem.weights.item() == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["loss", "residual", "jacobian"])
def test_a_batch_that_is_not_finite_changes_nothing(where, bad):
    problem = Problem(rosenbrock, [-1.2, 1.0])
    stepper = problem.stepper()

    def spoiled():
        loss = problem()
        (rows,) = loss.rows()
        residual = rows.residual + (bad if where == "residual" else 0)
        jacobian = [rows.jacobian[0] + (bad if where == "jacobian" else 0)]
        value = loss.value + (bad if where == "loss" else 0)
        return BatchLoss(value, rows=lambda: [Rows(residual, jacobian)])

    assert not stepper.step(spoiled).taken
    assert problem.weights.tolist() == [-1.2, 1.0]
    assert stepper.state() == {"damping": 0.1}


def test_a_step_to_where_the_loss_is_not_finite_is_damped_away():
    problem = Problem(lambda w: torch.log(w) + 3, [2.0])  # the first step goes below zero
    stepper = problem.stepper(damping=1e-6)
    for _ in range(20):
        assert stepper.step(problem).taken
    assert any(math.isnan(value) for value in problem.values)
    assert problem.weights.item() == pytest.approx(math.exp(-3), rel=1e-9)


def test_weights_that_no_row_sees_stay():
    problem = Problem(lambda w: w[:1] - 2, [0.0, 5.0])
    problem.stepper().step(problem)
    assert problem.weights[1].item() == 5.0
    assert problem.weights[0].item() == pytest.approx(2 / 1.05, rel=1e-14)  # the mean of the diagonal is 1/2


def test_a_batch_without_rows_is_taken_and_changes_nothing():
    weights = nn.Parameter(torch.ones(2).double())
    stepper = METHOD.stepper([weights])
    step = stepper.step(lambda: BatchLoss(torch.tensor(0.0), rows=lambda: iter(())))
    assert (step.taken, step.finished) == (True, "")
    assert weights.tolist() == [1.0, 1.0]


def test_it_learns_in_few_epochs():
    adam = toy.train(toy.new_run(dropout=0.0), epochs=20).history
    whole = toy.train(toy.new_run(METHOD, dropout=0.0), epochs=20).history
    parts = toy.train(toy.new_run(IN_PARTS, dropout=0.0), epochs=20).history
    assert whole[-1]["RMSE_train"] < 0.2 * adam[-1]["RMSE_train"]
    assert parts[-1]["RMSE_train"] < adam[-1]["RMSE_train"]
    losses = [row["RMSE_train"] for row in whole]
    assert all(later <= earlier for earlier, later in pairwise(losses))


def test_a_converged_run_ends_with_its_reason():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.b = nn.Parameter(torch.zeros(1).double())

        def forward(self, x):
            return self.b.expand(len(x), 1)

    run = toy.train(Run(Constant(), METHOD, seed=5), epochs=100)
    assert run.stopped == "converged: no damped step lowers the loss"
    assert run.epoch < 100
    task = toy.Regression()
    assert run.model.b.item() == pytest.approx(float(task.y[task.split.train].mean()), rel=1e-6)


def test_a_task_without_residuals_is_refused_with_what_to_take():
    class Other(toy.Regression):
        def loss(self, model, batch):
            return BatchLoss(super().loss(model, batch).value)

    with pytest.raises(ConfigError, match=r"LevenbergMarquardt needs a loss made of residuals, .*: take Adam or LBFGS"):
        toy.train(toy.new_run(METHOD), task=Other())


def test_a_schedule_has_nothing_to_change():
    with pytest.raises(ConfigError, match="LevenbergMarquardt has no learning rate that Plateau could change"):
        Run(nn.Linear(1, 1), METHOD, Plateau())


def test_batches_that_are_not_finite_are_left_out_of_the_epoch():
    class Bad(toy.Regression):
        def loss(self, model, batch):
            loss = super().loss(model, batch)
            return BatchLoss(loss.value * (math.nan if 5 in batch else 1), loss.sums, loss.rows)

    run = toy.new_run(IN_PARTS)
    with pytest.warns(PotentiaWarning, match="its loss is not finite"):
        toy.train(run, epochs=1, task=Bad())
    assert run.history[0]["skipped"] == 1


@pytest.mark.parametrize("method", [METHOD, IN_PARTS], ids=["whole", "in parts"])
def test_resumed_from_any_checkpoint_equals_unbroken(method, tmp_path):
    saving = Checkpoints(tmp_path, toy.SETTINGS, every_batches=1)
    whole = toy.numbers(toy.train(toy.new_run(method), callbacks=[saving]))
    paths = sorted(tmp_path.glob("checkpoint_*.pt"))
    assert len(paths) == toy.EPOCHS * (1 + (1 if method is METHOD else 3))
    assert whole["method"]["state"]["damping"] != method.damping
    for path in paths:
        run = toy.new_run(method, seed=99)
        load(path).resume(run, toy.SETTINGS)
        toy.assert_same(toy.numbers(toy.train(run)), whole)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("batchsize", 0, "batchsize must be an integer of at least 1, got 0"),
        ("damping", 0, "damping must be greater than 0, got 0"),
        ("increase", 1, "increase must be above 1, got 1"),
        ("decrease", 0.5, "decrease must be above 1, got 0.5"),
        ("max_evaluations", 0, "max_evaluations must be an integer of at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused_by_name(name, value, wanted):
    with pytest.raises(ConfigError, match=wanted):
        LevenbergMarquardt(**{name: value})


def test_settings_go_to_plain_and_back():
    assert from_dict(TrainingMethod, plain(METHOD)) == METHOD
