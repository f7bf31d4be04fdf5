"""Laws of surrogates of trajectories, and of the systems that their data come from."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from potentia.testing.comparing import STEPS, require_close, slopes
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.systems import System

__all__ = [
    "batch_size_does_not_matter",
    "check_surrogate",
    "hard_initial_condition_holds",
    "jacobian_is_the_derivative_of_the_rates",
    "order_of_times_does_not_matter",
    "times_may_be_of_each_trajectory",
]


def check_surrogate(
    surrogate: TrajectorySurrogate,
    initial: ArrayLike,
    times: ArrayLike,
    parameters: ArrayLike | None = None,
    *,
    rtol: float = 1e-10,
) -> None:
    """Check all laws that hold for every trained surrogate.

    Args:
        surrogate: A trained one, of ``precision="float64"``.
        initial: States at the first time.  [trajectories, quantities]
        times: Within the horizon of its data.  [times]
        parameters: [trajectories, parameters]; None where the system has none.
        rtol: How far numbers may differ: more where a solver chooses its steps for all that it is given.

    Raises:
        AssertionError: a law is broken; the message names it.

    >>> from potentia.trajectories import FullyConnected, FullyConnectedConfig, TrajectoryTrainingConfig, make_data
    >>> data = make_data("simple_ode", n_train=2, n_val=3, n_test=1, times=np.linspace(0, 1, 5))
    >>> surrogate = FullyConnected(FullyConnectedConfig(hidden_size=2, num_hidden_layers=1))
    >>> _ = surrogate.train(data, TrajectoryTrainingConfig(epochs=1, seed=1, precision="float64"))
    >>> check_surrogate(surrogate, data.val.initial_states, data.val.times)
    """
    batch_size_does_not_matter(surrogate, initial, times, parameters, rtol=rtol)
    order_of_times_does_not_matter(surrogate, initial, times, parameters, rtol=rtol)
    times_may_be_of_each_trajectory(surrogate, initial, times, parameters, rtol=rtol)


def batch_size_does_not_matter(
    surrogate: TrajectorySurrogate,
    initial: ArrayLike,
    times: ArrayLike,
    parameters: ArrayLike | None = None,
    *,
    rtol: float = 1e-10,
) -> None:
    """Trajectories asked two by two are those asked together."""
    whole = surrogate.predict(initial, times, parameters)
    found = surrogate.predict(initial, times, parameters, batch_size=2)
    require_close("the batch size does not matter", found, whole, rtol=rtol)


def order_of_times_does_not_matter(
    surrogate: TrajectorySurrogate,
    initial: ArrayLike,
    times: ArrayLike,
    parameters: ArrayLike | None = None,
    *,
    rtol: float = 1e-10,
) -> None:
    """A state belongs to its time, wherever that stands among the others."""
    whole = surrogate.predict(initial, times, parameters)
    found = surrogate.predict(initial, np.asarray(times)[::-1], parameters)
    require_close("the order of times does not matter", found, whole[:, ::-1], rtol=rtol)


def times_may_be_of_each_trajectory(
    surrogate: TrajectorySurrogate,
    initial: ArrayLike,
    times: ArrayLike,
    parameters: ArrayLike | None = None,
    *,
    rtol: float = 1e-10,
) -> None:
    """Times given for each trajectory give what the same times give that all share."""
    whole = surrogate.predict(initial, times, parameters)
    own = np.stack([np.roll(times, n) for n in range(len(whole))])
    rolled = np.stack([np.roll(states, n, axis=0) for n, states in enumerate(whole)])
    found = surrogate.predict(initial, own, parameters)
    require_close("times may be of each trajectory", found, rolled, rtol=rtol)


def hard_initial_condition_holds(
    surrogate: TrajectorySurrogate, initial: ArrayLike, times: ArrayLike, parameters: ArrayLike | None = None
) -> None:
    """With ``hard_initial_condition`` the state at the first time of the horizon is the given one."""
    found = surrogate.predict(initial, times, parameters)[:, 0]
    require_close("a hard initial condition holds", found, initial, rtol=1e-12)


def jacobian_is_the_derivative_of_the_rates(
    system: System, state: ArrayLike, parameters: ArrayLike | None = None
) -> None:
    """`System.jacobian` gives what differences of the rates give; a system without one has nothing to keep.

    Args:
        system: With rates and perhaps a Jacobian.
        state: None of its entries 0.  [quantities]
        parameters: [parameters]; None where the system has none.

    >>> from potentia.trajectories.systems import SYSTEMS
    >>> jacobian_is_the_derivative_of_the_rates(SYSTEMS["lotka_volterra"], [5.0, 4.0, 3.0, 2.0, 1.0, 2.0])
    """
    at = np.asarray(state, dtype=np.float64)
    given = None if parameters is None else np.asarray(parameters, dtype=np.float64)
    found = system.jacobian(0.0, at, given)
    if found is None:
        return
    for j, size in enumerate(at):
        way = np.eye(len(at))[j] * size * 1e-3
        seen = np.stack([system.rates(0.0, at + h * way, given) for h in STEPS], axis=-1)
        expected = slopes(seen, 1e-3 * size)
        law = f"the Jacobian is the derivative of the rates by {system.labels[j]}"
        require_close(law, found[:, j], expected, rtol=1e-6, atol=1e-9 * np.abs(found).max())
