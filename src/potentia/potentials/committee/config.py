"""Settings of a committee of potentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from potentia.ensemble import CommitteeConfig

__all__ = ["TorchCommitteeConfig"]


@final
@dataclass(frozen=True)
class TorchCommitteeConfig(CommitteeConfig):
    """How a `TorchCommitteePotential` is trained: members, seeds, processes, devices, and what each member sees.

    Its fields are those of `potentia.ensemble.CommitteeConfig`, which all families share.

    Raises:
        ConfigError: a value cannot be; the message names the field.

    >>> TorchCommitteeConfig(num_members=3, base_seed=11).seeds(default=None)
    [11, 12, 13]
    """
