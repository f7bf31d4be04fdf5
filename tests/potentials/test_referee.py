"""Trained potentials of ænet against what its Fortran program answers for them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from potentia import ChebyshevDescriptor, TorchANNPotential
from potentia.potentials.formats.aenet_network import read_aenet_network, write_aenet_network

FOLDER = Path(__file__).parents[3] / "shared" / "referee" / "tio2"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the referee data is not beside the checkout")


@pytest.fixture(scope="module")
def answers():
    return json.loads((FOLDER / "predict.json").read_text())


@pytest.mark.parametrize("suffixes", [(".nn", ".nn"), (".nn.ascii", ".nn.ascii"), (".nn", ".nn.ascii")])
def test_energies_and_forces_are_those_of_the_fortran_program(answers, suffixes):
    files = {name: FOLDER / (name + suffix) for name, suffix in zip(("Ti", "O"), suffixes, strict=True)}
    paths = [FOLDER / name for name in answers["structures"]]
    found = TorchANNPotential.from_aenet(files).predict(paths, eval_forces=True)
    assert found.num_structures == 11
    for k, expected in enumerate(answers["structures"].values()):
        assert found.total_energy[k] == pytest.approx(expected["total_energy"], abs=1e-7)
        assert found.cohesive_energy[k] == pytest.approx(expected["cohesive_energy"], abs=1e-7)
        np.testing.assert_allclose(found.forces[k], expected["forces"], atol=1e-6, rtol=0)
        np.testing.assert_allclose(found.atom_energies[k], expected["atomic_energies"], atol=2e-6, rtol=0)


def test_the_descriptor_is_the_one_that_fortran_used(answers):
    descriptor = TorchANNPotential.from_aenet({name: FOLDER / f"{name}.nn" for name in ("O", "Ti")}).descriptor
    assert descriptor.settings() == ChebyshevDescriptor(**answers["potential"]["descriptor"]).settings()


@pytest.mark.parametrize("name", ["Ti", "O"])
def test_text_becomes_the_binary_file_byte_for_byte_and_back(name, tmp_path):
    binary = (FOLDER / f"{name}.nn").read_bytes()
    write_aenet_network(read_aenet_network(FOLDER / f"{name}.nn.ascii"), tmp_path / "there.nn")
    assert (tmp_path / "there.nn").read_bytes() == binary
    write_aenet_network(read_aenet_network(tmp_path / "there.nn"), tmp_path / "back.nn.ascii")
    assert read_aenet_network(tmp_path / "back.nn.ascii").to_binary() == binary


def test_what_was_imported_is_exported_with_the_same_answers(answers, tmp_path):
    """The files of each species have a normalisation of their own, the export has none."""
    potential = TorchANNPotential.from_aenet({name: FOLDER / f"{name}.nn" for name in ("Ti", "O")})
    paths = [FOLDER / f"structure-{k:03d}.xsf" for k in (1, 2, 8)]
    again = TorchANNPotential.from_aenet(potential.to_aenet_ascii(tmp_path, structures=paths))
    for path, energy in zip(paths, again.predict(paths).total_energy, strict=True):
        assert energy == pytest.approx(answers["structures"][path.name]["total_energy"], abs=1e-7)
    assert json.loads((tmp_path / "potential.export.json").read_text())["proof"]["of"] == "given structures"
