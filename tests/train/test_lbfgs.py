"""Laws of L-BFGS: the matrix, the line search, known minima, and when it stops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from potentia.seeding import torch_stream
from potentia.train import LBFGS, BatchLoss, Callback, fit
from potentia.train.lbfgs import InverseHessian
from potentia.train.line_search import Trial, strong_wolfe
from train import toy


def draw(*shape, name="x"):
    return torch.randn(*shape, generator=torch_stream(3, name), dtype=torch.float64)


class Problem:
    """A function of one vector, minimised with L-BFGS, with the evaluations counted."""

    def __init__(self, function, start, dtype=torch.float64, **settings):
        self.weights = nn.Parameter(torch.as_tensor(start, dtype=dtype))
        self.function = function
        self.stepper = LBFGS(**settings).stepper([self.weights])
        self.evaluations = 0

    def evaluate(self):
        self.evaluations += 1
        return BatchLoss(self.function(self.weights))

    def minimise(self, steps):
        for _ in range(steps):
            step = self.stepper.step(self.evaluate)
            assert step.taken
            if step.finished:
                break
        return step


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1].square()).square() + (1 - x[:-1]).square()).sum()


# ------------------------------------------------------------------------------------------------- the matrix


@pytest.mark.parametrize(("pairs", "history"), [(1, 5), (5, 5), (12, 5), (3, 1)])
def test_the_compact_form_is_the_matrix_of_the_bfgs_updates(pairs, history):
    n = 7
    root = draw(n, n, name="hessian")
    hessian = root @ root.mT + torch.eye(n, dtype=torch.float64)
    compact = InverseHessian(n, history, torch.device("cpu"))
    steps = draw(pairs, n, name="steps")
    for s in steps:
        compact.learn(s, hessian @ s)
    last = steps[-history:]
    s, y = last[-1], hessian @ last[-1]
    dense = torch.eye(n, dtype=torch.float64) * (s @ y) / (y @ y)
    for s in last:
        y = hessian @ s
        left = torch.eye(n, dtype=torch.float64) - torch.outer(s, y) / (s @ y)
        dense = left @ dense @ left.mT + torch.outer(s, s) / (s @ y)
    vector = draw(n, name="vector")
    torch.testing.assert_close(compact.times(vector), dense @ vector, rtol=1e-9, atol=1e-9)


def test_a_curvature_that_is_not_positive_makes_it_forget():
    matrix = InverseHessian(3, 5, torch.device("cpu"))
    matrix.learn(torch.ones(3).double(), 2 * torch.ones(3).double())
    assert len(matrix) == 1
    matrix.learn(torch.ones(3).double(), -torch.ones(3).double())
    assert len(matrix) == 0
    assert torch.equal(matrix.times(torch.ones(3).double()), torch.ones(3).double())


# -------------------------------------------------------------------------------------------- the line search

LINES = {
    "parabola": (lambda t: (t - 1) ** 2, lambda t: 2 * (t - 1)),
    "far": (lambda t: (t - 1000) ** 2, lambda t: 2 * (t - 1000)),
    "near": (lambda t: (t - 1e-4) ** 2, lambda t: 2 * (t - 1e-4)),
    "moré-thuente": (lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2),
    "wall": (
        lambda t: -math.log1p(-t / 3) - 2 * t if t < 3 else math.nan,
        lambda t: 1 / (3 - t) - 2 if t < 3 else math.nan,
    ),
    "waves": (lambda t: math.cos(5 * t) - t, lambda t: -5 * math.sin(5 * t) - 1),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("first", [1e-3, 1.0, 100.0])
def test_the_strong_wolfe_conditions_hold(name, first):
    value, slope = LINES[name]
    tries = []

    def look(t):
        tries.append(t)
        return Trial(t, value(t), slope(t), torch.empty(0))

    start = Trial(0.0, value(0.0), slope(0.0), torch.empty(0))
    found = strong_wolfe(look, start, first, 25)
    assert found.value <= start.value + 1e-4 * found.step * start.slope
    assert abs(found.slope) <= 0.9 * abs(start.slope)
    assert len(tries) <= 15
    assert len(tries) == len(set(tries))


def test_nothing_below_is_none():
    trial = strong_wolfe(lambda t: Trial(t, 1 + t, -1.0, torch.empty(0)), Trial(0, 1, -1, torch.empty(0)), 1.0, 10)
    assert trial is None


def test_the_lowest_point_will_do_when_the_trials_are_used_up():
    def look(t):
        return Trial(t, -t, -1.0, torch.empty(0))  # falls for ever

    assert strong_wolfe(look, look(0.0), 1.0, 3).step > 1


# ---------------------------------------------------------------------------------------------- known minima


def test_the_minimum_of_rosenbrock_is_found_with_few_evaluations():
    problem = Problem(rosenbrock, [-1.2, 1.0] * 5)
    step = problem.minimise(200)
    assert step.finished.startswith("converged: no component of the gradient is above")
    torch.testing.assert_close(problem.weights.detach(), torch.ones(10).double(), rtol=1e-8, atol=1e-8)
    assert problem.evaluations < 250


def test_a_parabola_in_n_directions_takes_about_n_steps():
    root = draw(6, 6)
    hessian = root @ root.mT + 0.1 * torch.eye(6)
    problem = Problem(lambda x: 0.5 * x @ hessian @ x, [1.0] * 6, tolerance=1e-8)
    steps = 0
    while not problem.stepper.step(problem.evaluate).finished:
        steps += 1
    assert steps <= 25
    assert problem.weights.abs().max() < 1e-7


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex128])
def test_other_numbers_than_float64(dtype):
    target = torch.tensor([1.0, -2.0])

    def loss(x):
        return (x - target).abs().square().sum() + 0.1 * (x - target).abs().pow(4).sum()

    problem = Problem(loss, [3.0, 4.0], dtype)
    assert problem.minimise(50).finished.startswith("converged")
    torch.testing.assert_close(problem.weights.detach(), target.to(dtype), rtol=1e-3, atol=1e-3)


def test_a_parameter_that_the_loss_does_not_see_stays():
    seen, unseen = nn.Parameter(torch.ones(2).double()), nn.Parameter(torch.ones(2).double())
    stepper = LBFGS().stepper([unseen, seen])
    stepper.step(lambda: BatchLoss(seen.square().sum()))
    assert torch.equal(unseen, torch.ones(2))
    assert seen.abs().max() < 1


def test_every_step_lowers_the_loss():
    problem = Problem(rosenbrock, [-1.2, 1.0])
    values = [problem.stepper.step(problem.evaluate).loss.value.item() for _ in range(25)]
    assert values == sorted(values, reverse=True)


# ------------------------------------------------------------------------------------------ when it cannot go on


def test_a_start_at_the_minimum_is_finished_and_stays():
    problem = Problem(lambda x: x.square().sum(), [0.0, 0.0])
    assert problem.stepper.step(problem.evaluate).finished.startswith("converged")
    assert problem.evaluations == 1


def test_where_no_step_helps_it_is_finished_and_the_weights_stay():
    problem = Problem(lambda x: (x - x.detach()).sum(), [1.0, 2.0])  # a slope, but never a smaller value
    step = problem.stepper.step(problem.evaluate)
    assert step.finished == "converged: no step lowers the loss, the largest component of the gradient is 1"
    assert problem.weights.tolist() == [1.0, 2.0]


def test_one_small_batch_at_its_minimum_is_not_the_end():
    problem = Problem(lambda x: x.square().sum(), [0.0, 0.0], batchsize=4)
    step = problem.stepper.step(problem.evaluate)
    assert (step.taken, step.finished) == (True, "")
    assert problem.weights.tolist() == [0.0, 0.0]


def test_points_that_are_not_finite_are_stepped_back_from():
    problem = Problem(lambda x: (x - 3 * x.log()).sum(), [1e-3, 0.1])  # NaN beyond zero, minimum at 3
    assert problem.minimise(100).finished
    torch.testing.assert_close(problem.weights.detach(), torch.full((2,), 3.0).double(), rtol=1e-7, atol=1e-7)


def test_a_loss_that_is_not_finite_changes_nothing():
    problem = Problem(rosenbrock, [-1.2, 1.0])
    problem.stepper.step(problem.evaluate)
    before = [problem.weights.detach().clone(), str(problem.stepper.state())]
    for factor in (math.nan, math.inf):
        assert not problem.stepper.step(lambda f=factor: BatchLoss(f * rosenbrock(problem.weights))).taken
    kink = problem.weights
    assert not problem.stepper.step(lambda: BatchLoss((kink - kink.detach()).sum().sqrt())).taken
    assert torch.equal(problem.weights, before[0])
    assert str(problem.stepper.state()) == before[1]


# ------------------------------------------------------------------------------------------------ in the engine


class Counting(toy.Regression):
    def __init__(self):
        super().__init__()
        self.forward = self.backward = 0

    def loss(self, model, batch):
        loss = super().loss(model, batch)
        self.forward += 1
        loss.value.register_hook(self._count)
        return loss

    def _count(self, _):
        self.backward += 1


class Line(toy.Regression):
    """Labels that a model without a bend can hit exactly."""

    def __init__(self):
        super().__init__()
        self.y = self.x.sum(dim=1, keepdim=True)


def linear_run(method):
    run = toy.new_run(method, dropout=0.0)
    run.model[1] = nn.Identity()
    return run


def in_one_batch(epoch):
    return [torch.arange(24).numpy()]


def test_a_gradient_that_is_known_is_not_computed_again():
    task, run = Counting(), toy.new_run(LBFGS(), dropout=0.0)
    fit(run, task, in_one_batch, 12)
    assert task.backward == task.forward - 11  # but for the first, each step begins where the last one ended


def test_a_gradient_of_another_loss_is_not_taken_for_this_one():
    task, run = Counting(), toy.new_run(LBFGS(), dropout=0.3)  # each epoch draws other numbers
    fit(run, task, in_one_batch, 12)
    assert task.backward == task.forward


def test_training_converges_and_says_so():
    run = toy.train(linear_run(LBFGS()), epochs=500, task=Line())
    assert run.stopped.startswith("converged")
    assert run.epoch == len(run.history) < 100
    assert run.history[-1]["RMSE_test"] < 1e-7
    assert math.isnan(run.history[-1]["learning_rate"])


def test_within_one_step_dropout_draws_the_same():
    values = []

    class Twice(Callback):
        def on_begin(self, run):
            step = run.stepper.step

            def both(evaluate):
                values.append((evaluate().value.item(), evaluate().value.item()))
                return step(evaluate)

            run.stepper.step = both

    toy.train(toy.new_run(dropout=0.5), epochs=1, callbacks=[Twice()])
    assert all(one == two for one, two in values)
    assert len(set(values)) == 6


def test_small_batches_learn_too():
    run = toy.train(linear_run(LBFGS(batchsize=8)), epochs=10, task=Line())
    assert run.history[-1]["RMSE_test"] < 1e-3
    assert not run.stopped
