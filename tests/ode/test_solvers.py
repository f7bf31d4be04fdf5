"""Solvers: known answers, order, SciPy, failures that stay where they are, and derivatives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate
import torch

from ode.equations import blow_up, decay, doubles, driven, oscillation, oscillator, van_der_pol
from potentia.config import from_dict, plain
from potentia.errors import ConfigError, DataError
from potentia.ode import Euler, FixedTsit5, Method, RungeKutta4, Status, Tsit5, solve
from potentia.seeding import torch_stream

FINE = Tsit5(rtol=1e-10, atol=1e-10)
every_method = pytest.mark.parametrize(
    "method",
    [FINE, FixedTsit5(step=0.02), RungeKutta4(substeps=20), Euler(substeps=400)],
    ids=lambda m: type(m).__name__,
)
every_order = pytest.mark.parametrize(
    ("method", "order"),
    [
        (lambda n: Euler(substeps=n), 1),
        (lambda n: RungeKutta4(substeps=n), 4),
        (lambda n: FixedTsit5(step=2 / n), 5),
    ],
    ids=["Euler", "RungeKutta4", "FixedTsit5"],
)


def initial_states(members=3):
    return torch.randn(members, 2, generator=torch_stream(0, "initial"), dtype=torch.float64)


def even(last, n=7):
    return torch.linspace(0, last, n, dtype=torch.float64)


@every_method
def test_the_exponential(method):
    states = solve(decay, doubles(1.0, 3.0)[:, None], even(1.0), method).states
    expected = doubles(1.0, 3.0)[:, None] * torch.exp(-even(1.0))
    torch.testing.assert_close(states[..., 0], expected, rtol=0, atol=5e-3 if isinstance(method, Euler) else 1e-8)


@every_method
def test_oscillators_of_several_frequencies(method):
    initial, frequency = initial_states(), doubles(0.5, 1.0, 2.0)[:, None]
    found = solve(oscillator, initial, even(1.0), method, constants=(frequency,))
    expected = oscillation(initial, even(1.0), frequency)
    torch.testing.assert_close(found.states, expected, rtol=0, atol=5e-3 if isinstance(method, Euler) else 1e-8)
    assert found.status.tolist() == [Status.DONE] * 3
    assert found.failures() == {}


@every_method
def test_rates_that_depend_on_time(method):
    start = doubles(0.0, 0.3)
    times = torch.stack((even(1.0), even(1.0) + 0.3))
    states = solve(driven, torch.sin(start)[:, None] + 1, times, method, start=start).states[..., 0]
    expected = torch.sin(times) + torch.exp(start[:, None] - times)
    torch.testing.assert_close(states, expected, rtol=0, atol=5e-3 if isinstance(method, Euler) else 1e-8)


@every_order
def test_the_order_of_convergence(method, order):
    initial, frequency = initial_states(), torch.ones(3, 1, dtype=torch.float64)
    times = doubles(0.0, 2.0)
    exact = oscillation(initial, times, frequency)
    errors = [
        float((solve(oscillator, initial, times, method(n), constants=(frequency,)).states - exact).abs().max())
        for n in (16, 32)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


def test_between_its_steps_the_interpolant_is_of_fourth_order_at_least():
    initial, frequency, times = initial_states(), torch.ones(3, 1, dtype=torch.float64), even(2.0, 101)
    exact = oscillation(initial, times, frequency)
    errors = [
        float(
            (solve(oscillator, initial, times, FixedTsit5(step=h), constants=(frequency,)).states - exact).abs().max()
        )
        for h in (0.2, 0.1)
    ]
    assert math.log2(errors[0] / errors[1]) > 3.9


@pytest.mark.parametrize("scipy_method", ["DOP853", "RK45"])
def test_it_agrees_with_scipy_to_the_tolerance(scipy_method):
    initial, mu, times = initial_states(), doubles(0.5, 1.0, 3.0)[:, None], even(6.0, 25)
    states = solve(van_der_pol, initial, times, FINE, constants=(mu,)).states
    for member in range(3):

        def rates(t, y, member=member):
            return van_der_pol(None, torch.from_numpy(y)[None], mu[member : member + 1])[0].numpy()

        reference = scipy.integrate.solve_ivp(
            rates, (0, 6), initial[member].numpy(), scipy_method, times.numpy(), rtol=1e-10, atol=1e-10
        ).y.T
        np.testing.assert_allclose(states[member].numpy(), reference, rtol=0, atol=3e-8)


def test_the_error_follows_the_tolerance():
    initial, frequency, times = initial_states(), doubles(1.0, 2.0, 3.0)[:, None], even(5.0)
    exact = oscillation(initial, times, frequency)
    for tolerance in (1e-4, 1e-6, 1e-8):
        found = solve(oscillator, initial, times, Tsit5(rtol=tolerance, atol=tolerance), constants=(frequency,))
        assert float((found.states - exact).abs().max()) < 30 * tolerance
        assert found.steps.tolist() == sorted(found.steps.tolist())  # faster ones need more


def test_in_single_precision_the_states_stay_in_it():
    states = solve(decay, torch.ones(1, 1), torch.linspace(0, 1, 5), Tsit5()).states
    assert states.dtype == torch.float32
    torch.testing.assert_close(states[0, :, 0], torch.exp(-torch.linspace(0, 1, 5)), rtol=0, atol=3e-6)


# ------------------------------------------------------------------------------------------- one member at a time


def test_a_member_does_not_depend_on_the_others_to_the_bit():
    initial, mu, times = initial_states(9), torch.linspace(0.1, 30, 9).double()[:, None], even(4.0, 33)
    together = solve(van_der_pol, initial, times, Tsit5(), constants=(mu,))
    for members in (slice(0, 1), slice(3, 5), slice(8, 9)):
        alone = solve(van_der_pol, initial[members], times, Tsit5(), constants=(mu[members],))
        assert torch.equal(alone.states, together.states[members])
        assert torch.equal(alone.steps, together.steps[members])


def test_what_else_is_wanted_changes_no_state():
    initial, mu = initial_states(), doubles(1.0, 2.0, 3.0)[:, None]
    for method in (Tsit5(), FixedTsit5(step=0.05)):
        many = solve(van_der_pol, initial, even(3.0, 31), method, constants=(mu,)).states
        few = solve(van_der_pol, initial, even(3.0, 31)[[4, 17]], method, start=0.0, constants=(mu,)).states
        assert torch.equal(few, many[:, [4, 17]])


@every_method
def test_times_of_each_member(method):
    initial, frequency = initial_states(), doubles(0.5, 1.0, 1.5)[:, None]
    times = torch.rand(3, 5, generator=torch_stream(0, "times"), dtype=torch.float64).sort(1).values
    found = solve(oscillator, initial, times, method, start=0.0, constants=(frequency,))
    expected = oscillation(initial, times, frequency)
    torch.testing.assert_close(found.states, expected, rtol=0, atol=5e-3 if isinstance(method, Euler) else 1e-8)


@every_method
def test_at_the_start_is_the_initial_state_exactly(method):
    initial = initial_states()
    constants = (torch.ones(3, 1, dtype=torch.float64),)
    for times in (doubles(0.0), doubles(0.0, 0.0, 1.0)):
        for given in (initial, initial.clone().requires_grad_()):
            states = solve(oscillator, given, times, method, constants=constants).states
            assert torch.equal(states[:, 0], initial)
            assert torch.equal(states[:, (times == 0).sum() - 1], initial)


@every_method
def test_no_members_have_no_states(method):
    constants = (torch.ones(0, 1, dtype=torch.float64),)
    for initial in (initial_states(0), initial_states(0).requires_grad_()):
        assert solve(oscillator, initial, even(1.0), method, constants=constants).states.shape == (0, 7, 2)


# ------------------------------------------------------------------------------------------------------ failures


def test_a_failed_member_is_nan_from_there_on_and_the_others_are_as_without_it():
    initial, times = doubles(0.5, 2.0, 0.8)[:, None], even(1.0, 11)  # the second one is infinite at t = 0.5
    for given in (initial, initial.clone().requires_grad_()):
        found = solve(blow_up, given, times, Tsit5())
        assert found.status[[0, 2]].tolist() == [Status.DONE, Status.DONE]
        assert list(found.failures()) == [1]
        assert found.failures()[1] in {Status.STEP_TOO_SMALL, Status.NOT_FINITE}
        exact = 1 / (1 / initial - times)
        torch.testing.assert_close(found.states[:, :5, 0], exact[:, :5], rtol=1e-4, atol=0)
        assert torch.isnan(found.states[1, 6:]).all()
        others = solve(blow_up, given[[0, 2]], times, Tsit5()).states
        assert torch.equal(others, found.states[[0, 2]])


def test_the_gradient_of_the_others_is_clean_of_a_failed_member():
    factor = doubles(1.0).requires_grad_()
    found = solve(lambda t, y: factor * y * y, doubles(0.5, 2.0)[:, None], even(1.0), Tsit5())
    found.states[0].sum().backward()
    alone = doubles(1.0).requires_grad_()
    solve(lambda t, y: alone * y * y, doubles(0.5)[:, None], even(1.0), Tsit5()).states.sum().backward()
    assert torch.equal(factor.grad, alone.grad)


def test_every_status_has_its_cause():
    def rates(t, y, kind):
        broken = torch.where(t[:, None] > 0.5, torch.nan, 1.0)
        jump = torch.where(y > 0.5, 1e30, 1.0) * y.sign()
        return torch.where(kind == 1, 1e3 * torch.cos(1e3 * t)[:, None], torch.where(kind == 2, broken, -y + 0 * jump))

    kind = doubles(0, 1, 2, 3)[:, None]
    initial = doubles(1.0, 0.0, 0.0, torch.nan)[:, None]
    found = solve(rates, initial, even(1.0), Tsit5(max_steps=400), constants=(kind,))
    wanted = [Status.DONE, Status.TOO_MANY_STEPS, Status.NOT_FINITE, Status.NOT_FINITE]
    assert found.status.tolist() == wanted
    assert found.failures() == {member: status for member, status in enumerate(wanted) if status}
    assert int((found.steps + found.rejected)[1]) == 400


def test_a_tolerance_that_no_step_meets_is_a_step_too_small():
    found = solve(
        lambda t, y: torch.where(t < 0.5, 1.0, 1e9)[:, None] + 0 * y,
        torch.zeros(1, 1),
        even(1.0),
        Tsit5(rtol=0, atol=1e-30),
    )
    assert found.failures() == {0: Status.STEP_TOO_SMALL}


@pytest.mark.parametrize(
    "method", [Euler(substeps=3), RungeKutta4(), FixedTsit5(step=0.1)], ids=lambda m: type(m).__name__
)
def test_with_fixed_steps_too_a_member_that_overflows_fails_alone(method):
    initial = torch.tensor([[0.1], [50.0]])
    found = solve(lambda t, y: y**3, initial, torch.linspace(0, 1, 11), method)
    assert found.failures() == {1: Status.NOT_FINITE}
    assert torch.isfinite(found.states[0]).all()
    assert torch.isnan(found.states[1, -1]).all()


# --------------------------------------------------------------------------------------------------- derivatives


@every_method
def test_derivatives_are_those_of_the_exact_solution(method):
    initial, frequency = initial_states(2).requires_grad_(), doubles(0.5, 2.0)[:, None].requires_grad_()
    times = even(1.0).requires_grad_()
    weights = torch.randn(2, 7, 2, generator=torch_stream(0, "weights"), dtype=torch.float64)
    found = solve(oscillator, initial, times, method, start=0.0, constants=(frequency,)).states
    got = torch.autograd.grad((weights * found).sum(), (initial, frequency, times))
    wanted = torch.autograd.grad((weights * oscillation(initial, times, frequency)).sum(), (initial, frequency, times))
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=5e-2 if isinstance(method, Euler) else 1e-6)


def test_derivatives_by_what_the_rates_hold_are_central_differences():
    w = torch.randn(2, 2, generator=torch_stream(0, "w"), dtype=torch.float64).requires_grad_()
    initial, times = initial_states(), even(2.0)

    def total(w):
        return solve(lambda t, y: torch.tanh(y @ w), initial, times, FINE).states.square().sum()

    (got,) = torch.autograd.grad(total(w), w)
    h, fixed = 1e-4, w.detach()
    for i in range(4):
        shift = torch.zeros(4, dtype=torch.float64).index_fill(0, torch.tensor(i), h).view(2, 2)
        difference = (total(fixed + shift) - total(fixed - shift)) / (2 * h)
        assert got.flatten()[i].item() == pytest.approx(difference.item(), rel=1e-6)


def test_states_are_the_same_with_and_without_derivatives():
    initial, mu, times = initial_states(5), torch.linspace(0.1, 9, 5).double()[:, None], even(4.0, 33)
    plain_states = solve(van_der_pol, initial, times, Tsit5(), constants=(mu,))
    traced = solve(van_der_pol, initial.clone().requires_grad_(), times, Tsit5(), constants=(mu,))
    assert torch.equal(traced.states, plain_states.states)
    assert torch.equal(traced.steps, plain_states.steps)


def test_second_derivatives_go_through_the_steps():
    initial = doubles(0.5)[:, None].requires_grad_()
    state = solve(blow_up, initial, doubles(0.0, 1.0), FINE).states[0, -1, 0]
    (first,) = torch.autograd.grad(state, initial, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), initial)
    assert first.item() == pytest.approx(4.0, rel=1e-6)  # 1/(1 − y₀)²
    assert second.item() == pytest.approx(16.0, rel=1e-5)  # 2/(1 − y₀)³


# -------------------------------------------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("times", "start", "message"),
    [
        (doubles(0, 2, 1), None, "must be finite, in ascending order"),
        (doubles(0, 1, torch.nan), None, "must be finite"),
        (doubles(0, 1), 0.5, "none before the start"),
        (torch.stack((doubles(0, 1), doubles(1, 0))), None, "`times` of member 1 must be finite"),
        (torch.zeros(3, 2), None, r"\[members, times\] with 2 members, got \(3, 2\)"),
        (torch.zeros(0), None, r"got \(0,\)"),
        (doubles(0, 1), torch.zeros(3), r"`start` must be one time or one for each of 2 members"),
    ],
)
def test_times_that_cannot_be_are_refused(times, start, message):
    with pytest.raises(DataError, match=message):
        solve(decay, torch.ones(2, 1), times, Tsit5(), start=start)


def test_initial_states_and_constants_that_cannot_be_are_refused():
    with pytest.raises(
        DataError, match=r"`initial` must be floats \[members, states\], got torch.int64 of shape \(2,\)"
    ):
        solve(decay, torch.ones(2, dtype=torch.int64), doubles(0, 1), Tsit5())
    with pytest.raises(DataError, match=r"constant 0 must have a row for each of 2 members, got \(3,\)"):
        solve(decay, torch.ones(2, 1), doubles(0, 1), Tsit5(), constants=(torch.ones(3),))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tsit5(rtol=0, atol=0), "rtol and atol are both 0"),
        (lambda: Tsit5(rtol=-1), "rtol must be a finite number of at least 0"),
        (lambda: Tsit5(max_steps=0), "max_steps must be an integer of at least 1"),
        (lambda: FixedTsit5(step=0), "step must be greater than 0"),
        (lambda: RungeKutta4(substeps=0), "substeps must be an integer of at least 1"),
        (lambda: from_dict(Method, {"class": "Tsit5", "rtoll": 1}), "did you mean 'rtol'"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@every_method
def test_settings_there_and_back(method):
    assert from_dict(Method, plain(method)) == method
