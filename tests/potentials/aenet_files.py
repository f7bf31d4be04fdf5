"""Potentials with random weights for ænet, and what its Fortran program would make of their files."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from potentia import ChebyshevDescriptor, TorchANNPotential
from potentia.potentials.descriptors.registry import plain_of
from potentia.potentials.formats.aenet_network import read_aenet_network, write_aenet_network
from potentials import brute_force

FUNCTIONS = {
    0: lambda x: x,
    1: np.tanh,
    2: lambda x: 1 / (1 + np.exp(-x)),
    3: lambda x: 1.7159 * np.tanh(2 / 3 * x),
    4: lambda x: 1.7159 * np.tanh(2 / 3 * x) + 0.1 * x,
}
ALL_KNOWN = [(5, "tanh"), (4, "sigmoid"), (3, "mtanh"), (4, "twist"), (2, "linear")]


def descriptor(**changes):
    settings = {"species": ("Ti", "O"), "rad_order": 3, "rad_cutoff": 3.6, "ang_order": 2, "ang_cutoff": 3.2}
    return ChebyshevDescriptor(**(settings | changes))


def drawn(species=("Ti", "O"), layers=None, normalised=True, dtype=torch.float64, seed=0, basis=None, **state):
    """Return a potential with random weights, normalisation and atomic energies."""
    rng = np.random.default_rng(seed)
    basis = basis or descriptor(species=species, dtype=dtype)
    species, n = basis.species, basis.n_features
    arch = {name: [list(layer) for layer in (layers or ALL_KNOWN)[k:]] for k, name in enumerate(species)}
    model = {"feature_mean": np.zeros(n), "feature_scale": np.ones(n), "e_scaling": 1.0, "e_shift": 0.0}
    if normalised:
        scale = np.where(rng.uniform(size=n) < 0.2, 0.0, rng.uniform(0.1, 2.0, n))
        model = {"feature_mean": rng.normal(size=n), "feature_scale": scale, "e_scaling": 0.7, "e_shift": -3.1}
    for k, name in enumerate(species):
        sizes = [n, *(nodes for nodes, _ in arch[name]), 1]
        for layer in range(len(sizes) - 1):
            model[f"networks.{k}.weights.{layer}"] = rng.normal(size=(sizes[layer + 1], sizes[layer]))
            model[f"networks.{k}.biases.{layer}"] = rng.normal(size=sizes[layer + 1])
    tensors = {name: torch.tensor(value, dtype=dtype) for name, value in (model | state).items()}
    free = {name: float(rng.normal()) - 5.0 for name in species}
    recipe = {"arch": arch, "descriptor": plain_of(basis)}
    return TorchANNPotential.from_parts(recipe, {"model": tensors, "atomic_energies": free})


def by_fortran(files, structure, argument=lambda x: x):
    """Evaluate files as ænet's `predict.x` does: features by brute force, then normalisation, network, scale, shift."""
    networks = {name: read_aenet_network(path) for name, path in files.items()}
    first = next(iter(networks.values()))
    rad_cutoff, rad_order, ang_cutoff, ang_order = first.sfparam[:, 0]
    rows = brute_force.features(
        structure, first.environment, int(rad_order), rad_cutoff, int(ang_order), ang_cutoff, first.rc_min, argument
    )
    total = 0.0
    for name, x in zip(structure.species, rows, strict=True):
        file = networks[name]
        deviation = np.sqrt(file.sfval_cov - file.sfval_avg**2)
        x = np.where(deviation > 1e-10, (x - file.sfval_avg) / np.where(deviation > 1e-10, deviation, 1), 0.0)
        at = 0
        for n_in, n_out, code in zip(file.nodes, file.nodes[1:], file.activations, strict=False):
            matrix = file.weights[at : at + (n_in + 1) * n_out].reshape(n_out, n_in + 1, order="F")
            x = FUNCTIONS[code](matrix @ np.append(x, 1.0))
            at += (n_in + 1) * n_out
        total += x[0] / file.scale + file.shift + dict(zip(file.type_names, file.e_atom, strict=True))[name]
    return total


def of(structure, species):
    """Give the atoms of a structure other species, in turn."""
    names = [species[k % len(species)] for k in range(structure.n_atoms)]
    return dataclasses.replace(structure, species=names)


def largest_difference(one, other, structures):
    a, b = (potential.predict(structures, eval_forces=True) for potential in (one, other))
    forces = [np.abs(x - y).max() for x, y in zip(a.forces, b.forces, strict=True)]
    return max(np.abs(np.subtract(a.total_energy, b.total_energy)).max(), *forces)


def binaries(files):
    return {name: path.with_suffix("") for name, path in files.items()}


def changed(path, **fields):
    """Write a file again with some of its records changed."""
    write_aenet_network(dataclasses.replace(read_aenet_network(path), **fields), path)
