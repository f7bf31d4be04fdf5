"""A look at the installation: what is there, what contradicts itself, what is broken, and what to do."""

from potentia.cli.doctor.finding import Finding
from potentia.cli.doctor.machine import cache_findings, device_findings, memory_findings, thread_findings
from potentia.cli.doctor.parts import part_findings, version_findings
from potentia.cli.doctor.self_test import self_test_findings

__all__ = ["CHECKS", "Finding"]

CHECKS = (
    version_findings, thread_findings, device_findings, memory_findings, cache_findings, part_findings,
    self_test_findings,
)  # fmt: skip
"""All that is looked at, in this order."""
