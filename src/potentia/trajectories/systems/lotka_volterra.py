"""Three prey and three predators (Lotka and Volterra), with and without a parameter of the coupling."""

from __future__ import annotations

import numpy as np

from potentia.errors import DataError
from potentia.trajectories.systems.base import Floats, Interval, System

__all__ = ["HiddenParametricLotkaVolterra", "LotkaVolterra", "ParametricLotkaVolterra"]

GROWTH = np.array([0.5, 0.6, 0.4, -0.1, -0.08, -0.12])
"""Rate of each species alone, prey first."""
EATEN = np.array([[-0.02, -0.01, 0.0], [-0.03, 0.0, -0.015], [0.0, -0.01, -0.025]])
"""What each predator takes from the growth of each prey.  [prey, predators]"""
FED = np.array([[0.005, 0.007, 0.0], [0.006, 0.0, 0.009], [0.0, 0.008, 0.01]])
"""What each prey adds to the growth of each predator.  [predators, prey]"""
COUPLING = np.block([[np.zeros((3, 3)), EATEN], [FED, np.zeros((3, 3))]])
"""Effect of each species (column) on the growth of each other one."""


class LotkaVolterra(System):
    """Six species, ẋᵢ = xᵢ (gᵢ + Σⱼ Cᵢⱼ xⱼ); integrated in logarithms, for they fall to 1e-11."""

    name = "lotka_volterra"
    labels = ("prey_1", "prey_2", "prey_3", "predator_1", "predator_2", "predator_3")
    times = np.linspace(0.0, 100.0, 101)
    box = (Interval(1, 10, log=True),) * 6
    log_states = True

    def rates(self, t: float, state: Floats, parameters: Floats | None) -> Floats:
        """Return the change of a state [quantities] per unit of time."""
        return np.asarray(state * (GROWTH + COUPLING @ state))

    def jacobian(self, t: float, state: Floats, parameters: Floats | None) -> Floats:
        """Return ∂rates[i]/∂state[j]."""
        return np.asarray(state[:, None] * COUPLING + np.diag(GROWTH + COUPLING @ state))


class ParametricLotkaVolterra(System):
    """The same with alpha: prey grow (1 − alpha) as fast, and are eaten (1 + alpha) as fast."""

    name = "lv_parametric"
    labels = LotkaVolterra.labels
    parameter_labels = ("alpha",)
    times = LotkaVolterra.times
    box = (*LotkaVolterra.box, Interval(0, 1))
    log_states = True

    def rates(self, t: float, state: Floats, parameters: Floats | None) -> Floats:
        """Return the change of a state [quantities] per unit of time; parameters are alpha [1]."""
        if parameters is None:
            raise DataError(f"{self.name}: alpha is missing")
        alpha = float(parameters[0])
        growth = np.concatenate([(1 - alpha) * GROWTH[:3], GROWTH[3:]])
        eaten = (1 + alpha) * (EATEN @ state[3:])
        return np.asarray(state * (growth + np.concatenate([eaten, FED @ state[:3]])))


class HiddenParametricLotkaVolterra(ParametricLotkaVolterra):
    """The trajectories of `ParametricLotkaVolterra` without their parameter: the initial state does not decide them."""

    name = "lv_parametric_no_params"
    hides_parameters = True
