"""Potentials with a repulsion of close atoms."""

from __future__ import annotations

import functools

from potentia import ZBL, TorchANNPotential, TorchCommitteeConfig, TorchCommitteePotential
from potentials import small_data
from potentials.small_data import DESCRIPTOR, GRADIENTS, config, frames

CLOSE = ZBL(inner=1.2, outer=2.4)
ARCH = small_data.fresh().arch


def fresh(repulsion=CLOSE, descriptor=DESCRIPTOR):
    return TorchANNPotential(ARCH, descriptor, repulsion=repulsion)


@functools.cache
def trained(repulsion=CLOSE):
    potential = fresh(repulsion)
    potential.train(frames(), config(**GRADIENTS))
    return potential


def beside(potential, repulsion, **descriptor):
    """Return the same networks with another repulsion, and changes of the descriptor."""
    recipe = {name: value for name, value in potential.recipe().items() if name != "repulsion"}
    recipe["descriptor"] = recipe["descriptor"] | descriptor
    added = {} if repulsion is None else {"repulsion": repulsion.settings()}
    return TorchANNPotential.from_parts({**recipe, **added}, potential.learned())


def committee(folder, repulsion=CLOSE, **wishes):
    potential = TorchCommitteePotential(ARCH, DESCRIPTOR, repulsion=repulsion)
    wanted = TorchCommitteeConfig(2, base_seed=1, output_dir=folder, **wishes)
    return potential, potential.train(frames(), config(seed=None, split_seed=7, **GRADIENTS), wanted)
