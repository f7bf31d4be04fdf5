"""The data doctor: what is wrong with structures and their labels, in which frames, and what to do about it."""

from potentia.potentials.quality.check import check_structures
from potentia.potentials.quality.findings import Finding, Place
from potentia.potentials.quality.report import DataReport
from potentia.potentials.quality.settings import CheckSettings

__all__ = ["CheckSettings", "DataReport", "Finding", "Place", "check_structures"]
