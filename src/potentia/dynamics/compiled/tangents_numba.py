"""Roll-outs with their derivatives by all parameters and initial states, forwards, in machine code.

At each stage the partial derivatives of the equations are written to a table, once for all tangents; then each tangent
goes through the stages of the substep by products with that table. Rows of ``t``: tangents of the states at a stage, of
the used controls, of the prepared numbers; tangents of the slopes are `n_states` rows for each stage.
"""

from __future__ import annotations

import numpy as np

from potentia.dynamics.compiled.codegen import evaluator, size_of
from potentia.dynamics.compiled.rollouts_numba import (
    BLOCKS,
    CLAMPED_RK4,
    EULER,
    STEPS,
    WINDOWS,
    begin,
    finish,
    first_given,
    inlined,
    kernel,
    length_row,
    n_constants,
    n_controls,
    n_params,
    n_prepared,
    n_rows,
    n_states,
    prepare,
    try_state,
)
from potentia.simd.lanes import LANES, add_to, gather, load, scatter, spread, store
from potentia.simd.sharing import take

__all__ = ["forward_with_tangents"]

n_table = size_of("n_table")
rates_table, rates_push = evaluator("rates_table"), evaluator("rates_push")
"""Rates and their partial derivatives; tangents of the rates by these."""
_limit_table, _limit_push = evaluator("limit_table"), evaluator("limit_push")
_prepare_table = evaluator("prepare_table")


@inlined
def limit_with_table(model, method, x, y, table):
    """Write the controls that the substep uses to ``x``, and their partial derivatives to the table."""
    n, m = n_states(model), n_controls(model)
    for s in range(n):
        store(x, s, load(y, s))
    if method == CLAMPED_RK4:
        _limit_table(model, x, x, table, 0)
        for u in range(m):
            store(x, n + u, load(table, u))
    else:
        for u in range(m):
            store(x, n + u, load(x, first_given(model) + u))


@inlined
def limit_tangent(model, method, table, tangent, t, one):
    """Write the tangents of the used controls; the given ones have none."""
    n, m = n_states(model), n_controls(model)
    for u in range(m):
        store(t, n + u, spread(one - one))
    if method == CLAMPED_RK4:
        for s in range(n):
            store(t, s, load(tangent, s))
        _limit_push(model, table, t, t, n)


@inlined
def stages_with_tables(model, method, x, y, k, tables, one):
    """Slopes of a substep with a table for each stage; ``y`` becomes the states behind it."""
    n = n_states(model)
    two = one + one
    h = load(x, length_row(model))
    stages = 1 if method == EULER else 4
    for stage in range(stages):
        if stage > 0:
            try_state(model, x, y, k, (stage - 1) * n, h if stage == 3 else h * (one / two))
        rates_table(model, x, x, tables[stage], 0)
        for s in range(n):
            store(k, stage * n + s, load(tables[stage], s))
    for s in range(n):
        if method == EULER:
            add_to(y, s, h * load(k, s))
        else:
            middle = load(k, n + s) + load(k, 2 * n + s)
            add_to(y, s, h * (one / (two + two + two)) * (load(k, s) + middle * two + load(k, 3 * n + s)))


@inlined
def push_tangent(model, method, h, tangent, tables, t, slopes, one):
    """Take one tangent of the states through a substep."""
    n = n_states(model)
    two = one + one
    stages = 1 if method == EULER else 4
    for stage in range(stages):
        for s in range(n):
            at = load(tangent, s)
            if stage > 0:
                reach = h if stage == 3 else h * (one / two)
                at = at + reach * load(slopes, (stage - 1) * n + s)
            store(t, s, at)
        rates_push(model, tables[stage], t, slopes, stage * n)
    for s in range(n):
        if method == EULER:
            add_to(tangent, s, h * load(slopes, s))
        else:
            middle = load(slopes, n + s) + load(slopes, 2 * n + s)
            total = load(slopes, s) + middle * two + load(slopes, 3 * n + s)
            add_to(tangent, s, h * (one / (two + two + two)) * total)


@kernel
def forward_with_tangents(
    taken, model, method, substeps, place, initial, controls, params, constants, lengths, further, states, jacobian
):  # fmt: skip
    """Fill ``states``, and ``jacobian`` [windows, steps, states, columns].

    Columns are the entries of all parameters, then as many initial states as ``further`` says: none, or all.
    """
    n, m, n_p, n_q = n_states(model), n_controls(model), n_params(model), n_prepared(model)
    last, steps, columns = place[WINDOWS] - 1, place[STEPS], n_p + further
    block = take(taken, 1)
    while block < place[BLOCKS]:
        first = block * LANES
        one = initial.dtype.type(1)
        x = np.zeros((n_rows(model), LANES), dtype=initial.dtype)
        p = np.empty((n_p + n_constants(model), LANES), dtype=initial.dtype)
        y = np.empty((n, LANES), dtype=initial.dtype)
        k = np.empty((4 * n, LANES), dtype=initial.dtype)
        tables = np.empty((4, n_table(model), LANES), dtype=initial.dtype)
        limits = np.empty((n_table(model), LANES), dtype=initial.dtype)
        tangents = np.zeros((columns, n, LANES), dtype=initial.dtype)
        by_params = np.zeros((columns * n_q, LANES), dtype=initial.dtype)
        t = np.empty((n + m + n_q, LANES), dtype=initial.dtype)
        slopes = np.empty((4 * n, LANES), dtype=initial.dtype)
        prepare(model, params, constants, first, last, x, p)
        _prepare_table(model, p, p, by_params, 0)
        for s in range(n):
            store(y, s, gather(initial, first, last, n, s))
        for s in range(further):
            store(tangents[n_p + s], s, spread(one))
        for step in range(steps):
            begin(model, controls, lengths, place, step, substeps, first, x)
            h = load(x, length_row(model))
            for _ in range(substeps):
                limit_with_table(model, method, x, y, limits)
                stages_with_tables(model, method, x, y, k, tables, one)
                for e in range(columns):
                    for q in range(n_q):
                        store(t, n + m + q, load(by_params, e * n_q + q))
                    limit_tangent(model, method, limits, tangents[e], t, one)
                    push_tangent(model, method, h, tangents[e], tables, t, slopes, one)
            finish(model, y, y, y, 0)
            width = steps * n
            for s in range(n):
                scatter(states, first, last, width, step * n + s, load(y, s))
                for e in range(columns):
                    scatter(jacobian, first, last, width * columns, (step * n + s) * columns + e, load(tangents[e], s))
        block = take(taken, 1)
