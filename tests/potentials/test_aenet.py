"""Potentials as files of ænet: what is written answers as the potential does, whatever else is in the files."""

from __future__ import annotations

import dataclasses
import json
import struct

import numpy as np
import pytest
import torch

from potentia import ChebyshevDescriptor, TorchANNPotential
from potentia.errors import ConfigError, DataError, FileFormatError, NotFittedError, PotentiaWarning
from potentia.potentials.formats.aenet_network import AenetNetwork, read_aenet_network, write_aenet_network
from potentials import brute_force
from potentials.small_data import FREE, config, crystal, frames, fresh, molecule, trained, weights

pytestmark = pytest.mark.usefixtures("one_thread")

FUNCTIONS = {
    0: lambda x: x,
    1: np.tanh,
    2: lambda x: 1 / (1 + np.exp(-x)),
    3: lambda x: 1.7159 * np.tanh(2 / 3 * x),
    4: lambda x: 1.7159 * np.tanh(2 / 3 * x) + 0.1 * x,
}
ALL_KNOWN = [(5, "tanh"), (4, "sigmoid"), (3, "mtanh"), (4, "twist"), (2, "linear")]


def descriptor(**changes):
    settings = {"species": ("Ti", "O"), "rad_order": 3, "rad_cutoff": 3.6, "ang_order": 2, "ang_cutoff": 3.2}
    return ChebyshevDescriptor(**(settings | changes))


def drawn(species=("Ti", "O"), layers=None, normalised=True, dtype=torch.float64, seed=0, basis=None, **state):
    """Return a potential with random weights, normalisation and atomic energies."""
    rng = np.random.default_rng(seed)
    basis = basis or descriptor(species=species, dtype=dtype)
    species, n = basis.species, basis.n_features
    arch = {name: [list(layer) for layer in (layers or ALL_KNOWN)[k:]] for k, name in enumerate(species)}
    model = {"feature_mean": np.zeros(n), "feature_scale": np.ones(n), "e_scaling": 1.0, "e_shift": 0.0}
    if normalised:
        scale = np.where(rng.uniform(size=n) < 0.2, 0.0, rng.uniform(0.1, 2.0, n))
        model = {"feature_mean": rng.normal(size=n), "feature_scale": scale, "e_scaling": 0.7, "e_shift": -3.1}
    for k, name in enumerate(species):
        sizes = [n, *(nodes for nodes, _ in arch[name]), 1]
        for layer in range(len(sizes) - 1):
            model[f"networks.{k}.weights.{layer}"] = rng.normal(size=(sizes[layer + 1], sizes[layer]))
            model[f"networks.{k}.biases.{layer}"] = rng.normal(size=sizes[layer + 1])
    tensors = {name: torch.tensor(value, dtype=dtype) for name, value in (model | state).items()}
    free = {name: float(rng.normal()) - 5.0 for name in species}
    recipe = {"arch": arch, "descriptor": basis.settings()}
    return TorchANNPotential.from_parts(recipe, {"model": tensors, "atomic_energies": free})


def by_fortran(files, structure, argument=lambda x: x):
    """Evaluate files as ænet's `predict.x` does: features by brute force, then normalisation, network, scale, shift."""
    networks = {name: read_aenet_network(path) for name, path in files.items()}
    first = next(iter(networks.values()))
    rad_cutoff, rad_order, ang_cutoff, ang_order = first.sfparam[:, 0]
    rows = brute_force.features(
        structure, first.environment, int(rad_order), rad_cutoff, int(ang_order), ang_cutoff, first.rc_min, argument
    )
    total = 0.0
    for name, x in zip(structure.species, rows, strict=True):
        file = networks[name]
        deviation = np.sqrt(file.sfval_cov - file.sfval_avg**2)
        x = np.where(deviation > 1e-10, (x - file.sfval_avg) / np.where(deviation > 1e-10, deviation, 1), 0.0)
        at = 0
        for n_in, n_out, code in zip(file.nodes, file.nodes[1:], file.activations, strict=False):
            matrix = file.weights[at : at + (n_in + 1) * n_out].reshape(n_out, n_in + 1, order="F")
            x = FUNCTIONS[code](matrix @ np.append(x, 1.0))
            at += (n_in + 1) * n_out
        total += x[0] / file.scale + file.shift + dict(zip(file.type_names, file.e_atom, strict=True))[name]
    return total


def of(structure, species):
    """Give the atoms of a structure other species, in turn."""
    names = [species[k % len(species)] for k in range(structure.n_atoms)]
    return dataclasses.replace(structure, species=names)


def largest_difference(one, other, structures):
    a, b = (potential.predict(structures, eval_forces=True) for potential in (one, other))
    forces = [np.abs(x - y).max() for x, y in zip(a.forces, b.forces, strict=True)]
    return max(np.abs(np.subtract(a.total_energy, b.total_energy)).max(), *forces)


def binaries(files):
    return {name: path.with_suffix("") for name, path in files.items()}


@pytest.fixture
def files(tmp_path):
    return drawn().to_aenet_ascii(tmp_path)


@pytest.fixture
def text(files):
    return files["Ti"].read_text()


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


def changed(path, **fields):
    """Write a file again with some of its records changed."""
    write_aenet_network(dataclasses.replace(read_aenet_network(path), **fields), path)


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


# ------------------------------------------------------------------------------------------------------ the two files


def reading(content, tmp_path) -> AenetNetwork:
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_aenet_network(path)


def test_text_is_read_as_fortran_reads_it(text, tmp_path):
    """Wrapped lines, repeats, D exponents, commas, quotes; of a bare text the first word counts."""
    expected = reading(text, tmp_path).to_binary()
    lines = text.splitlines()
    at = lines.index("Chebyshev")
    assert lines[at + 3] == "0 0 0 0 0 0 0 0 0 0"  # sf
    lines[at + 3 : at + 5] = ["10*0,", "", "  4*0"]
    lines[at] = "'Chebyshev' basis"
    place = lines.index("potentia")
    lines[place] = "potentia of two elements / and more"
    content = "\n".join(lines).replace("E+00", "D+00").replace("\nT\n", "\n .TRUE.\n") + "\n\n"
    assert reading(content, tmp_path).to_binary() == expected


@pytest.mark.parametrize("description", ["two words", "it's", "a/b,c;d", "", "3*4", '"', "Å"])
def test_texts_come_back(description, files, tmp_path):
    network = dataclasses.replace(read_aenet_network(files["O"]), description=description, training_set=description)
    for content in (network.to_text(), network.to_binary()):
        found = reading(content, tmp_path)
        assert (found.description, found.training_set) == (description, description)
        assert found.to_binary() == network.to_binary()


def test_a_text_that_was_cut_off_anywhere(text, tmp_path):
    lines = text.splitlines(keepends=True)
    for n in range(len(lines)):
        with pytest.raises(FileFormatError, match=r"file, record \d+ \(.*\): expected .*, but the file ends|must be"):
            reading("".join(lines[:n]), tmp_path)


def test_a_binary_that_was_cut_off_anywhere(files, tmp_path):
    content = binaries(files)["O"].read_bytes()
    for n in [*range(0, 400, 3), *range(400, len(content), 97), len(content) - 1]:
        with pytest.raises(FileFormatError, match=r"file.*record \d+"):
            reading(content[:n], tmp_path)


def replaced(text, old, new):
    assert text.count(old) >= 1
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Chebyshev", "Behler2011", r"record 16 \(sftype\): expected the descriptor Chebyshev.* got 'Behler2011'"),
        ("14 5 4 3 4 2 1", "14 5 4 3 4 1 1", r"record 5 \(nnodes\): layers of \(14, 5, 4, 3, 4, 1, 1\) nodes give"),
        ("14 5 4 3 4 2 1", "14 5 4 3 4 2 2", r"the last of just one"),
        ("14 5 4 3 4 2 1", "14 5 4 3 4 2", r"record 5 \(nnodes\): expected 7 integer\(s\), got at least 12"),
        ("14 5 4 3 4 2 1", "14 5 4 3 4 2 x", r"value 7 of 7 must be a integer, got 'x'"),
        ("1 2 3 4 0 0", "1 2 3 5 0 0", r"record 6 \(f_a\): activation 5 is unknown: 0 linear, 1 tanh"),
        ("0 75 99", "0 75 98", r"record 7 \(iw\): expected \[0, 75, 99, .*\], which follows from the nodes"),
        ("\nTi O\n", "\nTi Oxy\n", r"record 13 \(envtypes\): 'Oxy' has more than 2 characters"),
        ("\n2\nTi O\n", "\n1\nTi O\n", r"orders 3 and 2 with 1 species give 7 features, but there are 14"),
        ("\n2\nTi O\n", "\n-2\nTi O\n", r"record 12 \(nenv\): expected an integer of at least 1, got -2"),
        ("\n14\n4\n", "\n15\n4\n", r"record 17 \(nsf\): expected 14, which follows from the records before, got 15"),
        ("\nT\n", "\nyes\n", r"record 28 \(normalized\): expected T or F, got 'YES'"),
        ("\nT\n  6.99", "\nT\n  nan 6.99", r"record 29 \(scale\)"),
        ("3.6000000000000001E+00   3.0", "nan   3.0", r"record 20 \(sfparam\): value 1 is not finite"),
        ("3.6000000000000001E+00   3.0", "3.6000000000000001E+00   3.5", r"record 20 \(sfparam\): expected rad_cutoff"),
    ],
)
def test_text_with_a_fault(old, new, message, text, tmp_path):
    with pytest.raises(FileFormatError, match=message):
        reading(replaced(text, old, new), tmp_path)


def test_what_comes_after_the_last_record(text, files, tmp_path):
    with pytest.raises(FileFormatError, match=r"record 36 .* but 'rubbish' comes after it"):
        reading(text + "\nrubbish\n", tmp_path)
    with pytest.raises(FileFormatError, match=r"record 36 .* but 3 bytes come after it"):
        reading(binaries(files)["Ti"].read_bytes() + b"abc", tmp_path)


def test_binary_of_another_kind(files, tmp_path):
    content = binaries(files)["Ti"].read_bytes()
    wide = struct.pack("<q", 4) + content[4:8] + struct.pack("<q", 4)
    for other, message in (
        (struct.pack(">3i", 4, 7, 4) + content[12:], "is big-endian"),
        (wide, "has record marks of 8 bytes"),
        (
            content[:8] + struct.pack("<i", 5) + content[12:],
            r"record 1 \(nlayers\).* lengths before and after it differ",
        ),
        (
            content[:12] + struct.pack("<i", 8) + content[16:],
            r"record 2 .*expected 1 integers \(4 bytes\).* has 8 bytes",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\0", r"record 1 \(nlayers\)"),
        ("é".encode("latin-1"), "neither text nor a binary potential"),
        (b"", r"record 1 \(nlayers\): expected 1 integer"),
    ):
        with pytest.raises(FileFormatError, match=message):
            reading(other, tmp_path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileFormatError, match=r"no such file: .*Ti\.nn \(looked in"):
        TorchANNPotential.from_aenet({"Ti": tmp_path / "Ti.nn"})
