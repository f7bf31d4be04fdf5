"""Laws of descriptors: what must not change the features, and the two maps of their derivatives."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.errors import ConfigError
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.descriptors.registry import comparable, descriptor_from, plain_of
from potentia.potentials.simulation import SKIN
from potentia.potentials.skin import Frame, moving_pairs
from potentia.potentials.structure import Structure
from potentia.seeding import stream
from potentia.testing.comparing import STEPS, require, require_close, require_same, slopes
from potentia.testing.structures import MIRROR, deformed, other_images, reordered, repeated, turn

__all__ = [
    "check_descriptor",
    "company_changes_no_bit",
    "features_fade_at_the_cutoff",
    "jvp_is_the_transpose_of_vjp",
    "moving_changes_no_feature",
    "order_of_atoms_is_order_of_features",
    "other_images_change_no_feature",
    "pair_gradients_sum_to_vjp",
    "settings_go_there_and_back",
    "simulations_see_the_same",
    "supercell_repeats_features",
    "turning_changes_no_feature",
    "vjp_is_the_derivative",
]

STEP = 1e-4
"""Of differences: Å, and strain."""


def check_descriptor(descriptor: Descriptor, structures: Sequence[Structure]) -> None:
    """Check all laws of this file on ``structures``; those by differences where the descriptor is of float64.

    >>> from potentia import ChebyshevDescriptor
    >>> water = Structure([[0, 0, 0.1], [0, 0.8, -0.5], [0, -0.7, -0.5]], ["O", "H", "H"])
    >>> check_descriptor(ChebyshevDescriptor(["H", "O"], 3, 3.0, 2, 3.0, kernels="torch"), [water])

    Raises:
        AssertionError: a law is broken; the message names it.
    """
    for structure in structures:
        moving_changes_no_feature(descriptor, structure)
        turning_changes_no_feature(descriptor, structure)
        order_of_atoms_is_order_of_features(descriptor, structure)
        other_images_change_no_feature(descriptor, structure)
        if all(structure.pbc):
            supercell_repeats_features(descriptor, structure)
        if descriptor.dtype == torch.float64:
            vjp_is_the_derivative(descriptor, structure)
        simulations_see_the_same(descriptor, structure)
    jvp_is_the_transpose_of_vjp(descriptor, structures)
    pair_gradients_sum_to_vjp(descriptor, structures)
    company_changes_no_bit(descriptor, structures)
    features_fade_at_the_cutoff(descriptor)
    settings_go_there_and_back(descriptor, structures)


def moving_changes_no_feature(descriptor: Descriptor, structure: Structure) -> None:
    """A structure has the same features anywhere in space."""
    moved = deformed(structure, np.eye(3), [3.0, -50.0, 7.0])
    _require_features("moving a structure changes no feature", descriptor, moved, _features(descriptor, structure))


def turning_changes_no_feature(descriptor: Descriptor, structure: Structure) -> None:
    """A structure has the same features in any orientation, and its mirror image has them too."""
    expected = _features(descriptor, structure)
    for law, matrix in (
        ("turning a structure changes no feature", turn(4)),
        ("a mirror image has the same features", turn(5) @ MIRROR),
    ):
        _require_features(law, descriptor, deformed(structure, matrix), expected)


def order_of_atoms_is_order_of_features(descriptor: Descriptor, structure: Structure) -> None:
    """Atoms in another order have their own features."""
    order = stream(4, "order").permutation(structure.n_atoms)
    law = "features follow their atoms when these stand in another order"
    _require_features(law, descriptor, reordered(structure, order), _features(descriptor, structure)[order])


def other_images_change_no_feature(descriptor: Descriptor, structure: Structure) -> None:
    """An atom may be taken anywhere among its periodic images."""
    law = "a lattice vector added to an atom changes no feature"
    _require_features(law, descriptor, other_images(structure), _features(descriptor, structure))


def supercell_repeats_features(descriptor: Descriptor, structure: Structure) -> None:
    """Atoms of a supercell have the features of the atoms that they repeat."""
    times = (2, 1, 2)
    expected = np.tile(_features(descriptor, structure), (4, 1))
    _require_features("a supercell repeats the features", descriptor, repeated(structure, times), expected)


def vjp_is_the_derivative(descriptor: Descriptor, structure: Structure) -> None:
    """`Descriptor.vjp` gives what differences of features give, by positions and by strain.

    Raises:
        AssertionError: it does not.
        ConfigError: the descriptor is not of float64: differences say nothing in less.
    """
    if descriptor.dtype != torch.float64:
        raise ConfigError(f"derivatives are compared with differences in float64, this is of {descriptor.dtype}")
    geometry = descriptor.geometry([structure])
    cotangent = _drawn(descriptor, "cotangent", structure.n_atoms, descriptor.n_features)
    moments = descriptor.features(geometry).moments
    by_position, by_strain = descriptor.vjp(geometry, moments, geometry.everything, cotangent)
    places = [
        Structure(structure.positions + h * STEP * way, structure.species, cell=structure.cell, pbc=structure.pbc)
        for way in np.eye(3 * structure.n_atoms).reshape(-1, structure.n_atoms, 3)
        for h in STEPS
    ]
    strains = [deformed(structure, np.eye(3) + h * STEP * way) for way in np.eye(9).reshape(9, 3, 3) for h in STEPS]
    for name, found, moved in (("positions", by_position, places), ("strain", by_strain[0], strains)):
        expected = slopes(_seen(descriptor, moved, cotangent).reshape(-1, len(STEPS)), STEP).reshape(found.shape)
        atol = 1e-7 * max(np.abs(expected).max(), 1.0)
        require_close(f"vjp is the derivative by {name}", found.cpu(), expected, atol=atol)


def jvp_is_the_transpose_of_vjp(descriptor: Descriptor, structures: Sequence[Structure]) -> None:
    """g·(dG/dx·δ) is the same number by `Descriptor.jvp` and by `Descriptor.vjp`, for structures in any order."""
    geometry = descriptor.geometry(structures)
    moments = descriptor.features(geometry).moments
    chosen = torch.arange(len(structures)).flip(0)
    selection = geometry.select(chosen)
    n = len(selection.atoms)
    cotangent = _drawn(descriptor, "cotangent", n, descriptor.n_features)
    shift = _drawn(descriptor, "shift", n, 3)
    strain = _drawn(descriptor, "strain", len(structures), 3, 3)
    by_position, by_strain = descriptor.vjp(geometry, moments, selection, cotangent)
    terms = [(by_position * shift).double(), (by_strain * strain).double()]
    backward = (cotangent * descriptor.jvp(geometry, moments, selection, shift, strain)).double().sum()
    size = float(sum(term.abs().sum() for term in terms))
    rtol = 1e-13 if descriptor.dtype == torch.float64 else 3e-6
    forward = float(sum(term.sum() for term in terms))
    require_close("jvp is the transpose of vjp", float(backward), forward, atol=rtol * size)


def pair_gradients_sum_to_vjp(descriptor: Descriptor, structures: Sequence[Structure]) -> None:
    """Gradients by pairs, summed where pairs end less where they begin, are those by positions and by strain."""
    geometry = descriptor.geometry(structures)
    features = descriptor.features(geometry)
    cotangent = _drawn(descriptor, "cotangent", *features.values.shape)
    by_pair = torch.zeros((geometry.n_pairs, 3), dtype=descriptor.dtype, device=descriptor.device)
    by_centre = descriptor.pair_gradients(geometry, features.moments, cotangent, by_pair)
    gradient, strain = descriptor.vjp(geometry, features.moments, geometry.everything, cotangent)
    pairs = geometry.start.diff()
    centre = torch.repeat_interleave(torch.arange(geometry.n_atoms, device=pairs.device), pairs)
    summed = torch.zeros_like(gradient)
    summed.index_add_(0, geometry.neighbour.long(), by_pair).index_add_(0, centre, -by_pair)
    whole = torch.zeros_like(strain).index_add_(0, geometry.owner, by_centre)
    for name, found, expected in (("positions", summed, gradient), ("strain", whole, strain)):
        close = 1e-11 if descriptor.dtype == torch.float64 else 1e-4
        atol = close * max(float(expected.abs().max()), 1.0)
        require_close(f"gradients by pairs sum to vjp by {name}", found.cpu(), expected.cpu(), atol=atol)


def simulations_see_the_same(descriptor: Descriptor, structure: Structure) -> None:
    """Features and gradients of an atom are those of its pairs within the cutoff, also where it is handed more.

    Neighbours in simulations are found within the cutoff and a skin, and last for many steps.
    """
    geometry = descriptor.geometry([structure])
    known = descriptor.features(geometry)
    cotangent = _drawn(descriptor, "cotangent", *known.values.shape)
    expected = (known.values, *descriptor.vjp(geometry, known.moments, geometry.everything, cotangent))
    cell = np.zeros((3, 3)) if structure.cell is None else structure.cell
    species = np.array([descriptor.species_to_idx[name] for name in structure.species], dtype=np.int64)
    pairs = moving_pairs(descriptor, SKIN)
    moving = pairs.follow(Frame(structure.positions, species, cell, structure.pbc))
    features = descriptor.features(moving)
    by_position, by_strain = pairs.gradients(moving, features.moments, cotangent)
    close = 1e-10 if descriptor.dtype == torch.float64 else 1e-4
    found = (features.values, by_position, by_strain[None])
    for name, one, other in zip(("features", "gradients", "strain"), found, expected, strict=True):
        atol = close * max(float(other.abs().max()), 1.0)
        require_close(f"pairs beyond the cutoff change no {name}", one.double().cpu(), other.double().cpu(), atol=atol)


def features_fade_at_the_cutoff(descriptor: Descriptor) -> None:
    """A neighbour that comes within the cutoff changes nothing at first, so forces have no jump there."""
    name = descriptor.species[0]
    reach = descriptor.cutoff
    alone, *pair = (
        _features(descriptor, Structure(np.array([[0.0, 0, 0], [distance, 0, 0]]), [name, name]))
        for distance in (1.1 * reach, (1 - 1e-6) * reach, 0.5 * reach)
    )
    size = max(float(np.abs(pair[1] - alone).max()), 1.0)
    require_close("features fade towards the cutoff", pair[0], alone, atol=1e-4 * size)


def settings_go_there_and_back(descriptor: Descriptor, structures: Sequence[Structure]) -> None:
    """What files know of a descriptor makes one of the same settings and, to the bit, the same features.

    Raises:
        AssertionError: settings or features differ.
        ConfigError: its class is not registered, or its settings are not plain.
    """
    written = json.loads(json.dumps(plain_of(descriptor)))
    again = descriptor_from(written)
    same = comparable(plain_of(again)) == comparable(written)
    require("settings go to plain values and back", same, f"{again!r} instead of {descriptor!r}")
    found, expected = (one.features(one.geometry(structures)).values for one in (again, descriptor))
    require_same("a descriptor that was written down and read has the same features", found, expected)


def company_changes_no_bit(descriptor: Descriptor, structures: Sequence[Structure]) -> None:
    """Features of a structure do not depend on the structures beside it."""
    together = descriptor.features(descriptor.geometry(structures)).values
    alone = torch.cat([descriptor.features(descriptor.geometry([one])).values for one in structures])
    require_same("structures beside a structure change no bit of its features", together, alone)


def _features(descriptor: Descriptor, structure: Structure) -> NDArray[np.float64]:
    found = descriptor.features(descriptor.geometry([structure])).values
    return np.asarray(found.double().cpu().numpy())


def _require_features(law: str, descriptor: Descriptor, structure: Structure, expected: NDArray[np.float64]) -> None:
    close = 1e-10 if descriptor.dtype == torch.float64 else 1e-4
    require_close(law, _features(descriptor, structure), expected, rtol=close, atol=close)


def _seen(descriptor: Descriptor, structures: Sequence[Structure], cotangent: Tensor) -> NDArray[np.float64]:
    """Return Σ cotangent·G of structures with as many atoms as it has.  [structures]"""
    values = descriptor.features(descriptor.geometry(structures)).values
    found = (values.reshape(len(structures), *cotangent.shape) * cotangent).sum((1, 2))
    return np.asarray(found.cpu().numpy())


def _drawn(descriptor: Descriptor, name: str, *shape: int) -> Tensor:
    values = stream(0, "law", name).normal(size=shape)
    return torch.as_tensor(values, dtype=descriptor.dtype, device=descriptor.device)
