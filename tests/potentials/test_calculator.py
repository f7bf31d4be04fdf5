"""Potentials and committees in ASE: the numbers of `predict`, neighbours searched only when needed."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.filters import FrechetCellFilter
from ase.md.nose_hoover_chain import IsotropicMTKNPT
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from potentia import ANNCalculator, ChebyshevDescriptor, Structure, TorchANNPotential
from potentia.errors import ConfigError, DataError, NotFittedError, PotentiaWarning
from potentia.potentials.calculator import CommitteeCalculator
from potentia.potentials.simulation import SimulationModel
from potentia.testing.descriptors import pair_gradients_sum_to_vjp
from potentials.small_data import CUTOFF, config, crystal, frames, fresh, molecule, trained
from potentials.walks import atoms_of, every_structure, with_descriptor


def heat(atoms: Atoms, kelvin: float) -> None:
    spread = np.sqrt(atoms.get_masses() * units.kB * kelvin)
    atoms.set_momenta(spread[:, None] * np.random.default_rng(0).normal(size=(len(atoms), 3)))


@functools.cache
def member(seed: int) -> TorchANNPotential:
    potential = fresh()
    potential.train(frames(), config(seed=seed, force_weight=0.3, iterations=1))
    return potential


class Members:
    """A committee as calculators see it."""

    def __init__(self, *members: TorchANNPotential) -> None:
        self.members = members

    def simulation_model(self) -> SimulationModel:
        return SimulationModel.joined([potential.simulation_model() for potential in self.members])


@every_structure
@pytest.mark.parametrize("kernels", ["numba", "torch"])
def test_along_a_walk_of_atoms_and_cell_the_numbers_are_those_of_predict(structure, kernels):
    atoms, rng = atoms_of(structure), np.random.default_rng(0)
    atoms.calc = with_descriptor(kernels=kernels).calculator()
    for step in range(12):
        atoms.positions += 0.06 * rng.normal(size=atoms.positions.shape) + 0.3
        if atoms.pbc.any():
            strained = atoms.cell.array @ (np.eye(3) + 0.01 * rng.normal(size=(3, 3)))
            atoms.set_cell(strained, scale_atoms=step % 2 == 0)
        if step == 7:
            atoms.wrap()
        cell = atoms.cell.array if atoms.pbc.any() else None
        bare = Structure(atoms.positions, atoms.get_chemical_symbols(), cell=cell, pbc=atoms.pbc)
        found = trained().predict(bare, eval_forces=True, eval_stress=True)
        assert atoms.get_potential_energy() == pytest.approx(found.total_energy[0], rel=1e-13)
        np.testing.assert_allclose(atoms.get_potential_energies(), found.atom_energies[0], rtol=1e-12)
        np.testing.assert_allclose(atoms.get_forces(), found.forces[0], rtol=1e-11, atol=1e-13)
        if atoms.pbc.all():
            np.testing.assert_allclose(atoms.get_stress(voigt=False), found.stress[0], rtol=1e-11, atol=1e-14)
    assert atoms.calc.engine.evaluations == 12
    assert atoms.calc.rebuilds < 12 or len(atoms) > 4


@pytest.mark.slow  # compiles for float32
def test_in_float32_the_numbers_are_those_of_predict():
    potential = with_descriptor(dtype="float32")
    atoms = atoms_of(crystal(0))
    atoms.calc = potential.calculator()
    found = potential.predict(crystal(0), eval_forces=True, eval_stress=True)
    np.testing.assert_allclose(atoms.get_forces(), found.forces[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), found.stress[0], rtol=1e-4, atol=1e-7)


def test_neighbours_last_until_an_atom_may_have_come_from_outside():
    atoms = atoms_of(crystal(5, 8, length=9.0))
    atoms.calc = trained().calculator(skin=0.5)
    atoms.get_forces()
    assert atoms.calc.rebuilds == 1
    atoms.positions[0, 0] += 0.24
    atoms.positions[1, 0] -= 0.24
    atoms.get_forces()
    assert atoms.calc.rebuilds == 1
    atoms.positions[0, 0] += 0.04  # both together are more than the skin now
    atoms.get_forces()
    assert atoms.calc.rebuilds == 2


def test_a_drift_of_all_atoms_uses_up_nothing():
    atoms = atoms_of(crystal(5, 8, length=9.0))
    atoms.calc = trained().calculator()
    energy = atoms.get_potential_energy()
    atoms.positions += [30.0, -7.0, 0.1]
    assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-12)
    assert atoms.calc.rebuilds == 1


def test_a_cell_that_shrinks_uses_up_the_skin():
    start = atoms_of(crystal(5, 8, length=9.0))
    searches = {}
    for strain in (-0.11, -0.13):
        atoms = start.copy()
        atoms.calc = trained().calculator(skin=0.5)
        atoms.get_forces()
        atoms.set_cell(atoms.cell.array * (1 + strain), scale_atoms=True)
        atoms.get_forces()
        searches[strain] = atoms.calc.rebuilds
    assert searches == {-0.11: 1, -0.13: 2}  # 0.11 (3.8 + 0.5) < 0.5 < 0.13 (3.8 + 0.5)


def test_other_atoms_and_another_periodicity_are_searched_anew():
    atoms = atoms_of(crystal(0))
    atoms.calc = trained().calculator()
    before = atoms.get_potential_energy()
    atoms.symbols[0], atoms.symbols[1] = "O", "Ti"
    swapped = atoms.get_potential_energy()
    atoms.pbc = (True, True, False)
    opened = atoms.get_potential_energy()
    assert len({before, swapped, opened}) == 3
    assert atoms.calc.rebuilds == 3
    assert swapped == pytest.approx(trained().predict(_as(atoms, True)).total_energy[0], rel=1e-12)
    assert opened == pytest.approx(trained().predict(_as(atoms, (True, True, False))).total_energy[0], rel=1e-12)


def _as(atoms: Atoms, pbc) -> Atoms:
    return Atoms(atoms.get_chemical_symbols(), atoms.positions, cell=atoms.cell, pbc=pbc)


def test_without_a_skin_every_move_is_searched():
    atoms = atoms_of(crystal(0))
    atoms.calc = trained().calculator(skin=0.0)
    for _ in range(3):
        atoms.positions[0, 0] += 1e-3
        atoms.get_forces()
    assert atoms.calc.rebuilds == 3


def test_forces_after_the_energy_start_from_its_features():
    atoms = atoms_of(crystal(0))
    atoms.calc = trained().calculator()
    atoms.get_potential_energy()
    assert "forces" not in atoms.calc.results
    atoms.get_forces()
    atoms.get_stress()
    assert atoms.calc.engine.evaluations == 1
    assert atoms.calc.results["free_energy"] == atoms.get_potential_energy()


def test_two_calculators_share_nothing():
    one, other = atoms_of(crystal(0)), atoms_of(molecule(1))
    one.calc, other.calc = trained().calculator(), trained().calculator()
    forces = one.get_forces().copy()
    other.get_forces()
    one.calc.results = {}
    np.testing.assert_array_equal(one.get_forces(), forces)


def test_one_calculator_for_structures_in_turn():
    calc = trained().calculator()
    for structure in [*frames(4), *frames(4)]:
        found = trained().predict(structure, eval_forces=True)
        np.testing.assert_allclose(calc.get_forces(atoms_of(structure)), found.forces[0], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("pbc", [(True, True, False), (False, False, False)])
def test_stress_is_for_crystals(pbc):
    atoms = atoms_of(crystal(3, 4, pbc=pbc))
    atoms.calc = trained().calculator()
    atoms.get_forces()
    with pytest.raises(PropertyNotImplementedError, match="periodic in all three directions, but pbc is"):
        atoms.get_stress()


def test_an_untrained_potential_is_refused():
    with pytest.raises(NotFittedError, match="has learned nothing yet"):
        ANNCalculator(fresh())


def test_a_negative_skin_is_refused():
    with pytest.raises(ConfigError, match="skin must be a finite number of at least 0"):
        trained().calculator(skin=-0.1)


def test_an_unknown_species_is_named():
    atoms = Atoms("TiNa", [[0, 0, 0], [2, 0, 0]], calculator=trained().calculator())
    with pytest.raises(DataError, match=r"species 'Na' of atom 1 is not one of the potential's; known: Ti, O"):
        atoms.get_potential_energy()


def test_a_run_that_has_blown_up_is_named():
    atoms = Atoms("TiO", [[0, 0, 0], [2, 0, np.nan]], calculator=trained().calculator())
    with pytest.raises(DataError, match=r"`position` is not finite at atom 1"):
        atoms.get_forces()


@pytest.mark.parametrize("kernels", ["numba", "torch"])
def test_atoms_on_each_other_are_refused_also_between_searches(kernels):
    atoms = Atoms("TiO", [[0, 0, 0], [0.2, 0, 0.6]], calculator=with_descriptor(kernels=kernels).calculator(skin=2.0))
    atoms.get_forces()
    atoms.positions[1] = 0
    for _ in range(2):  # the failure is not taken for a result
        with pytest.raises(DataError, match=r"atom 0 and another lie on each other"):
            atoms.get_forces()


@pytest.mark.parametrize("kernels", ["numba", "torch"])
def test_atoms_too_close_to_be_seen_are_told_once(kernels):
    potential = with_descriptor(kernels=kernels)
    atoms = Atoms("TiO", [[0, 0, 0], [0.2, 0, 0.6]], calculator=potential.calculator(skin=2.0))
    seen = atoms.get_potential_energy()
    atoms.positions[1] = [0, 0.1, 0.5]
    with pytest.warns(PotentiaWarning, match=r"atom \d has come as close as 0.510 Å to another"):
        unseen = atoms.get_potential_energy()
    atoms.positions[1] = [0, 0, 0.5]
    assert atoms.get_potential_energy() == pytest.approx(unseen, rel=1e-14)
    assert unseen != pytest.approx(seen, rel=1e-6)


def test_a_committee_gives_mean_and_spread_of_its_members():
    members = [member(seed) for seed in (1, 2, 3)]
    atoms = atoms_of(crystal(0))
    atoms.calc = CommitteeCalculator(Members(*members))
    forces, stress, energy = atoms.get_forces(), atoms.get_stress(), atoms.get_potential_energy()
    found = [potential.predict(crystal(0), eval_forces=True, eval_stress=True) for potential in members]
    energies = np.array([f.total_energy[0] for f in found])
    each = np.array([f.forces[0] for f in found])
    results = atoms.calc.results
    assert energy == pytest.approx(energies.mean(), rel=1e-13)
    assert results["energy_std"] == pytest.approx(energies.std(ddof=0), rel=1e-9)
    np.testing.assert_allclose(results["member_energies"], energies, rtol=1e-13)
    np.testing.assert_allclose(forces, each.mean(0), atol=1e-13)
    np.testing.assert_allclose(results["forces_std"], each.std(0), atol=1e-13)
    np.testing.assert_allclose(results["force_uncertainty"], each.std(0).mean(1), atol=1e-13)
    np.testing.assert_allclose(stress[0], np.mean([f.stress[0][0, 0] for f in found]), atol=1e-13)
    np.testing.assert_allclose(results["stress_std"][5], np.std([f.stress[0][0, 1] for f in found]), atol=1e-13)
    assert atoms.calc.rebuilds == 1
    assert atoms.calc.engine.evaluations == 1


def test_a_committee_may_follow_one_member():
    atoms = atoms_of(crystal(0))
    atoms.calc = CommitteeCalculator(Members(member(1), member(2)), aggregation="reference", reference_member=1)
    alone = member(2).predict(crystal(0), eval_forces=True)
    np.testing.assert_allclose(atoms.get_forces(), alone.forces[0], atol=1e-13)
    assert atoms.get_potential_energy() == pytest.approx(alone.total_energy[0], rel=1e-13)
    assert atoms.calc.results["energy_mean"] != atoms.get_potential_energy()


def test_committees_that_cannot_be_are_refused():
    other = fresh(descriptor=ChebyshevDescriptor(("Ti", "O"), 3, CUTOFF, 2, 3.4))
    other.train(frames(), config(iterations=1))
    with pytest.raises(ConfigError, match="member 1 has another descriptor"):
        CommitteeCalculator(Members(member(1), other))
    with pytest.raises(ConfigError, match="a committee of one has no spread"):
        CommitteeCalculator(Members(member(1)))
    with pytest.raises(ConfigError, match="at least one member"):
        SimulationModel.joined([])
    with pytest.raises(ConfigError, match="reference_member must be an integer between 0 and 1, got 2"):
        CommitteeCalculator(Members(member(1), member(2)), reference_member=2)
    with pytest.raises(ConfigError, match="aggregation must be one of 'mean', 'reference', got 'maen'; did you mean"):
        CommitteeCalculator(Members(member(1), member(2)), aggregation="maen")


def test_energy_is_conserved_over_neighbour_searches():
    """The error of the integrator goes with the square of the step; a lost neighbour would not."""
    spread = {}
    for step in (2.0, 1.0):
        atoms = atoms_of(crystal(5, 8, length=6.0)).repeat((2, 1, 1))
        atoms.calc = trained().calculator(skin=0.2)
        heat(atoms, 600)
        dynamics, energies = VelocityVerlet(atoms, step * units.fs), []
        dynamics.attach(lambda a=atoms, e=energies: e.append(a.get_total_energy()))
        dynamics.run(int(200 / step))
        spread[step] = np.ptp(energies)
        assert atoms.calc.rebuilds > 2
        assert atoms.calc.rebuilds < 40
    assert 3.0 < spread[2.0] / spread[1.0] < 5.0


def test_atoms_and_cell_relax_together():
    atoms = atoms_of(crystal(0))
    atoms.calc = trained().calculator()
    before = atoms.get_potential_energy()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.05, steps=15)
    assert atoms.get_potential_energy() < before


def test_dynamics_at_constant_pressure_run():
    atoms = atoms_of(crystal(5, 8, length=6.0))
    atoms.calc = trained().calculator()
    heat(atoms, 300)
    volume = atoms.get_volume()
    barostat = {"pressure_au": 0.0, "tdamp": 50 * units.fs, "pdamp": 500 * units.fs}
    IsotropicMTKNPT(atoms, 1.0 * units.fs, temperature_K=300, **barostat).run(20)
    assert atoms.get_volume() != volume
    assert np.isfinite(atoms.get_stress()).all()


@every_structure
@pytest.mark.parametrize("kernels", ["numba", "torch"])
def test_gradients_by_pairs_sum_to_those_by_positions_and_strain(structure, kernels):
    pair_gradients_sum_to_vjp(with_descriptor(kernels=kernels).descriptor, [structure])
