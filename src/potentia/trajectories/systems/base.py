"""What every system is: rates of change, where its trajectories begin, and a solver to compare with."""

from __future__ import annotations

import itertools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.checks import choice
from potentia.errors import ConfigError, DataError

__all__ = ["Floats", "Interval", "Starts", "System"]

Floats: TypeAlias = NDArray[np.float64]

EXPLICIT = ("RK23", "RK45", "DOP853")
"""Methods of SciPy that use no Jacobian."""
IMPLICIT = ("BDF", "Radau", "LSODA")
"""Methods of SciPy that use a Jacobian."""


@dataclass(frozen=True)
class Interval:
    """Where one number is drawn from.

    >>> Interval(1, 100, log=True)(np.array([0.0, 0.5, 1.0]))
    array([  1.,  10., 100.])
    """

    low: float
    """Least value."""
    high: float
    """Largest value."""
    log: bool = False
    """Whether equal factors are equally likely."""

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ConfigError(f"an interval must have low < high, and low > 0 if it is logarithmic, got {self}")

    def __call__(self, part: Floats) -> Floats:
        """Return the values at parts 0 to 1 of the interval."""
        if self.log:
            return np.asarray(self.low * (self.high / self.low) ** part)
        return np.asarray(self.low + (self.high - self.low) * part)


@dataclass(frozen=True, eq=False)
class Starts:
    """What trajectories follow from."""

    states: Floats
    """[trajectories, quantities]"""
    parameters: Floats | None
    """[trajectories, parameters]"""


class System(ABC):
    """Coupled ordinary differential equations.

    A system of one's own is a class with rates and a box to draw from; `register` gives it a name among the others.

    >>> class Decay(System):
    ...     name = "decay"
    ...     labels = ("n",)
    ...     parameter_labels = ("rate",)
    ...     times = np.linspace(0, 1, 3)
    ...     box = (Interval(1, 10, log=True), Interval(0.5, 2))
    ...
    ...     def rates(self, t, state, parameters):
    ...         return -parameters * state
    >>> Decay().solve([8.0], [0.0, 1.0], [np.log(2)]).round(6)
    array([[8.],
           [4.]])
    """

    name: ClassVar[str]
    """What it is called."""
    labels: ClassVar[tuple[str, ...]]
    """Names of the quantities."""
    parameter_labels: ClassVar[tuple[str, ...]] = ()
    """Names of the parameters."""
    hides_parameters: ClassVar[bool] = False
    """Whether data made of it are without the parameters that they depend on."""
    times: ClassVar[Floats]
    """Its grid.  [times]"""
    box: ClassVar[tuple[Interval, ...]]
    """What is drawn for each trajectory: initial quantities, then parameters, unless `starts` says otherwise."""
    method: ClassVar[str] = "LSODA"
    """Solver of `scipy.integrate.solve_ivp`."""
    rtol: ClassVar[float] = 1e-9
    """Relative tolerance of the solver."""
    atol: ClassVar[float] = 1e-9
    """Absolute tolerance of the solver, in the unit of the states, or of their logarithm with `log_states`."""
    max_evaluations: ClassVar[int] = 1_000_000
    """A trajectory that asks for the rates more often is given up: some solvers never end where a state explodes."""
    log_states: ClassVar[bool] = False
    """Whether logarithms of the states are integrated, so that small values are as exact as large ones."""

    @abstractmethod
    def rates(self, t: float, state: Floats, parameters: Floats | None) -> Floats:
        """Return the change of a state per unit of time.

        Args:
            t: Time.
            state: [quantities]
            parameters: [parameters]; None where the system has none.

        Returns:
            [quantities]
        """

    def jacobian(self, t: float, state: Floats, parameters: Floats | None) -> Floats | None:
        """Return ∂rates[i]/∂state[j] [quantities, quantities]; None where the solver is to take differences."""
        return None

    def starts(self, drawn: Floats) -> Starts:
        """Return what trajectories begin from.

        Args:
            drawn: Values within the box.  [trajectories, intervals]
        """
        n = len(self.labels)
        return Starts(drawn[:, :n], drawn[:, n:] if self.parameter_labels else None)

    def solve(
        self,
        initial: ArrayLike,
        times: ArrayLike,
        parameters: ArrayLike | None = None,
        *,
        rtol: float | None = None,
        atol: float | None = None,
        method: str | None = None,
    ) -> Floats:
        """Return states at times by SciPy, to learn from or to compare a surrogate's time with.

        Args:
            initial: State at the first time.  [quantities]
            times: Increasing.  [times]
            parameters: [parameters]; None where the system has none.
            rtol: Relative tolerance; None is the system's own.
            atol: Absolute tolerance; None is the system's own.
            method: A solver of `scipy.integrate.solve_ivp`; None is the system's own.

        Returns:
            [times, quantities]; the first is the initial state.

        Raises:
            ConfigError: there is no such method.
            DataError: shapes do not fit, the state has no logarithm where one is needed, or the solver gave up.
        """
        from scipy.integrate import solve_ivp  # half a second, which who solves nothing should not pay

        first, grid, known = self._checked(initial, times, parameters)
        if len(grid) == 1:
            return first[None]
        rates, jacobian = self._logarithmic(known) if self.log_states else self._plain(known)
        chosen = choice("method", method or self.method, (*EXPLICIT, *IMPLICIT))
        own = {"jac": jacobian} if chosen in IMPLICIT and self.jacobian(grid[0], first, known) is not None else {}
        with np.errstate(all="ignore"), warnings.catch_warnings():  # what goes wrong is told below, once
            warnings.filterwarnings("ignore", module=r"scipy\.integrate")
            found = solve_ivp(
                self._counted(rates),
                (grid[0], grid[-1]),
                np.log(first) if self.log_states else first,
                method=chosen,
                t_eval=grid,
                rtol=self.rtol if rtol is None else rtol,
                atol=self.atol if atol is None else atol,
                **own,
            )
            states: Floats = np.exp(found.y.T) if self.log_states else found.y.T
        if not found.success or not np.isfinite(states).all():
            why = found.message if not found.success else "a state is not finite"
            raise DataError(
                f"{self.name}: the trajectory from {first}, parameters {known}, cannot be integrated: {why}"
            )
        states[0] = first
        return np.ascontiguousarray(states)

    def _checked(
        self, initial: ArrayLike, times: ArrayLike, parameters: ArrayLike | None
    ) -> tuple[Floats, Floats, Floats | None]:
        first, grid = np.array(initial, dtype=np.float64), np.array(times, dtype=np.float64)
        if first.shape != (len(self.labels),):
            raise DataError(f"{self.name}: initial must have shape ({len(self.labels)},), got {first.shape}")
        if grid.ndim != 1 or not len(grid) or not np.all(np.diff(grid) > 0):
            raise DataError(f"{self.name}: times must be a list that increases, got shape {grid.shape}")
        if self.log_states and not np.all(first > 0):
            q = int(np.argmin(first))
            raise DataError(f"{self.name}: its states must be above 0, {self.labels[q]} begins at {first[q]:g}")
        known = None if parameters is None else np.array(parameters, dtype=np.float64)
        shape = None if known is None else known.shape
        if shape != ((len(self.parameter_labels),) if self.parameter_labels else None):
            wanted = ", ".join(self.parameter_labels) or "no parameters"
            raise DataError(f"{self.name}: it takes {wanted}, got {'none' if known is None else known}")
        made = np.shape(self.rates(grid[0], first, known))
        if made != first.shape:
            raise DataError(f"{self.name}: rates must return shape {first.shape}, as a state has, not {made}")
        return first, grid, known

    def _counted(self, rates: Callable[..., Floats]) -> Callable[..., Floats]:
        """Return rates that can be asked for so often and no more."""
        count = itertools.count(1)

        def counted(t: float, state: Floats) -> Floats:
            if next(count) > self.max_evaluations:
                raise DataError(
                    f"{self.name}: a trajectory is at t = {t:g} after {self.max_evaluations} evaluations of the rates: "
                    "it explodes there, or needs another method, coarser tolerances, or more max_evaluations"
                )
            return rates(t, state)

        return counted

    def _plain(self, parameters: Floats | None) -> tuple[Callable[..., Floats], Callable[..., Any]]:
        """Return right-hand side and Jacobian for SciPy."""
        return (
            lambda t, state: self.rates(t, state, parameters),
            lambda t, state: self.jacobian(t, state, parameters),
        )

    def _logarithmic(self, parameters: Floats | None) -> tuple[Callable[..., Floats], Callable[..., Any]]:
        """Return right-hand side and Jacobian of y = ln x: ẏ = f/x, ∂ẏ[i]/∂y[j] = J[i, j]·x[j]/x[i] − δ[i, j]·ẏ[i]."""

        def rates(t: float, y: Floats) -> Floats:
            x = np.exp(y)
            return self.rates(t, x, parameters) / x

        def jacobian(t: float, y: Floats) -> Floats:
            x = np.exp(y)
            own = np.asarray(self.jacobian(t, x, parameters)) * x / x[:, None]
            own[np.diag_indices(len(x))] -= self.rates(t, x, parameters) / x
            return own

        return rates, jacobian
