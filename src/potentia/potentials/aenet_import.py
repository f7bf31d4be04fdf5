"""Potentials of ænet as potentials of ours: files of one network per species become descriptor, networks and energies.

ænet normalises the features of each species by statistics of their own, and may scale and shift its energies by numbers
of their own; ours are common to all. The difference goes into the first and the last layer, which is exact. The common
mean and deviation are those of all files together, so that a training can go on from well-scaled inputs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.polynomial import Chebyshev

from potentia.checks import choice
from potentia.errors import ConfigError, FileFormatError, warn_user
from potentia.potentials.descriptors import ChebyshevDescriptor
from potentia.potentials.formats.aenet_network import (
    ACTIVATION_CODES,
    AenetNetwork,
    ChebyshevSetup,
    read_aenet_network,
)
from potentia.potentials.formats.aenet_records import Reals
from potentia.potentials.networks import Architecture, AtomicNetworks

__all__ = ["AenetPotential", "read_aenet_potential"]

ANGULAR_ARGUMENTS = ("cos", "2cos/pi-1")
"""Of which the polynomials of the angular features are: that of ænet 2.0.4 and ours, and that of older releases."""
CONSTANT = 1e-10
"""ænet takes a feature for 0 whose standard deviation is not above this."""
ROUNDING = 1e-12
"""How far the mean square may lie below the squared mean, relative to it."""


@dataclass(frozen=True)
class AenetPotential:
    """A potential as its files describe it."""

    descriptor: ChebyshevDescriptor
    arch: Architecture
    model: AtomicNetworks
    """On the CPU, float64."""
    atomic_energies: dict[str, float]
    """Energy of the free atom of each species, eV."""
    record: dict[str, Any]
    """Where it comes from, as plain values."""


@dataclass(frozen=True)
class _Normalisation:
    """x = (G - mean)·scale, of the features as the file means them."""

    mean: Reals
    """[features]"""
    scale: Reals
    """1/standard deviation, 0 for features that are left out.  [features]"""


def read_aenet_potential(paths: Mapping[str, str | os.PathLike[str]], angular_argument: str = "cos") -> AenetPotential:
    """Read the files of a potential, ``.nn`` or ``.nn.ascii``.

    Args:
        paths: The file of each species.
        angular_argument: What the polynomials of the angular features are of: ``"cos"``, the cosine of the angle, as in
            ænet 2.0.4; or ``"2cos/pi-1"``, as in older releases. The files do not say.

    Raises:
        FileFormatError: a file cannot be read, or its network is of a kind that is not known here.
        ConfigError: the files do not belong together.

    Warns:
        PotentiaWarning: they are of different trainings, or ænet's own answer for them depends on chance.
    """
    choice("angular_argument", angular_argument, ANGULAR_ARGUMENTS)
    if not isinstance(paths, Mapping) or not paths:
        raise ConfigError(f"paths must map each species to its file, e.g. {{'Ti': 'Ti.nn'}}, got {paths!r}")
    files = {species: Path(path) for species, path in paths.items()}
    networks = {species: read_aenet_network(path) for species, path in files.items()}
    first = _one_potential(networks, files)
    networks = {species: networks[species] for species in first.environment}
    descriptor = _descriptor(first)
    arch = {species: _hidden_layers(network, files[species]) for species, network in networks.items()}
    model = AtomicNetworks(arch, descriptor.species, descriptor.n_features, 0, torch.float64)
    _fill(model, networks, {s: _normalisation(networks[s], files[s]) for s in networks}, angular_argument)
    return AenetPotential(
        descriptor=descriptor,
        arch=arch,
        model=model,
        atomic_energies={species: network.own_e_atom for species, network in networks.items()},
        record={"imported": _origin(first, networks, files, angular_argument)},
    )


def _one_potential(networks: Mapping[str, AenetNetwork], files: Mapping[str, Path]) -> AenetNetwork:
    """Return the first network, if all are of one potential and none is missing."""
    species, first = next(iter(networks.items()))
    for name, network in networks.items():
        if network.species != name:
            raise ConfigError(f"{files[name]} is the network of {network.species}, but was given for {name}")
        for what, own, other in (
            ("species (envtypes)", network.environment, first.environment),
            ("descriptor", network.setup, first.setup),
            ("shortest distance (Rc_min)", network.rc_min, first.rc_min),
        ):
            if own != other:
                raise ConfigError(
                    f"{files[name]} and {files[species]} are not of one potential: their {what} are {own} and {other}"
                )
        if network.rc_max < max(network.setup.rad_cutoff, network.setup.ang_cutoff):
            raise FileFormatError(f"{files[name]}: Rc_max = {network.rc_max} Å is below the cutoffs, {network.setup}")
    if set(networks) != set(first.environment):
        raise ConfigError(
            f"{files[species]} is of a potential for {', '.join(first.environment)}: give a file for each of them, and "
            f"no other; got {', '.join(networks)}"
        )
    _warn_of_differences(networks, files)
    return first


def _warn_of_differences(networks: Mapping[str, AenetNetwork], files: Mapping[str, Path]) -> None:
    said = [(n.scale, n.shift, dict(zip(n.type_names, n.e_atom.tolist(), strict=True))) for n in networks.values()]
    if any(other != said[0] for other in said):
        warn_user(
            f"{', '.join(map(str, files.values()))} have different scale, shift or E_atom, so they come from different "
            "trainings; each is used with its own, as ænet does"
        )
    setup = next(iter(networks.values())).setup
    if len(networks) > 1 and setup.ang_cutoff > setup.rad_cutoff:
        warn_user(
            f"ang_cutoff = {setup.ang_cutoff} Å is above rad_cutoff = {setup.rad_cutoff} Å: there ænet 2.0.4 takes "
            "species weights of other atoms, and its answers differ from those of here, which follow the definition"
        )


def _descriptor(network: AenetNetwork) -> ChebyshevDescriptor:
    setup = network.setup
    return ChebyshevDescriptor(
        network.environment,
        rad_order=setup.rad_order,
        rad_cutoff=setup.rad_cutoff,
        ang_order=setup.ang_order,
        ang_cutoff=setup.ang_cutoff,
        min_cutoff=network.rc_min,
    )


def _hidden_layers(network: AenetNetwork, path: Path) -> list[tuple[int, str]]:
    if len(network.nodes) < 3:
        raise FileFormatError(f"{path}: a network without hidden layers is not known here; add a linear one")
    names = {code: name for name, code in ACTIVATION_CODES.items()}
    *hidden, last = (names[code] for code in network.activations)
    if last != "linear":
        raise FileFormatError(f"{path}: the output has the activation {last}; only linear outputs are known here")
    return list(zip(network.nodes[1:-1], hidden, strict=True))


def _normalisation(network: AenetNetwork, path: Path) -> _Normalisation:
    """Return what ænet does with features."""
    variance = network.sfval_cov - network.sfval_avg**2
    if (variance < -ROUNDING * np.maximum(network.sfval_cov, 1.0)).any():
        k = int(np.argmin(variance))
        raise FileFormatError(f"{path}: the mean square of feature {k}, sfval_cov, is below its squared mean")
    deviation = np.sqrt(np.maximum(variance, 0.0))
    kept = deviation > CONSTANT
    return _Normalisation(network.sfval_avg, np.where(kept, 1 / np.where(kept, deviation, 1.0), 0.0))


def _common(own: list[_Normalisation]) -> _Normalisation:
    """Return mean and deviation of the species together, each counting the same; what all leave out is left out."""
    mean = np.mean([n.mean for n in own], axis=0)
    kept = np.any([n.scale > 0 for n in own], axis=0)
    inner = [np.where(n.scale > 0, 1 / np.where(n.scale > 0, n.scale, 1.0), 0.0) ** 2 for n in own]
    outer = [(n.mean - mean) ** 2 for n in own]
    deviation = np.sqrt(np.mean(inner, axis=0) + np.mean(outer, axis=0))
    if len(own) == 1:
        return own[0]  # to the bit
    return _Normalisation(mean, np.where(kept, 1 / np.where(kept, deviation, 1.0), 0.0))


def _fill(
    model: AtomicNetworks,
    networks: Mapping[str, AenetNetwork],
    normalisations: Mapping[str, _Normalisation],
    angular_argument: str,
) -> None:
    """Give the model weights and normalisation: to each energy what its own file gives."""
    common = _common(list(normalisations.values()))
    first = next(iter(networks.values()))
    turn = None if angular_argument == "cos" else _older_features(first.setup, len(networks))
    if turn is not None:  # features that are left out may still be part of others
        common = _Normalisation(common.mean, np.where(common.scale > 0, common.scale, 1.0))
    for module, (species, network) in zip(model.networks, networks.items(), strict=True):
        own, layers = normalisations[species], network.layers
        weight, bias = layers[0]
        by_raw = weight * own.scale
        bias = bias + by_raw @ (common.mean - own.mean)
        if turn is not None:
            by_raw = by_raw @ turn
        kept = common.scale > 0
        layers[0] = np.where(kept, by_raw / np.where(kept, common.scale, 1.0), 0.0), bias
        weight, bias = layers[-1]
        ratio = first.scale / network.scale
        layers[-1] = weight * ratio, bias * ratio + (network.shift - first.shift) * first.scale
        state = {f"weights.{k}": torch.from_numpy(weight) for k, (weight, _) in enumerate(layers)}
        module.load_state_dict(state | {f"biases.{k}": torch.from_numpy(bias) for k, (_, bias) in enumerate(layers)})
    mean = common.mean if turn is None else np.linalg.solve(turn, common.mean)
    model.feature_mean.copy_(torch.from_numpy(mean))
    model.feature_scale.copy_(torch.from_numpy(common.scale))
    model.e_scaling.fill_(first.scale)
    model.e_shift.fill_(first.shift)


def _older_features(setup: ChebyshevSetup, n_species: int) -> Reals:
    """Return the matrix that makes the features of older releases of ours.  [features, features]

    T_n(2x/π - 1) is a sum of the T_m(x) with m ≤ n, and the angular features are linear in the polynomials.
    """
    from scipy.linalg import block_diag  # takes long to import, and few read such files

    radial, angular = np.eye(setup.rad_order + 1), np.zeros((setup.ang_order + 1,) * 2)
    for n in range(setup.ang_order + 1):
        coefficients = Chebyshev.basis(n)(Chebyshev([-1.0, 2 / np.pi])).coef
        angular[n, : len(coefficients)] = coefficients
    matrix: Reals = block_diag(*[radial, angular] * (2 if n_species > 1 else 1))
    return matrix


def _origin(
    first: AenetNetwork, networks: Mapping[str, AenetNetwork], files: Mapping[str, Path], angular_argument: str
) -> dict[str, Any]:
    """Return what the files say of their training, as plain values."""
    found: dict[str, Any] = {
        "program": "aenet",
        "files": {species: files[species].name for species in networks},
        "angular_argument": angular_argument,
        "description": first.description,
        "training_set": first.training_set,
        "normalized": first.normalized,
        "atoms": first.n_atoms,
        "structures": first.n_structures,
        "e_range": list(first.e_range),
    }
    if angular_argument == "cos":  # else the numbers are of other features than ours
        found["statistics"] = {
            species: {"min": n.sfval_min.tolist(), "max": n.sfval_max.tolist(), "atoms": n.neval}
            for species, n in networks.items()
        }
    return found
