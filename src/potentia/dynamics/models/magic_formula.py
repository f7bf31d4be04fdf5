"""The Magic Formula of Pacejka: the lateral force of a tyre by its slip angle, in units of its peak."""

from __future__ import annotations

from torch import Tensor

from potentia.dynamics.presets import G, Vehicle
from potentia.dynamics.spec import Parameter

__all__ = ["magic_formula", "steepest", "tyre_parameters"]


def magic_formula(alpha: Tensor, stiffness: Tensor, shape: Tensor, curvature: Tensor) -> Tensor:
    """Return sin(C atan(B α − E (B α − atan(B α)))); its slope at 0 is B C.  [...]"""
    scaled = stiffness * alpha
    return (shape * (scaled - curvature * (scaled - scaled.atan())).atan()).sin()


def steepest(stiffness: Tensor, shape: Tensor, curvature: Tensor) -> Tensor:
    """Return a bound of the slope: B C, and more where E < 0 makes the curve steepen before it bends.  [...], 1/rad"""
    return stiffness * shape * (1 - 0.15 * curvature.clamp(max=0))


def tyre_parameters(vehicle: Vehicle, end: str, *, by_load: bool) -> tuple[Parameter, ...]:
    """Return B, C, D, E, Sh, Sv of an axle, front where ``end`` ends in f; D a share of grip, or in newton."""
    tyre, load = (vehicle.front, vehicle.loads[0]) if end.endswith("f") else (vehicle.rear, vehicle.loads[1])
    grip, side = tyre.D * vehicle.mu * load, 0.1 * vehicle.m * G
    peak = Parameter(name=f"D{end}", low=0.2, high=2.0, default=tyre.D)
    force = Parameter(name=f"D{end}", low=0.1 * grip, high=3 * grip, default=grip, unit="N", scale="log")
    return (
        Parameter(name=f"B{end}", low=1.0, high=30.0, default=tyre.B, unit="1/rad", scale="log"),
        Parameter(name=f"C{end}", low=0.5, high=2.5, default=tyre.C),
        peak if by_load else force,
        Parameter(name=f"E{end}", low=-3.0, high=1.0, default=tyre.E),
        Parameter(name=f"Sh{end}", low=-0.02, high=0.02, default=0.0, unit="rad"),
        Parameter(name=f"Sv{end}", low=-side, high=side, default=0.0, unit="N"),
    )
