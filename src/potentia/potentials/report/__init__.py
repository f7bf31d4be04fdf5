"""The report on a trained potential or committee."""

from potentia.potentials.report.report import report_on

__all__ = ["report_on"]
