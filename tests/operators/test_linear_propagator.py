"""The linear propagator finds linear systems exactly."""

from __future__ import annotations

import pytest
import torch

from potentia.errors import DataError
from potentia.operators.networks.linear_propagator import fit_linear_propagator
from potentia.operators.rollout import rollout


def drawn(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def heat(grid, parameters=None, samples=6, steps=5):
    """Fields that spread and move; how fast they spread may depend on the parameter.  [samples, steps + 1, 2, *grid]"""
    axes = tuple(range(-len(grid), 0))
    rate = torch.full((samples, 1, 1, 1), 0.1) if parameters is None else 0.1 + 0.05 * parameters.view(-1, 1, 1, 1)
    rate = rate.double() if len(grid) == 2 else rate[..., 0].double()
    fields = [drawn(samples, 2, *grid)]
    for _ in range(steps):
        now = fields[-1]
        spread = sum(now.roll(1, axis) + now.roll(-1, axis) - 2 * now for axis in axes)
        fields.append(now + rate * spread + 0.1 * now.flip(1).roll(1, -1) + 0.01)
    return torch.stack(fields, 1)


@pytest.mark.parametrize("grid", [(9,), (8,), (6, 5), (4, 8)])
def test_a_linear_system_is_found_exactly(grid):
    fields = heat(grid)
    found = fit_linear_propagator(fields, None, ridge=1e-12)
    torch.testing.assert_close(rollout(found, fields[:, 0], None, 5), fields, rtol=1e-6, atol=1e-6)
    move = {"shifts": 3, "dims": -1}
    torch.testing.assert_close(found(fields[:, 0].roll(**move), None), found(fields[:, 0], None).roll(**move))


def test_rates_that_depend_on_a_parameter_are_found_where_it_is_seen():
    parameters = drawn(12, 1, seed=3)
    fields = heat((6, 4), parameters, samples=12)
    told = fit_linear_propagator(fields, parameters, ridge=1e-12)
    torch.testing.assert_close(rollout(told, fields[:, 0], parameters, 5), fields, rtol=1e-6, atol=1e-6)
    blind = fit_linear_propagator(fields, None)
    assert (blind(fields[:, 0], None) - fields[:, 1]).abs().max() > 0.01


def test_a_large_ridge_is_persistence_and_single_precision_stays():
    fields = heat((8,)).float()
    found = fit_linear_propagator(fields, None, ridge=1e9)
    assert found(fields[:, 0], None).dtype == torch.float32
    torch.testing.assert_close(found(fields[:, 0], None), fields[:, 0], rtol=1e-4, atol=1e-4)


def test_nothing_of_it_is_trained_and_its_state_can_be_stored():
    found = fit_linear_propagator(heat((8,)), None)
    assert not list(found.parameters())
    assert not found.state_dict()["matrices"].is_complex()


def test_what_cannot_be_is_refused():
    found = fit_linear_propagator(heat((8,)), None)
    with pytest.raises(DataError, match=r"fitted on the grid \(8,\), got \(16,\)"):
        rollout(found, drawn(2, 2, 16), None, 1)
    with pytest.raises(DataError, match="at least one step"):
        fit_linear_propagator(heat((8,))[:, :1], None)
