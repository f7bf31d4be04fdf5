"""Laws of SOAP: what it is where nothing can be turned, and that it sees no difference between turned problems."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from potentia.errors import ConfigError
from potentia.seeding import torch_stream
from potentia.train import SOAP, Adam, AdamW, BatchLoss

STEPS = 25
"""Of which every fourth renews the bases."""


def draw(*shape, seed=1):
    return torch.randn(*shape, generator=torch_stream(seed, *map(str, shape)), dtype=torch.float64)


def minimised(method, loss, *begins, skip=0):
    """Return parameters after steps along a loss, and its last value; the first ``skip`` gradients are not seen."""
    parameters = [nn.Parameter(begin.clone()) for begin in begins]
    stepper = method.stepper(parameters)
    for _ in range(STEPS - skip):
        value = loss(*parameters)
        stepper.step(lambda value=value: BatchLoss(value))
    return [parameter.detach() for parameter in parameters], loss(*parameters).item()


def stretched(rows, columns, orders=2):
    """Return a quadratic loss of a matrix, the curvature of which differs by so many orders along turned rows, and
    along turned columns."""
    sizes = (torch.logspace(0, -orders / 2, n, dtype=torch.float64) for n in (rows, columns))
    left, right = (torch.linalg.qr(draw(len(size), len(size)))[0] * size for size in sizes)
    return lambda weights: (left.T @ (weights - 1) @ right).square().sum()


@pytest.mark.parametrize(
    ("shape", "settings"),
    [((5,), {}), ((1, 4), {}), ((3, 5), {"largest": 2})],
    ids=["vector", "row", "sides too long"],
)
def test_where_no_side_has_a_basis_steps_are_those_of_adam_behind_the_first(shape, settings):
    begin = draw(*shape)
    weigh = torch.linspace(0.5, 2.0, begin.numel(), dtype=torch.float64).view(shape)
    loss = lambda weights: (weigh * (weights - 1) ** 2).sum()  # noqa: E731
    soap = SOAP(mu=0.05, beta1=0.8, beta2=0.9, weight_decay=0.1, every=4, **settings)
    adam = AdamW(mu=0.05, beta1=0.8, beta2=0.9, weight_decay=0.1)
    (found,), _ = minimised(soap, loss, begin)
    (expected,), _ = minimised(adam, loss, begin, skip=1)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_a_turned_problem_has_turned_steps():
    loss, begin = stretched(4, 4), draw(4, 4)  # square: bases of sides of full rank are unique but for signs
    rows, columns = (torch.linalg.qr(draw(n, n, seed=2))[0] for n in begin.shape)
    soap = SOAP(mu=0.05, every=4)
    (plain,), value = minimised(soap, loss, begin)
    (turned,), same = minimised(soap, lambda weights: loss(rows.T @ weights @ columns.T), rows @ begin @ columns)
    torch.testing.assert_close(turned, rows @ plain @ columns, rtol=1e-5, atol=1e-5)
    assert same == pytest.approx(value, rel=1e-5)


def test_it_goes_down_where_adam_sees_the_curvature_of_all_directions_mixed():
    loss, begin = stretched(8, 8, 4), draw(8, 8)
    _, by_soap = minimised(SOAP(mu=0.1, every=1), loss, begin)
    _, by_adam = minimised(Adam(mu=0.1), loss, begin)
    assert by_soap < 0.8 * by_adam


def test_a_tensor_is_the_matrix_of_its_first_axis_and_a_complex_number_two_columns():
    begin = draw(3, 2, 4)
    loss = stretched(3, 8)
    (matrix,), _ = minimised(SOAP(every=4), loss, begin.flatten(1))
    (tensor,), _ = minimised(SOAP(every=4), lambda weights: loss(weights.flatten(1)), begin)
    pairs = torch.view_as_complex(begin.unflatten(2, (2, 2)))
    (numbers,), _ = minimised(SOAP(every=4), lambda weights: loss(torch.view_as_real(weights).flatten(1)), pairs)
    assert torch.equal(tensor.flatten(1), matrix)
    assert torch.equal(torch.view_as_real(numbers).flatten(1), matrix)


def test_it_steps_along_each_parameter_by_itself():
    one, other = draw(3, 4), draw(5)
    loss, pull = stretched(3, 4), lambda vector: vector.square().sum()
    together, _ = minimised(SOAP(every=4), lambda a, b: loss(a) + pull(b), one, other)
    (first,), _ = minimised(SOAP(every=4), loss, one)
    (second,), _ = minimised(SOAP(every=4), pull, other)
    assert torch.equal(together[0], first)
    assert torch.equal(together[1], second)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mu": 0}, "mu must be greater than 0"),
        ({"every": 0}, "every must be an integer of at least 1"),
        ({"largest": 0}, "largest must be an integer of at least 1"),
        ({"beta2": 1.0}, "beta2 must be less than 1"),
        ({"batchsize": 0}, "batchsize must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SOAP(**settings)
