"""Burgers: known solutions, orders of convergence, what is conserved, and what a grid is too coarse for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from potentia.errors import ConfigError, DataError
from potentia.operators.systems import Burgers

X = torch.arange(256, dtype=torch.float64) / 256


def burgers(field, nu, steps=10, **settings):
    """Fields [steps + 1, x] from one field."""
    one = Burgers(**settings)
    return one.trajectories(field[None, None], np.full((1, 1), nu), steps)[0, :, 0]


def test_a_faint_burgers_wave_decays_as_heat_does():
    found = burgers(1e-6 * torch.sin(2 * math.pi * X), 0.05)
    for k, field in enumerate(found):
        exact = 1e-6 * math.exp(-4 * math.pi**2 * 0.05 * 0.1 * k) * torch.sin(2 * math.pi * X)
        assert (field - exact).abs().max() < 1e-11


def test_burgers_has_the_solution_of_cole_and_hopf():
    nu, height = 0.05, 0.9
    found = burgers(
        4 * math.pi * nu * height * torch.sin(2 * math.pi * X) / (1 + height * torch.cos(2 * math.pi * X)), nu
    )
    for k, field in enumerate(found):
        left = height * math.exp(-4 * math.pi**2 * nu * 0.1 * k)
        exact = 4 * math.pi * nu * left * torch.sin(2 * math.pi * X) / (1 + left * torch.cos(2 * math.pi * X))
        assert (field - exact).abs().max() < 1e-7


def test_a_burgers_shock_is_that_of_cole_and_hopf():
    nu, t, n = 0.01, 0.5, 4096
    x = np.arange(n) / n
    potential = np.exp((np.cos(2 * np.pi * x) - 1) / (2 * np.pi) / (2 * nu))  # of u = sin(2πx)
    k = 2 * np.pi * np.fft.rfftfreq(n, 1 / n)
    heat = np.fft.rfft(potential) * np.exp(-nu * k**2 * t)
    exact = -2 * nu * np.fft.irfft(1j * k * heat, n) / np.fft.irfft(heat, n)
    found = burgers(torch.sin(2 * math.pi * X), nu, steps=5)[-1].numpy()
    assert np.abs(np.diff(found)).max() > 0.05  # it is steep
    np.testing.assert_allclose(found, exact[:: n // 256], atol=1e-5)


def test_burgers_converges_with_order_four_in_time():
    field = 2 * torch.sin(2 * math.pi * X) + torch.cos(4 * math.pi * X)
    exact, *found = (burgers(field, 0.05, steps=2, dt=dt)[-1] for dt in (0.0005, 0.005, 0.0025))
    coarse, fine = ((one - exact).abs().max().item() for one in found)
    assert 12 < coarse / fine < 20


def test_a_finer_solver_changes_no_burgers_field():
    one = Burgers()
    fields = one.initial(3, (256,), 0).double()
    nu = np.full((3, 1), 0.005)
    found, finer = (Burgers(points=n).trajectories(fields, nu, 6) for n in (512, 1024))
    assert (found - finer).abs().max() < 1e-4


def test_the_same_burgers_sample_on_another_grid_is_the_same_function():
    one = Burgers()
    nu = np.full((3, 1), 0.02)
    coarse, fine = (one.trajectories(one.initial(3, (n,), 0), nu, 5) for n in (128, 512))
    away = (coarse - fine[..., ::4]).abs().amax((0, 2, 3))
    assert away[0] < 5e-3  # what the modes that the coarse grid does not hold are worth
    assert away[2:].max() < 1e-4


def test_burgers_keeps_its_mass_and_loses_energy():
    field = 0.3 + torch.sin(2 * math.pi * X) + torch.cos(6 * math.pi * X)
    found = burgers(field, 0.01)
    torch.testing.assert_close(found.mean(1), torch.full((11,), 0.3, dtype=torch.float64), rtol=0, atol=1e-13)
    assert (found.square().mean(1).diff() < 0).all()


def test_burgers_fields_are_drawn_from_the_covariance_they_name():
    found = Burgers().initial(600, (64,), 0)[:, 0].double()
    assert found.mean(1).abs().max() < 1e-6
    power = (torch.fft.rfft(found).abs() / 64).square().mean(0)[1:6]
    k = 2 * math.pi * torch.arange(1, 6)
    torch.testing.assert_close(power, (25 / (k**2 + 25)).double() ** 2 * 1.0, rtol=0.15, atol=0)


def test_a_fixed_viscosity_is_no_parameter():
    one = Burgers(lowest=0.01, highest=0.01)
    assert len(one.space) == 0
    field = torch.sin(2 * math.pi * X)
    found = one.trajectories(field[None, None], np.zeros((1, 0)), 3)[0, :, 0]
    torch.testing.assert_close(found, burgers(field, 0.01, steps=3), rtol=0, atol=1e-14)


def test_shocks_make_burgers_more_than_heat():
    one, nu = Burgers(lowest=0.01, highest=0.01), 0.01
    fields = one.trajectories(one.initial(32, (256,), 0), np.zeros((32, 0)), 10)[:, :, 0].double()
    k = 2 * math.pi * torch.arange(129)
    heat = torch.fft.irfft(torch.fft.rfft(fields[:, 0]) * torch.exp(-nu * k**2), 256)

    def away(guess):
        return ((guess - fields[:, -1]).norm(dim=1) / fields[:, -1].norm(dim=1)).mean()

    assert 1.8 < away(fields[:, 0]) < 3.2
    assert 0.8 < away(heat) < 1.5


def test_viscosities_that_the_grid_is_too_coarse_for():
    with pytest.raises(ConfigError, match="points must be an integer of at least 1024, got 512"):
        Burgers(lowest=0.001)
    with pytest.raises(ConfigError, match=r"dt must go into 0\.1 a whole number of times"):
        Burgers(dt=0.003)
    with pytest.raises(DataError, match=r"a viscosity of 0\.001 is below 0\.005.*use Burgers"):
        burgers(torch.sin(X), 0.001)
