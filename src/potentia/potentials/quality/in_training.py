"""What a training asks of the data doctor about its labels before it begins: only what costs next to nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from potentia.errors import warn_user
from potentia.potentials.quality.findings import Finding
from potentia.potentials.quality.settings import CheckSettings
from potentia.potentials.quality.units import size_findings, work_findings
from potentia.potentials.quality.zero_forces import constrained
from potentia.potentials.structure import Structure

__all__ = ["unit_findings", "warn_about_units"]


def warn_about_units(structures: Sequence[Structure], atomic_energies: Mapping[str, float] | None = None) -> None:
    """Warn of labels that cannot be right.

    Args:
        structures: the frames with their labels.
        atomic_energies: energy of the free atom of each species (eV), if known.

    Warns:
        PotentiaWarning: once for each finding of `unit_findings`.
    """
    for finding in unit_findings(structures, atomic_energies):
        warn_user(finding.sentence, page="checking.md#what-is-looked-at")


def unit_findings(structures: Sequence[Structure], atomic_energies: Mapping[str, float] | None = None) -> list[Finding]:
    """Return everything about the labels that cannot be right; see `warn_about_units`."""
    return [
        *work_findings(structures),
        *size_findings(structures, atomic_energies or {}),
        *constrained(structures, CheckSettings().net_force),
    ]
