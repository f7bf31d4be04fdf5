"""From a model to its equations: traced once for each precision, and compared with what the model itself says."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.dynamics.compiled.equations import Equations, split
from potentia.dynamics.compiled.graph import Graph
from potentia.dynamics.compiled.refusals import NotCompilableError
from potentia.dynamics.compiled.tracing import Nodes, trace
from potentia.dynamics.spec import ModelSpec
from potentia.seeding import stream

__all__ = ["equations_of", "why_not_compiled"]

MOST_OPERATIONS = 3000
"""Larger equations would take minutes to compile."""
ROWS = 16
"""Random points at which equations are compared."""
TOLERANCE = 1e-9
_KNOWN: weakref.WeakKeyDictionary[ModelSpec, dict[torch.dtype, Equations | str]] = weakref.WeakKeyDictionary()


def why_not_compiled(spec: ModelSpec, dtype: torch.dtype = torch.float64) -> str | None:
    """Return why roll-outs of the model go through torch, operation by operation; None where they are compiled.

    >>> from potentia.dynamics import get_model_spec
    >>> why_not_compiled(get_model_spec("unicycle")) is None
    True
    """
    found = _found(spec, dtype)
    return found if isinstance(found, str) else None


def equations_of(spec: ModelSpec, dtype: torch.dtype) -> Equations | None:
    """Return the equations of a model in a precision, None where they cannot be compiled."""
    found = _found(spec, dtype)
    return None if isinstance(found, str) else found


def _found(spec: ModelSpec, dtype: torch.dtype) -> Equations | str:
    known = _KNOWN.setdefault(spec, {})
    if dtype not in known:
        with torch.inference_mode(False), torch.enable_grad():  # whatever holds where it is asked first
            known[dtype] = _trace(spec, dtype)
    return known[dtype]


def _trace(spec: ModelSpec, dtype: torch.dtype) -> Equations | str:
    if dtype not in {torch.float32, torch.float64}:
        return f"numbers of {dtype} are not compiled"
    try:
        found = _equations(spec, dtype)
        for name, program in (("rates", found.rates), ("limits", found.limit), ("parameters", found.prepare)):
            if program.operations > MOST_OPERATIONS:
                return f"its {name} take {program.operations} operations, {MOST_OPERATIONS} are the most"
        if dtype == torch.float64:
            _compare(spec, found)
    except NotCompilableError as error:
        return str(error)
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError) as error:
        return f"it does not work on a single row: {type(error).__name__}: {error}"
    return found


def _equations(spec: ModelSpec, dtype: torch.dtype) -> Equations:
    graph = Graph()
    like = torch.zeros((), dtype=dtype)
    constants = spec.with_constants(like, {})
    values = {**{key: torch.as_tensor(one).to(like) for key, one in spec.default_params.items()}, **constants}
    states, controls = (
        torch.full((len(spec.states),), 0.5, dtype=dtype),
        torch.full((len(spec.controls),), 0.25).to(like),
    )
    arguments = [states, controls, torch.full((1,), 0.01, dtype=dtype), *values.values()]
    nodes = _numbered(graph, arguments)

    def named(function: Callable[..., Tensor], n_first: int) -> Callable[..., Tensor]:
        return lambda *given: function(*given[:n_first], dict(zip(values, given[3:], strict=True)))

    def rates(*given: Tensor) -> Tensor:
        return named(lambda y, u, h, p: spec.dynamics_fn(y, u, p), 3)(*given)

    ends = trace(graph, rates, arguments, nodes)
    limits: Nodes = np.empty(0, dtype=object)
    if spec.limit_fn is not None:
        limits = trace(graph, named(spec.limit_fn, 3), arguments, nodes)
        if limits.shape != (len(spec.controls),):
            raise NotCompilableError(f"its limits of one row have shape {limits.shape}")
    if ends.shape != (len(spec.states),):
        raise NotCompilableError(f"its rates of one row have shape {ends.shape}")
    n_constants = sum(one.numel() for one in constants.values())
    sizes = {"states": len(states), "controls": len(controls), "params": spec.vector_size, "constants": n_constants}
    return split(graph, list(ends), list(limits), sizes)


def _numbered(graph: Graph, arguments: list[Tensor]) -> list[Nodes]:
    """Return inputs for all numbers of some tensors, one after the other."""
    ends = np.cumsum([0, *(one.numel() for one in arguments)])
    found = []
    for argument, (first, last) in zip(arguments, pairwise(ends), strict=True):
        nodes = np.empty(argument.numel(), dtype=object)
        nodes[:] = [graph.input(int(place)) for place in range(first, last)]
        found.append(nodes.reshape(tuple(argument.shape)))
    return found


def _compare(spec: ModelSpec, equations: Equations) -> None:
    """Compare the programs with the functions of the model and their derivatives by torch, at random points.

    Every other row is positive, and rows are of sizes from 0.1 to 1000: lengths, angles, temperatures.

    Raises:
        NotCompilableError: they differ, so a function looks at more than a row, or stops a derivative; or no row has
            finite rates, so there is nothing to compare.
    """
    random = stream(0, "compiled")
    drawn = random.normal(size=(ROWS, len(spec.states))) * np.geomspace(0.1, 1000, ROWS)[:, None]
    drawn[::2] = np.abs(drawn[::2])
    states = torch.as_tensor(drawn)
    controls = torch.as_tensor(random.normal(size=(ROWS, len(spec.controls))))
    params = []
    for one in spec.parameters:
        low, high = one.bounds
        params.append(torch.as_tensor(low + (high - low) * random.random((ROWS, *one.shape))))
    given = [one.requires_grad_() for one in (states, controls, *params)]
    h = torch.full((ROWS, 1), 0.01, dtype=torch.float64)
    everything = {**spec.with_constants(states, {}), **dict(zip(spec.param_keys, params, strict=True))}
    own = {"rates": spec.dynamics_fn(states, controls, everything)}
    if spec.limit_fn is not None:
        own["limits"] = spec.limit_fn(states, controls, h, everything)
    if not any(torch.isfinite(one).all(1).any() for one in own.values()):
        raise NotCompilableError("at none of some random states are its rates finite")
    values = _Point(spec, equations, [one.detach() for one in given], h)
    for name, wanted in own.items():
        if not _close(values.outputs(name), wanted.detach()):
            raise NotCompilableError(f"its {name} of one row differ from those of many: they look beyond the row")
        weights = torch.as_tensor(random.normal(size=wanted.shape))
        total = (wanted * weights).sum() + 0 * sum(one.sum() for one in given)  # of everything, as autograd wants it
        slopes = torch.autograd.grad(total, given)
        flat = torch.cat([slope.reshape(ROWS, -1) for slope in slopes], 1)
        sound = torch.isfinite(wanted).all(1) & torch.isfinite(flat).all(1)  # behind infinity, order of factors counts
        if not _close(values.slopes(name, weights)[sound.numpy()], flat[sound]):
            raise NotCompilableError(f"the derivatives of its {name} are not those of its operations, as with detach")


def _close(found: NDArray[np.float64], wanted: Tensor) -> bool:
    """Whether all rows are alike, each to the digits of its own largest number.  [rows, entries] both"""
    truth = wanted.numpy()
    sizes = np.where(np.isfinite(truth), np.abs(truth), 0.0).max(axis=1, initial=1.0, keepdims=True)
    return np.allclose(found / sizes, truth / sizes, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


class _Point:
    """Programs evaluated by NumPy at some rows."""

    def __init__(self, spec: ModelSpec, equations: Equations, given: list[Tensor], h: Tensor) -> None:
        self.equations = equations
        states, used = (one.numpy().T for one in given[:2])
        spread = [one.reshape(1, -1).expand(ROWS, -1) for one in spec.with_constants(given[0], {}).values()]
        self.preparing = list(torch.cat([*(one.reshape(ROWS, -1) for one in given[2:]), *spread], 1).numpy().T)
        prepared = equations.prepare(self.preparing)
        self.rows: list[NDArray[np.float64]] = [*states, *used, *prepared, *h.numpy().T, *used]

    def outputs(self, name: str) -> NDArray[np.float64]:
        """Return what a program returns.  [rows, outputs]"""
        program = self.equations.rates if name == "rates" else self.equations.limit
        return np.array(program(self.rows)).T

    def slopes(self, name: str, weights: Tensor) -> NDArray[np.float64]:
        """Return the derivatives by states, controls and parameters.  [rows, inputs]"""
        back = self.equations.rates_back if name == "rates" else self.equations.limit_back
        found = back([*self.rows, *weights.numpy().T])
        first = self.equations.first_prepared
        by_params = self.equations.prepare_back([*self.preparing, *found[first:]])
        return np.array([*found[:first], *by_params]).T
