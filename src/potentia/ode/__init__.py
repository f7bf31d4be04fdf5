"""Solvers of ordinary differential equations: many members at once, each with its own steps, differentiable."""

from potentia.ode.controlled import solve_controlled
from potentia.ode.euler import Euler
from potentia.ode.fixed_step import FixedStep
from potentia.ode.fixed_tsit5 import FixedTsit5
from potentia.ode.method import Method, solve
from potentia.ode.problem import Rates
from potentia.ode.runge_kutta4 import RungeKutta4
from potentia.ode.solution import Solution, Status
from potentia.ode.tsit5 import Tsit5

__all__ = [
    "Euler",
    "FixedStep",
    "FixedTsit5",
    "Method",
    "Rates",
    "RungeKutta4",
    "Solution",
    "Status",
    "Tsit5",
    "solve",
    "solve_controlled",
]
