"""Saved potentials: what is loaded predicts the same bits, and what is no potential is refused by name."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch

from potentia import TorchANNPotential
from potentia.errors import ConfigError, FileFormatError, NotFittedError
from potentia.storage import flatten, write_file
from potentia.testing.comparing import require_same
from potentia.testing.estimators import saved_is_loaded
from potentia.train import Run, save_checkpoint
from potentials import small_data


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "potential.pt"
    small_data.trained().save(path)
    return path


def answers(potential, structures=None):
    found = potential.predict(structures or small_data.frames(), eval_forces=True, eval_stress=True)
    return [found.total_energy, found.cohesive_energy, found.forces, found.stress, found.atom_energies]


def assert_same_bits(one, other, structures=None):
    require_same("both say the same", answers(one, structures), answers(other, structures))


@pytest.mark.parametrize("read", [TorchANNPotential.from_file, TorchANNPotential.load])
def test_a_loaded_potential_predicts_the_same_bits(saved, read):
    loaded = read(saved)
    assert_same_bits(loaded, small_data.trained())
    assert repr(loaded) == repr(small_data.trained())


@pytest.mark.parametrize(
    ("activation", "dtype", "kernels"),
    [
        ("twist", torch.float64, "auto"),
        ("silu", torch.float64, "auto"),
        ("gelu", torch.float32, "torch"),
        pytest.param("silu", torch.float32, "auto", marks=pytest.mark.slow),  # compiles for float32
    ],
    ids=str,
)
def test_whatever_it_is_made_of(activation, dtype, kernels, tmp_path):
    settings = {"min_cutoff": 0.4, "dtype": dtype, "kernels": kernels}
    descriptor = type(small_data.DESCRIPTOR)(["O", "Ti"], 3, 3.0, 1, 3.5, **settings)
    potential = small_data.fresh(activation, descriptor)
    potential.train(small_data.frames(), small_data.config(iterations=1))
    saved_is_loaded(potential, answers)
    potential.save(tmp_path / "a.pt")
    loaded = TorchANNPotential.from_file(tmp_path / "a.pt")
    assert (loaded.arch, loaded.descriptor.settings()) == (potential.arch, potential.descriptor.settings())


def test_a_loaded_potential_can_be_trained_on(saved):
    loaded, twin = TorchANNPotential.from_file(saved), TorchANNPotential.from_file(saved)
    for potential in (loaded, twin):
        potential.train(small_data.frames(), small_data.config(seed=None, split_seed=1, testpercent=0, iterations=0))
    assert_same_bits(loaded, small_data.trained())
    loaded.train(small_data.frames(), small_data.config(seed=None))
    assert small_data.weights(loaded) != small_data.weights(twin)


def test_how_it_was_trained_is_kept(saved):
    record = TorchANNPotential.from_file(saved).metadata
    assert record["seed"] == 1
    assert record["training_config"]["force_weight"] == small_data.GRADIENTS["force_weight"]
    assert len(record["training_history"]["RMSE_train"]) == 2
    assert small_data.fresh().metadata is None


def test_notes_of_the_user_are_kept(tmp_path):
    note = {"project": "TiO2", "numbers": [1, 2.5, None]}
    small_data.trained().save(tmp_path / "a.pt", extra_metadata=note)
    loaded = TorchANNPotential.from_file(tmp_path / "a.pt")
    assert loaded.metadata["extra_metadata"] == note
    with pytest.raises(ConfigError, match="strict JSON"):
        small_data.trained().save(tmp_path / "b.pt", extra_metadata={"x": math.nan})
    assert not (tmp_path / "b.pt").exists()


def test_nothing_learned_is_nothing_to_save(tmp_path):
    with pytest.raises(NotFittedError, match="this TorchANNPotential has learned nothing yet; call `train` first"):
        small_data.fresh().save(tmp_path / "a.pt")
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_can_be_opened_as_a_potential(tmp_path):
    potential = small_data.fresh()
    potential.train(
        small_data.frames(), small_data.config(checkpoint_dir=tmp_path, save_best=False, checkpoint_batches=1)
    )
    assert_same_bits(TorchANNPotential.from_file(tmp_path / "checkpoint_epoch_0002.pt"), potential)
    middle = TorchANNPotential.from_file(tmp_path / "checkpoint_epoch_0001_batch_000001.pt")
    assert small_data.weights(middle) != small_data.weights(potential)
    assert np.isfinite(middle.predict(small_data.frames()).total_energy).all()


def test_a_truncated_file_is_refused_wherever_it_ends(saved):
    whole = saved.read_bytes()
    for size in (1, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:size])
        with pytest.raises(FileFormatError, match=r"potential\.pt is no whole potentia file: it is truncated"):
            TorchANNPotential.from_file(saved)


class _Shot:
    """Says so if it is ever unpickled."""

    fired = False

    def __reduce__(self):
        return (setattr, (_Shot, "fired", True))


FOREIGN = {
    "empty": (lambda path: path.write_bytes(b""), "it is empty"),
    "text": (lambda path: path.write_text("# a potential\n" * 100), "it is truncated or of another format"),
    "torch": (lambda path: torch.save({"model": torch.zeros(3)}, path), "pickle of torch.save, .* never read"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps(_Shot(), protocol=2)), "pickle"),
    "zeros": (lambda path: path.write_bytes(bytes(4096)), "it is truncated or of another format"),
    "safetensors": (
        lambda path: safetensors.torch.save_file({"x": torch.zeros(3)}, path),
        "is a safetensors file, but potentia did not write it",
    ),
    "another kind": (lambda path: write_file(path, "surrogate", {}, {}), "holds a surrogate, not a potential"),
    "checkpoint of another kind": (
        lambda path: save_checkpoint(path, Run(torch.nn.Linear(1, 1), small_data.config().method), {}),
        "is a checkpoint of something else, not of a potential",
    ),
    "newer": (
        lambda path: write_file(path, "potential", {}, {}, version=99),
        "version 99, .* this release reads up to version 1: update potentia",
    ),
}


@pytest.mark.parametrize(("write", "reason"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_refused_by_name(write, reason, tmp_path):
    path = tmp_path / "foreign.pt"
    write(path)
    with pytest.raises(FileFormatError, match=rf"foreign\.pt.*{reason}"):
        TorchANNPotential.from_file(path)
    assert not _Shot.fired


@pytest.mark.parametrize("name", ["text", "empty", "torch", "another kind"])
def test_a_foreign_file_is_no_checkpoint_to_resume_from(name, tmp_path):
    path = tmp_path / "foreign.pt"
    FOREIGN[name][0](path)
    potential = small_data.fresh()
    with pytest.raises(FileFormatError, match=r"foreign\.pt"):
        potential.train(small_data.frames(), small_data.config(), resume_from=path)
    assert not potential.is_trained()


def test_a_model_file_is_no_checkpoint_to_resume_from(saved):
    with pytest.raises(FileFormatError, match=r"potential\.pt holds a potential, not a checkpoint"):
        small_data.fresh().train(small_data.frames(), small_data.config(), resume_from=saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt"):
        TorchANNPotential.from_file(tmp_path / "nowhere.pt")


def test_the_file_holds_no_pickle_and_its_header_can_be_read_by_anyone(saved):
    raw = saved.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    about = json.loads(header["__metadata__"]["potentia"])
    assert about["kind"] == "potential"
    assert about["settings"]["recipe"]["descriptor"]["species"] == ["Ti", "O"]
    assert set(safetensors.torch.load(raw)) >= {"model/feature_mean", "model/e_shift"}


def test_a_file_that_cannot_be_written_leaves_the_old_one(saved):
    before = saved.read_bytes()
    with pytest.raises(OSError, match="untouched"):
        small_data.trained().save(saved.parent / "no" / "such" / "folder.pt")
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["potential.pt"]


def test_a_potential_from_a_machine_with_other_devices_can_be_read(tmp_path):
    recipe, learned = small_data.trained().recipe(), small_data.trained().learned()
    recipe["descriptor"]["device"] = "cuda:7"
    skeleton, tensors = flatten(learned)
    write_file(tmp_path / "a.pt", "potential", {"recipe": recipe, "learned": skeleton, "extra_metadata": {}}, tensors)
    assert_same_bits(TorchANNPotential.from_file(tmp_path / "a.pt", device="cpu"), small_data.trained())
