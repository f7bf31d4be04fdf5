"""Trained potentials of ænet against what its Fortran program answers for them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from potentia import ChebyshevDescriptor, TorchANNPotential
from potentia.potentials.estimator import FittedPotential
from potentia.potentials.networks import AtomicNetworks
from potentials import aenet_ascii

FOLDER = Path(__file__).parents[3] / "shared" / "referee" / "tio2"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the referee data is not beside the checkout")


@pytest.fixture(scope="module")
def answers():
    return json.loads((FOLDER / "predict.json").read_text())


def potential_of(answers, dtype=torch.float64):
    """Fold each species' own feature statistics into its first layer: ours are common to all species."""
    descriptor = ChebyshevDescriptor(**answers["potential"]["descriptor"], dtype=dtype)
    files = {name: aenet_ascii.read(FOLDER / f"{name}.nn.ascii") for name in descriptor.species}
    potential = TorchANNPotential({name: files[name].layers for name in files}, descriptor)
    model = AtomicNetworks(potential.arch, descriptor.species, descriptor.n_features, 0, torch.float64)
    with torch.no_grad():
        for network, file in zip(model.networks, files.values(), strict=True):
            first = file.weights[0]
            inverse = np.where(file.std > 1e-10, 1 / np.maximum(file.std, 1e-10), 0.0)
            folded = np.column_stack([first[:, :-1] * inverse, first[:, -1] - first[:, :-1] @ (file.mean * inverse)])
            for k, matrix in enumerate([folded, *file.weights[1:]]):
                network.weights[k].copy_(torch.from_numpy(matrix[:, :-1].copy()))
                network.biases[k].copy_(torch.from_numpy(matrix[:, -1].copy()))
        model.e_scaling.fill_(files["Ti"].scale)
        model.e_shift.fill_(files["Ti"].shift)
    potential.fitted_ = FittedPotential(model, files["Ti"].atomic_energies)
    return potential


def test_energies_and_forces_are_those_of_the_fortran_program(answers):
    paths = [FOLDER / name for name in answers["structures"]]
    found = potential_of(answers).predict(paths, eval_forces=True)
    assert found.num_structures == 11
    for k, expected in enumerate(answers["structures"].values()):
        assert found.total_energy[k] == pytest.approx(expected["total_energy"], abs=1e-7)
        assert found.cohesive_energy[k] == pytest.approx(expected["cohesive_energy"], abs=1e-7)
        np.testing.assert_allclose(found.forces[k], expected["forces"], atol=1e-6, rtol=0)
        np.testing.assert_allclose(found.atom_energies[k], expected["atomic_energies"], atol=2e-6, rtol=0)
