"""Figures from frames and arrays: each function returns a matplotlib Figure, and no window is ever opened."""

from potentia.plots.curves import ErrorPanel, error_curves
from potentia.plots.distribution import error_distribution
from potentia.plots.parity import ParityPanel, parity, parity_panels
from potentia.plots.reliability import reliability

__all__ = ["ErrorPanel", "ParityPanel", "error_curves", "error_distribution", "parity", "parity_panels", "reliability"]
