"""Roll-outs in machine code: the numbers of torch, whatever stands beside; and what is not compiled says why."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from potentia.dynamics import (
    ModelSpec,
    Parameter,
    RolloutSettings,
    Variable,
    get_model_spec,
    list_model_specs,
    rollout,
    rollout_jacobian,
    why_not_compiled,
)
from potentia.dynamics.compiled.derivative import partials
from potentia.dynamics.compiled.graph import ARITHMETIC, Graph, Program
from potentia.seeding import torch_stream

FAST = ("unicycle",)
MODELS = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in list_model_specs()]
every_model = pytest.mark.parametrize("name", MODELS)


def methods(spec):
    return ("euler", "rk4") if spec.limit_fn is None else ("euler", "rk4", "rk4-clamped")


def windows_of(name, windows=5, steps=4, dtype=torch.float64):
    """Initial states at driving speed, controls up to their limits, parameters near the defaults, lengths of steps."""
    spec = get_model_spec(name)
    random = torch_stream(0, "windows", name)

    def draw(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    states = 0.1 * draw(windows, len(spec.states)).abs()
    if spec.speed is not None:
        states[:, spec.state_names.index(spec.speed)] = 3 + draw(windows).abs()
    controls = 2 * draw(windows, steps, len(spec.controls))
    params = {}
    for one in spec.parameters:
        low, high = (torch.as_tensor(bound) for bound in one.bounds)
        middle = torch.as_tensor(one.values) + 0.05 * (high - low) * draw(windows, *one.shape)
        params[one.name] = torch.minimum(torch.maximum(middle, low), high).to(dtype)
    dt = 0.01 + 0.01 * torch.rand(windows, steps, generator=random, dtype=torch.float64)
    return spec, states.to(dtype), controls.to(dtype), params, dt


def both_ways(spec, states, controls, params, dt, settings, weights):
    """Return states and derivatives of a weighted sum of them by all that is given, compiled and by torch."""
    found = []
    for compiled in (True, False):
        given = [one.clone().requires_grad_() for one in (states, controls, *params.values())]
        named = dict(zip(params, given[2:], strict=True))
        out = rollout(spec, given[0], given[1], named, dt, replace(settings, compiled=compiled))
        gradients = torch.autograd.grad((out * weights).sum(), given, allow_unused=True)
        pairs = zip(given, gradients, strict=True)
        found.append([out.detach(), *(torch.zeros_like(one) if found is None else found for one, found in pairs)])
    return zip(*found, strict=True)


@pytest.mark.parametrize("substeps", [1, 3])
@every_model
def test_states_and_derivatives_are_those_of_torch(name, substeps):
    spec, states, controls, params, dt = windows_of(name)
    weights = torch.randn(5, 4, len(spec.states), generator=torch_stream(0, "weights"), dtype=torch.float64)
    for method in methods(spec):
        settings = RolloutSettings(method=method, substeps=substeps)
        for ours, wanted in both_ways(spec, states, controls, params, dt, settings, weights):
            torch.testing.assert_close(ours, wanted, rtol=1e-12, atol=1e-12 * max(float(wanted.abs().max()), 1e-3))


@every_model
def test_every_model_that_comes_with_the_package_is_compiled(name):
    assert why_not_compiled(get_model_spec(name)) is None


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_a_model_that_is_first_asked_without_derivatives_is_compiled_all_the_same(without):
    spec = replace(get_model_spec("unicycle"), name="again")
    with without():
        assert why_not_compiled(spec) is None


@every_model
def test_all_derivatives_by_parameters_and_initial_states_at_once(name):
    """Beside torch's equations of variation: substeps, every method, and with or without the initial states."""
    spec, states, controls, params, dt = windows_of(name)
    for method in methods(spec):
        settings = RolloutSettings(method=method, substeps=2)
        given = (spec, states, controls, params, dt)
        ours = rollout_jacobian(*given, settings, by_initial=True)
        wanted = rollout_jacobian(*given, replace(settings, compiled=False), by_initial=True)
        assert ours.by_params.shape == (5, 4, len(spec.states), spec.vector_size)
        assert ours.by_initial.shape == (5, 4, len(spec.states), len(spec.states))
        pairs = ((getattr(ours, part), getattr(wanted, part)) for part in ("states", "by_params", "by_initial"))
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11 * max(float(other.abs().max()), 1e-3))
        alone = rollout_jacobian(*given, settings)
        assert alone.by_initial is None
        assert torch.equal(alone.by_params, ours.by_params)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_model_specs())
def test_in_single_precision(name):
    spec, states, controls, params, dt = windows_of(name, dtype=torch.float32)
    weights = torch.ones(5, 4, len(spec.states))
    for ours, wanted in both_ways(spec, states, controls, params, dt, RolloutSettings(), weights):
        scale = max(float(wanted.abs().max()), 1e-3)
        torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=2e-5 * scale)


def test_derivatives_are_those_of_finite_differences():
    spec, states, controls, params, dt = windows_of("unicycle", windows=2, steps=2)
    given = [one.requires_grad_() for one in (states, controls, *params.values())]

    def rolled(states, controls, *values):
        return rollout(spec, states, controls, dict(zip(params, values, strict=True)), dt)

    assert torch.autograd.gradcheck(rolled, given)


def test_a_window_has_the_same_bits_in_any_company_and_with_any_number_of_threads():
    spec, states, controls, params, _ = windows_of("unicycle", windows=133, steps=50)

    def bits(which):
        given = [one[which].clone().requires_grad_() for one in (states, controls, *params.values())]
        out = rollout(spec, given[0], given[1], dict(zip(params, given[2:], strict=True)), 0.02)
        gradients = torch.autograd.grad(out.square().sum(), given, allow_unused=True)
        return [out.detach(), *(one for one in gradients if one is not None)]

    threads = torch.get_num_threads()
    together = bits(slice(None))
    try:
        torch.set_num_threads(3)
        for one, other in zip(bits(slice(None)), together, strict=True):
            assert torch.equal(one, other)
    finally:
        torch.set_num_threads(threads)
    for which in (torch.tensor([77]), torch.arange(132, 90, -1)):
        for one, other in zip(bits(which), together, strict=True):
            assert torch.equal(one, other[which])


def test_a_window_that_diverges_is_nan_from_there_on_and_harms_no_other():
    spec, states, controls, params, _ = windows_of("singletrack", windows=4, steps=6)
    alone = rollout(spec, states, controls, params, 0.02)
    wild = states.clone()
    wild[2, 5] = 1e307  # turns that fast
    for settings in (RolloutSettings(), RolloutSettings(compiled=False)):
        given = {key: one.clone().requires_grad_() for key, one in params.items()}
        found = rollout(spec, wild, controls, given, 0.02, settings)
        assert found[2, -1].isnan().all()
        gone = found[2].isnan()
        assert torch.equal(gone.any(-1), gone.all(-1))
        others = [0, 1, 3]
        torch.testing.assert_close(found[others], alone[others], rtol=1e-12, atol=1e-12)
        found[others].square().sum().backward()
        assert given["mu"].grad[others].isfinite().all()
        assert not given["mu"].grad[2].isfinite()


def test_one_parameter_for_all_windows_gets_the_sum_of_their_derivatives():
    spec, states, controls, params, dt = windows_of("unicycle")
    shared = {key: one[0].clone().requires_grad_() for key, one in params.items()}
    rollout(spec, states, controls, shared, dt).sum().backward()
    each = {key: one[0].expand(5).clone().requires_grad_() for key, one in params.items()}
    rollout(spec, states, controls, each, dt).sum().backward()
    for key in params:
        torch.testing.assert_close(shared[key].grad, each[key].grad.sum())


def test_constants_are_no_part_of_the_machine_code():
    spec, states, controls, params, dt = windows_of("unicycle")
    left = {key: one for key, one in params.items() if key != "k_turn"}
    for value in (0.9, 1.1):
        fixed = spec.with_fixed({"k_turn": value})
        whole = {**params, "k_turn": torch.tensor(value, dtype=torch.float64)}
        wanted = rollout(spec, states, controls, whole, dt)
        torch.testing.assert_close(rollout(fixed, states, controls, left, dt), wanted, rtol=1e-12, atol=1e-14)


def test_a_second_derivative_is_refused_and_torch_has_it():
    spec, states, controls, params, dt = windows_of("unicycle")
    states.requires_grad_()
    for settings in (RolloutSettings(), RolloutSettings(compiled=False)):
        out = rollout(spec, states, controls, params, dt, settings)
        (first,) = torch.autograd.grad(out.square().sum(), states, create_graph=True)
        if settings.compiled:
            with pytest.raises(NotImplementedError, match="compiled=False"):
                first.sum().backward()
        else:
            first.sum().backward()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # what torch.func imports
def test_transforms_of_torch_go_through_torch():
    spec, states, controls, params, dt = windows_of("unicycle")
    _, pushed = torch.func.jvp(lambda y: rollout(spec, y, controls, params, dt), (states,), (torch.ones_like(states),))
    torch.testing.assert_close(pushed[..., 3], torch.ones_like(pushed[..., 3]), atol=0.2, rtol=0)


def with_rates(change):
    spec = get_model_spec("unicycle")
    return replace(spec, dynamics_fn=lambda y, u, p: change(spec.dynamics_fn(y, u, p)), limit_fn=None)


LEARNS = torch.ones((), dtype=torch.float64, requires_grad=True)
REFUSED = {
    "changes a tensor": lambda rates: rates.add_(1.0),
    "not known to it": lambda rates: rates.erf(),
    "no parameter": lambda rates: rates * LEARNS,
    "torch.where": lambda rates: rates if bool(rates[..., 0].sum() > 0) else -rates,
    "look beyond the row": lambda rates: rates * rates.ndim,
    "on a single row": lambda rates: rates * rates.sum(1, keepdim=True),
    "as with detach": lambda rates: rates * rates.detach(),
    "exp\\(b log\\(a\\)\\)": lambda rates: rates.abs() ** rates,
    "rates finite": lambda rates: rates / 0,
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_compiled_says_why_and_goes_through_torch(reason):
    spec = with_rates(REFUSED[reason])
    why = why_not_compiled(spec)
    assert why is not None
    assert re.search(reason, why), why
    _, states, controls, params, dt = windows_of("unicycle")
    assert rollout(spec, states, controls, params, dt).shape == (5, 4, 4)


def of_temperature(change):
    """Arrhenius' law: near 0 K, and below, its exponents are beyond all numbers."""

    def rates(y, u, p):
        return change(p["k"] * torch.exp(-5000 / y[..., 0]) * y[..., 1])[..., None] * torch.ones_like(y)

    names = ("T", "c")
    return ModelSpec(
        name="arrhenius",
        states=tuple(Variable(name=name) for name in names),
        controls=(),
        parameters=(Parameter(name="k", low=1.0, high=2.0, default=1.5),),
        dynamics_fn=rates,
    )


def test_what_overflows_in_places_is_compared_where_it_does_not():
    assert why_not_compiled(of_temperature(lambda rate: rate)) is None
    assert "as with detach" in str(why_not_compiled(of_temperature(lambda rate: rate * rate.detach())))


NUMBERS = {
    1: [name for name in ARITHMETIC if name not in {"add", "subtract", "times", "over", "smaller", "larger", "atan2",
        "smaller_or_first", "larger_or_first", "less", "at_most", "equal", "not", "and", "or", "select"}],
    2: ["add", "subtract", "times", "over", "smaller", "larger", "smaller_or_first", "larger_or_first", "atan2"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "count"), [(name, count) for count, names in NUMBERS.items() for name in names])
def test_the_derivative_of_each_operation(name, count):
    graph = Graph()
    inputs = [graph.input(k) for k in range(count)]
    node = graph.apply(name, *inputs)
    found = partials(graph, [node], inputs)
    at = [np.array([0.7, 1.9, 0.4]), np.array([1.2, 0.3, 2.5])][:count]
    program = Program(graph, [found[0, k] for k in range(count)])
    for k, slope in enumerate(program(at)):
        shifted = [[one + (sign * 1e-6 if k == j else 0) for j, one in enumerate(at)] for sign in (1, -1)]
        wanted = (ARITHMETIC[name](*shifted[0]) - ARITHMETIC[name](*shifted[1])) / 2e-6
        np.testing.assert_allclose(slope, wanted, rtol=1e-8, atol=1e-9)


def test_a_graph_keeps_equal_things_once_and_computes_what_is_known():
    graph = Graph()
    a, b = graph.input(0), graph.input(1)
    assert graph.apply("add", a, b) == graph.apply("add", b, a)
    assert graph.apply("times", graph.number(1.0), a) == a
    assert graph.apply("add", graph.number(2.0), graph.number(3.0)) == graph.number(5.0)
    assert graph.number(True) != graph.number(1.0)
    assert graph.apply("negative", graph.apply("negative", a)) == a
