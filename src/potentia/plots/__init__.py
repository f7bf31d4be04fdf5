"""Figures from frames and arrays: each function returns a matplotlib Figure, and no window is ever opened."""

from potentia.plots.curves import ErrorPanel, error_curves
from potentia.plots.density import DensityPanel, binned, density_panels
from potentia.plots.distribution import error_distribution
from potentia.plots.lines import Line, LinePanel, line_panels
from potentia.plots.page import Page
from potentia.plots.parity import ParityPanel, parity, parity_panels
from potentia.plots.ranges import range_rows
from potentia.plots.reliability import reliability

__all__ = [
    "DensityPanel",
    "ErrorPanel",
    "Line",
    "LinePanel",
    "Page",
    "ParityPanel",
    "binned",
    "density_panels",
    "error_curves",
    "error_distribution",
    "line_panels",
    "parity",
    "parity_panels",
    "range_rows",
    "reliability",
]
