"""Elementary functions of SIMD vectors against NumPy in more digits; rows that end inside a vector."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numba.extending import intrinsic

from potentia.simd.arithmetic import Arithmetic
from potentia.simd.exponentials import log_of, logistic_of, power_of_e, tanh_of
from potentia.simd.lanes import LANES, gather, load, scatter, store
from potentia.simd.trigonometry import atan2_of, atan_of, cosine_of, reduced, sine_of, tangent_of

FLOATS = (np.float32, np.float64)
FUNCTIONS = {
    "sin": (lambda m, x: sine_of(m, reduced(m, x)), np.sin),
    "cos": (lambda m, x: cosine_of(m, reduced(m, x)), np.cos),
    "tan": (lambda m, x: tangent_of(m, reduced(m, x)), np.tan),
    "atan": (atan_of, np.arctan),
    "exp": (power_of_e, np.exp),
    "log": (log_of, np.log),
    "tanh": (tanh_of, np.tanh),
    "logistic": (logistic_of, lambda x: 1 / (1 + np.exp(-x))),
}


def one_of(emit):
    """Return what computes a function of each number of an array, whose length is a multiple of `LANES`."""

    @intrinsic
    def apply(typingctx, value):
        def code(context, builder, signature, arguments):
            return emit(Arithmetic(builder, signature.args[0]), arguments[0])

        return value(value), code

    @njit
    def loop(x, y):
        for row in range(len(x) // LANES):
            store(y, row, apply(load(x, row)))

    def function(x):
        y = np.empty_like(x)
        loop(x, y)
        return y

    return function


def two_of(emit):
    @intrinsic
    def apply(typingctx, value, other):
        def code(context, builder, signature, arguments):
            return emit(Arithmetic(builder, signature.args[0]), *arguments)

        return value(value, other), code

    @njit
    def loop(a, b, y):
        for row in range(len(a) // LANES):
            store(y, row, apply(load(a, row), load(b, row)))

    def function(a, b):
        y = np.empty_like(a)
        loop(a, b, y)
        return y

    return function


def points(name, dtype):
    random = np.random.default_rng(0)
    sizes = 10.0 ** random.uniform(-6, 1.8 if name in {"exp", "logistic"} else 4, 4096)
    signs = 1 if name == "log" else random.choice([-1.0, 1.0], 4096)
    if name in {"sin", "cos", "tan"}:
        sizes[:512] = np.round(sizes[:512]) * (np.pi / 2)  # where one of them vanishes
    return (sizes * signs).astype(dtype)


def off(found, wanted):
    """Largest difference in units of the last place."""
    return float(np.max(np.abs(found.astype(np.longdouble) - wanted) / np.spacing(np.abs(wanted).astype(found.dtype))))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_right_to_the_last_digits(name, dtype):
    emit, reference = FUNCTIONS[name]
    x = points(name, dtype)
    assert off(one_of(emit)(x), reference(x.astype(np.longdouble))) < 3.5


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_number_stays_so_and_ends_are_kept(name, dtype):
    emit, reference = FUNCTIONS[name]
    x = np.zeros(LANES, dtype)
    x[:5] = np.nan, np.inf, -np.inf, 1.0, 0.0
    with np.errstate(all="ignore"):
        wanted = reference(x)
    np.testing.assert_allclose(one_of(emit)(x)[:5], wanted[:5], rtol=1e-6, atol=2e-38)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_angle_of_a_point_in_all_quadrants(dtype):
    random = np.random.default_rng(0)
    y, x = (random.normal(size=(2, 1024)) * 10.0 ** random.uniform(-4, 4, (2, 1024))).astype(dtype)
    x[:8], y[:8] = [0, 0, 0, 1, -1, np.nan, 1, -2], [0, 1, -1, 0, 0, 1, np.nan, -2]
    found = two_of(atan2_of)(y, x)
    wanted = np.arctan2(y.astype(np.longdouble), x.astype(np.longdouble))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert off(found[8:], wanted[8:]) < 3.5
    np.testing.assert_allclose(found[:8], wanted[:8].astype(dtype), rtol=1e-6)


@pytest.mark.parametrize(("emit", "reference"), [(Arithmetic.smaller, np.minimum), (Arithmetic.larger, np.maximum)])
def test_the_smaller_and_the_larger_of_nan_and_a_number_are_nan(emit, reference):
    a = np.tile(np.array([1.0, np.nan, 2.0, np.nan]), LANES)
    b = np.tile(np.array([2.0, 1.0, np.nan, np.nan]), LANES)
    np.testing.assert_array_equal(two_of(emit)(a, b), reference(a, b))


@njit
def copied(source, target, rows, width):
    for block in range((rows + LANES - 1) // LANES):
        for place in range(width):
            scatter(
                target, block * LANES, rows - 1, width, place, gather(source, block * LANES, rows - 1, width, place)
            )


@pytest.mark.parametrize("rows", [1, LANES - 1, LANES, LANES + 3])
def test_rows_are_gathered_and_scattered_and_none_beyond_the_last(rows):
    source = np.random.default_rng(0).normal(size=(rows + 2) * 3)
    target = np.zeros_like(source)
    copied(source, target, rows, 3)
    np.testing.assert_array_equal(target[: rows * 3], source[: rows * 3])
    assert not target[rows * 3 :].any()
