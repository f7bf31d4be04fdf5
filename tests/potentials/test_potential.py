"""What a trained potential says: derivatives of its energy, sums of its parts, and what must not change it."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from potentia import ChebyshevDescriptor, Structure, TorchANNPotential
from potentia.errors import ConfigError
from potentia.nn import ACTIVATIONS
from potentials import small_data
from potentials.small_data import FREE, SPECIES, crystal, molecule

STEP = 3e-4
STENCIL = {1: 8, -1: -8, 2: -1, -2: 1}
"""Central differences of fourth order: Σ weight · E(step) / (12 · length of a step)."""


def rotation(seed=0):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def transformed(structure, matrix, shift=0.0):
    """Turn or strain a structure: x → matrix·x + shift, the lattice with it."""
    cell = None if structure.cell is None else structure.cell @ matrix.T
    return replace(structure, positions=structure.positions @ matrix.T + shift, cell=cell)


def line(species=SPECIES):
    """Collinear atoms: cos θ = ±1, where a derivative by θ is singular."""
    x = np.array([[-1.9, 0, 0], [0, 0, 0], [1.6, 0, 0], [3.3, 0, 0]])
    return Structure(x + 0.3, [species[k % len(species)] for k in range(4)])


CASES = {
    "triclinic, atoms outside the cell": crystal(0),
    "rotated": transformed(crystal(1), rotation()),
    "slab": crystal(2, pbc=(True, True, False)),
    "wire": crystal(3, pbc=(False, True, False)),
    "molecule": molecule(4, 6),
    "collinear": line(),
    "collinear and rotated": transformed(line(), rotation(1)),
    "two atoms": molecule(6, 2),
}
every_case = pytest.mark.parametrize("structure", CASES.values(), ids=CASES)
every_crystal = pytest.mark.parametrize(
    "structure", [s for s in CASES.values() if s.is_periodic()], ids=[k for k, s in CASES.items() if s.is_periodic()]
)
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
ONE = ("Ti",)


def energy_differences(potential, moved):
    """Derivative of the energy along each direction; ``moved`` gives the structure at a length along each."""
    places = [structure for path in moved for structure in (path(k * STEP) for k in STENCIL)]
    energies = np.array(potential.predict(places).cohesive_energy).reshape(-1, len(STENCIL))
    return energies @ np.array(list(STENCIL.values())) / (12 * STEP)


def forces_by_differences(potential, s):
    directions = np.eye(3 * s.n_atoms).reshape(-1, s.n_atoms, 3)
    moved = [lambda h, d=d: replace(s, positions=s.positions + h * d) for d in directions]
    return -energy_differences(potential, moved).reshape(-1, 3)


def stress_by_differences(potential, s):
    moved = [lambda h, d=d: transformed(s, np.eye(3) + h * d) for d in np.eye(9).reshape(9, 3, 3)]
    return energy_differences(potential, moved).reshape(3, 3) / s.volume


def assert_close(found, expected, rel=1e-7, least=0.0):
    assert np.abs(found - expected).max() <= rel * max(np.abs(expected).max(), least)


def assert_derivatives_are_right(potential, structure):
    found = potential.predict(structure, eval_forces=True, eval_stress=True)
    assert np.abs(found.forces[0]).max() > 1e-3
    assert_close(found.forces[0], forces_by_differences(potential, structure))
    if all(structure.pbc):
        assert_close(found.stress[0], stress_by_differences(potential, structure))
        assert_close(found.stress[0], found.stress[0].T, 1e-14)
    else:
        assert found.stress == [None]


@every_case
def test_forces_and_stress_are_derivatives_of_the_energy(structure):
    assert_derivatives_are_right(small_data.trained(), structure)


@pytest.mark.parametrize(
    "structure", [crystal(0, species=ONE), crystal(2, species=ONE, pbc=(True, True, False)), line(ONE)], ids=str
)
def test_so_they_are_with_one_species(structure):
    assert_derivatives_are_right(small_data.trained(species=ONE), structure)


@every_activation
def test_so_they_are_with_every_activation(activation, monkeypatch):
    monkeypatch.setitem(globals(), "STEP", STEP / 10)  # too short to reach a kink of relu
    assert_derivatives_are_right(small_data.trained(activation), crystal(5, n=3))


def test_an_atom_alone_in_its_cell_has_no_force_but_stress():
    structure = Structure([[7.0, -3.0, 0.1]], ["Ti"], cell=2.6 * np.eye(3) + 0.1)
    found = small_data.trained().predict(structure, eval_forces=True, eval_stress=True)
    assert np.abs(found.forces[0]).max() < 1e-13
    assert_close(found.stress[0], stress_by_differences(small_data.trained(), structure))


def test_atoms_out_of_sight_of_each_other_have_no_forces():
    far = Structure([[0, 0, 0], [0, 0, 50.0]], ["Ti", "O"])
    found = small_data.trained().predict([far, Structure([[0, 0, 0]], ["Ti"])], eval_forces=True)
    assert not found.forces[0].any()
    assert found.atom_energies[0][0] == pytest.approx(found.total_energy[1], abs=1e-12)


@every_activation
def test_atomic_energies_add_up_and_the_rest_is_free_atoms(activation):
    structures = [*small_data.frames(), *CASES.values()]
    found = small_data.trained(activation).predict(structures)
    free = [sum(FREE[name] for name in s.species) for s in structures]
    np.testing.assert_allclose([e.sum() for e in found.atom_energies], found.total_energy, rtol=1e-14)
    np.testing.assert_allclose(np.subtract(found.total_energy, free), found.cohesive_energy, rtol=0, atol=1e-13)
    alone = small_data.trained(activation).cohesive_energy(structures[0])
    assert alone == pytest.approx(found.cohesive_energy[0], rel=1e-14)


def test_cohesive_energy_may_be_taken_against_other_free_atoms():
    potential, s = small_data.trained(), crystal(0, n=3)
    total = potential.predict(s).total_energy[0]
    assert potential.cohesive_energy(s, {"Ti": -4.0, "O": 1.5}) == pytest.approx(total + 2 * 4.0 - 1.5, abs=1e-12)
    with pytest.raises(ConfigError, match="atomic_energies lacks O"):
        potential.cohesive_energy(s, {"Ti": -4.0})


def test_networks_of_zeros_give_the_energies_of_free_atoms():
    potential = small_data.fresh()
    potential.train(small_data.frames(), small_data.config(iterations=0, normalize_energy=False))
    learned = potential.learned()
    model = {k: torch.zeros_like(v) if k.startswith("networks") else v for k, v in learned["model"].items()}
    zero = TorchANNPotential.from_parts(potential.recipe(), {**learned, "model": model})
    found = zero.predict(molecule(1, 3), eval_forces=True)
    assert found.total_energy == [2 * FREE["Ti"] + FREE["O"]]
    assert found.cohesive_energy == [0.0]
    assert found.atom_energies[0].tolist() == [FREE["Ti"], FREE["O"], FREE["Ti"]]
    assert not found.forces[0].any()


def assert_same(found, expected, forces=lambda f: f, stress=lambda s: s, times=1, rel=1e-10):
    assert_close(np.array(found.cohesive_energy), times * np.array(expected.cohesive_energy), rel)
    for one, other in zip(found.forces, expected.forces, strict=True):
        assert_close(one, forces(other), rel, least=0.1)
    for one, other in zip(found.stress, expected.stress, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close(one, stress(other), rel, least=0.01)


def everything(structures, potential=None, **options):
    potential = potential or small_data.trained()
    return potential.predict(structures, eval_forces=True, eval_stress=True, **options)


@every_case
def test_moving_the_structure_changes_nothing(structure):
    moved = transformed(structure, np.eye(3), np.array([12.3, -4.5, 0.67]))
    assert_same(everything(moved), everything(structure))


@every_case
def test_turning_the_structure_turns_forces_and_stress(structure):
    turn = rotation(7)
    turned = everything(transformed(structure, turn))
    assert_same(turned, everything(structure), lambda f: f @ turn.T, lambda s: turn @ s @ turn.T)


@every_case
def test_a_mirror_mirrors_forces_and_stress(structure):
    mirror = np.diag([1.0, -1.0, 1.0])
    mirrored = everything(transformed(structure, mirror))
    assert_same(mirrored, everything(structure), lambda f: f @ mirror, lambda s: mirror @ s @ mirror)


@every_case
def test_the_order_of_atoms_does_not_matter(structure):
    order = np.random.default_rng(0).permutation(structure.n_atoms)
    shuffled = replace(
        structure,
        positions=structure.positions[order],
        species=[structure.species[k] for k in order],
        forces=None,
    )
    assert_same(everything(shuffled), everything(structure), lambda f: f[order])


@every_crystal
def test_an_atom_may_be_moved_by_lattice_vectors(structure):
    shift = np.random.default_rng(0).integers(-3, 4, (structure.n_atoms, 3)) * structure.pbc
    assert shift.any()
    moved = replace(structure, positions=structure.positions + shift @ structure.cell)
    assert_same(everything(moved), everything(structure))


def test_a_supercell_is_its_cell_many_times():
    small = crystal(0)
    images = np.array([[i, j, k] for i in range(2) for j in range(3) for k in range(1)])
    large = Structure(
        (small.positions + (images @ small.cell)[:, None]).reshape(-1, 3),
        small.species * 6,
        cell=np.diag([2, 3, 1]) @ small.cell,
    )
    assert_same(everything(large), everything(small), lambda f: np.tile(f, (6, 1)), times=6)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_the_batch_size_changes_nothing(size):
    structures = [*small_data.frames(), *CASES.values()]
    assert_same(everything(structures, batch_size=size), everything(structures), rel=1e-13)


def test_a_batch_has_one_structure_at_least():
    with pytest.raises(ConfigError, match="batch_size must be an integer"):
        everything(small_data.frames(), batch_size=0)


def test_the_number_of_threads_changes_no_bit():
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(everything(small_data.frames()))
    torch.set_num_threads(1)
    for other in found[1:]:
        assert other.total_energy == found[0].total_energy
        for one, two in zip(other.forces + other.stress, found[0].forces + found[0].stress, strict=True):
            np.testing.assert_array_equal(one, two)


def in_float32(potential):
    recipe, learned = potential.recipe(), potential.learned()
    recipe["descriptor"]["dtype"] = "float32"
    model = {name: tensor.float() for name, tensor in learned["model"].items()}
    return TorchANNPotential.from_parts(recipe, {**learned, "model": model})


def test_single_precision_gives_the_same_to_single_precision():
    exact = everything(small_data.frames())
    rough = everything(small_data.frames(), in_float32(small_data.trained()))
    assert_same(rough, exact, rel=3e-5)
    assert any(a != b for a, b in zip(rough.total_energy, exact.total_energy, strict=True))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_networks_may_have_another_precision_than_the_descriptor(dtype, precision, tmp_path):
    potential = small_data.fresh(descriptor=ChebyshevDescriptor(SPECIES, 4, small_data.CUTOFF, 2, 3.4, dtype=dtype))
    out = potential.train(small_data.frames(), small_data.config(precision=precision, **small_data.GRADIENTS))
    assert np.isfinite(out.errors).all(axis=None)
    assert {t.dtype for t in potential.learned()["model"].values()} == {getattr(torch, precision)}
    potential.save(tmp_path / "a.pt")
    assert_same(
        everything(crystal(0), TorchANNPotential.from_file(tmp_path / "a.pt")), everything(crystal(0), potential), rel=0
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library is asked for memory")
def test_what_memory_held_before_changes_nothing():
    frames = [*small_data.frames(), Structure([[0, 0, 0]], ["Ti"]), molecule(3, species=ONE), crystal(3, species=ONE)]
    expected = everything(frames)
    for _ in range(5):
        small_data.fill_free_memory_with_nan()
        assert_same(everything(frames), expected, rel=0)
