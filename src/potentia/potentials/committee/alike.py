"""Whether potentials can be asked together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from potentia.config import differences
from potentia.errors import ConfigError
from potentia.potentials.descriptors.registry import comparable
from potentia.potentials.estimator import TorchANNPotential
from potentia.potentials.feature_ranges import FeatureRanges

__all__ = ["joint_ranges", "require_alike"]


def _descriptor(member: TorchANNPotential) -> dict[str, Any]:
    return comparable(member.recipe()["descriptor"])


def _repulsion(member: TorchANNPotential) -> dict[str, float]:
    return {} if member.repulsion is None else member.repulsion.settings()


def joint_ranges(members: Sequence[TorchANNPotential]) -> FeatureRanges | None:
    """Return what some member or other has seen; None where that is not known of one."""
    seen = [member.fitted().seen for member in members]
    known = [ranges for ranges in seen if ranges is not None]
    return FeatureRanges.joint(known) if len(known) == len(seen) else None


def require_alike(members: Sequence[TorchANNPotential], paths: Sequence[str | os.PathLike[str]]) -> None:
    """Raise `ConfigError` unless the members can be asked together."""
    first = members[0]
    for member, path in zip(members[1:], paths[1:], strict=True):
        kinds = {
            "architecture": (first.recipe()["arch"], member.recipe()["arch"]),
            "repulsion": (_repulsion(first), _repulsion(member)),
            "descriptor configuration": (_descriptor(first), _descriptor(member)),
            "atomic-reference energy mapping": (first.fitted().atomic_energies, member.fitted().atomic_energies),
        }
        for name, (one, other) in kinds.items():
            changed = differences(one, other)
            if changed:
                raise ConfigError(
                    f"committee members must share the same {name}, but {path} differs from {paths[0]}: "
                    f"{', '.join(changed)}"
                )
