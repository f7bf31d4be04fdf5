"""A descriptor of one's own is one like the package's: in files, in other processes, on the command line."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
import torch
import yaml
from ase.io import write

from potentia import (
    ANNCalculator,
    HDF5StructureDataset,
    SourceRecord,
    StructureDataset,
    TorchANNPotential,
    TorchCommitteeConfig,
    TorchCommitteePotential,
)
from potentia.cli import main
from potentia.errors import ConfigError, FileFormatError, TrainingError
from potentia.potentials.datasets.base import DatasetError
from potentia.potentials.descriptors import DESCRIPTORS, register_descriptor
from potentia.potentials.descriptors.registry import descriptor_from, plain_of
from potentia.potentials.lammps import MLIAPModel
from potentia.runs import RunDirectory
from potentia.testing.descriptors import check_descriptor
from potentia.testing.potentials import check_potential
from potentials import own_descriptor, small_data
from potentials.own_descriptor import ARCH, OWN, RadialGaussians, Unregistered, fresh
from potentials.small_data import CUTOFF, FREE, GRADIENTS, SPECIES


@pytest.fixture(scope="module")
def potential():
    found = fresh()
    found.train(small_data.frames(), small_data.config(**GRADIENTS))
    return found


@pytest.fixture(scope="module")
def saved(potential, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "own.potential"
    potential.save(path)
    return path


@pytest.fixture(scope="module")
def hidden(tmp_path_factory):
    """A potential whose descriptor nobody has registered."""
    path = tmp_path_factory.mktemp("hidden") / "hidden.potential"
    found = fresh(Unregistered(SPECIES, [(2.0, 1.8)], CUTOFF))
    found.train(small_data.frames(), small_data.config(iterations=1))
    found.save(path)
    return path


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("database") / "own.h5"
    dataset = HDF5StructureDataset(OWN, path, [SourceRecord("all", small_data.frames)], atomic_energies=FREE)
    dataset.build_database(show_progress=False, build_workers=2, persist_features=True, persist_force_derivatives=True)
    dataset.close()
    return path


@pytest.fixture
def registered():
    before = dict(DESCRIPTORS)
    yield
    assert dict(DESCRIPTORS) == before


def same_answers(one, other):
    given = {"eval_forces": True, "eval_stress": True}
    found, expected = (potential.predict(small_data.frames(4), **given) for potential in (one, other))
    assert found.total_energy == expected.total_energy
    for name in ("forces", "stress"):
        for a, b in zip(getattr(found, name), getattr(expected, name), strict=True):
            assert a is b is None or np.array_equal(a, b)


# ---------------------------------------------------------------------------------------------------- laws, answers


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_it_keeps_the_laws(dtype):
    own = RadialGaussians(SPECIES, OWN.functions, CUTOFF, dtype=dtype)
    check_descriptor(own, [small_data.crystal(), small_data.molecule()])


def test_what_is_trained_on_forces_is_a_potential(potential):
    check_potential(potential, [small_data.crystal(3, 2)])


def test_a_simulation_has_the_forces_of_predictions(potential):
    atoms = small_data.crystal(2).to_atoms()
    atoms.calc = ANNCalculator(potential)
    expected = potential.predict(atoms, eval_forces=True, eval_stress=True)
    assert atoms.get_potential_energy() == pytest.approx(expected.total_energy[0], abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces[0], atol=1e-10)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), expected.stress[0], atol=1e-10)


# ------------------------------------------------------------------------------------------------------------- files


def test_what_is_saved_is_opened_by_the_class_of_all_potentials(potential, saved):
    loaded = TorchANNPotential.load(saved)
    assert type(loaded.descriptor) is RadialGaussians
    assert repr(loaded) == repr(potential)
    same_answers(loaded, potential)
    same_answers(TorchANNPotential.from_file(saved, device="cpu"), potential)


def test_an_interrupted_training_goes_on_from_its_checkpoint(tmp_path):
    whole, broken = fresh(), fresh()
    whole.train(small_data.frames(), small_data.config(iterations=3, **GRADIENTS))
    broken.train(
        small_data.frames(), small_data.config(iterations=2, checkpoint_dir=str(tmp_path), save_best=False, **GRADIENTS)
    )
    newest = max(tmp_path.iterdir())
    same_answers(TorchANNPotential.load(newest), broken)
    resumed = fresh()
    resumed.train(small_data.frames(), small_data.config(iterations=1, save_best=False, **GRADIENTS), newest)
    assert small_data.weights(resumed) == small_data.weights(whole)


def test_another_descriptor_cannot_take_the_weights(saved):
    with pytest.raises(ConfigError, match=r"another potential than this one: .*radius: 3\.8 → 3\.5"):
        fresh(RadialGaussians(SPECIES, OWN.functions, 3.5)).train(
            small_data.frames(), small_data.config(), init_from=saved
        )
    with pytest.raises(ConfigError, match=r"descriptor\.class: 'RadialGaussians' → 'ChebyshevDescriptor'"):
        small_data.fresh().train(small_data.frames(), small_data.config(), init_from=saved)


def test_features_of_a_database_are_those_of_the_descriptor(database, potential, monkeypatch):
    expected = StructureDataset(small_data.frames(), OWN).featurised(range(4), [True] * 4)
    for name in ("features", "geometry"):
        monkeypatch.setattr(RadialGaussians, name, lambda *_: pytest.fail("features are in the file"))
    with HDF5StructureDataset(None, database, mode="load") as dataset:
        assert repr(dataset.descriptor) == repr(OWN)
        found = dataset.featurised(range(4), [True] * 4)
        assert torch.equal(found.features.values, expected.features.values)
        assert torch.equal(found.geometry.vector, expected.geometry.vector)
        answers = potential.predict_dataset(dataset, eval_forces=True)
        trained = fresh()
        trained.train(dataset=dataset, config=small_data.config(**GRADIENTS))
    monkeypatch.undo()
    assert answers.total_energy == potential.predict(small_data.frames()).total_energy
    assert small_data.weights(trained) == small_data.weights(potential)


def test_features_kept_on_disk_are_those_of_the_descriptor(tmp_path, potential, monkeypatch):
    kept = small_data.config(cache_persist_dir=str(tmp_path), **GRADIENTS)
    for own in (OWN, RadialGaussians(SPECIES, OWN.functions, 3.5)):
        fresh(own).train(small_data.frames(), kept)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(RadialGaussians, "features", lambda *_: pytest.fail("features are on disk"))
    again = fresh()
    again.train(small_data.frames(), kept)
    assert small_data.weights(again) == small_data.weights(potential)


def test_another_descriptor_than_that_of_a_database_is_refused(database):
    with pytest.raises(DatasetError, match=r"radius: 3\.8 → 3\.5"):
        HDF5StructureDataset(RadialGaussians(SPECIES, OWN.functions, 3.5), database)
    with pytest.raises(DatasetError, match="class: 'RadialGaussians' → 'ChebyshevDescriptor'"):
        HDF5StructureDataset(small_data.DESCRIPTOR, database)


# ---------------------------------------------------------------------------------------------------------- committees


@pytest.fixture(scope="module")
def committee(tmp_path_factory):
    """Two members, each trained in a process of its own."""
    folder = tmp_path_factory.mktemp("committee")
    found = TorchCommitteePotential(ARCH, OWN)
    wanted = TorchCommitteeConfig(2, base_seed=1, output_dir=folder, max_parallel=2)
    found.train(small_data.frames(), small_data.config(seed=None, split_seed=1, **GRADIENTS), wanted)
    return found


@pytest.mark.slow
def test_a_member_of_another_process_is_the_single_potential(committee, potential):
    assert [type(one.descriptor) for one in committee.load_members()] == [RadialGaussians] * 2
    assert small_data.weights(committee.load_members()[0]) == small_data.weights(potential)


@pytest.mark.slow
def test_a_committee_is_opened_from_its_directory_and_from_one_file(committee, tmp_path):
    committee.save(tmp_path / "committee")
    expected = committee.predict(small_data.frames(3)).energy_std
    for again in (
        TorchCommitteePotential.from_directory(committee.directory),
        TorchCommitteePotential.load(tmp_path / "committee"),
    ):
        assert np.array_equal(again.predict(small_data.frames(3)).energy_std, expected)


@pytest.mark.slow
def test_a_process_that_does_not_know_the_descriptor_says_so(tmp_path):
    unknown = TorchCommitteePotential(ARCH, Unregistered(SPECIES, [(2.0, 1.8)], CUTOFF))
    wanted = TorchCommitteeConfig(2, base_seed=1, output_dir=tmp_path, max_parallel=2)
    with pytest.raises(TrainingError, match=r"imported 'potentials\.own_descriptor', and no descriptor 'Unregistered'"):
        unknown.train(small_data.frames(), small_data.config(seed=None), wanted)


# -------------------------------------------------------------------------------------------------------------- names


def test_a_file_of_a_descriptor_that_is_not_registered_says_what_to_import(hidden):
    message = (
        r"hidden\.potential has a descriptor 'Unregistered' of the module 'potentials\.own_descriptor', which is not "
        r"registered here; .*potentia --import potentials\.own_descriptor"
    )
    with pytest.raises(FileFormatError, match=message):
        TorchANNPotential.load(hidden)
    with pytest.raises(FileFormatError, match=message):
        TorchCommitteePotential.from_files([hidden])


def test_a_file_that_names_no_class_is_refused(tmp_path, monkeypatch):
    recipe = small_data.trained().recipe()
    del recipe["descriptor"]["class"]
    monkeypatch.setattr(TorchANNPotential, "recipe", lambda _: recipe)
    small_data.trained().save(tmp_path / "early")
    with pytest.raises(FileFormatError, match="early does not name the class of its descriptor: write it again"):
        TorchANNPotential.load(tmp_path / "early")


def test_a_wrong_name_is_told_the_nearest():
    with pytest.raises(ConfigError, match="no descriptor 'RadialGausians'; did you mean 'RadialGaussians'"):
        descriptor_from({**plain_of(OWN), "class": "RadialGausians"})
    with pytest.raises(ConfigError, match=r"RadialGaussians cannot be made of these settings: .* 'radios'"):
        descriptor_from({**plain_of(OWN), "radios": 3.0})


def test_a_name_is_taken_once(registered):
    with pytest.raises(ConfigError, match="a descriptor 'ChebyshevDescriptor' already, ChebyshevDescriptor of"):
        register_descriptor(type("ChebyshevDescriptor", (RadialGaussians,), {}))
    assert register_descriptor(RadialGaussians) is RadialGaussians  # again: a cell of a notebook, a reload


def test_a_file_that_is_imported_by_two_names_defines_one_class(registered, monkeypatch):
    spec = importlib.util.spec_from_file_location("imported_again", own_descriptor.__file__)
    again = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "imported_again", again)
    spec.loader.exec_module(again)
    assert type(descriptor_from(plain_of(OWN))) is again.RadialGaussians is not RadialGaussians
    register_descriptor(RadialGaussians)


def test_a_class_with_the_name_of_another_is_not_written():
    other = type("ChebyshevDescriptor", (RadialGaussians,), {})(SPECIES, [(2.0, 1.8)], CUTOFF)
    with pytest.raises(ConfigError, match=r"cannot be written to files: .*chebyshev\.py is registered by this name"):
        fresh(other).recipe()


def test_names_that_files_need_cannot_be_settings():
    class Classy(RadialGaussians):
        def settings(self):
            return {**super().settings(), "class": "first"}

    with pytest.raises(ConfigError, match="has a setting 'class', which files have another meaning for"):
        plain_of(Classy(SPECIES, [(2.0, 1.8)], CUTOFF))


# ----------------------------------------------------------------------------------------- what only Chebyshev's has


@pytest.mark.slow
def test_other_programs_that_have_no_words_for_it_are_told(potential, committee, tmp_path):
    for one in (potential, committee):
        with pytest.raises(ConfigError, match="words for ChebyshevDescriptor only, and this potential has RadialGauss"):
            one.to_aenet_ascii(tmp_path)
    with pytest.raises(ConfigError, match=r"this RadialGaussians by torch: .*use_external"):
        MLIAPModel(potential)
    assert not list(tmp_path.iterdir())


def test_a_descriptor_without_a_device_stays_on_the_cpu():
    class Bound(RadialGaussians):
        def settings(self):
            return {name: value for name, value in super().settings().items() if name != "device"}

    assert Bound.settings_on("cpu", {"radius": 3.0}) == {"radius": 3.0}
    with pytest.raises(ConfigError, match="Bound has no setting 'device', so it is on the CPU and not on cuda:0"):
        Bound.settings_on("cuda:0", {"radius": 3.0})


# ------------------------------------------------------------------------------------------------- the command line


@pytest.fixture(scope="module")
def xyz(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "frames.xyz"
    write(path, [replace(small_data.crystal(k, 4), name=None).to_atoms() for k in range(12)])
    return path


@pytest.mark.slow
def test_commands_ask_it(saved, committee, xyz, capsys, tmp_path):
    for model in (saved, tmp_path / "committee"):
        if not model.exists():
            committee.save(model)
        assert main(["predict", str(model), str(xyz), "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["predictions"]) == 12
        assert main(["report", str(model), "--data", str(xyz), "--json"]) == 0
        capsys.readouterr()


def test_a_module_is_imported_before_the_command(saved, xyz, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made_of_gaussians.py").write_text("import sys\nprint('imported', file=sys.stderr)\n")
    assert main(["--import", "made_of_gaussians", "predict", str(saved), str(xyz), "--json"]) == 0
    assert capsys.readouterr().err == "imported\n"
    assert main(["--import", "made_of_gausians", "predict", str(saved), str(xyz)]) == 2
    assert "--import made_of_gausians: No module named 'made_of_gausians'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def settings(database, tmp_path_factory):
    """A file of settings that `potentia init` writes for the data set."""
    path = tmp_path_factory.mktemp("settings") / "settings.yaml"
    assert main(["init", str(database), "-o", str(path)]) == 0
    return path


def test_settings_of_a_training_name_it(settings, potential, tmp_path, capsys):
    found = yaml.safe_load(settings.read_text())["descriptor"]
    assert found["class"] == "RadialGaussians"
    assert descriptor_from(found).settings() == OWN.settings()
    short = ["--set", "training.iterations=2"]
    assert main(["train", str(settings), *short, "--run-dir", str(tmp_path / "run"), "--json"]) == 0
    capsys.readouterr()
    assert repr(TorchANNPotential.load(RunDirectory(tmp_path / "run").model).descriptor) == repr(OWN)


def test_settings_of_it_are_checked_by_name(settings, capsys):
    wrong = {
        "descriptor.radios=3.0": "descriptor: RadialGaussians has no setting 'radios'; did you mean 'radius'?",
        "descriptor.class=RadialGausians": "of class 'RadialGausians' here; did you mean 'RadialGaussians'?",
        "descriptor.species=Si": "descriptor: species must be a list, got 'Si'",
        "descriptor.dtype=float16": "dtype must be float64 or float32, got 'float16'",
    }
    for override, message in wrong.items():
        assert main(["train", str(settings), "--set", override, "--dry-run"]) == 2
        assert message in capsys.readouterr().err


def test_a_schema_knows_its_settings(settings, capsys):
    assert main(["schema", "potentials"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.validate(yaml.safe_load(settings.read_text()), schema)
    (own,) = (
        one for one in schema["properties"]["descriptor"]["anyOf"]
        if one["properties"]["class"] == {"const": "RadialGaussians"}
    )  # fmt: skip
    assert own["required"] == ["class", "species", "functions", "radius"]
    assert own["properties"]["dtype"]["default"] == "float64"


def test_a_file_of_an_unknown_descriptor_says_what_to_import(hidden, xyz, capsys):
    assert main(["predict", str(hidden), str(xyz)]) == 2
    assert "potentia --import potentials.own_descriptor" in capsys.readouterr().err
