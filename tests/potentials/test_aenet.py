"""Potentials as files of ænet: what is written answers as the potential does, whatever else is in the files."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from potentia import TorchANNPotential
from potentia.errors import ConfigError, DataError, FileFormatError, NotFittedError, PotentiaWarning
from potentia.potentials.formats.aenet_network import read_aenet_network, write_aenet_network
from potentials import brute_force
from potentials.aenet_files import binaries, by_fortran, changed, descriptor, drawn, largest_difference, of
from potentials.small_data import FREE, config, crystal, frames, fresh, molecule, trained, weights


@pytest.fixture
def files(tmp_path):
    return drawn().to_aenet_ascii(tmp_path)


SPECIES = {"one": ("O",), "two": ("Ti", "O"), "three": ("Li", "Ti", "O"), "one letter": ("N", "O")}


@pytest.mark.parametrize("normalised", [True, False], ids=["normalised", "as is"])
@pytest.mark.parametrize("species", SPECIES.values(), ids=SPECIES)
def test_written_and_read_is_the_same_potential(species, normalised, tmp_path):
    potential = drawn(species, normalised=normalised)
    structures = [of(crystal(2, 6), species), of(molecule(3, 6), species)]
    files = potential.to_aenet_ascii(tmp_path, prefix="my")
    assert files == {name: tmp_path.resolve() / f"my.{name}.nn.ascii" for name in species}
    energy = potential.predict(structures[1]).total_energy[0]
    for paths in (files, binaries(files)):
        read = TorchANNPotential.from_aenet(paths)
        assert largest_difference(potential, read, structures) < 1e-9
        assert read.arch == potential.arch
        assert by_fortran(paths, structures[1]) == pytest.approx(energy, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_random_networks(seed, tmp_path):
    rng = np.random.default_rng(seed)
    names = ["linear", "tanh", "sigmoid", "mtanh", "twist"]
    layers = [(int(rng.integers(1, 9)), names[rng.integers(5)]) for _ in range(rng.integers(2, 5))]
    potential = drawn(layers=layers, seed=seed)
    structure = molecule(seed, 5)
    files = potential.to_aenet_ascii(tmp_path)
    assert by_fortran(files, structure) == pytest.approx(potential.predict(structure).total_energy[0], abs=1e-9)


def test_what_was_read_is_written_byte_for_byte(tmp_path):
    files = trained().to_aenet_ascii(tmp_path / "one", structures=frames())
    again = TorchANNPotential.from_aenet(files).to_aenet_ascii(tmp_path / "two")
    for one, two in [*zip(files.values(), again.values()), *zip(binaries(files).values(), binaries(again).values())]:  # noqa: B905
        assert one.read_bytes() == two.read_bytes()


def test_a_crystal(tmp_path):
    potential, structure = drawn(), crystal(1, 2, length=3.0)
    files = potential.to_aenet_ascii(tmp_path)
    assert by_fortran(files, structure) == pytest.approx(potential.predict(structure).total_energy[0], abs=1e-9)


def test_numbers_are_written_to_the_last_bit(tmp_path):
    exact = drawn(e_scaling=np.float64(1) / 3, e_shift=-1e-13 / 7)
    read = TorchANNPotential.from_aenet(exact.to_aenet_ascii(tmp_path))
    for name, free in exact.learned()["atomic_energies"].items():
        assert read.learned()["atomic_energies"][name] == free
    assert read.learned()["model"]["e_shift"] == -1e-13 / 7
    assert read.learned()["model"]["e_scaling"] == 1 / 3


# ------------------------------------------------------------------------------ statistics are information, no more

STATS = {"min": np.full(14, -1.0), "max": np.full(14, 9.0), "avg": np.full(14, 2.0), "cov": np.full(14, 5.0)}
OTHERS = [molecule(50 + k, 4) for k in range(3)]
GIVEN = {
    "structures that were not trained on": {"structures": OTHERS},
    "statistics of something else": {"descriptor_stats": STATS},
    "both": {"structures": OTHERS, "descriptor_stats": STATS},
    "structures for the proof alone": {"structures": OTHERS, "compute_stats": False},
}
every_kind_of_statistics = pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)


@every_kind_of_statistics
@pytest.mark.parametrize("normalize_features", [True, False])
def test_no_statistics_change_an_energy(normalize_features, given, tmp_path):
    potential = fresh(descriptor=descriptor())
    potential.train(frames(), config(testpercent=50, normalize_features=normalize_features))
    plain = potential.to_aenet_ascii(tmp_path / "plain")
    files = potential.to_aenet_ascii(tmp_path / "given", **given)
    structures = [molecule(7), OTHERS[0]]
    energies = potential.predict(structures).total_energy
    assert [by_fortran(files, s) for s in structures] == pytest.approx(energies, abs=1e-9)
    for name in files:
        one, two = (dataclasses.asdict(read_aenet_network(paths[name])) for paths in (plain, files))
        differing = {key for key in one if not np.array_equal(one[key], two[key])}
        assert differing <= {"neval", "sfval_min", "sfval_max"}


def test_the_files_say_that_features_are_not_to_be_normalised(files):
    network = read_aenet_network(files["O"])
    assert not network.sfval_avg.any()
    assert (network.sfval_cov == 1).all()


def test_lowest_and_highest_features_are_those_of_the_atoms_of_each_species(tmp_path):
    potential = drawn()
    files = potential.to_aenet_ascii(tmp_path, structures=OTHERS)
    d = potential.descriptor
    rows = [brute_force.features(s, d.species, d.rad_order, 3.6, d.ang_order, 3.2) for s in OTHERS]
    stats = json.loads((tmp_path / "potential.export.json").read_text())["feature_statistics"]
    for name in d.species:
        own = np.array(
            [x for s, r in zip(OTHERS, rows, strict=True) for n, x in zip(s.species, r, strict=True) if n == name]
        )
        network = read_aenet_network(files[name])
        assert network.neval == stats[name]["atoms"] == len(own)
        np.testing.assert_allclose(network.sfval_min, own.min(0), atol=1e-10)
        np.testing.assert_allclose(network.sfval_max, own.max(0), atol=1e-10)
        np.testing.assert_allclose(stats[name]["avg"], own.mean(0), atol=1e-10)
        np.testing.assert_allclose(stats[name]["cov"], (own**2).mean(0), atol=1e-10)


def test_statistics_that_are_given_are_noted(tmp_path):
    network = read_aenet_network(drawn().to_aenet_ascii(tmp_path, descriptor_stats=STATS)["Ti"])
    assert (network.sfval_min == -1).all()
    assert (network.sfval_max == 9).all()


@pytest.mark.parametrize(
    ("stats", "error", "message"),
    [
        ({"min": [0.0] * 14}, ConfigError, "must have 'min' and 'max', got min"),
        ({"mean": [0.0] * 14}, ConfigError, "unknown entry 'mean'; known: min, max, avg, cov"),
        ({"min": [0.0] * 3, "max": [1.0] * 14}, DataError, r"descriptor_stats\['min'\]` must have shape .* = \(14,\)"),
        ({"min": [np.nan] * 14, "max": [1.0] * 14}, DataError, "is not finite"),
    ],
)
def test_statistics_that_cannot_be(stats, error, message, tmp_path):
    with pytest.raises(error, match=message):
        drawn().to_aenet_ascii(tmp_path, descriptor_stats=stats)


# --------------------------------------------------------------------------------------------------------- the proof


def test_the_report_says_what_was_compared(tmp_path):
    potential = drawn()
    potential.to_aenet_ascii(tmp_path, structures=[crystal(1), molecule(2)])

    def refuse(name):
        raise AssertionError(name)

    content = (tmp_path / "potential.export.json").read_text()
    report = json.loads(content, parse_constant=refuse)
    proof = report["proof"]
    assert [row["name"] for row in proof["structures"]] == ["crystal 1", "molecule 2"]
    assert 0 <= proof["largest_energy_difference_eV"] <= proof["energy_tolerance_eV"]
    assert 0 <= proof["largest_force_difference_eV_per_A"] <= proof["force_tolerance_eV_per_A"]
    assert report["files"]["Ti"] == {".nn.ascii": "potential.Ti.nn.ascii", ".nn": "potential.Ti.nn"}
    assert str(tmp_path) not in content
    cohesive = potential.predict([crystal(1), molecule(2)]).cohesive_energy
    assert [row["energy_eV"] for row in proof["structures"]] == pytest.approx(cohesive)


def test_random_structures_show_every_species_with_neighbours(tmp_path):
    drawn(("Li", "Ti", "O")).to_aenet_ascii(tmp_path)
    proof = json.loads((tmp_path / "potential.export.json").read_text())["proof"]
    assert proof["of"] == "random structures"
    assert len({row["energy_eV"] for row in proof["structures"]}) == len(proof["structures"]) == 8


def test_a_failed_proof_leaves_what_was_there_and_nothing_else(tmp_path):
    """Features that hardly vary: no number has the digits that the bias would need."""
    structure = of(molecule(1, 2), ("O",))
    mean = brute_force.features(structure, ("O",), 3, 3.6, 2, 3.2)[0]
    potential = drawn(("O",), feature_mean=mean, feature_scale=np.full(7, 1e9))
    drawn(("O",)).to_aenet_ascii(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileFormatError, match=r"do not answer as the potential does: energies differ by .*nothing was"):
        potential.to_aenet_ascii(tmp_path, structures=structure)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.slow  # compiles for float32
def test_float32_is_told_and_written_exactly(tmp_path):
    potential = drawn(dtype=torch.float32)
    with pytest.warns(PotentiaWarning, match="computes in float32, ænet in float64.* differ from that by up to"):
        files = potential.to_aenet_ascii(tmp_path)
    recipe, learned = potential.recipe(), potential.learned()
    recipe["descriptor"]["dtype"] = "float64"
    learned["model"] = {name: tensor.double() for name, tensor in learned["model"].items()}
    exact = TorchANNPotential.from_parts(recipe, learned)
    assert largest_difference(exact, TorchANNPotential.from_aenet(files), [crystal(3), molecule(4)]) < 1e-9
    rounding = json.loads((tmp_path / "potential.export.json").read_text())["proof"]["float32_rounding"]
    assert 1e-9 < rounding["energy_eV"] < 1e-2


# ------------------------------------------------------------------------------------------- what ænet cannot express


@pytest.mark.parametrize(
    ("potential", "message"),
    [
        (lambda: drawn(layers=[(3, "tanh"), (4, "gelu"), (2, "tanh")]), r"arch\['Ti'\]\[1\] has the activation 'gelu'"),
        (lambda: drawn(layers=[(3, "relu"), (4, "tanh")]), "it knows linear, tanh, sigmoid, mtanh, twist"),
        (lambda: drawn(basis=descriptor(ang_cutoff=3.7)), "ang_cutoff = 3.7 Å is above rad_cutoff = 3.6 Å"),
        (lambda: drawn(basis=descriptor(min_cutoff=0.05)), r"min_cutoff = 0.05 Å is outside 0.1 to 0.8 Å"),
        (lambda: drawn(basis=descriptor(min_cutoff=0.9)), "min_cutoff = 0.9 Å is outside"),
        (lambda: drawn(basis=descriptor(species=("Ti", "Oxy"))), "one or two letters or digits, not 'Oxy'"),
        (lambda: drawn(basis=descriptor(species=("Ti", "O,"))), "not 'O,'"),
    ],
)
def test_what_fortran_cannot_express_is_refused(potential, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        potential().to_aenet_ascii(tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_one_species_may_have_the_larger_angular_cutoff(tmp_path):
    potential = drawn(basis=descriptor(species=("O",), ang_cutoff=3.8))
    files = potential.to_aenet_ascii(tmp_path)
    structure = of(molecule(1, 5), ("O",))
    assert by_fortran(files, structure) == pytest.approx(potential.predict(structure).total_energy[0], abs=1e-9)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    with pytest.raises(DataError, match="network of Ti has weights that are not finite"):
        drawn(**{"networks.0.biases.0": np.full(5, np.nan)}).to_aenet_ascii(tmp_path)


def test_wrong_arguments(tmp_path):
    with pytest.raises(NotFittedError, match="call `train` first"):
        fresh().to_aenet_ascii(tmp_path)
    with pytest.raises(ConfigError, match="prefix must be the beginning of a file name, got 'a/b'"):
        drawn().to_aenet_ascii(tmp_path, prefix="a/b")
    with pytest.raises(DataError, match="structures is empty"):
        drawn().to_aenet_ascii(tmp_path, structures=[])
    with pytest.raises(ConfigError, match=r"must end with \.nn\.ascii or \.nn, got"):
        write_aenet_network(read_aenet_network(drawn().to_aenet_ascii(tmp_path)["O"]), tmp_path / "O.txt")


# ------------------------------------------------------------------------------------------------------------ import


def test_files_of_different_trainings_are_used_each_with_its_own_numbers(files):
    changed(files["O"], scale=0.2, shift=4.0, e_atom=np.array([-1.0, -2.0]))
    with pytest.warns(PotentiaWarning, match="have different scale, shift or E_atom"):
        potential = TorchANNPotential.from_aenet(files)
    for structure in (molecule(1, 3), molecule(2, 5)):
        assert potential.predict(structure).total_energy[0] == pytest.approx(by_fortran(files, structure), abs=1e-9)


def test_each_species_may_have_its_own_normalisation(files):
    rng = np.random.default_rng(3)
    for path in files.values():
        mean, deviation = rng.normal(size=14), rng.uniform(0.5, 2, 14)
        deviation[[2, int(rng.integers(14))]] = 0.0
        changed(path, sfval_avg=mean, sfval_cov=mean**2 + deviation**2)
    potential = TorchANNPotential.from_aenet(files)
    for structure in (molecule(1, 3), molecule(2, 5)):
        assert potential.predict(structure).total_energy[0] == pytest.approx(by_fortran(files, structure), abs=1e-9)
    assert potential.learned()["model"]["feature_scale"][2] == 0


def test_angular_features_of_older_releases(files, tmp_path):
    potential = TorchANNPotential.from_aenet(files, angular_argument="2cos/pi-1")
    again = potential.to_aenet_ascii(tmp_path / "now")
    for structure in (molecule(1, 3), molecule(2, 5)):
        older = by_fortran(files, structure, argument=lambda x: 2 * x / np.pi - 1)
        assert potential.predict(structure).total_energy[0] == pytest.approx(older, abs=1e-9)
        assert by_fortran(again, structure) == pytest.approx(older, abs=1e-9)
    with pytest.raises(ConfigError, match="angular_argument must be one of 'cos', '2cos/pi-1', got 'sin'"):
        TorchANNPotential.from_aenet(files, angular_argument="sin")


def test_training_goes_on_from_what_was_read(tmp_path):
    potential = fresh()
    before = potential.train(frames(), config(iterations=40))
    files = potential.to_aenet_ascii(tmp_path)
    read = TorchANNPotential.from_aenet(files)
    out = read.train(frames(), config(iterations=1, seed=None, split_seed=1, atomic_energies=None))
    assert out.errors["RMSE_train"].iloc[-1] < before.errors["RMSE_train"].iloc[0] / 3
    assert read.learned()["atomic_energies"] == FREE
    assert weights(read) != weights(TorchANNPotential.from_aenet(files))


def test_inputs_of_several_species_are_scaled_for_training(tmp_path):
    """Mean 0 and deviation 1 of all files together, as a training would have it."""
    files = drawn(normalised=False).to_aenet_ascii(tmp_path)
    for path, mean in zip(files.values(), (1.0, 5.0), strict=True):
        changed(path, sfval_avg=np.full(14, mean), sfval_cov=np.full(14, mean**2 + 5.0))
    model = TorchANNPotential.from_aenet(files).learned()["model"]
    np.testing.assert_allclose(model["feature_mean"], 3.0)
    np.testing.assert_allclose(model["feature_scale"], 1 / 3)


def test_an_imported_potential_is_saved_and_says_where_it_comes_from(files, tmp_path):
    potential = TorchANNPotential.from_aenet(files, device="cpu")
    potential.save(tmp_path / "potential.pt")
    loaded = TorchANNPotential.load(tmp_path / "potential.pt")
    assert weights(loaded) == weights(potential)
    assert loaded.metadata["imported"]["files"] == {name: path.name for name, path in files.items()}
    assert largest_difference(loaded, potential, [crystal(2)]) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu(files, tmp_path):
    here, there = (TorchANNPotential.from_aenet(files, device=device) for device in (None, "cuda"))
    assert largest_difference(here, there, [crystal(2), molecule(3)]) < 1e-9
    again = TorchANNPotential.from_aenet(there.to_aenet_ascii(tmp_path / "again"))
    assert weights(again) == weights(here)


def test_files_that_are_not_of_one_potential(files, tmp_path):
    other = drawn(("O", "Ti")).to_aenet_ascii(tmp_path / "order")
    far = drawn(basis=descriptor(rad_cutoff=3.7)).to_aenet_ascii(tmp_path / "far")
    near = drawn(basis=descriptor(min_cutoff=0.3)).to_aenet_ascii(tmp_path / "near")
    for paths, message in (
        ({"Ti": files["O"], "O": files["Ti"]}, "is the network of O, but was given for Ti"),
        ({"Ti": files["Ti"]}, "is of a potential for Ti, O: give a file for each"),
        ({"Ti": files["Ti"], "O": other["O"]}, r"their species \(envtypes\) are \('O', 'Ti'\) and \('Ti', 'O'\)"),
        ({"Ti": files["Ti"], "O": far["O"]}, "are not of one potential: their descriptor are"),
        ({"Ti": files["Ti"], "O": near["O"]}, r"their shortest distance \(Rc_min\) are 0.3 and 0.55"),
        ({}, "paths must map each species to its file"),
        (files["Ti"], "paths must map each species to its file"),
    ):
        with pytest.raises(ConfigError, match=message):
            TorchANNPotential.from_aenet(paths)


def test_the_larger_angular_cutoff_is_warned_of(files):
    for path in files.values():
        parameters = read_aenet_network(path).sfparam.copy()
        parameters[2, 0] = 3.9
        changed(path, sfparam=parameters, rc_max=3.9)
    with pytest.warns(PotentiaWarning, match="takes species weights of other atoms"):
        TorchANNPotential.from_aenet(files)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"activations": (1, 2, 3, 4, 0, 1)}, "output has the activation tanh"),
        ({"sfval_avg": np.full(14, 2.0)}, "mean square of feature 0, sfval_cov, is below its squared mean"),
        ({"rc_max": 3.0}, "Rc_max = 3.0 Å is below the cutoffs"),
        ({"nodes": (14, 1), "activations": (0,), "weights": np.ones(15)}, "a network without hidden layers"),
    ],
)
def test_networks_of_another_kind(fields, message, files):
    changed(files["Ti"], **fields)
    with pytest.raises(FileFormatError, match=message):
        TorchANNPotential.from_aenet(files)
