"""Roll-outs per second of the single track: in machine code, by torch, by a plain loop, by torch.compile, by SciPy.

Forward, and with the gradient by all parameters; 1,024 windows of 50 steps with one RK4 step each, unless asked
otherwise. Work per window-step is told from the programs themselves, an elementary function as one operation. SciPy
has rates of its own (`rollouts_scipy.py`), tolerances by which it is as right as one RK4 step, and no gradient.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from machine import cores, describe_machine
from rollouts_scipy import Problem, all_at_once, error_of, one_by_one, require_same_rates, tolerance_for, truth
from timing import Times, Work, alternate, seconds
from torch import Tensor

from potentia.dynamics import ModelSpec, RolloutSettings, get_model_spec, rollout
from potentia.dynamics.compiled.model import equations_of
from potentia.seeding import torch_stream
from potentia.storage import write_text

DT = 0.02
"""Length of a step (s)."""
SCIPY_WINDOWS = 32
"""One after the other, SciPy solves so many, and its time is scaled to all; errors are those of these windows."""
Rolled = Callable[[Tensor, Tensor, dict[str, Tensor]], Tensor]


def main() -> None:
    """Measure and print."""
    options = _options()
    found: dict[str, dict[str, Times]] = {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        for dtype in (torch.float64, torch.float32):
            found[f"{threads} threads, {str(dtype)[6:]}"] = _measure(options, dtype)
    _tell(found, options)


def _measure(options: argparse.Namespace, dtype: torch.dtype) -> dict[str, Times]:
    spec = get_model_spec("singletrack")
    states, controls, params = _windows(spec, options.windows, options.steps, dtype)
    ways: dict[str, Rolled] = {
        "machine code": lambda y, u, p: rollout(spec, y, u, p, DT),
        "torch path": lambda y, u, p: rollout(spec, y, u, p, DT, RolloutSettings(compiled=False)),
        "plain loop": partial(_plain, partial(_step, spec)),
    }
    if options.torch_compile:
        step = torch.compile(partial(_step, spec))
        begun = time.perf_counter()
        _with_gradient(partial(_plain, step), states, controls[:, :2], params)
        print(f"torch.compile of one step, with its derivative: {time.perf_counter() - begun:.1f} s to compile")
        ways["torch.compile"] = partial(_plain, step)
    works: dict[str, Work] = {}
    for name, way in ways.items():
        works[name] = partial(_both, way, states, controls, params)
    if dtype == torch.float64:
        works |= _scipy(spec, states, controls, params)
    return alternate(works, options.rounds, options.limit)


def _windows(spec: ModelSpec, windows: int, steps: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    random = torch_stream(0, "windows")
    states = 0.1 * torch.randn(windows, len(spec.states), generator=random, dtype=torch.float64)
    states[:, spec.state_names.index("v")] = 3 + 2 * torch.rand(windows, generator=random, dtype=torch.float64)
    controls = torch.randn(windows, steps, len(spec.controls), generator=random, dtype=torch.float64)
    params = {}
    for key, value in spec.default_params.items():
        around = 1 + 0.05 * torch.randn(windows, generator=random, dtype=torch.float64)
        params[key] = (float(value) * around).to(dtype)
    return states.to(dtype), controls.to(dtype), params


def _step(spec: ModelSpec, y: Tensor, u: Tensor, p: dict[str, Tensor]) -> Tensor:
    """One step of RK4 as anyone writes it."""
    k1 = spec.rates(y, u, p)
    k2 = spec.rates(y + DT / 2 * k1, u, p)
    k3 = spec.rates(y + DT / 2 * k2, u, p)
    k4 = spec.rates(y + DT * k3, u, p)
    return y + DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def _plain(step: Callable[..., Tensor], y: Tensor, u: Tensor, p: dict[str, Tensor]) -> Tensor:
    states = []
    for number in range(u.shape[1]):
        y = step(y, u[:, number], p)
        states.append(y)
    return torch.stack(states, 1)


def _with_gradient(way: Rolled, states: Tensor, controls: Tensor, params: dict[str, Tensor]) -> None:
    given = {key: value.clone().requires_grad_() for key, value in params.items()}
    way(states, controls, given).square().sum().backward()


def _both(way: Rolled, states: Tensor, controls: Tensor, params: dict[str, Tensor]) -> dict[str, float]:
    with torch.no_grad():
        forward = seconds(lambda: way(states, controls, params))
    return {"forward": forward, "with gradient": seconds(lambda: _with_gradient(way, states, controls, params))}


def _scipy(spec: ModelSpec, states: Tensor, controls: Tensor, params: dict[str, Tensor]) -> dict[str, Work]:
    """Return SciPy's ways, each as right as the roll-outs of the package, and say how right that is."""
    arrays = {key: value.numpy() for key, value in params.items()}
    problem = Problem(spec, states.numpy(), controls.numpy(), arrays, DT)
    require_same_rates(problem)
    few = problem.first(SCIPY_WINDOWS)
    n, exact = len(few.states), truth(few)
    own = rollout(spec, states[:n], controls[:n], {key: value[:n] for key, value in params.items()}, DT).numpy()
    error, tolerances = error_of(own, exact), {}
    print(f"RMS error in units of the spread, {n} windows: one RK4 step {error:.2g}", end="")
    for name, solver in (("one by one", one_by_one), ("all at once", all_at_once)):
        tolerances[name], found = tolerance_for(solver, few, exact, error)
        print(f", SciPy {name} {found:.2g} by rtol={tolerances[name]:.2g}", end="")
    print(flush=True)
    scale = len(states) / n
    return {
        f"SciPy, {n} one by one, scaled": lambda: {
            "forward": scale * seconds(lambda: one_by_one(few, tolerances["one by one"]))
        },
        "SciPy, all at once": lambda: {"forward": seconds(lambda: all_at_once(problem, tolerances["all at once"]))},
    }


def _tell(found: dict[str, dict[str, Times]], options: argparse.Namespace) -> None:
    for name, value in describe_machine().items():
        print(f"{name:>12}: {value}")
    count = options.windows * options.steps
    rates = equations_of(get_model_spec("singletrack"), torch.float64)
    if rates is None:
        raise SystemExit("the single track is not compiled")
    print(f"\n{options.windows} windows x {options.steps} steps; least of {options.rounds} rounds, kernels on disk")
    print(f"operations of the rates: {rates.rates.operations}, of their derivative: {rates.rates_back.operations}")
    kinds = "".join(f"{kind:>14}{'steps/s':>12}{'ratio':>9}" for kind in ("forward", "gradient"))
    print(f"{'':54}{kinds}")
    for setting, times in found.items():
        ours = {kind: times[f"machine code.{kind}"].least for kind in ("forward", "with gradient")}
        for way in dict.fromkeys(name.split(".", 1)[0] if "torch.c" not in name else "torch.compile" for name in times):
            cells = [_cell(times.get(f"{way}.{kind}"), least, count) for kind, least in ours.items()]
            print(f"{setting:24}{way:30}{''.join(cells)}")
    if options.json is not None:
        plain = {setting: {name: one.plain() for name, one in times.items()} for setting, times in found.items()}
        write_text(options.json, json.dumps({"machine": describe_machine(), "seconds": plain}, indent=1))


def _cell(found: Times | None, ours: float, count: int) -> str:
    """Return time, steps per second, and how many times ours that takes; dashes where it was not measured."""
    if found is None:
        return f"{'–':>14}{'–':>12}{'–':>9}"
    return f"{1e3 * found.least:11.2f} ms{count / found.least:12.3g}{found.least / ours:9.4g}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--limit", type=float, default=60, help="seconds for each setting")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores()}))
    parser.add_argument("--torch-compile", action="store_true", help="also torch.compile, which needs a C++ compiler")
    parser.add_argument("--json", type=Path, help="where all seconds are written")
    return parser.parse_args()


if __name__ == "__main__":
    main()
