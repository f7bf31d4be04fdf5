"""Activations and perceptrons: their closed derivatives against autograd and finite differences."""

from __future__ import annotations

import math

import pytest
import torch

from potentia.nn import ACTIVATIONS, MLP, segment_jacobian, weight_gradients
from potentia.seeding import torch_stream

every_activation = pytest.mark.parametrize("name", ACTIVATIONS)
every_depth = pytest.mark.parametrize(
    "hidden", [(), (5,), (5, 4), (4, 5, 3)], ids=["linear", "one layer", "two", "three"]
)
NEAR = {"rtol": 1e-13, "atol": 1e-15}


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
@every_depth
def test_a_trace_is_forward_and_autograd(name, hidden):
    mlp, x = network(name, hidden=hidden), rows().requires_grad_()
    trace = mlp.trace(x.detach(), gradient=True)
    (expected,) = torch.autograd.grad(mlp(x).sum(), x)
    torch.testing.assert_close(trace.value, mlp(x).detach(), **NEAR)
    torch.testing.assert_close(trace.gradient, expected, **NEAR)
    without = mlp.trace(x.detach(), gradient=False)
    assert without.gradient is None
    assert without.pulls == []
    assert torch.equal(without.value, trace.value)


@every_activation
@every_depth
def test_weight_gradients_are_those_of_autograd(name, hidden):
    mlp, x = network(name, hidden=hidden), rows()
    v, g = cotangents()
    found = weight_gradients(mlp.trace(x, gradient=True).factors(v, g))
    assert_near(found, derivative(mlp, weighted_sum(mlp, x, v, g)))


@every_activation
@every_depth
def test_without_a_cotangent_of_the_gradient_they_are_those_of_the_value(name, hidden):
    mlp, x = network(name, hidden=hidden), rows()
    v, _ = cotangents()
    expected = derivative(mlp, (v * mlp(x)).sum())
    for gradient in (False, True):
        assert_near(weight_gradients(mlp.trace(x, gradient=gradient).factors(v)), expected)


@every_activation
@every_depth
def test_a_row_of_the_jacobian_is_the_derivative_of_a_segment(name, hidden):
    mlp, x, counts = network(name, hidden=hidden), rows(), torch.tensor([2, 0, 1, 4, 0])
    v, g = cotangents()
    found = segment_jacobian(mlp.trace(x, gradient=True).factors(v, g), counts)
    parts = zip(*(one.split(counts.tolist()) for one in (x, v, g)), strict=True)
    for row, (x_, v_, g_) in zip(found, parts, strict=True):
        expected = derivative(mlp, weighted_sum(mlp, x_, v_, g_))
        torch.testing.assert_close(row, flat(expected), rtol=1e-12, atol=1e-14)


def test_the_rows_of_a_jacobian_add_up_to_the_gradient():
    factors = network().trace(rows(), gradient=True).factors(*cotangents())
    found = segment_jacobian(factors, torch.tensor([3, 0, 4]))
    torch.testing.assert_close(found.sum(0), flat(weight_gradients(factors)), rtol=1e-13, atol=1e-14)


def test_segments_without_rows_have_rows_of_zeros():
    mlp = network()
    n = sum(p.numel() for p in mlp.parameters())
    factors = mlp.trace(rows(0), gradient=True).factors(*cotangents(0))
    assert torch.equal(segment_jacobian(factors, torch.tensor([0, 0])), torch.zeros(2, n).double())
    assert segment_jacobian(factors, torch.zeros(0, dtype=torch.int64)).shape == (0, n)
    assert all(not part.any() for part in weight_gradients(factors))


def test_in_float32_all_is_float32_and_near():
    fine, coarse = network(), network(dtype=torch.float32)
    coarse.load_state_dict({name: value.float() for name, value in fine.state_dict().items()})
    v, g = cotangents()
    expected = fine.trace(rows(), gradient=True)
    found = coarse.trace(rows().float(), gradient=True)
    counts = torch.tensor([3, 4])
    pairs = {
        "value": (found.value, expected.value),
        "gradient": (found.gradient, expected.gradient),
        "jacobian": (
            segment_jacobian(found.factors(v.float(), g.float()), counts),
            segment_jacobian(expected.factors(v, g), counts),
        ),
    }
    for one, other in pairs.values():
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


def test_a_trace_takes_no_part_in_the_graph_of_autograd():
    trace = network().trace(rows(), gradient=True)
    assert not trace.value.requires_grad
    assert not trace.gradient.requires_grad


def test_asking_twice_gives_the_same():
    trace = network("gelu").trace(rows(), gradient=True)
    first, again = (weight_gradients(trace.factors(*cotangents())) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_no_rows_give_no_values():
    trace = network().trace(torch.empty(0, 3).double(), gradient=True)
    assert (trace.value.shape, trace.gradient.shape) == ((0,), (0, 3))


def cotangents(n=7):
    stream = torch_stream(2, "cotangents")
    return torch.randn(n, generator=stream).double(), torch.randn(n, 3, generator=stream).double()


def gradient_of(mlp, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(mlp(x).sum(), x, create_graph=True)[0]


def weighted_sum(mlp, x, v, g):
    """Σ v·N + Σ g·∇N."""
    return (v * mlp(x)).sum() + (g * gradient_of(mlp, x)).sum()


def derivative(mlp, value):
    return torch.autograd.grad(value, list(mlp.parameters()), materialize_grads=True, allow_unused=True)


def flat(parts):
    return torch.cat([part.flatten() for part in parts])


def assert_near(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


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
