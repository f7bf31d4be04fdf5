"""Potentials in torch-sim: what ASE says, for all structures of a state at once."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import torch
from ase import Atoms

from potentia.errors import DataError, NotFittedError
from potentia.potentials.torch_sim import TorchSimModel
from potentials.lammps_runs import box, committee, repelled
from potentials.small_data import fresh, molecule, trained


@pytest.fixture(scope="module")
def ts():
    """Return torch-sim; its import compiles for torch in a way that torch calls deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch_sim", reason="torch-sim-atomistic is not installed")


def three() -> list[Atoms]:
    """Return structures of several sizes, one of which is smaller than the cutoff."""
    return [box(), box(4, 3.6), box(6, 5.0, seed=7)]


def state_of(ts, atoms, dtype=torch.float64):
    return ts.io.atoms_to_state(atoms, torch.device("cpu"), dtype)


@pytest.mark.parametrize("potential", [trained, repelled])
def test_each_structure_of_a_state_has_the_numbers_of_ase(ts, potential):
    found = TorchSimModel(potential())(state_of(ts, three()))
    forces = np.split(found["forces"].numpy(), np.cumsum([len(a) for a in three()])[:-1])
    for k, atoms in enumerate(three()):
        atoms.calc = potential().calculator()
        assert float(found["energy"][k]) == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
        np.testing.assert_allclose(forces[k], atoms.get_forces(), atol=1e-11)
        np.testing.assert_allclose(found["stress"][k], atoms.get_stress(voigt=False), atol=1e-13)


def test_a_committee_is_its_mean(ts):
    found = TorchSimModel(committee())(state_of(ts, three()))
    members = [TorchSimModel(member)(state_of(ts, three())) for member in committee().members]
    for name, value in found.items():
        torch.testing.assert_close(value, torch.stack([m[name] for m in members]).mean(0), rtol=1e-12, atol=1e-12)


def test_structures_that_do_not_repeat_have_no_stress(ts):
    one = molecule()
    atoms = Atoms(one.species, one.positions)
    found = TorchSimModel(repelled())(state_of(ts, [atoms, atoms]))
    assert found["stress"].isnan().all()
    expected = repelled().predict(one, eval_forces=True)
    np.testing.assert_allclose(found["energy"], [expected.total_energy[0]] * 2, rtol=1e-12)
    np.testing.assert_allclose(found["forces"], np.tile(expected.forces[0], (2, 1)), atol=1e-11)


def test_what_is_not_asked_for_is_not_answered(ts):
    model = TorchSimModel(trained(), torch.float32)
    model.compute_forces = model.compute_stress = False
    found = model(state_of(ts, three(), torch.float32))
    assert list(found) == ["energy"]
    assert found["energy"].dtype == torch.float32


def test_dynamics_keep_the_energy_of_every_structure(ts):
    nve = getattr(ts, "Integrator", ts.integrators).nve  # a function in older releases
    run = functools.partial(
        ts.integrate, model=TorchSimModel(trained()), integrator=nve, temperature=300, timestep=1e-3
    )

    def energy(state):
        kinetic = ts.quantities.calc_kinetic_energy(
            masses=state.masses, momenta=state.momenta, system_idx=state.system_idx
        )
        return (state.energy + kinetic).numpy()

    begun = run(system=state_of(ts, three()), n_steps=1)
    ended = run(system=begun, n_steps=100)
    assert not torch.equal(begun.positions, ended.positions)
    np.testing.assert_allclose(energy(ended), energy(begun), atol=1e-3)


def test_a_species_that_the_potential_does_not_know_is_named(ts):
    with pytest.raises(DataError, match=r"species 'Na' is not one of the potential's; known: Ti, O"):
        TorchSimModel(trained())(state_of(ts, [Atoms("TiNa", [[0, 0, 0], [0, 0, 2]], cell=5 * np.eye(3), pbc=True)]))


def test_it_must_be_trained():
    with pytest.raises(NotFittedError, match="learned nothing yet"):
        TorchSimModel(fresh())
