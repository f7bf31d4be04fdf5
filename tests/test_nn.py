"""Activations and perceptrons: their closed derivatives against autograd and finite differences."""

from __future__ import annotations

import math

import pytest
import torch

from potentia.nn import ACTIVATIONS, MLP
from potentia.seeding import torch_stream

every_activation = pytest.mark.parametrize("name", ACTIVATIONS)
NEAR = {"rtol": 1e-13, "atol": 1e-15}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def points():
    """Both tails, the middle, and no point on the kink of relu."""
    return torch.cat((torch.linspace(-9, 9, 24), torch.tensor([-40.0, -1e-3, 1e-3, 40.0]))).double()


def network(name="tanh", dtype=torch.float64, seed=0, hidden=(5, 4)):
    return MLP(3, [(n, name) for n in hidden], generator=torch_stream(seed, "weights"), dtype=dtype)


def rows(n=7, dtype=torch.float64):
    return torch.randn(n, 3, generator=torch_stream(1, "rows"), dtype=dtype)


@every_activation
def test_the_derivative_is_that_of_autograd(name):
    x = points().requires_grad_()
    y = ACTIVATIONS[name].function(x)
    (expected,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(ACTIVATIONS[name].derivative(x, y), expected, **NEAR)


@every_activation
def test_the_derivative_is_that_of_central_differences(name):
    x, h = points(), 1e-4
    a = ACTIVATIONS[name]
    differences = (8 * (a.function(x + h) - a.function(x - h)) - (a.function(x + 2 * h) - a.function(x - 2 * h))) / 12
    torch.testing.assert_close(a.derivative(x, a.function(x)), differences / h, rtol=1e-9, atol=1e-10)


@every_activation
def test_the_curvature_is_the_derivative_of_the_derivative(name):
    x = points().requires_grad_()
    a = ACTIVATIONS[name]
    y = a.function(x)
    slope = a.derivative(x, y)
    expected = torch.autograd.grad(slope.sum(), x)[0] if slope.requires_grad else torch.zeros_like(x)
    torch.testing.assert_close(a.curvature(x, y, slope), expected, rtol=1e-11, atol=1e-14)


def test_known_values():
    at_one = {name: float(a.function(torch.tensor(1.0).double())) for name, a in ACTIVATIONS.items()}
    mtanh = 1.7159 * math.tanh(2 / 3)
    expected = {
        "linear": 1.0,
        "tanh": math.tanh(1),
        "sigmoid": 1 / (1 + math.exp(-1)),
        "relu": 1.0,
        "silu": 1 / (1 + math.exp(-1)),
        "gelu": 0.5 * (1 + math.erf(1 / math.sqrt(2))),
        "mtanh": mtanh,
        "twist": mtanh + 0.1,
    }
    assert at_one == pytest.approx(expected, rel=1e-15)


@every_activation
def test_value_and_gradient_are_forward_and_autograd(name):
    mlp, x = network(name), rows().requires_grad_()
    value, gradient = mlp.value_and_gradient(x)
    (expected,) = torch.autograd.grad(mlp(x).sum(), x)
    torch.testing.assert_close(value, mlp(x), **NEAR)
    torch.testing.assert_close(gradient, expected, **NEAR)


@every_activation
def test_the_gradient_by_the_input_is_differentiable_by_the_weights(name):
    mlp, x = network(name), rows(4)

    def both(*parameters):
        named = {key: p for (key, _), p in zip(mlp.named_parameters(), parameters, strict=True)}
        return torch.func.functional_call(_Gradient(mlp), {f"mlp.{key}": p for key, p in named.items()}, (x,))

    parameters = tuple(p.detach().clone().requires_grad_() for p in mlp.parameters())
    assert torch.autograd.gradcheck(both, parameters)


class _Gradient(torch.nn.Module):
    def __init__(self, mlp):
        super().__init__()
        self.mlp = mlp

    def forward(self, x):
        value, gradient = self.mlp.value_and_gradient(x)
        return value, gradient.sin()  # not linear: each component counts


def test_without_hidden_layers_it_is_linear():
    mlp, x = network(hidden=()), rows()
    value, gradient = mlp.value_and_gradient(x)
    torch.testing.assert_close(gradient, mlp.weights[0].expand(len(x), 3), rtol=0, atol=0)
    torch.testing.assert_close(value, mlp(x), rtol=0, atol=0)


def test_no_rows_give_no_values():
    value, gradient = network().value_and_gradient(torch.empty(0, 3).double())
    assert (value.shape, gradient.shape) == ((0,), (0, 3))


def test_weights_depend_on_their_stream_alone():
    first = [p.clone() for p in network(seed=5).parameters()]
    torch.manual_seed(123)
    network(seed=6)
    assert all(torch.equal(a, b) for a, b in zip(first, network(seed=5).parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, network(seed=6).parameters(), strict=True))


def test_making_a_network_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    network()
    assert torch.equal(state, torch.get_rng_state())


def test_weights_in_float64_are_drawn_with_all_their_digits():
    # the range of both layers is a power of two, so that scaling keeps a number of float32 one of float32
    mlp = MLP(16, [(64, "tanh")], generator=torch_stream(0, "weights"), dtype=torch.float64)
    for parameter in list(mlp.parameters())[:3]:  # all but a single bias
        assert (parameter != parameter.float().double()).float().mean() > 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_are_uniform_within_the_root_of_the_inputs(dtype):
    mlp = MLP(16, [(400, "tanh")], generator=torch_stream(0, "w"), dtype=dtype)
    weight = mlp.weights[0].detach()
    assert weight.dtype == dtype
    assert float(weight.abs().max()) <= 0.25
    assert float(weight.std()) == pytest.approx(0.25 / math.sqrt(3), rel=0.03)
    assert abs(float(weight.mean())) < 0.01
