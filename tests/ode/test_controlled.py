"""Controls that are held between times, and limits that no step crosses."""

from __future__ import annotations

import pytest
import torch

from ode.equations import doubles
from potentia.errors import DataError
from potentia.ode import Euler, RungeKutta4, solve_controlled
from potentia.seeding import torch_stream


def pushed(t, y, u):
    """Position and velocity under an acceleration."""
    return torch.stack((y[:, 1], u[:, 0]), 1)


def turned(t, y, u, rate):
    return rate * u


def inside(y, u, h, rate):
    """Shorten the control so that the state ends inside ±1."""
    return torch.clamp(u, (-1 - y) / (h * rate), (1 - y) / (h * rate))


def pushes(members=2, n=5):
    return torch.randn(members, n, 1, generator=torch_stream(0, "controls"), dtype=torch.float64)


def test_an_acceleration_that_is_held_gives_the_parabola():
    times, controls = doubles(0.0, 0.5, 0.7, 1.5, 1.6, 2.0), pushes()
    states = solve_controlled(pushed, torch.zeros(2, 2, dtype=torch.float64), times, controls, RungeKutta4()).states
    x, v = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for i, h in enumerate(times.diff()):
        x, v = x + v * h + controls[:, i, 0] * h * h / 2, v + controls[:, i, 0] * h
        torch.testing.assert_close(states[:, i + 1], torch.stack((x, v), 1), rtol=0, atol=1e-14)


@pytest.mark.parametrize("substeps", [1, 3])
@pytest.mark.parametrize("method", [Euler, RungeKutta4])
def test_a_limit_is_reached_and_not_crossed(method, substeps):
    times, rate = torch.linspace(0, 5, 6, dtype=torch.float64), doubles(1.0, 3.0)[:, None]
    up = torch.full((2, 5, 1), 0.45, dtype=torch.float64)
    start = torch.zeros(2, 1, dtype=torch.float64)
    free = solve_controlled(turned, start, times, up, method(substeps=substeps), constants=(rate,)).states
    held = solve_controlled(turned, start, times, up, method(substeps=substeps), limit=inside, constants=(rate,)).states
    assert float(free.max()) > 2
    assert float(held.max()) == pytest.approx(1.0, abs=1e-14)
    torch.testing.assert_close(held, free.clamp(max=1), rtol=0, atol=1e-14)


def test_derivatives_by_the_controls():
    controls = pushes().requires_grad_()
    times = torch.linspace(0, 1, 6, dtype=torch.float64)

    def last(controls):
        return solve_controlled(pushed, torch.zeros(2, 2, dtype=torch.float64), times, controls, RungeKutta4()).states[
            :, -1
        ]

    assert torch.autograd.gradcheck(last, (controls,))


def test_controls_of_another_number_of_times_are_refused():
    with pytest.raises(DataError, match=r"`controls` must have shape \[members, times − 1, controls\] = \[2, 2, ...\]"):
        solve_controlled(pushed, torch.zeros(2, 2), torch.arange(3.0), torch.zeros(2, 3, 1), Euler())
