"""What a trained potential says: derivatives of its energy, sums of its parts, and what must not change it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from potentia import ChebyshevDescriptor, Structure, TorchANNPotential
from potentia.errors import ConfigError
from potentia.nn import ACTIVATIONS
from potentia.potentials import network_passes
from potentia.potentials.descriptors import kernels_numba
from potentia.testing import potentials as laws
from potentia.testing.estimators import saved_is_loaded
from potentia.testing.structures import deformed, turn
from potentials import small_data
from potentials.small_data import FREE, SPECIES, crystal, molecule


def line(species=SPECIES):
    """Collinear atoms: cos θ = ±1, where a derivative by θ is singular."""
    x = np.array([[-1.9, 0, 0], [0, 0, 0], [1.6, 0, 0], [3.3, 0, 0]])
    return Structure(x + 0.3, [species[k % len(species)] for k in range(4)])


CASES = {
    "triclinic, atoms outside the cell": crystal(0),
    "rotated": deformed(crystal(1), turn(1)),
    "slab": crystal(2, pbc=(True, True, False)),
    "wire": crystal(3, pbc=(False, True, False)),
    "molecule": molecule(4, 6),
    "collinear": line(),
    "collinear and rotated": deformed(line(), turn(2)),
    "two atoms": molecule(6, 2),
}
every_case = pytest.mark.parametrize("structure", CASES.values(), ids=CASES)
every_crystal = pytest.mark.parametrize(
    "structure", [s for s in CASES.values() if s.is_periodic()], ids=[k for k, s in CASES.items() if s.is_periodic()]
)
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
ONE = ("Ti",)


def assert_derivatives_are_right(potential, structure, step=laws.STEP):
    laws.forces_are_slopes_of_the_energy(potential, structure, step)
    found = potential.predict(structure, eval_forces=True, eval_stress=True)
    assert np.abs(found.forces[0]).max() > 1e-3
    if all(structure.pbc):
        laws.stress_is_the_slope_of_the_energy(potential, structure, step)
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
def test_so_they_are_with_every_activation(activation):
    too_short_to_reach_a_kink_of_relu = laws.STEP / 10
    assert_derivatives_are_right(small_data.trained(activation), crystal(5, n=3), too_short_to_reach_a_kink_of_relu)


def test_an_atom_alone_in_its_cell_has_no_force_but_stress():
    structure = Structure([[7.0, -3.0, 0.1]], ["Ti"], cell=2.6 * np.eye(3) + 0.1)
    found = small_data.trained().predict(structure, eval_forces=True, eval_stress=True)
    assert np.abs(found.forces[0]).max() < 1e-13
    laws.stress_is_the_slope_of_the_energy(small_data.trained(), structure)


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


def everything(structures, potential=None, **options):
    potential = potential or small_data.trained()
    return potential.predict(structures, eval_forces=True, eval_stress=True, **options)


LAWS = (
    laws.moving_changes_nothing,
    laws.turning_turns_forces_and_stress,
    laws.mirror_mirrors_forces_and_stress,
    laws.order_of_atoms_does_not_matter,
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@every_case
def test_what_must_not_matter_does_not(structure, law):
    law(small_data.trained(), structure)


@every_crystal
def test_an_atom_may_be_moved_by_lattice_vectors(structure):
    laws.other_images_change_nothing(small_data.trained(), structure)


def test_a_supercell_is_its_cell_many_times():
    laws.supercell_is_its_cell_many_times(small_data.trained(), crystal(0))


def test_the_batch_size_changes_nothing():
    laws.batch_size_changes_nothing(small_data.trained(), [*small_data.frames(), *CASES.values()])


def test_a_batch_has_one_structure_at_least():
    with pytest.raises(ConfigError, match="batch_size must be an integer"):
        everything(small_data.frames(), batch_size=0)


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    for module in (kernels_numba, network_passes):
        monkeypatch.setattr(module, "WORTH", 1)
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


@pytest.mark.slow  # compiles for float32
def test_single_precision_gives_the_same_to_single_precision():
    exact = everything(small_data.frames())
    rough = everything(small_data.frames(), in_float32(small_data.trained()))
    laws.answers_agree("single precision is double precision rounded", rough, exact, 1e-5)
    assert any(a != b for a, b in zip(rough.total_energy, exact.total_energy, strict=True))


@pytest.mark.parametrize(
    ("dtype", "kernels", "precision"),
    [
        (torch.float64, "numba", "float32"),
        (torch.float32, "torch", "float64"),
        pytest.param(torch.float32, "numba", "float64", marks=pytest.mark.slow),  # compiles for float32
        pytest.param(torch.float32, "numba", "float32", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_networks_may_have_another_precision_than_the_descriptor(dtype, kernels, precision):
    descriptor = ChebyshevDescriptor(SPECIES, 4, small_data.CUTOFF, 2, 3.4, dtype=dtype, kernels=kernels)
    potential = small_data.fresh(descriptor=descriptor)
    out = potential.train(small_data.frames(), small_data.config(precision=precision, **small_data.GRADIENTS))
    assert np.isfinite(out.errors).all(axis=None)
    assert {t.dtype for t in potential.learned()["model"].values()} == {getattr(torch, precision)}
    saved_is_loaded(potential, lambda one: everything(crystal(0), one).forces)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library is asked for memory")
def test_what_memory_held_before_changes_nothing():
    frames = [*small_data.frames(), Structure([[0, 0, 0]], ["Ti"]), molecule(3, species=ONE), crystal(3, species=ONE)]
    expected = everything(frames)
    for _ in range(5):
        small_data.fill_free_memory_with_nan()
        laws.answers_agree("what memory held before changes nothing", everything(frames), expected, 0)
