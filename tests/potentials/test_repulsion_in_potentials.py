"""Laws of potentials with a repulsion: networks learn what it leaves, and every answer has it, by whatever door."""

from __future__ import annotations

from dataclasses import replace

import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.md.verlet import VelocityVerlet

from potentia import ZBL, Adam, ChebyshevDescriptor, Structure, TorchANNPotential, TorchCommitteePotential
from potentia.errors import ConfigError, PotentiaWarning
from potentia.potentials.shortest_distances import shortest_distances
from potentia.potentials.simulation import SimulationModel
from potentials import small_data
from potentials.repulsive import ARCH, CLOSE, beside, committee, fresh, trained
from potentials.runs import of_every_kind, result
from potentials.small_data import DESCRIPTOR, FREE, GRADIENTS, SPECIES, config, crystal, frames
from potentials.test_calculator import atoms_of

"""It reaches farther than is wise, so that all the small structures feel it."""
STREAMED = {"memory_limit": 0, "cache_features": True, "cache_feature_max_entries": 4}


def less(structures, sign=-1.0):
    """Return structures with labels less the repulsion, or with more."""
    changed = []
    for s, r in zip(structures, CLOSE.of(structures), strict=True):
        stress = None if s.stress is None else s.stress + sign * (r.strain / s.volume)
        changed.append(replace(s, energy=s.energy + sign * r.energy, forces=s.forces + sign * r.forces, stress=stress))
    return changed


def asked(potential, structures):
    return potential.predict(structures, eval_forces=True, eval_stress=True)


def dimer(distance, pair=("Ti", "O")):
    return Structure([[0, 0, 0], [0, 0, distance]], list(pair))


# ------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("settings", [{}, GRADIENTS, GRADIENTS | STREAMED, {"precision": "float32"}], ids=str)
def test_networks_learn_the_labels_less_the_repulsion(settings):
    assert any(abs(found.energy) > 0.1 for found in CLOSE.of(frames()))
    with_it, without = fresh(), small_data.fresh()
    told = with_it.train(frames(), config(**settings))
    found = without.train(less(frames()), config(**settings))
    assert result(with_it, told) == result(without, found)


def test_data_sets_of_every_kind_train_the_same(tmp_path):
    found = []
    for dataset in of_every_kind(tmp_path, frames()).values():
        potential = fresh()
        found.append(
            result(potential, potential.train(config=config(atomic_energies=None, **GRADIENTS), dataset=dataset))
        )
    assert all(one == found[0] for one in found)


def test_data_of_networks_and_repulsion_are_learned():
    """What a network says of structures, plus the repulsion, is learned by one that has the same."""
    teacher = small_data.trained()
    data = less([*asked(teacher, frames(20)).to_structures()], sign=1.0)
    errors = {}
    for repulsion in (CLOSE, None):
        potential = fresh(repulsion)
        potential.train(data, config(**GRADIENTS, seed=None))
        potential.fitted_.model.load_state_dict(teacher.fitted_.model.state_dict())
        out = potential.train(data, config(iterations=0, seed=None, **GRADIENTS))
        errors[repulsion] = out.train_parity.force_pred - out.train_parity.force_ref
    assert np.abs(errors[CLOSE]).max() < 1e-10
    assert np.abs(errors[None]).max() > 1.0


def test_tables_and_files_show_whole_values(tmp_path):
    potential = fresh()
    out = potential.train(frames(), config(save_energies=True, save_forces=True, output_dir=str(tmp_path), **GRADIENTS))
    for part, places in ((out.train_parity, out.train_indices), (out.test_parity, out.test_indices)):
        structures = [frames()[k] for k in places]
        found = asked(potential, structures)
        free = [sum(FREE[name] for name in s.species) for s in structures]
        n = np.array([s.n_atoms for s in structures])
        labels = np.array([s.energy for s in structures])
        np.testing.assert_allclose(part.energy_ref * n + free, labels, rtol=1e-12)
        np.testing.assert_allclose(part.energy_pred * n + free, found.total_energy, rtol=1e-12)
        np.testing.assert_allclose(part.force_ref, np.concatenate([s.forces.ravel() for s in structures]), atol=1e-11)
        np.testing.assert_allclose(part.force_pred, np.concatenate([f.ravel() for f in found.forces]), atol=1e-11)
        there = [k for k, s in enumerate(structures) if s.has_stress()]
        np.testing.assert_allclose(part.stress_ref, np.ravel([structures[k].stress for k in there]), atol=1e-12)
        np.testing.assert_allclose(part.stress_pred, np.ravel([found.stress[k] for k in there]), atol=1e-12)
    rows = out.errors.iloc[-1]
    assert np.sqrt(np.mean((out.train_parity.energy_pred - out.train_parity.energy_ref) ** 2)) == pytest.approx(
        rows["RMSE_train"], rel=1e-10
    )


def test_limits_and_splits_go_by_the_labels_as_given():
    high = np.median([(s.energy - sum(FREE[name] for name in s.species)) / s.n_atoms for s in frames()])
    settings = config(max_energy=float(high), iterations=1)
    mine, plain = (fresh(r).train(frames(), settings) for r in (CLOSE, None))
    assert (mine.train_indices, mine.test_indices) == (plain.train_indices, plain.test_indices)
    assert len(mine.train_indices) < 8


def test_energies_as_given_weigh_what_is_drawn():
    """With one epoch of steps that do not move, the drawn batches are all that a history can differ by."""
    still = config(sampling_policy="energy_weighted", method=Adam(mu=1e-30, batchsize=2), iterations=1)
    drawn = []
    for repulsion, structures in ((CLOSE, frames()), (None, frames())):
        training = fresh(repulsion).training(still)
        ready = training.prepare(fresh(repulsion).given(structures, None, None, None), None, None, ())
        drawn.append([batch.structures.tolist() for batch in ready.batches(0)])
    assert drawn[0] == drawn[1]


def test_resumed_it_is_the_same_and_another_repulsion_is_refused(tmp_path):
    whole = fresh()
    out = whole.train(frames(), config(iterations=3, **GRADIENTS))
    settings = {"checkpoint_dir": tmp_path, "save_best": False, "checkpoint_interval": 1, **GRADIENTS}
    fresh().train(frames(), config(iterations=1, **settings))
    (checkpoint,) = tmp_path.glob("*.pt")
    resumed = fresh()
    again = resumed.train(frames(), config(iterations=2, **GRADIENTS), checkpoint)
    assert result(whole, out) == result(resumed, again)
    assert TorchANNPotential.from_file(checkpoint).repulsion == CLOSE
    for other, change in ((ZBL(1.0, 2.4), r"recipe.repulsion.inner: 1.2 → 1.0"), (None, r"recipe.repulsion: \{")):
        with pytest.raises(ConfigError, match=change):
            fresh(other).train(frames(), config(iterations=1, **GRADIENTS), checkpoint)


def test_a_forecast_knows_it_too():
    assert fresh().forecast(frames(), config(iterations=3)).memory_bytes > 0


# ------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])  # is compiled again
def test_answers_are_those_of_the_networks_and_the_repulsion(dtype):
    structures = frames()
    whole = asked(beside(trained(), CLOSE, dtype=dtype), structures)
    networks = asked(beside(trained(), None, dtype=dtype), structures)
    for k, found in enumerate(CLOSE.of(structures)):
        assert whole.total_energy[k] == pytest.approx(networks.total_energy[k] + found.energy, rel=1e-14)
        assert whole.cohesive_energy[k] == pytest.approx(networks.cohesive_energy[k] + found.energy, rel=1e-13)
        np.testing.assert_array_equal(whole.atom_energies[k], networks.atom_energies[k] + found.atomic)
        np.testing.assert_array_equal(whole.forces[k], networks.forces[k] + found.forces)
        if networks.stress[k] is None:
            assert whole.stress[k] is None
        else:
            volume = structures[k].volume
            np.testing.assert_allclose(whole.stress[k], networks.stress[k] + found.strain / volume, rtol=1e-14)
    assert trained().cohesive_energy(structures[0]) == asked(trained(), structures[0]).cohesive_energy[0]


def test_data_sets_saved_files_and_batches_answer_to_the_same_bits(tmp_path):
    def bits(found):
        stress = [None if s is None else s.tobytes() for s in found.stress]
        return found.total_energy, [f.tobytes() for f in found.forces], stress

    wanted = bits(asked(trained(), frames()))
    trained().save(tmp_path / "with.pt")
    again = TorchANNPotential.load(tmp_path / "with.pt")
    assert again.repulsion == CLOSE
    assert bits(asked(again, frames())) == wanted
    assert bits(again.predict(frames(), eval_forces=True, eval_stress=True, batch_size=3)) == wanted
    assert bits(asked(again.to("cpu"), frames())) == wanted
    for name, dataset in of_every_kind(tmp_path, frames()).items():
        assert bits(trained().predict_dataset(dataset, eval_forces=True, eval_stress=True)) == wanted, name


def test_without_a_repulsion_recipes_and_files_are_as_before():
    assert set(small_data.fresh().recipe()) == {"arch", "descriptor"}
    assert "repulsion" not in repr(small_data.fresh())
    assert "repulsion={'inner': 1.2, 'outer': 2.4}" in repr(fresh())


@pytest.mark.parametrize("kernels", ["numba", "torch"])
@pytest.mark.parametrize("growth", [0.0, 0.02, -0.02])
def test_along_a_walk_of_atoms_and_cell_the_calculator_says_what_predict_does(growth, kernels):
    potential = beside(trained(), CLOSE, kernels=kernels)
    atoms, rng = atoms_of(crystal(5, 8, length=5.0)), np.random.default_rng(1)
    atoms.calc = potential.calculator(skin=0.6)
    felt = 0
    for _ in range(10):
        atoms.positions += 0.04 * rng.normal(size=atoms.positions.shape) + 0.2
        atoms.set_cell(atoms.cell.array @ (np.eye(3) * (1 + growth)), scale_atoms=True)
        bare = Structure(atoms.positions, atoms.get_chemical_symbols(), cell=atoms.cell.array, pbc=atoms.pbc)
        found, felt = asked(potential, bare), felt + (CLOSE.of([bare])[0].energy > 0)
        assert atoms.get_potential_energy() == pytest.approx(found.total_energy[0], rel=1e-12)
        np.testing.assert_allclose(atoms.get_potential_energies(), found.atom_energies[0], rtol=1e-11)
        np.testing.assert_allclose(atoms.get_forces(), found.forces[0], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(atoms.get_stress(voigt=False), found.stress[0], rtol=1e-10, atol=1e-13)
    assert felt > 2
    assert atoms.calc.rebuilds < 9


def test_a_fast_atom_is_not_lost_between_searches():
    """An atom comes from outside of the repulsion into it while the list lasts."""
    atoms = Atoms("TiO", [[0, 0, 0], [0, 0, 2.8]])
    atoms.calc = trained().calculator(skin=2.0)
    for distance in (2.8, 2.3, 1.9, 1.3):
        atoms.positions[1, 2] = distance
        assert atoms.get_potential_energy() == pytest.approx(trained().predict(atoms).total_energy[0], rel=1e-13)
    assert atoms.calc.rebuilds == 1


def test_in_a_cell_that_is_stretched_no_contact_is_lost():
    """A stretched cell takes a pair out of the repulsion's reach first, and so gives no credit for what comes then."""
    atoms = Atoms("TiO", [[4, 4, 4], [4, 4, 7.42]], cell=12 * np.eye(3), pbc=True)
    atoms.calc = trained().calculator(skin=1.0)
    atoms.get_potential_energy()
    atoms.set_cell(atoms.cell.array * 1.3, scale_atoms=True)  # the pair is at 4.45 Å
    atoms.positions += [[0, 0, 1.2], [0, 0, -1.2]]
    bare = Structure(atoms.positions, ["Ti", "O"], cell=atoms.cell.array)
    assert CLOSE.of([bare])[0].energy > 0.01
    assert atoms.get_potential_energy() == pytest.approx(trained().predict(atoms).total_energy[0], rel=1e-13)


@pytest.mark.parametrize("structure", [crystal(0), small_data.molecule(3)], ids=["crystal", "molecule"])
def test_forces_and_stress_are_the_slopes_of_the_whole_energy(structure):
    found, step = asked(trained(), structure), 1e-5

    def energies(changed):
        return np.array(trained().predict(changed).total_energy)

    moves = step * np.eye(3 * structure.n_atoms).reshape(-1, structure.n_atoms, 3)
    up, down = (
        energies([replace(structure, positions=structure.positions + way * m) for m in moves]) for way in (1, -1)
    )
    np.testing.assert_allclose(found.forces[0].ravel(), -(up - down) / (2 * step), atol=1e-6)
    if structure.cell is None:
        return
    for axes in ((0, 0), (1, 2)):
        strain = np.zeros((3, 3))
        strain[axes] = step
        ways = [np.eye(3) + strain, np.eye(3) - strain]
        changed = [
            replace(structure, positions=structure.positions @ w, cell=structure.cell @ w, stress=None) for w in ways
        ]
        up, down = energies(changed)
        assert found.stress[0][axes] == pytest.approx((up - down) / (2 * step) / structure.volume, abs=1e-7)


# ------------------------------------------------------------------------------------------------- close contacts


def of_hard_cores(seed=0):
    """Return a potential that sees even the closest pairs, with an energy of its own that may go anywhere."""
    descriptor = ChebyshevDescriptor(SPECIES, 4, 3.8, 2, 3.4, min_cutoff=0.05)
    potential = fresh(ZBL(inner=0.9, outer=1.5), descriptor)
    potential.train(frames(), config(iterations=1, seed=seed))
    return potential


@pytest.mark.parametrize("seed", range(3))
def test_a_pair_that_comes_close_meets_a_wall_whatever_the_networks_say(seed):
    potential = of_hard_cores(seed)
    for pair in (("Ti", "Ti"), ("Ti", "O"), ("O", "O")):
        distances = np.linspace(0.1, 0.9, 60)
        energy = np.array(potential.predict([dimer(r, pair) for r in distances]).total_energy)
        assert (np.diff(energy) < 0).all()
        assert energy[0] > 2000


def test_atoms_shot_at_each_other_bounce_and_keep_their_energy():
    """200 eV take the pair far below all data; without the repulsion it goes through itself."""

    def shot(potential, steps):
        atoms = Atoms("TiO", [[0, 0, 0], [0, 0, 2.0]])
        atoms.calc = potential.calculator()
        reduced = np.prod(atoms.get_masses()) / atoms.get_masses().sum()
        momentum = np.sqrt(2 * 200.0 * reduced)
        atoms.set_momenta([[0, 0, momentum], [0, 0, -momentum]])
        dynamics, seen = VelocityVerlet(atoms, 0.01 * ase.units.fs), []
        dynamics.attach(lambda: seen.append((atoms.positions[1, 2] - atoms.positions[0, 2], atoms.get_total_energy())))
        dynamics.run(steps)
        return np.array(seen).T

    potential = of_hard_cores()
    distance, energy = shot(potential, 700)
    assert 0.3 < distance.min() < 0.9
    assert distance[-1] > 1.5
    assert np.ptp(energy) < 0.02
    with pytest.warns(PotentiaWarning, match="so nothing repels them"):
        collapsed, _ = shot(beside(potential, None), 450)
    assert collapsed.min() < 0.0


def test_atoms_too_close_to_be_seen_are_told_what_is_left():
    atoms = Atoms("TiO", [[0, 0, 0], [0, 0, 0.5]])
    atoms.calc = trained().calculator()
    with pytest.warns(PotentiaWarning, match="so only the repulsion acts between them"):
        atoms.get_potential_energy()


# ------------------------------------------------------------------------------------------------- committees


def test_a_committee_has_it_once_and_its_spread_is_that_of_the_networks(tmp_path):
    asked_together, out = committee(tmp_path / "run")
    single = fresh()
    single.train(frames(), config(seed=1, split_seed=7, **GRADIENTS))
    member = asked_together.load_members()[0]
    assert member.repulsion == CLOSE
    assert small_data.weights(member) == small_data.weights(single)
    found = asked_together.predict(frames(), eval_forces=True)
    bare = TorchCommitteePotential.from_files([m.model_path for m in out.completed_members])
    assert "repulsion=ZBL(inner=1.2, outer=2.4)" in repr(bare)
    networks = []
    for k, one in enumerate(bare.load_members()):
        beside(one, None).save(tmp_path / f"{k}.pt")
        networks.append(tmp_path / f"{k}.pt")
    plain = TorchCommitteePotential.from_files(networks).predict(frames(), eval_forces=True)
    for whole, part, repelled in zip(found, plain, CLOSE.of(frames()), strict=True):
        assert whole.energy_mean == pytest.approx(part.energy_mean + repelled.energy, rel=1e-13)
        assert whole.energy_std == pytest.approx(part.energy_std, abs=1e-12)
        np.testing.assert_allclose(whole.forces_std, part.forces_std, atol=1e-12)
    assert small_data.weights(TorchCommitteePotential.from_directory(tmp_path / "run").load_members()[0])
    with pytest.raises(ConfigError, match=r"recipe.repulsion.outer: 2.4 → 2.3"):
        committee(tmp_path / "run", ZBL(1.2, 2.3))
    with pytest.raises(ConfigError, match=r"must share the same repulsion, .* inner: 1.2 → \(absent\)"):
        TorchCommitteePotential.from_files([out.completed_members[0].model_path, networks[1]])


def test_the_calculator_of_a_committee_has_it_once(tmp_path):
    potential, _ = committee(tmp_path)
    found = potential.predict(crystal(0), eval_forces=True)[0]
    atoms = atoms_of(crystal(0))
    atoms.calc = potential.calculator()
    np.testing.assert_allclose(atoms.get_forces(), found.forces_mean, atol=1e-11)
    assert atoms.get_potential_energy() == pytest.approx(found.energy_mean, rel=1e-13)
    assert atoms.calc.results["energy_std"] == pytest.approx(found.energy_std, abs=1e-12)


def test_members_trained_together_learn_what_it_leaves(tmp_path):
    (_, alone), (_, together) = committee(tmp_path / "a"), committee(tmp_path / "b", batched=True)
    for one, other in zip(alone.members, together.members, strict=True):
        assert TorchANNPotential.load(other.model_path).repulsion == CLOSE
        mine, theirs = (TorchANNPotential.load(m.model_path).predict(frames()) for m in (one, other))
        np.testing.assert_allclose(mine.total_energy, theirs.total_energy, rtol=1e-9)


def test_members_of_a_calculator_must_have_the_same():
    models = [trained().simulation_model(), small_data.trained().simulation_model()]
    with pytest.raises(ConfigError, match="member 1 has another repulsion, None, than member 0, ZBL"):
        SimulationModel.joined(models)


# ------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("kind", [TorchANNPotential, TorchCommitteePotential])
def test_what_cannot_go_together_is_refused(kind):
    with pytest.raises(
        ConfigError, match=r"outer = 4.0 Å, farther than the descriptor, which sees 3.8 Å: choose outer"
    ):
        kind(ARCH, DESCRIPTOR, repulsion=ZBL(1.0, 4.0))
    with pytest.raises(ConfigError, match=r"repulsion must be a ZBL, e.g. .* got \{'inner': 1\}"):
        kind(ARCH, DESCRIPTOR, repulsion={"inner": 1})
    odd = ChebyshevDescriptor(["Ti", "X9"], 2, 3.0, 1, 3.0)
    with pytest.raises(ConfigError, match="chemical elements only, not the species 'X9'"):
        kind({"Ti": [(2, "tanh")], "X9": [(2, "tanh")]}, odd, repulsion=ZBL(0.5, 1.0))


def test_numbers_of_any_kind_are_the_same_distances():
    assert ZBL(np.float32(1), 2).settings() == {"inner": 1.0, "outer": 2.0}
    assert repr(ZBL(np.float32(1), 2)) == "ZBL(inner=1.0, outer=2.0)"


def test_the_shortest_distances_are_found_across_structures_and_images():
    lone = Structure([[0.1, 0, 0]], ["O"], cell=1.7 * np.eye(3))
    found = shortest_distances([dimer(1.9), dimer(1.8), dimer(4.0, ("Ti", "Ti")), lone])
    assert found == pytest.approx({("O", "O"): 1.7, ("O", "Ti"): 1.8})
    assert list(found) == [("O", "O"), ("O", "Ti")]
