"""i-PI drives a potential through ASE's socket client: the recipe of the documentation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.socketio import SocketClient

from potentials.small_data import crystal, trained

INPUT = """
<simulation verbosity='quiet'>
  <output prefix='run'>
    <properties filename='out' stride='1'>
      [ step, conserved{{electronvolt}}, potential{{electronvolt}}, pressure_md{{megapascal}}, volume{{angstrom3}} ]
    </properties>
    <trajectory filename='pos' stride='1' format='ase'> positions{{ase}} </trajectory>
  </output>
  <total_steps>20</total_steps>
  <prng><seed>1</seed></prng>
  <ffsocket mode='unix' name='driver' pbc='False'><address>{address}</address></ffsocket>
  <system>
    <initialize nbeads='2'>
      <file mode='ase'> start.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces><force forcefield='driver'/></forces>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'> 0.5 </timestep></dynamics></motion>
    <ensemble><temperature units='kelvin'> 300 </temperature></ensemble>
  </system>
</simulation>
"""


def test_path_integrals_by_ipi_conserve_energy_and_see_the_potential(tmp_path):
    """Two beads, so that the client is given one geometry after the other that are not neighbours in time."""
    command = shutil.which("i-pi", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if command is None:
        pytest.skip("i-PI is not installed (pip install potentia[ipi])")
    structure = crystal(5, 8, length=6.0)
    atoms = Atoms(structure.species, structure.positions, cell=structure.cell, pbc=True)
    atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    ase.io.write(tmp_path / "start.xyz", atoms, format="extxyz")
    address = f"potentia-{uuid.uuid4().hex[:12]}"
    (tmp_path / "input.xml").write_text(INPUT.format(address=address), encoding="utf-8")
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, command, "input.xml"], cwd=tmp_path, stdout=log, stderr=log)
        try:
            atoms.calc = trained().calculator()
            _wait_for(Path(f"/tmp/ipi_{address}"), server, tmp_path / "log")
            SocketClient(unixsocket=address).run(atoms, use_stress=True)
            assert server.wait(timeout=60) == 0, (tmp_path / "log").read_text(encoding="utf-8")
        finally:
            server.kill()
    _, conserved, potential, _, _ = np.loadtxt(tmp_path / "run.out").T
    assert len(conserved) == 21
    assert np.ptp(conserved) < 1e-3
    beads = [ase.io.read(tmp_path / f"run.pos_{bead}.extxyz", index=":") for bead in (0, 1)]
    energies = [[trained().predict(_bare(frame, atoms)).total_energy[0] for frame in frames] for frames in beads]
    np.testing.assert_allclose(potential, np.mean(energies, axis=0), atol=1e-5)
    assert atoms.calc.rebuilds < 10


def _bare(frame: Atoms, atoms: Atoms) -> Atoms:
    return Atoms(atoms.get_chemical_symbols(), frame.positions, cell=atoms.cell, pbc=True)


def _wait_for(socket: Path, server: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        if socket.exists():
            return
        try:
            server.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(log.read_text(encoding="utf-8"))
    pytest.fail("i-PI opens no socket")
