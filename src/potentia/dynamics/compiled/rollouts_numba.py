"""Whole roll-outs in machine code, and their derivatives backwards.

A block of `LANES` windows is one SIMD vector, and one thread takes it through all steps: so numbers depend neither on
the threads nor on the windows beside. Arrays of the caller are flat, row by row as they came: ``initial`` [windows,
states], ``controls`` [windows, steps, controls], ``params`` [windows, entries], ``states`` [windows, steps, states];
``constants`` [entries]; ``lengths`` of the steps (s), whose strides are 0 where they are the same.

``model`` is the table of a model's numbers and functions (see `codegen.py`). Inside, a row is a vector: ``y`` the
states at the beginning of a substep, ``x`` the inputs of the equations (see `equations.py`), ``k`` the slopes of the
stages.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from potentia.dynamics.compiled.codegen import evaluator, size_of
from potentia.simd.compiling import in_turn
from potentia.simd.lanes import LANES, add_to, gather, load, scatter, spread, spread_from, store
from potentia.simd.sharing import take

__all__ = [
    "BLOCKS",
    "CLAMPED_RK4",
    "EULER",
    "PLAIN_RK4",
    "STEPS",
    "WINDOWS",
    "backward",
    "begin",
    "finish",
    "first_given",
    "forward",
    "inlined",
    "kernel",
    "length_row",
    "n_constants",
    "n_controls",
    "n_params",
    "n_prepared",
    "n_rows",
    "n_states",
    "prepare",
    "try_state",
]

EULER, PLAIN_RK4, CLAMPED_RK4 = 0, 1, 2
"""Methods."""
BLOCKS, WINDOWS, STEPS, BY_WINDOW, BY_STEP = range(5)
"""What stands where in ``place``: blocks; windows; steps; strides of the lengths."""

kernel = in_turn(njit(cache=True, error_model="numpy", nogil=True))
"""Called from Python, by several threads, which `take` their blocks."""
inlined = njit(cache=True, error_model="numpy", inline="always")
"""Part of whoever calls it: each function of its own costs time to compile. So does each call, if less."""

n_states, n_controls = size_of("n_states"), size_of("n_controls")
n_params, n_constants, n_prepared = size_of("n_params"), size_of("n_constants"), size_of("n_prepared")
n_rows, n_preparing, length_row = size_of("n_rows"), size_of("n_preparing"), size_of("length_row")
first_prepared, first_given, first_cotangent = (
    size_of("first_prepared"),
    size_of("first_given"),
    size_of("first_cotangent"),
)

_prepare, _prepare_back = evaluator("prepare"), evaluator("prepare_back")
_limit, _limit_back = evaluator("limit"), evaluator("limit_back")
rates, rates_back, finish = evaluator("rates"), evaluator("rates_back"), evaluator("finish")
"""Rates of change of the states; cotangents of what they are made of; NaN for all states where one is not finite."""


@inlined
def limited(model, method, x, y):
    """Write the controls that a substep from ``y`` uses to ``x``, of the given ones there."""
    if method == CLAMPED_RK4:
        for s in range(n_states(model)):
            store(x, s, load(y, s))
        _limit(model, x, x, x, n_states(model))
    else:
        for u in range(n_controls(model)):
            store(x, n_states(model) + u, load(x, first_given(model) + u))


@inlined
def prepare(model, params, constants, first, last, x, p):
    """Write what depends on parameters and constants alone to ``x``; ``p`` keeps those."""
    for k in range(n_params(model)):
        store(p, k, gather(params, first, last, n_params(model), k))
    for k in range(n_constants(model)):
        store(p, n_params(model) + k, spread_from(constants, k))
    _prepare(model, p, p, x, first_prepared(model))


@inlined
def begin(model, controls, lengths, place, step, substeps, first, x):
    """Write controls and length of the substeps of a step to ``x``."""
    m, last = n_controls(model), place[WINDOWS] - 1
    for u in range(m):
        store(x, first_given(model) + u, gather(controls, first, last, place[STEPS] * m, step * m + u))
    h = gather(lengths, first, last, place[BY_WINDOW], step * place[BY_STEP])
    store(x, length_row(model), h / lengths.dtype.type(substeps))


@inlined
def try_state(model, x, y, k, first, h):
    """Write y + h k to the inputs."""
    for s in range(n_states(model)):
        store(x, s, load(y, s) + h * load(k, first + s))


@inlined
def slopes(model, x, y, k, h, one, stages):
    """Rates at the first ``stages`` stages of a Runge-Kutta step, in ``k``."""
    n = n_states(model)
    for s in range(n):
        store(x, s, load(y, s))
    for stage in range(stages):
        if stage > 0:
            try_state(model, x, y, k, (stage - 1) * n, h if stage == 3 else h * (one / (one + one)))
        rates(model, x, x, k, stage * n)


@inlined
def advance(model, method, x, y, k, one):
    """One substep: ``y`` becomes the states behind it."""
    n = n_states(model)
    two = one + one
    limited(model, method, x, y)
    h = load(x, length_row(model))
    if method == EULER:
        slopes(model, x, y, k, h, one, 1)
        for s in range(n):
            add_to(y, s, h * load(k, s))
    else:
        slopes(model, x, y, k, h, one, 4)
        sixth = h * (one / (two + two + two))
        for s in range(n):
            middle = load(k, n + s) + load(k, 2 * n + s)
            add_to(y, s, sixth * (load(k, s) + middle * two + load(k, 3 * n + s)))


@inlined
def retreat(model, method, x, y, k, adjoint, back, by_control, by_prepared, one):
    """One substep backwards: ``adjoint`` becomes the cotangent of the states before it, others grow.

    The cotangents of the slopes follow from the last to the first, each through the rates to that of the one before.
    """
    n, m = n_states(model), n_controls(model)
    zero, two = one - one, one + one
    limited(model, method, x, y)
    h = load(x, length_row(model))
    stages = 1 if method == EULER else 4
    slopes(model, x, y, k, h, one, stages - 1)
    for u in range(m):
        store(by_control, m + u, spread(zero))
    for s in range(n):
        store(k, 3 * n + s, load(adjoint, s))  # of the states behind the substep
        store(back, s, spread(zero))
    for turn in range(stages):
        stage = stages - 1 - turn
        if stage == 0:
            for s in range(n):
                store(x, s, load(y, s))
        else:
            try_state(model, x, y, k, (stage - 1) * n, h if stage == 3 else h * (one / two))
        share = one if stages == 1 else (one if stage in (0, 3) else two) / (two + two + two)
        onward = zero if turn == 0 else (one if stage == 2 else one / two)  # how the next stage began
        for s in range(n):
            direct = h * share * load(k, 3 * n + s)
            store(x, first_cotangent(model) + s, direct + h * onward * load(back, s))
        rates_back(model, x, x, back, 0)
        for s in range(n):
            add_to(adjoint, s, load(back, s))
        for u in range(m):
            add_to(by_control, m + u, load(back, n + u))
        for q in range(n_prepared(model)):
            add_to(by_prepared, q, load(back, n + m + q))
    if method == CLAMPED_RK4:
        for s in range(n):
            store(x, s, load(y, s))
        for u in range(m):
            store(x, first_cotangent(model) + u, load(by_control, m + u))
        _limit_back(model, x, x, back, 0)
        for s in range(n):
            add_to(adjoint, s, load(back, s))
        for u in range(m):
            add_to(by_control, u, load(back, n + u))
        for q in range(n_prepared(model)):
            add_to(by_prepared, q, load(back, n + m + q))
    else:
        for u in range(m):
            add_to(by_control, u, load(by_control, m + u))


@kernel
def forward(taken, model, method, substeps, place, initial, controls, params, constants, lengths, states):
    """Fill ``states``."""
    n = n_states(model)
    last, steps = place[WINDOWS] - 1, place[STEPS]
    block = take(taken, 1)
    while block < place[BLOCKS]:
        first = block * LANES
        one = initial.dtype.type(1)
        x = np.zeros((n_rows(model), LANES), dtype=initial.dtype)
        p = np.empty((n_params(model) + n_constants(model), LANES), dtype=initial.dtype)
        y = np.empty((n, LANES), dtype=initial.dtype)
        k = np.empty((4 * n, LANES), dtype=initial.dtype)
        prepare(model, params, constants, first, last, x, p)
        for s in range(n):
            store(y, s, gather(initial, first, last, n, s))
        for step in range(steps):
            begin(model, controls, lengths, place, step, substeps, first, x)
            for _ in range(substeps):
                advance(model, method, x, y, k, one)
            finish(model, y, y, y, 0)
            for s in range(n):
                scatter(states, first, last, steps * n, step * n + s, load(y, s))
        block = take(taken, 1)


@kernel
def backward(
    taken, model, method, substeps, place, initial, controls, params, constants, lengths, states,
    cotangents, by_initial, by_controls, by_params,
):  # fmt: skip
    """Fill the cotangents of initial states, controls and parameters, of those of the states."""
    n, m = n_states(model), n_controls(model)
    last, steps = place[WINDOWS] - 1, place[STEPS]
    block = take(taken, 1)
    while block < place[BLOCKS]:
        first = block * LANES
        one = initial.dtype.type(1)
        x = np.zeros((n_rows(model), LANES), dtype=initial.dtype)
        p = np.empty((n_preparing(model), LANES), dtype=initial.dtype)
        y = np.empty((substeps * n, LANES), dtype=initial.dtype)
        k = np.empty((4 * n, LANES), dtype=initial.dtype)
        adjoint = np.zeros((n, LANES), dtype=initial.dtype)
        back = np.empty((n_rows(model) + n_params(model), LANES), dtype=initial.dtype)
        by_control = np.zeros((2 * m, LANES), dtype=initial.dtype)
        by_prepared = np.zeros((n_prepared(model), LANES), dtype=initial.dtype)
        prepare(model, params, constants, first, last, x, p)
        for turn in range(steps):
            step = steps - 1 - turn
            for s in range(n):
                add_to(adjoint, s, gather(cotangents, first, last, steps * n, step * n + s))
                if step > 0:
                    store(y, s, gather(states, first, last, steps * n, (step - 1) * n + s))
                else:
                    store(y, s, gather(initial, first, last, n, s))
            begin(model, controls, lengths, place, step, substeps, first, x)
            for u in range(m):
                store(by_control, u, spread(one - one))
            for number in range(1, substeps):
                for s in range(n):
                    store(y, number * n + s, load(y, (number - 1) * n + s))
                advance(model, method, x, y[number * n : (number + 1) * n], k, one)
            for number in range(substeps - 1, -1, -1):
                here = y[number * n : (number + 1) * n]
                retreat(model, method, x, here, k, adjoint, back, by_control, by_prepared, one)
            for u in range(m):
                scatter(by_controls, first, last, steps * m, step * m + u, load(by_control, u))
        for s in range(n):
            scatter(by_initial, first, last, n, s, load(adjoint, s))
        for q in range(n_prepared(model)):
            store(p, n_params(model) + n_constants(model) + q, load(by_prepared, q))
        _prepare_back(model, p, p, back, 0)
        for e in range(n_params(model)):
            scatter(by_params, first, last, n_params(model), e, load(back, e))
        block = take(taken, 1)
