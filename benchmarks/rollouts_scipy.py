"""Roll-outs of the single track by SciPy at its best: rates in plain floats for one window, in NumPy for all at once.

Controls jump from step to step, so a solver is begun anew at each of them, with the step itself as its first guess.
Tolerances are the loosest, by factors of √10, whose error is no larger than that of the roll-outs to be compared with:
asked for more, a solver would be blamed for digits that nobody else delivers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import ode, solve_ivp

from potentia.dynamics import ModelSpec
from potentia.dynamics.presets import G

__all__ = ["Problem", "all_at_once", "error_of", "one_by_one", "require_same_rates", "tolerance_for", "truth"]

Floats: TypeAlias = NDArray[np.float64]
Solver: TypeAlias = Callable[["Problem", float], Floats]
"""Windows and relative tolerance → states after each step.  [windows, steps, states]"""
TOLERANCES = tuple(10.0 ** (-k / 2) for k in range(2, 21))
SMALLEST = 1e-3
"""The absolute tolerance is this part of the relative one: states are of the order of 1."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Windows to solve."""

    spec: ModelSpec
    """The single track, with limits of steering and motor, and a smooth change to rolling."""
    states: Floats
    """First ones.  [windows, states]"""
    controls: Floats
    """[windows, steps, controls]"""
    params: Mapping[str, Floats]
    """[windows] each"""
    dt: float
    """Length of a step (s)."""

    def first(self, windows: int) -> Problem:
        """Return the first windows."""
        params = {key: value[:windows] for key, value in self.params.items()}
        return Problem(self.spec, self.states[:windows], self.controls[:windows], params, self.dt)


def one_by_one(problem: Problem, tolerance: float) -> Floats:
    """Solve one window after the other: Dormand and Prince's pair of orders 5 and 4, whose loop is compiled."""
    states = np.empty((*problem.controls.shape[:2], problem.states.shape[1]))
    constants = _constants(problem.spec)
    for window, (first, controls) in enumerate(zip(problem.states, problem.controls.tolist(), strict=True)):
        params = {key: float(value[window]) for key, value in problem.params.items()}
        solver = ode(_plain_rates({**constants, **params}))
        solver.set_integrator("dopri5", rtol=tolerance, atol=SMALLEST * tolerance, first_step=problem.dt)
        y = first
        for step, held in enumerate(controls):
            solver.set_initial_value(y).set_f_params(*held)
            y = solver.integrate(problem.dt)
            states[window, step] = y
    return states


def all_at_once(problem: Problem, tolerance: float, method: str = "RK45") -> Floats:
    """Solve all windows as one system, whose steps are short enough for their root mean square."""
    windows, steps = problem.controls.shape[:2]
    states = np.empty((windows, steps, problem.states.shape[1]))
    rates = _array_rates({**_constants(problem.spec), **problem.params})
    y = problem.states.T.ravel()
    for step in range(steps):
        found = solve_ivp(
            rates,
            (0.0, problem.dt),
            y,
            method=method,
            args=tuple(problem.controls[:, step].T.copy()),
            first_step=problem.dt,
            t_eval=(problem.dt,),
            rtol=tolerance,
            atol=SMALLEST * tolerance,
        )
        y = found.y[:, -1]
        states[:, step] = y.reshape(-1, windows).T
    return states


def truth(problem: Problem) -> Floats:
    """Return the solution to ten digits.  [windows, steps, states]"""
    return all_at_once(problem, 1e-12, "DOP853")


def tolerance_for(solver: Solver, problem: Problem, exact: Floats, error: float) -> tuple[float, float]:
    """Return the loosest tolerance whose error is at most ``error``, and its error."""
    for tolerance in TOLERANCES:
        found = error_of(solver(problem, tolerance), exact)
        if found <= error:
            return tolerance, found
    raise SystemExit(f"SciPy reaches no error of {error:.2g}: the solution to compare with must be wrong")


def error_of(states: Floats, exact: Floats) -> float:
    """Return the root mean square of the errors, each state in units of its spread."""
    return float(np.sqrt(np.mean(((states - exact) / exact.std((0, 1))) ** 2)))


def require_same_rates(problem: Problem) -> None:
    """End the benchmark where these equations are not those of the package, at walking speed and at the stops too."""
    slow = problem.states.copy()
    slow[:, problem.spec.state_names.index("v")] = np.linspace(-1.0, 3.0, len(slow))
    slow[:, problem.spec.state_names.index("delta")] *= 5
    for states in (problem.states, slow):
        _compare(problem, states)


def _compare(problem: Problem, states: Floats) -> None:
    given = (states, problem.controls[:, 0])
    tensors = {key: torch.from_numpy(value) for key, value in problem.params.items()}
    wanted = problem.spec.rates(*(torch.from_numpy(one) for one in given), tensors).numpy()
    constants = _constants(problem.spec)
    at_once = _array_rates({**constants, **problem.params})(0.0, given[0].T.ravel(), *given[1].T)
    singly = [
        _plain_rates({**constants, **{key: float(value[k]) for key, value in problem.params.items()}})(
            0.0, y, *u.tolist()
        )
        for k, (y, u) in enumerate(zip(*given, strict=True))
    ]
    for name, found in (("NumPy", at_once.reshape(-1, len(wanted)).T), ("plain floats", np.array(singly))):
        off = float(np.max(np.abs(found - wanted) / (1 + np.abs(wanted))))
        if not off < 1e-12:
            raise SystemExit(f"the rates in {name} differ from the package's by {off:.2g}")


def _constants(spec: ModelSpec) -> dict[str, float]:
    return {key: float(np.asarray(value)) for key, value in spec.constants.items()}


def _plain_rates(p: Mapping[str, float]) -> Callable[..., list[float]]:
    """Return the rates of one window; what depends on parameters alone is computed once."""
    lf, lr, low, high = p["lf"], p["lr"], p["s_min"], p["s_max"]
    base, inertia = lf + lr, p["mu"] * p["m"] / (p["I"] * (lf + lr))
    sliding = p["mu"] / base

    def rates(t: float, y: Floats, turn: float, accel: float) -> list[float]:
        _, _, delta, v, psi, psi_dot, beta = y.tolist()
        turn = 0.0 if (delta <= low and turn <= 0) or (delta >= high and turn >= 0) else turn
        turn = min(max(turn, p["sv_min"]), p["sv_max"])
        stopped = (v <= p["v_min"] and accel <= 0) or (v >= p["v_max"] and accel >= 0)
        most = p["a_max"] * p["v_switch"] / max(v, p["v_switch"])
        accel = 0.0 if stopped else min(max(accel, -p["a_max"]), most)
        weight, fast = 0.5 * (1 + math.tanh((v - p["v_s"]) / p["v_b"])), max(v, 0.5 * p["v_s"])
        front, rear = p["C_Sf"] * (G * lr - accel * p["h"]), p["C_Sr"] * (G * lf + accel * p["h"])
        moments = lr * rear - lf * front
        damping = (lf * lf * front + lr * lr * rear) / fast
        spin = inertia * (lf * front * delta + moments * beta - damping * psi_dot)
        slide = sliding / fast * (front * delta - (front + rear) * beta + moments * psi_dot / fast) - psi_dot
        heading = psi + beta
        x, y_rate, turning = v * math.cos(heading), v * math.sin(heading), psi_dot
        rest = 1 - weight
        if rest:  # nothing rolls far above the speed of the change
            slip, *rolled = _rolling(math, delta, v, beta, turn, accel, lr, base)
            x = weight * x + rest * v * math.cos(psi + slip)
            y_rate = weight * y_rate + rest * v * math.sin(psi + slip)
            turning, spin, slide = (
                weight * one + rest * other for one, other in zip((turning, spin, slide), rolled, strict=True)
            )
        return [x, y_rate, turn, accel, turning, spin, slide]

    return rates


def _array_rates(p: Mapping[str, Any]) -> Callable[..., Floats]:
    """Return the rates of all windows, one state of all of them behind the other.  [states · windows]"""
    lf, lr, h = p["lf"], p["lr"], p["h"]
    base, inertia = lf + lr, p["mu"] * p["m"] / (p["I"] * (lf + lr))
    sliding, stiff_f, stiff_r = p["mu"] / base, p["C_Sf"] * G * lr, p["C_Sr"] * G * lf
    shift_f, shift_r, lf2, lr2 = p["C_Sf"] * h, p["C_Sr"] * h, lf * lf, lr * lr

    def rates(t: float, y: Floats, turn: Floats, accel: Floats) -> Floats:
        _, _, delta, v, psi, psi_dot, beta = y.reshape(7, -1)
        stopped = ((delta <= p["s_min"]) & (turn <= 0)) | ((delta >= p["s_max"]) & (turn >= 0))
        turn = np.where(stopped, 0.0, np.clip(turn, p["sv_min"], p["sv_max"]))
        stopped = ((v <= p["v_min"]) & (accel <= 0)) | ((v >= p["v_max"]) & (accel >= 0))
        most = p["a_max"] * p["v_switch"] / np.maximum(v, p["v_switch"])
        accel = np.where(stopped, 0.0, np.clip(accel, -p["a_max"], most))
        weight, fast = 0.5 * (1 + np.tanh((v - p["v_s"]) / p["v_b"])), np.maximum(v, 0.5 * p["v_s"])
        front, rear = stiff_f - accel * shift_f, stiff_r + accel * shift_r
        moments = lr * rear - lf * front
        damping = (lf2 * front + lr2 * rear) / fast
        heading = psi + beta
        found = np.empty((7, len(v)))
        found[0], found[1] = v * np.cos(heading), v * np.sin(heading)
        found[2], found[3], found[4] = turn, accel, psi_dot
        found[5] = inertia * (lf * front * delta + moments * beta - damping * psi_dot)
        found[6] = sliding / fast * (front * delta - (front + rear) * beta + moments * psi_dot / fast) - psi_dot
        rest = 1 - weight
        if rest.any():
            slip, *rolled = _rolling(np, delta, v, beta, turn, accel, lr, base)
            rolling = (v * np.cos(psi + slip), v * np.sin(psi + slip), turn, accel, *rolled)
            found = weight * found + rest * np.stack(rolling)
        return found.ravel()

    return rates


def _rolling(maths: Any, delta: Any, v: Any, beta: Any, turn: Any, accel: Any, lr: Any, base: Any) -> tuple[Any, ...]:
    """Return slip angle, and rates of psi, psi_dot and beta, of rolling wheels, by ``math`` or by NumPy."""
    tangent, squared = maths.tan(delta), maths.cos(delta) ** 2
    slope = tangent * lr / base
    slip = maths.atan(slope)
    d_beta = lr / base * turn / (squared * (1 + slope * slope))
    d_psi_dot = accel * maths.cos(beta) * tangent - v * maths.sin(beta) * d_beta * tangent
    d_psi_dot = (d_psi_dot + v * maths.cos(beta) * turn / squared) / base
    return slip, v * maths.cos(slip) * tangent / base, d_psi_dot, d_beta
