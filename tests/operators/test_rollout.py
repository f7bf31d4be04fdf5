"""Laws of the roll-out and of truncated backpropagation through time."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from potentia.config import from_dict, plain
from potentia.errors import ConfigError, DataError
from potentia.operators import OperatorTrainingConfig
from potentia.operators.networks.base import FieldShape
from potentia.operators.networks.fno import FNOConfig
from potentia.operators.rollout import rollout
from potentia.operators.truncation import Truncation, Window

STEPS = 7


@pytest.fixture
def network():
    torch.manual_seed(1)
    return FNOConfig(width=5, modes=3, layers=2, scale=0.3).build(FieldShape(2, 1, 2)).double()


@pytest.fixture
def fields():
    """[samples, steps + 1, channels, x]"""
    return torch.randn(3, STEPS + 1, 2, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.fixture
def parameters():
    return torch.randn(3, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def by_hand(network, initial, parameters, steps, detach=()):
    found = [initial]
    for step in range(steps):
        found.append(network(found[-1].detach() if step in detach else found[-1], parameters))
    return torch.stack(found, 1)


def gradients(network, loss):
    return torch.autograd.grad(loss, list(network.parameters()))


def same(left, right):
    for one, other in zip(left, right, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_a_roll_out_is_the_network_again_and_again(network, fields, parameters):
    found = rollout(network, fields[:, 0], parameters, STEPS)
    assert found.shape == fields.shape
    assert torch.equal(found[:, 0], fields[:, 0])
    torch.testing.assert_close(found, by_hand(network, fields[:, 0], parameters, STEPS), rtol=0, atol=0)
    assert torch.equal(rollout(network, fields[:, 0], parameters, 0), fields[:, :1])


def test_a_roll_out_without_gradient_has_the_same_values(network, fields, parameters):
    found = rollout(network, fields[:, 0], parameters, STEPS, grad="none")
    assert not found.requires_grad
    assert torch.equal(found, rollout(network, fields[:, 0], parameters, STEPS))


@pytest.mark.parametrize(("every", "detach"), [(3, (3, 6)), (1, range(1, STEPS)), (STEPS, ())])
def test_gradients_go_through_so_many_steps(network, fields, parameters, every, detach):
    start = fields[:, 0].requires_grad_()
    found = rollout(network, start, parameters, STEPS, grad=every)
    wanted = by_hand(network, start, parameters, STEPS, detach)
    assert torch.equal(found, wanted)
    same(gradients(network, found.square().sum()), gradients(network, wanted.square().sum()))


@pytest.mark.parametrize("grad", ["all", 3])
def test_steps_that_are_computed_again_give_the_same_gradients(network, fields, parameters, grad):
    losses = [
        rollout(network, fields[:, 0], parameters, STEPS, grad=grad, checkpoint_steps=again).square().sum()
        for again in (False, True)
    ]
    assert torch.equal(*losses)
    same(gradients(network, losses[0]), gradients(network, losses[1]))


def test_what_cannot_be_rolled_out_is_refused(network, fields, parameters):
    with pytest.raises(ConfigError, match="grad must be one of 'all', 'none', got 'some'"):
        rollout(network, fields[:, 0], parameters, 2, grad="some")
    with pytest.raises(ConfigError, match="grad must be an integer of at least 1"):
        rollout(network, fields[:, 0], parameters, 2, grad=0)
    with pytest.raises(ConfigError, match="steps must be an integer of at least 0"):
        rollout(network, fields[:, 0], parameters, -1)
    with pytest.raises(DataError, match="modes=3 needs 1 axes of at least 6 points"):
        rollout(network, fields[:, 0, :, :4], parameters, 2)


def test_the_tail_is_the_last_steps_behind_a_detached_warm_up(network, fields, parameters):
    window = Truncation(window=3, start="tail", teacher_start=0.0).draw(STEPS, seed=1, number=0, progress=0.0)
    assert window == Window(4, 3, 3, true_start=False)
    found, target = window.prediction(network, fields, parameters), window.target(fields)
    assert torch.equal(target, fields[:, 5:])
    wanted = by_hand(network, fields[:, 0], parameters, STEPS, detach=(4,))[:, 5:]
    losses = [(prediction - target).square().mean() for prediction in (found, wanted)]
    same(gradients(network, losses[0]), gradients(network, losses[1]))


def test_a_true_start_needs_no_warm_up(network, fields, parameters):
    found = Window(4, 3, 3, true_start=True).prediction(network, fields, parameters)
    torch.testing.assert_close(found, by_hand(network, fields[:, 4], parameters, 3)[:, 1:], rtol=0, atol=0)


def test_chunks_learn_from_all_steps(network, fields, parameters):
    window = Truncation(window=3, start="chunks").draw(STEPS, seed=1, number=0, progress=0.0)
    found = window.prediction(network, fields, parameters, checkpoint_steps=True)
    assert torch.equal(window.target(fields), fields[:, 1:])
    wanted = by_hand(network, fields[:, 0], parameters, STEPS, detach=(3, 6))[:, 1:]
    same(gradients(network, found.square().sum()), gradients(network, wanted.square().sum()))


def test_the_warm_up_is_in_evaluation_mode_and_leaves_the_mode_as_it_was(network, fields, parameters):
    seen = []
    network.layers[0].register_forward_hook(lambda *_: seen.append((network.training, torch.is_grad_enabled())))
    Window(4, 3, 3, true_start=False).prediction(network.train(), fields, parameters)
    assert seen == 4 * [(False, False)] + 3 * [(True, True)]
    assert network.training


def test_random_windows_visit_all_steps_alike():
    drawn = [Truncation(window=8).draw(32, seed=1, number=n, progress=0.0) for n in range(2500)]
    counts = Counter(window.begin for window in drawn)
    assert set(counts) == set(range(25))
    assert all(60 < count < 145 for count in counts.values())  # 100 wanted, standard deviation 10
    assert {window.begin + window.steps for window in drawn} == set(range(8, 33))


def test_a_draw_is_a_function_of_its_arguments():
    one = Truncation(window=4)
    drawn = [one.draw(32, seed=1, number=n, progress=n / 50) for n in range(50)]
    assert drawn[20:] == [one.draw(32, seed=1, number=n, progress=n / 50) for n in range(20, 50)]
    assert drawn != [one.draw(32, seed=2, number=n, progress=n / 50) for n in range(50)]


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.8), (0.5, 0.4), (1.0, 0.0), (2.0, 0.0)])
def test_true_starts_become_rarer(progress, share):
    one = Truncation(window=4, start="tail", teacher_start=0.8)
    true = sum(one.draw(32, seed=1, number=n, progress=progress).true_start for n in range(1000))
    assert true == pytest.approx(1000 * share, abs=50)


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.2), (0.5, 0.6), (1.0, 1.0)])
def test_true_starts_may_become_more_frequent(progress, share):
    one = Truncation(window=4, start="tail", teacher_start=0.2, teacher_end=1.0)
    true = sum(one.draw(32, seed=1, number=n, progress=progress).true_start for n in range(1000))
    assert true == pytest.approx(1000 * share, abs=50)


def test_settings_of_the_training_can_keep_all_starts_true():
    config = OperatorTrainingConfig(epochs=1, bptt_window=1, teacher_start=1.0, teacher_end=1.0)
    drawn = [config.truncation().draw(32, seed=1, number=n, progress=n / 99) for n in range(100)]
    assert all(window.true_start for window in drawn)
    assert len({window.begin for window in drawn}) > 20


def test_windows_longer_than_the_samples_are_all_steps():
    for start in ("random", "tail", "chunks"):
        window = Truncation(window=32, start=start).draw(5, seed=1, number=0, progress=1.0)
        assert (window.begin, window.steps, window.true_start) == (0, 5, True)
    with pytest.raises(DataError, match="samples of at least 1 step"):
        Truncation().draw(0, seed=1, number=0, progress=0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "window must be"),
        ({"start": "tial"}, "did you mean 'tail'"),
        ({"teacher_start": 1.5}, "teacher_start must be"),
        ({"teacher_end": -0.1}, "teacher_end must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Truncation(**settings)
    assert from_dict(Truncation, plain(Truncation(window=3))) == Truncation(window=3)
