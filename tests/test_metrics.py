"""Laws of error sums: half and half is the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from potentia.metrics import ErrorSum, merge


@pytest.mark.parametrize("n", [1, 2, 20, 60])
@pytest.mark.parametrize("size", [1, 3, 20])
@pytest.mark.parametrize("scale", [0.0, 1e-160, 1.0, 1e6])
def test_sums_do_not_depend_on_the_batches(n, size, scale):
    values = scale * np.random.default_rng(n).uniform(-1, 1, n)
    parts = torch.from_numpy(values).split(size)
    total = sum((ErrorSum.of(part) for part in parts), start=ErrorSum.zero)
    assert total.count == len(values)
    assert total.mae == pytest.approx(np.abs(values).mean(), rel=1e-12)
    assert total.rmse == pytest.approx(math.sqrt(np.square(values).mean()), rel=1e-12)


def test_known_answer():
    total = ErrorSum.of(torch.tensor([[3.0], [-4.0]]))
    assert total == ErrorSum(absolute=7.0, squared=25.0, count=2)
    assert (total.mae, total.rmse) == (3.5, math.sqrt(12.5))


def test_single_precision_is_summed_in_double():
    residual = torch.full((10_000_000,), 0.1, dtype=torch.float32)
    assert ErrorSum.of(residual).mae == pytest.approx(float(np.float32(0.1)), rel=1e-12)


@pytest.mark.parametrize("residual", [torch.tensor(-2.0), torch.tensor([-2]), torch.full((1, 1, 1), -2.0).half()])
def test_any_shape_and_type(residual):
    assert ErrorSum.of(residual) == ErrorSum(2.0, 4.0, 1)


def test_of_nothing():
    assert ErrorSum.of(torch.zeros(0, 3)) == ErrorSum.zero
    assert math.isnan(ErrorSum.zero.mae)
    assert math.isnan(ErrorSum.zero.rmse)


def test_summing_builds_no_graph():
    assert ErrorSum.of(torch.ones(2, requires_grad=True) * 2) == ErrorSum(4.0, 8.0, 2)


def test_collections_merge_by_name():
    one, two = ErrorSum(1.0, 1.0, 1), ErrorSum(2.0, 4.0, 1)
    assert merge({"a": one, "b": one}, {"b": two, "c": two}) == {"a": one, "b": ErrorSum(3.0, 5.0, 2), "c": two}
    assert merge({}, {}) == {}
