"""Systems whose trajectories can be made here, to learn from and to compare a surrogate's time with."""

from potentia.trajectories.systems.base import Interval, Starts, System
from potentia.trajectories.systems.coupled_oscillators import CoupledOscillators
from potentia.trajectories.systems.lotka_volterra import (
    HiddenParametricLotkaVolterra,
    LotkaVolterra,
    ParametricLotkaVolterra,
)
from potentia.trajectories.systems.make import draw_starts, make_data
from potentia.trajectories.systems.osu import OSU2008
from potentia.trajectories.systems.reactions import Network, Reaction, read_reactions
from potentia.trajectories.systems.registry import SYSTEMS, register, system
from potentia.trajectories.systems.simple_ode import SimpleODE
from potentia.trajectories.systems.simple_reaction import SimpleReaction

__all__ = [
    "OSU2008",
    "SYSTEMS",
    "CoupledOscillators",
    "HiddenParametricLotkaVolterra",
    "Interval",
    "LotkaVolterra",
    "Network",
    "ParametricLotkaVolterra",
    "Reaction",
    "SimpleODE",
    "SimpleReaction",
    "Starts",
    "System",
    "draw_starts",
    "make_data",
    "read_reactions",
    "register",
    "system",
]
