"""`pair_style mliap unified` in a LAMMPS whose ML-IAP is coupled to Python: what ASE says, on any number of ranks.

All is skipped where there is no such LAMMPS; docs/simulations.md tells how to build one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from potentia.potentials.lammps import use_mliap
from potentials.lammps_runs import (
    TYPES,
    agree,
    agree_on_atoms,
    blown_up,
    box,
    committee,
    coupled,
    mliap,
    on_ranks,
    repelled,
    started,
)
from potentials.small_data import crystal, trained

SCRIPT = """
units metal
region box block 0 10 0 10 0 10
create_box 2 box
create_atoms 2 single 1 1 1 units box
create_atoms 1 single 2.8 1 1 units box
mass 1 15.999
mass 2 47.867
python potentia input 1 SELF format p file use_potentia.py
python potentia invoke
run 0
print "$(pe:%.15g)" file energy
"""
USE = """
def potentia(pointer):
    from lammps import lammps
    from potentia import TorchANNPotential
    from potentia.potentials.lammps import use_mliap
    use_mliap(lammps(ptr=pointer), TorchANNPotential.from_file("tio2.pt"), ["O", "Ti"])
"""


def test_energies_forces_stress_and_dynamics_are_those_of_ase():
    mliap()


def test_a_repulsion_is_there_too():
    assert repelled().repulsion.of([crystal(5, 4)])[0].energy > 0.1  # eV: it is felt
    dense = box(4, 3.6)
    lmp = coupled(started(dense))
    use_mliap(lmp, repelled(), TYPES)
    agree_on_atoms(lmp, dense, repelled())
    lmp.close()


def test_a_committee_is_its_mean():
    lmp = coupled(started(box()))
    use_mliap(lmp, committee(), TYPES)
    lmp.command("run 0")
    found = [member.predict(box(), eval_forces=True) for member in committee().members]
    assert lmp.get_thermo("pe") == pytest.approx(np.mean([f.total_energy[0] for f in found]), rel=1e-12)
    forces = np.ctypeslib.as_array(lmp.gather_atoms("f", 1, 3)).reshape(-1, 3)
    np.testing.assert_allclose(forces, np.mean([f.forces[0] for f in found], axis=0), atol=1e-8)
    lmp.close()


def test_a_box_without_atoms_has_no_energy():
    lmp = coupled(started())
    use_mliap(lmp, trained(), TYPES)
    lmp.command("run 0")
    assert lmp.get_thermo("pe") == 0
    lmp.close()


def test_atoms_come_into_an_empty_box():
    atoms = box()
    lmp = coupled(started(atoms))
    use_mliap(lmp, trained(), TYPES)
    lmp.commands_list(["delete_atoms group all", "run 0"])
    assert lmp.get_thermo("pe") == 0
    kinds = [TYPES.index(name) + 1 for name in atoms.symbols]
    lmp.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), kinds, atoms.positions.ravel().tolist())
    agree(lmp, atoms, trained())
    lmp.close()


def test_two_simulations_have_each_their_own_potential():
    first, second = coupled(started(box())), started(box())
    use_mliap(first, trained(), TYPES)
    use_mliap(second, repelled(), TYPES)
    agree(first, box(), trained())
    agree(second, box(), repelled())
    first.close()
    second.close()


def test_atoms_on_each_other_stop_the_run_and_are_told(capfd):
    with pytest.raises(Exception, match="compute_forces failure"):
        blown_up()
    assert "DataError: two atoms lie on each other" in capfd.readouterr().err


@pytest.mark.slow
def test_two_ranks_say_what_one_says_also_where_one_has_no_atoms():
    coupled(started()).close()
    done = on_ranks(mliap)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ranks agree") == 2


@pytest.mark.slow
def test_a_rank_that_fails_ends_the_others():
    coupled(started()).close()
    done = on_ranks(blown_up)
    assert done.returncode != 0
    assert "DataError: two atoms lie on each other" in done.stderr


@pytest.mark.slow
def test_a_script_of_lammps_loads_a_saved_potential(tmp_path):
    coupled(started()).close()
    program = shutil.which("lmp", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("no lmp beside this Python")
    trained().save(tmp_path / "tio2.pt")
    (tmp_path / "in.tio2").write_text(SCRIPT)
    (tmp_path / "use_potentia.py").write_text(USE)
    path = os.pathsep.join(filter(None, sys.path))
    command = [program, "-in", "in.tio2", "-screen", "none"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    energy = float((tmp_path / "energy").read_text())
    pair = Atoms("TiO", [[1, 1, 1], [2.8, 1, 1]], cell=10 * np.eye(3), pbc=True)
    assert energy == pytest.approx(trained().predict(pair).total_energy[0], rel=1e-12)
