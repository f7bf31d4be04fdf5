"""Committees that train in a moment."""

from __future__ import annotations

from potentia import TorchCommitteeConfig, TorchCommitteePotential
from potentials import small_data
from potentials.small_data import DESCRIPTOR

SEEDS = {"seed": None, "split_seed": 7}


def fresh():
    return TorchCommitteePotential(small_data.fresh().arch, DESCRIPTOR)


def train(folder, structures=None, *, members=2, datasets=None, executor=None, committee=None, **changes):
    potential = fresh()
    wanted = TorchCommitteeConfig(members, base_seed=1, output_dir=folder, **(committee or {}))
    if datasets is None and structures is None:
        structures = small_data.frames(20)
    config = small_data.config(**(SEEDS | changes))
    return potential, potential.train(structures, config, wanted, executor=executor, **(datasets or {}))
