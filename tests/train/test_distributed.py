"""Laws of processes that train together; run as a script it is one of them."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from potentia.errors import ConfigError, PotentiaWarning, TrainingError
from potentia.metrics import ErrorSum
from potentia.train import (
    LBFGS,
    Adam,
    BatchLoss,
    Callback,
    Checkpoints,
    EpochBar,
    StopOnSignal,
    TimeBudget,
    distributed,
    load_checkpoint,
    newest_checkpoint,
)
from processes import reports, together
from terminals import Terminal
from train import toy

SIZES = [3, 4, 2, 9, 5, 1, 7]
RESIDUALS = {"energy": [[3.0], [-4.0]], "force": [[], [2.0]]}
METHODS = {"adam": Adam(mu=0.02, batchsize=4), "one sample": Adam(mu=0.02, batchsize=1), "lbfgs": LBFGS(batchsize=24)}


class Shared(toy.Regression):
    """The regression, divided among processes."""

    def loss(self, model, batch):
        mine = distributed.shared(torch.arange(len(batch)), torch.ones(len(batch)))
        residual = self._residual(model, self.split.train[batch[mine.numpy()]])
        sums = torch.stack([residual.square().sum(), residual.detach().abs().sum()])
        squared, absolute = distributed.totals({"y": sums}, {"y": 2})["y"]
        return BatchLoss(squared / len(batch), {"y": ErrorSum(absolute.item(), squared.item(), len(batch))})


class Broken(Shared):
    """One sample has no value."""

    def __init__(self):
        super().__init__()
        self.y[self.split.train[7]] = torch.nan


class Ask(Callback):
    """Asks to stop after the second epoch."""

    def on_epoch(self, run):
        if run.epoch == 2:
            run.stopped = f"process {distributed.rank()} has seen enough: µ"


class Kick(Callback):
    """Changes the weights behind the back of the others."""

    def on_epoch(self, run):
        if run.epoch == 2 and distributed.rank() == 1:
            with torch.no_grad():
                next(run.model.parameters()).view(-1)[0] += 1e-15


class Fail(Callback):
    def on_epoch(self, run):
        if run.epoch == 2 and distributed.rank() == 1:
            raise ValueError("the second has failed")


class Send(Callback):
    def on_batch(self, run):
        if (run.epoch, run.batch) == (1, 3) and distributed.rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)


class Sleepy(Callback):
    """Takes its time in the second process."""

    def on_batch(self, run):
        time.sleep(0.05 * distributed.rank())


def test_alone_everything_is_the_identity():
    values = torch.arange(3.0)
    with distributed.joined():
        assert (distributed.active(), distributed.rank(), distributed.size()) == (False, 0, 1)
        assert distributed.total(values) is values
        assert distributed.shared(values, values) is values
        assert distributed.stacked(values) is values
        assert distributed.agree("", "time") == ("", "time")
        assert distributed.from_first(7) == 7
        assert distributed.greatest([1, 2]) == [1, 2]
        distributed.require_same("the weights", b"", "")


def test_processes_that_cannot_be_reached_are_said_to_be(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="RANK, MASTER_ADDR, MASTER_PORT is not set: start the script with torchrun"):
        distributed.joined().__enter__()


def test_another_thread_trains_alone_and_says_so(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")

    def work():
        with pytest.warns(PotentiaWarning, match="each of the 2 processes trains all by itself"), distributed.joined():
            found.append(distributed.active())

    found = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


# What two processes find, started once for all laws below


def trained(callbacks=(), method=None, epochs=3, run=None, task=None):
    return toy.train(run or toy.new_run(method, dropout=0.0), epochs, callbacks, task or Shared())


def weights(run):
    return [value for p in run.model.parameters() for value in p.detach().flatten().tolist()]


def exchanges(folder):
    here = distributed.rank()
    x = torch.tensor([1.0 + here, 2.0], dtype=torch.float64, requires_grad=True)
    y = distributed.total(x.square())
    y.prod().backward()
    unseen, common, single = (nn.Parameter(torch.ones(2, dtype=dtype)) for dtype in (None, torch.complex64, None))
    common.grad = torch.full((2,), 1j + here, dtype=torch.complex64)
    single.grad = torch.ones(2) if here else None
    distributed.sum_gradients([unseen, common, single])
    parts = {"both": torch.tensor([1.0]), **({"second": torch.tensor([1.0, 2.0])} if here else {})}
    whole = distributed.totals(parts, {"none": 3, "second": 2, "both": 1})
    errors = {name: ErrorSum.of(torch.tensor(values[here])) for name, values in RESIDUALS.items() if values[here]}
    sums = distributed.total_errors(errors, ["energy", "force", "stress"])
    sizes = torch.tensor(SIZES, dtype=torch.float64)
    return {
        "total": [y.tolist(), x.grad.tolist()],
        "gradients": [unseen.grad is None, torch.view_as_real(common.grad).tolist(), single.grad.tolist()],
        "totals": {name: one.tolist() for name, one in whole.items()},
        "errors": {name: [one.mae, one.rmse, one.count] for name, one in sums.items()},
        "shared": [distributed.shared(torch.arange(n), sizes[:n]).tolist() for n in range(len(SIZES) + 1)],
        "stacked": distributed.stacked(torch.full((2 * here, 2), 5.0)).tolist(),
        "nothing": list(distributed.stacked(torch.zeros(0, 3)).shape),
        "greatest": distributed.greatest([here, 4 - here]),
        "first": distributed.from_first(2**62 + here),
        "agree": distributed.agree("", "late" * here, f"both {here}"),
    }


def methods(folder):
    return {name: weights(trained(method=method)) for name, method in METHODS.items()}


def skips(folder):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"epoch \d, batch \d left out", PotentiaWarning)
        run = trained(task=Broken())
    return [weights(run), [row["skipped"] for row in run.history]]


def halts(folder):
    slow_clock = [TimeBudget(1e-9)] if distributed.rank() else []
    callbacks = {"stopped": [Ask()], "time": slow_clock, "signal": [Send(), StopOnSignal()], "slow": [Sleepy()]}
    runs = {name: trained(some, epochs=4 if name == "stopped" else 2) for name, some in callbacks.items()}
    return {name: [run.epoch, run.batch, run.stopped or run.interrupted] for name, run in runs.items()}


def files(folder):
    screen = Terminal()
    saving = Checkpoints(folder / str(distributed.rank()), toy.SETTINGS, every_batches=2, keep=2)
    trained([saving, EpochBar(3, file=screen)])
    with distributed.joined():  # waits for the first
        pass
    run = toy.new_run(Adam(mu=0.02, batchsize=4), seed=99, dropout=0.0)
    path = newest_checkpoint(folder / "0")
    load_checkpoint(path).resume(run, toy.SETTINGS)
    return {"shown": screen.getvalue() != "", "resumed": weights(trained(epochs=5, run=run))}


def differences(folder):
    run = toy.new_run(dropout=0.0)
    found = []
    for callbacks in ([Kick()], []):
        with pytest.raises(TrainingError) as error:
            trained(callbacks, run=run, epochs=4)
        found.append(str(error.value))
    return found


LAWS = [exchanges, methods, skips, halts, files, differences]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def both(folder):
    """Return what each of the two has found."""
    return reports(__file__, folder)


@pytest.mark.slow
def test_sums_are_over_all_and_gradients_pass_through(both):
    for here, found in enumerate(one["exchanges"] for one in both):
        x = 1.0 + here
        assert found["total"] == [[5.0, 8.0], [2 * x * 8.0, 4.0 * 5.0]]
        assert found["gradients"] == [True, [[1.0, 2.0], [1.0, 2.0]], [1.0, 1.0]]
        assert found["totals"] == {"second": [1.0, 2.0], "both": [2.0]}
        assert found["errors"] == {"energy": [3.5, 12.5**0.5, 2], "force": [2.0, 2.0, 1]}
        assert found["stacked"] == [[5.0, 5.0]] * 2
        assert found["nothing"] == [0, 3]
        assert found["greatest"] == [1, 4]
        assert found["first"] == 2**62
        assert found["agree"] == ["", "late", "both 0"]


@pytest.mark.slow
def test_the_parts_are_the_whole_and_about_equal(both):
    for n, (one, two) in enumerate(zip(*(found["exchanges"]["shared"] for found in both), strict=True)):
        assert sorted(one + two) == list(range(n))
        assert one == sorted(one)
        assert abs(len(one) - len(two)) <= 1
        assert abs(sum(SIZES[k] for k in one) - sum(SIZES[k] for k in two)) <= max(SIZES)
    assert sum(SIZES[k] for k in one) in {15, 16}


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_two_learn_what_one_does(both, name):
    one, two = (found["methods"][name] for found in both)
    assert one == two
    alone = weights(toy.train(toy.new_run(METHODS[name], dropout=0.0), 3))
    assert one == pytest.approx(alone, rel=1e-9, abs=1e-12)


@pytest.mark.slow
def test_a_batch_that_is_not_finite_in_one_is_left_out_by_all(both):
    one, two = (found["skips"] for found in both)
    assert one == two
    alone = skips(None)
    assert one[1] == alone[1] == [1.0] * 3
    assert one[0] == pytest.approx(alone[0], rel=1e-9, abs=1e-12)


@pytest.mark.slow
def test_where_one_fails_the_other_ends_too():
    ends = together(__file__, "fail")
    assert all(end.returncode != 0 for end in ends)
    assert "the second has failed" in ends[1].stderr


@pytest.mark.slow
def test_where_one_wants_to_halt_all_do(both):
    one, two = (found["halts"] for found in both)
    assert (
        one
        == two
        == {
            "stopped": [2, 0, "process 0 has seen enough: µ"],
            "time": [0, 1, "the time of 1e-09 s is up"],
            "signal": [1, 3, "SIGTERM received"],
            "slow": [2, 0, ""],
        }
    )


@pytest.mark.slow
def test_the_first_alone_writes_and_shows_and_both_go_on_from_there(both, folder):
    assert [path.name for path in folder.iterdir()] == ["0"]
    names = ["best_model.pt", "checkpoint_epoch_0002_batch_000006.pt", "checkpoint_epoch_0003.pt"]
    assert sorted(path.name for path in (folder / "0").iterdir()) == names
    one, two = (found["files"] for found in both)
    assert (one["shown"], two["shown"]) == (True, False)
    assert one["resumed"] == two["resumed"]
    run = toy.new_run(Adam(mu=0.02, batchsize=4), seed=99, dropout=0.0)
    load_checkpoint(folder / "0" / names[-1]).resume(run, toy.SETTINGS)
    assert one["resumed"] == pytest.approx(weights(toy.train(run, 5)), rel=1e-9, abs=1e-12)


@pytest.mark.slow
def test_weights_that_have_come_apart_are_noticed(both):
    one, two = (found["differences"] for found in both)
    assert one == two
    for text in one:
        assert text.startswith("after epoch 2 the weights differ between the 2 processes (those of 1 from those of 0)")


def main(folder):
    if folder == "fail":
        trained([Fail()], epochs=1000)
    found = {law.__name__: law(Path(folder)) for law in LAWS}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    with distributed.joined():
        main(sys.argv[1])
