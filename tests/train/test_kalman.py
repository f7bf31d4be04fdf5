"""The Kalman filter: known answers of linear problems, and what it does where numbers go wrong."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from potentia.config import from_dict, plain
from potentia.errors import ConfigError, PotentiaWarning
from potentia.seeding import torch_stream
from potentia.train import BatchLoss, Checkpoints, Kalman, Plateau, Rows, Run, TrainingMethod, load_checkpoint
from train import toy

METHOD = Kalman(batchsize=4)
DAMPING = 0.3


def draw(name, *shape):
    return torch.randn(*shape, generator=torch_stream(7, name), dtype=torch.float64)


X, Y = draw("x", 24, 5), draw("y", 24)


class Line:
    """Half the mean square of X w - y, called 1: what counts as noise goes by the value of the loss."""

    def __init__(self):
        self.weights = nn.Parameter(draw("w", 5))

    def batch(self, samples, spoil=0.0, where="residual"):
        def evaluate():
            x, n = X[samples], len(samples)
            residual = (x @ self.weights.detach() - Y[samples]) / n**0.5
            jacobian = x / n**0.5
            rows = Rows(
                residual + (spoil if where == "residual" else 0), [jacobian + (spoil if where == "jacobian" else 0)]
            )
            value = torch.ones(()) + (spoil if where == "loss" else 0)
            return BatchLoss(value, rows=lambda: [rows])

        return evaluate

    def ridge(self):
        """Weights that a filter reaches from the present ones when it has seen all samples once."""
        start = self.weights.detach()
        matrix = X.T @ X + DAMPING * torch.eye(5, dtype=torch.float64)
        return start + torch.linalg.solve(matrix, X.T @ (Y - X @ start))


def filtered(line, batches, **settings):
    stepper = Kalman(damping=DAMPING, **{"forgetting": 1.0, **settings}).stepper([line.weights])
    for samples in batches:
        assert stepper.step(line.batch(samples)).taken
    return stepper


@pytest.mark.parametrize("size", [1, 5, 24])
def test_one_pass_over_a_linear_problem_is_ridge_regression(size):
    line = Line()
    expected = line.ridge()
    stepper = filtered(line, torch.arange(24).split(size))
    torch.testing.assert_close(line.weights.detach(), expected, rtol=1e-9, atol=1e-11)
    covariance = torch.linalg.inv(X.T @ X / DAMPING + torch.eye(5, dtype=torch.float64))
    torch.testing.assert_close(stepper.state()["covariance"][0], covariance, rtol=1e-9, atol=1e-12)


def test_batches_of_any_size_and_order_come_to_the_same():
    line = Line()
    filtered(line, torch.randperm(24, generator=torch_stream(1, "order")).split([3, 10, 1, 10]))
    torch.testing.assert_close(line.weights.detach(), Line().ridge(), rtol=1e-9, atol=1e-11)


def test_rows_in_parts_come_to_the_same_as_in_one():
    def cut(evaluate):
        loss = evaluate()
        (rows,) = loss.rows()
        parts = [Rows(rows.residual[part], [rows.jacobian[0][part]]) for part in (slice(0, 5), slice(5, None))]
        return BatchLoss(loss.value, rows=lambda: iter(parts))

    whole, parts = Line(), Line()
    filtered(whole, [torch.arange(24)])
    evaluate = parts.batch(torch.arange(24))
    Kalman(damping=DAMPING, forgetting=1.0).stepper([parts.weights]).step(lambda: cut(evaluate))
    torch.testing.assert_close(parts.weights.detach(), whole.weights.detach(), rtol=0, atol=0)


def test_blocks_that_rows_do_not_join_are_filters_of_their_own():
    a, b, r = draw("a", 6, 3), draw("b", 6, 4), draw("r", 12)
    both = [torch.cat([a, torch.zeros(6, 3)]).double(), torch.cat([torch.zeros(6, 4), b]).double()]
    problems = {"both": (r, both, 0.2), "first": (r[:6], [a], 0.1), "second": (r[6:], [b], 0.1)}
    found = {}
    for name, (residual, blocks, damping) in problems.items():  # the noise is damping over the number of rows
        weights = nn.Parameter(torch.zeros(sum(block.shape[1] for block in blocks)).double())
        stepper = Kalman(damping=damping).stepper([weights])
        for _ in range(3):
            stepper.step(lambda r=residual, j=blocks: BatchLoss(torch.ones(()), rows=lambda: [Rows(r, j)]))
        found[name] = (weights.detach(), stepper.state()["covariance"])
    joined = torch.cat([found["first"][0], found["second"][0]])
    torch.testing.assert_close(found["both"][0], joined, rtol=1e-12, atol=1e-14)
    expected = [found["first"][1][0], found["second"][1][0]]
    torch.testing.assert_close(found["both"][1], expected, rtol=1e-12, atol=1e-14)


def test_forgetting_follows_the_last_samples_and_fades():
    """By hand for one weight and one row: P' = P R/(R + P)/λ, and 1 - λ shrinks by the rate."""
    weight, forgetting, p = nn.Parameter(torch.zeros(1).double()), 0.5, 1.0
    stepper = Kalman(damping=4.0, forgetting=forgetting, forgetting_rate=0.9).stepper([weight])
    rows = Rows(torch.ones(1).double(), [torch.ones(1, 1).double()])
    expected = 0.0
    for _ in range(5):
        stepper.step(lambda: BatchLoss(torch.tensor(0.5), rows=lambda: [rows]))
        expected -= p / (2 + p)
        narrowed = p * 2 / (2 + p)
        p = narrowed / max(forgetting, narrowed)
        forgetting = 1 - 0.9 * (1 - forgetting)
        assert stepper.state()["forgetting"] == pytest.approx(forgetting, rel=1e-14)
        assert stepper.state()["covariance"][0].item() == pytest.approx(p, rel=1e-13)
    assert weight.item() == pytest.approx(expected, rel=1e-13)


def test_what_counts_as_noise_goes_by_the_loss():
    """A problem in other units (residuals, derivatives and loss each times their powers of them) is the same."""
    found = []
    for unit in (1.0, 1e-3, 1e3):
        weights = nn.Parameter(torch.zeros(4).double())
        stepper = Kalman().stepper([weights])
        for k in range(3):
            jacobian, residual = draw(f"j{k}", 6, 4) * unit**0.5, draw(f"r{k}", 6) * unit**0.5
            rows = Rows(residual, [jacobian])
            stepper.step(lambda r=rows, u=unit: BatchLoss(torch.tensor(0.3 * u), rows=lambda: [r]))
        found.append(weights.detach())
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(found[2], found[0], rtol=1e-6, atol=1e-9)


def test_a_loss_of_zero_teaches_nothing():
    weights = nn.Parameter(draw("start", 4))
    before = weights.detach().clone()
    stepper = Kalman().stepper([weights])
    rows = Rows(torch.zeros(6).double(), [draw("j", 6, 4)])
    assert stepper.step(lambda: BatchLoss(torch.zeros(()), rows=lambda: [rows])).taken
    assert torch.equal(weights.detach(), before)


def test_process_noise_is_added_to_each_variance():
    quiet, noisy = (filtered(Line(), [torch.arange(24)], process_noise=noise) for noise in (0.0, 0.01))
    difference = noisy.state()["covariance"][0] - quiet.state()["covariance"][0]
    torch.testing.assert_close(difference, 0.01 * torch.eye(5, dtype=torch.float64), rtol=1e-12, atol=1e-15)


def test_covariances_stay_symmetric_positive_and_below_the_prior():
    """Over 500 batches of a problem with weights that no batch sees, wider than one strip of the update."""
    n = 150
    weights = nn.Parameter(draw("start", n))
    stepper = Kalman(forgetting=0.9, forgetting_rate=0.999).stepper([weights])
    x, target = draw("wide", 64, n), draw("target", 64)
    x[:, ::3] = 0
    for k in range(500):
        part = torch.arange(k, k + 8) % 64
        jacobian = x[part] * torch.cos(x[part] @ weights.detach())[:, None]
        rows = Rows(torch.sin(x[part] @ weights.detach()) - target[part], [jacobian])
        assert stepper.step(lambda r=rows: BatchLoss(torch.tensor(0.1), rows=lambda: [r])).taken
        covariance = stepper.state()["covariance"][0]
        assert torch.equal(covariance, covariance.T)
        assert float(covariance.diagonal().mean()) <= 1 + 1e-12
        if k % 50 == 49:
            assert float(torch.linalg.eigvalsh(covariance).min()) > 0


@pytest.mark.parametrize("spoil", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["residual", "jacobian", "loss"])
def test_a_batch_that_is_not_finite_changes_nothing(where, spoil):
    line, other = Line(), Line()
    stepper, untouched = (filtered(one, [torch.arange(6)], forgetting=0.9) for one in (line, other))
    assert not stepper.step(line.batch(torch.arange(6, 12), spoil, where)).taken
    toy.assert_same(stepper.state(), untouched.state())
    assert torch.equal(line.weights, other.weights)


def test_a_first_batch_that_is_not_finite_is_as_if_it_had_not_been():
    line, other = Line(), Line()
    stepper = Kalman().stepper([line.weights])
    assert not stepper.step(line.batch(torch.arange(6), math.nan, "jacobian")).taken
    fresh = Kalman().stepper([other.weights])
    for one, of in ((stepper, line), (fresh, other)):
        assert one.step(of.batch(torch.arange(6))).taken
    toy.assert_same(stepper.state(), fresh.state())


def test_a_covariance_that_rounding_has_spoiled_begins_anew():
    line, other = Line(), Line()
    stepper, fresh = (Kalman(forgetting=1.0).stepper([one.weights]) for one in (line, other))
    stepper.load_state({"forgetting": 1.0, "covariance": [-torch.eye(5).double()]})
    for one, of in ((stepper, line), (fresh, other)):
        assert one.step(of.batch(torch.arange(12))).taken
    torch.testing.assert_close(line.weights.detach(), other.weights.detach(), rtol=1e-6, atol=1e-8)
    assert float(torch.linalg.eigvalsh(stepper.state()["covariance"][0]).min()) > 0


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_rows_of_any_size_that_depend_on_each_other_are_taken(scale):
    weights = nn.Parameter(torch.zeros(3).double())
    rows = Rows(scale * torch.ones(8).double(), [scale * torch.ones(8, 3).double()])
    stepper = Kalman().stepper([weights])
    for _ in range(3):
        assert stepper.step(lambda: BatchLoss(torch.tensor(1.0), rows=lambda: [rows])).taken
    assert torch.isfinite(weights).all()


def test_a_batch_without_rows_is_taken_and_changes_nothing():
    line = Line()
    before = line.weights.detach().clone()
    stepper = Kalman().stepper([line.weights])
    assert stepper.step(lambda: BatchLoss(torch.tensor(0.0), rows=lambda: iter(()))).taken
    assert torch.equal(line.weights, before)
    assert stepper.state() == {"forgetting": 0.98, "covariance": []}


def test_a_state_that_was_loaded_is_not_changed_by_the_steps_that_follow():
    line = Line()
    state = filtered(line, [torch.arange(6)]).state()
    saved = state["covariance"][0].clone()
    other = Kalman().stepper([line.weights])
    other.load_state(state)
    other.step(line.batch(torch.arange(6, 12)))
    assert torch.equal(state["covariance"][0], saved)


def test_it_learns_in_few_epochs():
    run = toy.train(toy.new_run(Kalman(batchsize=4, damping=0.1), dropout=0.0), epochs=10)
    adam = toy.train(toy.new_run(dropout=0.0), epochs=10)
    assert run.history[-1]["RMSE_train"] < 0.5 * adam.history[-1]["RMSE_train"]
    assert math.isnan(run.history[-1]["learning_rate"])


def test_a_task_without_residuals_is_refused_with_what_to_take():
    class Other(toy.Regression):
        def loss(self, model, batch):
            return BatchLoss(super().loss(model, batch).value)

    with pytest.raises(ConfigError, match=r"Kalman needs a loss made of residuals, .*: take Adam or LBFGS"):
        toy.train(toy.new_run(METHOD), task=Other())


def test_a_schedule_has_nothing_to_change():
    with pytest.raises(ConfigError, match="Kalman has no learning rate that Plateau could change"):
        Run(nn.Linear(1, 1), METHOD, Plateau())


def test_batches_that_are_not_finite_are_left_out_of_the_epoch():
    class Bad(toy.Regression):
        def loss(self, model, batch):
            loss = super().loss(model, batch)
            return BatchLoss(loss.value * (math.nan if batch[0] % 2 else 1), loss.sums, loss.rows)

    run = toy.new_run(METHOD)
    with pytest.warns(PotentiaWarning, match="its loss is not finite"):
        toy.train(run, epochs=1, task=Bad())
    assert 0 < run.history[0]["skipped"] < 6


@pytest.mark.parametrize("method", [METHOD, Kalman(batchsize=4, process_noise=1e-4, forgetting=0.9)], ids=str)
def test_resumed_from_any_checkpoint_equals_unbroken(method, tmp_path):
    saving = Checkpoints(tmp_path, toy.SETTINGS, every_batches=1)
    whole = toy.numbers(toy.train(toy.new_run(method), callbacks=[saving]))
    paths = sorted(tmp_path.glob("checkpoint_*.pt"))
    assert len(paths) == toy.EPOCHS * (6 + 1)
    for path in paths[::3]:  # each place in an epoch comes, and its end
        run = toy.new_run(method, seed=99)
        load_checkpoint(path).resume(run, toy.SETTINGS)
        toy.assert_same(toy.numbers(toy.train(run)), whole)


def test_the_covariances_are_in_the_checkpoint(tmp_path):
    toy.train(toy.new_run(METHOD), epochs=1, callbacks=[Checkpoints(tmp_path, toy.SETTINGS, every_batches=3)])
    state = load_checkpoint(tmp_path / "checkpoint_epoch_0000_batch_000003.pt").run["method"]["state"]
    n = sum(p.numel() for p in toy.new_run().model.parameters())
    assert [tuple(block.shape) for block in state["covariance"]] == [(n, n)]
    assert state["forgetting"] == pytest.approx(1 - 0.02 * 0.9987**3, rel=1e-14)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("batchsize", 0, "batchsize must be an integer of at least 1, got 0"),
        ("damping", 0, "damping must be greater than 0, got 0"),
        ("forgetting", 0, "forgetting must be above 0 and at most 1, got 0"),
        ("forgetting", 1.1, "forgetting must be above 0 and at most 1"),
        ("forgetting_rate", -1, "forgetting_rate must be above 0 and at most 1"),
        ("process_noise", -1, "process_noise must be"),
    ],
)
def test_impossible_settings_are_refused_by_name(name, value, wanted):
    with pytest.raises(ConfigError, match=wanted):
        Kalman(**{name: value})


def test_settings_go_to_plain_and_back():
    assert from_dict(TrainingMethod, plain(Kalman(damping=0.1))) == Kalman(damping=0.1)
