"""The Chebyshev descriptor: its definition, its derivatives, and what must not change it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from potentia.errors import ConfigError, DataError, PotentiaWarning
from potentia.potentials.descriptors import ChebyshevDescriptor, kernels_numba
from potentia.potentials.descriptors.chebyshev import species_weights
from potentia.potentials.structure import Structure
from potentia.testing import descriptors as laws
from potentials import brute_force

SYMBOLS = ("H", "O", "Si", "Ti", "Zr")


def crystal(seed=0, n=4, species=("Ti", "O"), pbc=(True, True, True), length=4.2, out_of_cell=True):
    """A skewed, rotated cell with atoms anywhere in space."""
    rng = np.random.default_rng(seed)
    cell = length * (np.eye(3) + 0.25 * rng.normal(size=(3, 3)))
    grid = np.array(list(itertools.product((0.1, 0.6), repeat=3)))[:n] + 0.08 * rng.uniform(-1, 1, (n, 3))
    shift = rng.integers(-2, 3, (n, 3)) * np.array(pbc) if out_of_cell else 0
    names = [species[k % len(species)] for k in range(n)]
    return Structure((grid + shift) @ cell, names, -1.0, cell=cell, pbc=pbc)


def molecule(seed=1, n=6, species=("Ti", "O")):
    rng = np.random.default_rng(seed)
    points = np.array(list(itertools.product((0.0, 1.6), repeat=3)))[:n] + 0.2 * rng.normal(size=(n, 3))
    return Structure(points, [species[k % len(species)] for k in range(n)], -1.0)


def line():
    """Collinear atoms: cos θ = ±1, where a derivative by θ is singular."""
    return Structure(np.array([[0.0, 0, 0], [1.2, 0, 0], [2.5, 0, 0], [-1.35, 0, 0]]), ["Ti", "O", "O", "Ti"], -1.0)


CASES = {
    "triclinic, atoms anywhere": crystal(),
    "slab": crystal(2, pbc=(True, True, False)),
    "wire": crystal(3, pbc=(False, True, False)),
    "molecule": molecule(),
    "collinear": line(),
    "one atom in a small cell": Structure(np.array([[7.0, -3.0, 0.1]]), ["Ti"], -1.0, cell=2.6 * np.eye(3)),
}
every_case = pytest.mark.parametrize("structure", CASES.values(), ids=CASES)
DESCRIPTOR = ChebyshevDescriptor(["Ti", "O"], 7, 4.5, 4, 3.8)


PATHS = ("numba", "torch")
every_path = pytest.mark.parametrize("path", PATHS)
in_float32 = pytest.mark.parametrize("path", [pytest.param("numba", marks=pytest.mark.slow), "torch"])
"""The loops are compiled for each precision: half a minute, so float32 of them is slow."""


def features(descriptor, structure):
    return descriptor.features(descriptor.geometry([structure])).values.numpy()


def relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@every_path
@every_case
def test_features_are_the_definition(structure, path):
    descriptor = ChebyshevDescriptor(["Ti", "O"], 7, 4.5, 4, 3.8, kernels=path)
    expected = brute_force.features(structure, ["Ti", "O"], 7, 4.5, 4, 3.8)
    assert relative(features(descriptor, structure), expected) < 1e-12


@every_path
@pytest.mark.parametrize("n_species", range(1, 6))
def test_any_number_of_species(n_species, path):
    species = list(SYMBOLS[:n_species])
    structure = crystal(5, n=8, species=species)
    expected = brute_force.features(structure, species, 5, 4.0, 3, 3.5)
    assert relative(features(ChebyshevDescriptor(species, 5, 4.0, 3, 3.5, kernels=path), structure), expected) < 1e-12


@every_path
@pytest.mark.parametrize(("rad_order", "ang_order"), [(0, 0), (1, 0), (0, 1), (1, 1), (2, 12), (20, 20)])
def test_any_order(rad_order, ang_order, path):
    structure = crystal(6)
    expected = brute_force.features(structure, ["Ti", "O"], rad_order, 4.0, ang_order, 4.0)
    assert (
        relative(
            features(ChebyshevDescriptor(["Ti", "O"], rad_order, 4.0, ang_order, 4.0, kernels=path), structure),
            expected,
        )
        < 1e-12
    )


@every_path
def test_the_angular_cutoff_may_be_the_larger_one(path):
    structure = crystal(7)
    expected = brute_force.features(structure, ["Ti", "O"], 5, 3.0, 3, 4.5)
    assert (
        relative(features(ChebyshevDescriptor(["Ti", "O"], 5, 3.0, 3, 4.5, kernels=path), structure), expected) < 1e-12
    )


@in_float32
def test_float32_is_float64_rounded(path):
    exact = features(ChebyshevDescriptor(["Ti", "O"], 10, 5.0, 4, 4.0, kernels=path), CASES["slab"])
    rounded = features(
        ChebyshevDescriptor(["Ti", "O"], 10, 5.0, 4, 4.0, dtype=torch.float32, kernels=path), CASES["slab"]
    )
    assert rounded.dtype == np.float32
    assert relative(rounded, exact) < 2e-6


def test_weights_of_species():
    found = [species_weights(n).tolist() for n in range(1, 6)]
    assert found == [[0.0], [-1.0, 1.0], [-1.0, 0.0, 1.0], [-2.0, -1.0, 1.0, 2.0], [-2.0, -1.0, 0.0, 1.0, 2.0]]


@pytest.mark.parametrize(("species", "count"), [(["H"], 15), (["H", "O"], 30)])
def test_number_of_features(species, count):
    assert ChebyshevDescriptor(species, 10, 4.0, 3, 3.0).n_features == count


def test_one_species_is_the_unweighted_half_of_two():
    structure = crystal(8, species=("Ti",))
    half = features(ChebyshevDescriptor(["Ti"], 5, 4.0, 3, 4.0), structure)
    whole = features(ChebyshevDescriptor(["Ti", "O"], 5, 4.0, 3, 4.0), structure)
    np.testing.assert_allclose(half, whole[:, : half.shape[1]], rtol=1e-13)


def test_the_lowest_angular_feature_is_a_sum_of_cutoffs():
    structure = crystal(9)
    found = features(DESCRIPTOR, structure)[:, 8]
    for value, (vectors, _) in zip(found, brute_force.neighbours(structure, 3.8), strict=True):
        f = brute_force.cutoff_function(np.linalg.norm(vectors, axis=1), 3.8)
        assert value == pytest.approx((f.sum() ** 2 - (f**2).sum()) / 2, rel=1e-12)


def test_an_isolated_atom_has_no_features():
    assert not features(DESCRIPTOR, Structure(np.zeros((1, 3)), ["O"], 0.0)).any()


def test_two_atoms_have_no_angle():
    found = features(DESCRIPTOR, Structure(np.array([[0, 0, 0], [0, 0, 1.5]]), ["O", "Ti"], 0.0))
    assert np.abs(found[:, 8:13]).max() < 1e-14
    assert found[:, :8].any()


# Derivatives


@every_path
@every_case
def test_vjp_is_the_derivative_by_positions_and_strain(structure, path):
    laws.vjp_is_the_derivative(ChebyshevDescriptor(["Ti", "O"], 7, 4.5, 4, 3.8, kernels=path), structure)


def jvp_is_the_transpose_of_vjp(n_species, **settings):
    species = list(SYMBOLS[:n_species])
    descriptor = ChebyshevDescriptor(species, 9, 4.5, 5, 4.0, **settings)
    structures = [crystal(k, n=8, species=species) for k in range(3)] + [molecule(species=species)]
    laws.jvp_is_the_transpose_of_vjp(descriptor, structures)


@every_path
@pytest.mark.parametrize("n_species", [1, 2, 3])
def test_jvp_is_the_transpose_of_vjp(n_species, path):
    jvp_is_the_transpose_of_vjp(n_species, kernels=path)


@in_float32
@pytest.mark.parametrize("n_species", [1, 2, 3])
def test_so_it_is_in_float32(n_species, path):
    jvp_is_the_transpose_of_vjp(n_species, kernels=path, dtype=torch.float32)


def test_both_paths_agree_on_a_selection():
    geometry = DESCRIPTOR.geometry([crystal(1), molecule(), crystal(2)])
    torch_path = ChebyshevDescriptor(["Ti", "O"], 7, 4.5, 4, 3.8, kernels="torch")
    moments = DESCRIPTOR.features(geometry).moments
    selection = geometry.select(torch.tensor([2, 1]))
    g = torch.from_numpy(np.random.default_rng(0).normal(size=(len(selection.atoms), DESCRIPTOR.n_features)))
    for fast, plain in zip(
        DESCRIPTOR.vjp(geometry, moments, selection, g), torch_path.vjp(geometry, moments, selection, g), strict=True
    ):
        np.testing.assert_allclose(fast, plain, rtol=1e-11, atol=1e-11)


def test_the_torch_path_is_differentiable_in_the_pairs():
    descriptor = ChebyshevDescriptor(["Ti", "O"], 2, 4.5, 2, 3.8, kernels="torch")
    geometry = descriptor.geometry([molecule(n=3)])
    vectors = geometry.vector.clone().requires_grad_()

    def values(v):
        return descriptor._kernels.features(type(geometry)(**{**geometry._arrays(), "vector": v}))[0]

    assert torch.autograd.gradcheck(values, vectors, atol=1e-7)
    assert torch.autograd.gradgradcheck(values, vectors, atol=1e-6, fast_mode=True)  # along random directions


# What must not change the features


LAWS = (
    laws.moving_changes_no_feature,
    laws.turning_changes_no_feature,
    laws.order_of_atoms_is_order_of_features,
    laws.other_images_change_no_feature,
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@every_case
def test_what_must_change_no_feature_does_not(structure, law):
    law(DESCRIPTOR, structure)


def test_a_supercell_repeats_the_cell():
    laws.supercell_repeats_features(DESCRIPTOR, crystal(12))


def test_a_slab_may_lie_anywhere_along_the_open_direction():
    slab = Structure(
        np.array([[0, 0, -0.5], [0.3, 0, 0.6]]), ["Ti", "O"], 0.0, cell=np.diag([3, 3, 20.0]), pbc=(1, 1, 0)
    )
    moved = Structure(slab.positions + np.array([0, 0, 5.0]), slab.species, 0.0, cell=slab.cell, pbc=slab.pbc)
    np.testing.assert_allclose(features(DESCRIPTOR, slab), features(DESCRIPTOR, moved), rtol=1e-12)
    assert np.linalg.norm(features(DESCRIPTOR, slab)) > 1


def test_neither_threads_nor_company_change_a_bit():
    structures = [crystal(k, n=8) for k in range(3 * kernels_numba.WORTH // 8)]
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            geometry = DESCRIPTOR.geometry(structures)
            found = DESCRIPTOR.features(geometry)
            whole, still = geometry.everything, torch.zeros((len(structures), 3, 3), dtype=torch.float64)
            gradient, strain = DESCRIPTOR.vjp(geometry, found.moments, whole, torch.ones_like(found.values))
            change = DESCRIPTOR.jvp(geometry, found.moments, whole, gradient, still)
            results.append((found.values, gradient, strain, change))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))
    laws.company_changes_no_bit(DESCRIPTOR, structures[:12])


# Wrong input


def test_a_pair_below_min_cutoff_is_warned_of_and_not_seen():
    structure = Structure(np.array([[0, 0, 0], [0, 0, 0.5], [0, 0, 1.7]]), ["O", "O", "Ti"], 0.0, name="fused")
    with pytest.warns(PotentiaWarning, match=r"in fused are closer than min_cutoff.*atoms 0 and 1 at 0.500"):
        found = features(DESCRIPTOR, structure)
    np.testing.assert_allclose(
        found, brute_force.features(structure, ["Ti", "O"], 7, 4.5, 4, 3.8), rtol=1e-12, atol=1e-14
    )


def test_an_unknown_species_is_named():
    structure = Structure(np.zeros((1, 3)), ["Tl"], 0.0, name="odd.xyz")
    with pytest.raises(DataError, match=r"species 'Tl' of atom 0 in odd.xyz .*known: Ti, O"):
        DESCRIPTOR.geometry([structure])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"species": []}, "at least one"),
        ({"species": "TiO"}, "list of chemical symbols"),
        ({"species": ["O", "O"]}, "once"),
        ({"rad_order": -1}, "rad_order"),
        ({"rad_cutoff": 0.0}, "rad_cutoff"),
        ({"ang_order": 2.5}, "ang_order"),
        ({"min_cutoff": 7.0}, "below the cutoffs"),
        ({"dtype": torch.float16}, "dtype"),
        ({"kernels": "numbe"}, "did you mean 'numba'"),
        ({"kernels": "numba", "device": "meta"}, "CPU only"),
    ],
)
def test_settings_that_cannot_be(change, message):
    settings = {"species": ["O"], "rad_order": 2, "rad_cutoff": 4.0, "ang_order": 2, "ang_cutoff": 4.0}
    with pytest.raises(ConfigError, match=message):
        ChebyshevDescriptor(**{**settings, **change})


def test_large_structures_are_summed_to_the_same_gradient(monkeypatch):
    """Small structures are summed each by one thread, large ones each centre by one thread."""
    geometry = DESCRIPTOR.geometry([crystal(k, n=8) for k in range(3)] + [molecule()])
    found = DESCRIPTOR.features(geometry)
    small, _ = DESCRIPTOR.vjp(geometry, found.moments, geometry.everything, torch.ones_like(found.values))
    monkeypatch.setattr(kernels_numba, "SMALL", 0)
    large, _ = DESCRIPTOR.vjp(geometry, found.moments, geometry.everything, torch.ones_like(found.values))
    torch.testing.assert_close(small, large, rtol=1e-12, atol=1e-12)
