"""A repulsion goes along to ænet and LAMMPS."""

from __future__ import annotations

import json

import numpy as np
import pytest

from potentia import ZBL, Structure, TorchANNPotential, TorchCommitteePotential
from potentia.errors import PotentiaWarning
from potentia.potentials import ANNCalculator
from potentia.potentials.lammps import MLIAPModel, use_external
from potentials import small_data
from potentials.repulsive import CLOSE, beside, committee, trained
from potentials.small_data import frames
from potentials.test_lammps import box, in_lammps, started

# ------------------------------------------------------------------------------------------------- ænet


def test_an_export_says_that_it_is_there(tmp_path):
    with pytest.warns(PotentiaWarning, match=r"without ZBL\(inner=1.2, outer=2.4\) that they were trained with"):
        files = trained().to_aenet_ascii(tmp_path, structures=frames())
    report = json.loads((tmp_path / "potential.export.json").read_text())
    said = report["repulsion"]
    assert (said["kind"], said["inner_A"], said["outer_A"], said["in_the_files"]) == ("ZBL", 1.2, 2.4, False)
    assert said["lammps"] == [
        "pair_style hybrid/overlay ... zbl 1.2 2.4",
        "pair_coeff 1 1 zbl 22.0 22.0",
        "pair_coeff 1 2 zbl 22.0 8.0",
        "pair_coeff 2 2 zbl 8.0 8.0",
    ]
    whole = trained().predict(frames()).cohesive_energy
    np.testing.assert_allclose([s["energy_eV"] for s in report["proof"]["structures"]], whole, rtol=1e-10)
    assert "potentia+zbl:1.2:2.4" in files["Ti"].read_text()
    binary = {species: path.with_suffix("") for species, path in files.items()}
    for paths in (files, binary):
        again = TorchANNPotential.from_aenet(paths, repulsion=CLOSE)
        np.testing.assert_allclose(again.predict(frames()).cohesive_energy, whole, rtol=1e-10)
        with pytest.warns(PotentiaWarning, match=r"give repulsion=ZBL\(inner=1.2, outer=2.4\)"):
            bare = TorchANNPotential.from_aenet(paths)
        assert bare.repulsion is None
    with pytest.warns(PotentiaWarning, match=r"trained with: without it close atoms collapse"):
        twice = again.to_aenet_ascii(tmp_path / "again")
    assert twice["Ti"].read_text().count("+zbl:") == 1


def test_a_committee_comes_back_from_aenet_with_it(tmp_path):
    potential, _ = committee(tmp_path / "run")
    with pytest.warns(PotentiaWarning, match="close atoms collapse"):
        manifest = potential.to_aenet_ascii(tmp_path / "files")
    again = TorchCommitteePotential.from_aenet(manifest, repulsion=CLOSE)
    mine, theirs = (p.predict(frames()) for p in (potential, again))
    np.testing.assert_allclose([r.energy for r in theirs], [r.energy for r in mine], rtol=1e-10)


def test_an_export_without_one_says_so(tmp_path):
    files = small_data.trained().to_aenet_ascii(tmp_path)
    assert json.loads((tmp_path / "potential.export.json").read_text())["repulsion"] is None
    assert "+zbl" not in files["Ti"].read_text()


# ------------------------------------------------------------------------------------------------- LAMMPS


@pytest.mark.parametrize("ranks", [1, 3])
def test_ml_iap_gives_the_numbers_of_ase(ranks):
    atoms = box()
    shares = np.array_split(np.random.default_rng(2).permutation(len(atoms)), ranks)
    potential = beside(trained(), ZBL(1.5, 3.4))
    energy, energies, forces, stress = in_lammps(MLIAPModel(potential), atoms, shares)
    assert abs(energy - trained(None).predict(atoms).total_energy[0]) > 1.0
    atoms.calc = ANNCalculator(potential)
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-13)
    np.testing.assert_allclose(energies, atoms.get_potential_energies(), rtol=1e-12)
    np.testing.assert_allclose(forces, atoms.get_forces(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(stress, atoms.get_stress(voigt=False), rtol=1e-10, atol=1e-13)


def in_its_own_words(lammps):
    """Return energy, forces and stress of LAMMPS, in eV and Å."""
    lammps.command("run 0")
    bar = 1.6021765e6  # eV/Å³ in LAMMPS's own digits
    pressure = [lammps.get_thermo(name) for name in ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")]
    forces = np.ctypeslib.as_array(lammps.gather_atoms("f", 1, 3)).reshape(-1, 3).copy()
    return lammps.get_thermo("pe"), forces, -np.array(pressure) / bar


def test_it_is_the_zbl_of_lammps(tmp_path):
    lammps, wide = started(tmp_path), ZBL(1.5, 3.4)
    lines = ["pair_style zbl 1.5 3.4", "pair_coeff 1 1 22.0 22.0", "pair_coeff 1 2 22.0 8.0", "pair_coeff 2 2 8.0 8.0"]
    lammps.commands_list(lines)
    energy, forces, stress = in_its_own_words(lammps)
    lammps.close()
    found, volume = wide.of([Structure.from_atoms(box())])[0], box().get_volume()
    assert found.energy > 1.0
    assert found.energy == pytest.approx(energy, abs=1e-8)
    np.testing.assert_allclose(found.forces, forces, atol=1e-8)
    strain = found.strain[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    np.testing.assert_allclose(strain / volume, stress, atol=1e-8)


def test_networks_in_lammps_with_the_lines_of_the_report_are_the_potential(tmp_path):
    wide = ZBL(1.5, 3.4)
    whole = beside(trained(), wide)
    with pytest.warns(PotentiaWarning, match="close atoms collapse"):
        whole.to_aenet_ascii(tmp_path)
    lines = json.loads((tmp_path / "potential.export.json").read_text())["repulsion"]["lammps"]
    lammps = started(tmp_path)
    use_external(lammps, beside(trained(), None), ["Ti", "O"])
    pasted = [lines[0].replace("...", "zero 3.4 nocoeff"), "pair_coeff * * zero", *lines[1:]]
    lammps.commands_list(pasted)
    energy, forces, stress = in_its_own_words(lammps)
    lammps.close()
    lammps = started(tmp_path)
    use_external(lammps, whole, ["Ti", "O"])
    other = in_its_own_words(lammps)
    lammps.close()
    atoms = box()
    atoms.calc = whole.calculator()
    for e, f, s in ((energy, forces, stress), other):
        assert e == pytest.approx(atoms.get_potential_energy(), abs=1e-8)
        np.testing.assert_allclose(f, atoms.get_forces(), atol=1e-8)
        np.testing.assert_allclose(s, atoms.get_stress(), atol=1e-8)
