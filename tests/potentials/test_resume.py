"""Resuming the training of a potential: interrupted anywhere, it goes on as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from potentia import SGD, Adam, TorchANNPotential
from potentia.errors import ConfigError
from potentia.train import newest_checkpoint
from potentials import small_data
from potentials.runs import result
from potentials.small_data import GRADIENTS

pytestmark = pytest.mark.filterwarnings("ignore:.*with a validation set of only:potentia.errors.PotentiaWarning")

SCHEDULED = {"use_scheduler": True, "testpercent": 40, "method": Adam(mu=0.1, batchsize=3)}
SETTINGS = {
    "adam, energies": {},
    "adam, weight decay": {"method": Adam(mu=0.02, batchsize=3, weight_decay=1e-3), **GRADIENTS},
    "momentum, energies": {"method": SGD(lr=0.02, batchsize=4, momentum=0.9)},
    "momentum, forces and stress": {"method": SGD(lr=0.02, batchsize=4, momentum=0.9), **GRADIENTS},
    "forces drawn each epoch": {"force_fraction": 0.5, "force_resample_num_epochs": 1, **GRADIENTS},
    "scheduler": {**SCHEDULED, "scheduler_patience": 0, "scheduler_factor": 0.7},
    "scheduler, forces": {**SCHEDULED, "scheduler_patience": 1, **GRADIENTS},
    "single precision": {"precision": "float32", **GRADIENTS},
    "no seed": {"seed": None},
}
FORCES = SETTINGS["forces drawn each epoch"]
FEW = ("momentum, energies", "scheduler, forces", "no seed")
REPEATED = ("adam, energies", "momentum, energies", "scheduler", "single precision")


def train(epochs, folder=None, resume_from=None, structures=None, allow=(), **settings):
    potential = small_data.fresh()
    options = {"save_best": False, "checkpoint_batches": 1} | settings
    config = small_data.config(iterations=epochs, checkpoint_dir=folder, **options)
    out = potential.train(structures or small_data.frames(), config, resume_from, allow_changes=allow)
    return potential, out


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in SETTINGS]
)
def test_four_epochs_and_four_more_are_eight(name, tmp_path):
    settings = SETTINGS[name]
    _, first = train(4, tmp_path, **settings)
    resumed = train(4, resume_from=tmp_path / "checkpoint_epoch_0004.pt", **settings)
    assert len(resumed[1].errors) == 8
    assert result(*resumed) == result(*train(8, **{**settings, "seed": first.seed}))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in REPEATED else ()) for name in SETTINGS]
)
def test_resumed_in_the_middle_of_any_epoch_it_is_the_same(name, tmp_path):
    settings = SETTINGS[name]
    _, out = train(3, tmp_path, **settings)
    whole = result(*train(3, **{**settings, "seed": out.seed}))
    middle = [point for point in names(tmp_path) if "batch" in point and not point.endswith("batch_000003.pt")]
    assert len(middle) >= 3
    for point in middle:
        done = int(point[17:21])
        assert result(*train(3 - done, resume_from=tmp_path / point, **settings)) == whole


def test_the_schedule_and_the_drawing_do_act_so_that_the_laws_above_mean_something():
    for name in ("scheduler", "scheduler, forces"):
        _, out = train(8, **SETTINGS[name])
        assert out.learning_rate[-1] < out.learning_rate[0]
    assert result(*train(3, **FORCES)) != result(*train(3, **{**FORCES, "force_resample_num_epochs": 0}))


def test_many_interruptions_change_nothing(tmp_path):
    train(1, tmp_path, **FORCES)
    for _ in range(3):
        last = train(1, tmp_path, newest_checkpoint(tmp_path), **FORCES)
    assert result(*last) == result(*train(4, **FORCES))
    assert "checkpoint_epoch_0004.pt" in names(tmp_path)


def test_writing_checkpoints_changes_nothing(tmp_path):
    assert result(*train(3, tmp_path, **FORCES)) == result(*train(3, **FORCES))


def test_a_checkpoint_in_hand_needs_no_seed_and_no_energies_of_free_atoms(tmp_path):
    train(2, tmp_path, **FORCES)
    resumed = train(
        2, resume_from=tmp_path / "checkpoint_epoch_0002.pt", **{**FORCES, "seed": None, "atomic_energies": None}
    )
    assert result(*resumed) == result(*train(4, **FORCES))


def test_no_more_epochs_change_nothing(tmp_path):
    whole = train(2, tmp_path)
    assert result(*train(0, resume_from=tmp_path / "checkpoint_epoch_0002.pt")) == result(*whole)


def test_the_best_model_can_be_resumed(tmp_path):
    settings = {"testpercent": 40, "save_best": True, "method": SGD(lr=0.3, batchsize=4)}
    _, out = train(6, tmp_path, **settings)
    best = out.stats["epoch_min_RMSE_test"]
    folder = tmp_path / "again"
    train(best, folder, **settings)
    resumed = train(2, resume_from=folder / "best_model.pt", **settings)
    assert len(resumed[1].errors) == best + 2
    assert result(*resumed) == result(*train(best + 2, **settings))


def test_the_best_model_is_that_of_the_best_epoch(tmp_path):
    settings = {"testpercent": 40, "save_best": True, "method": SGD(lr=0.3, batchsize=4)}
    _, out = train(6, tmp_path, **settings)
    opened = TorchANNPotential.from_file(tmp_path / "best_model.pt")
    frames = small_data.frames()
    found = opened.predict([frames[k] for k in out.test_indices]).total_energy_per_atom
    labels = [frames[k].energy / frames[k].n_atoms for k in out.test_indices]
    rmse = (sum((a - b) ** 2 for a, b in zip(found, labels, strict=True)) / len(labels)) ** 0.5
    assert rmse == pytest.approx(out.stats["min_RMSE_test"], rel=1e-11)


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    train(5, tmp_path, max_checkpoints=2, checkpoint_batches=0)
    assert names(tmp_path) == ["checkpoint_epoch_0004.pt", "checkpoint_epoch_0005.pt"]
    train(2, tmp_path, tmp_path / "checkpoint_epoch_0005.pt", max_checkpoints=2, checkpoint_batches=0)
    assert names(tmp_path) == ["checkpoint_epoch_0006.pt", "checkpoint_epoch_0007.pt"]
    train(3, tmp_path / "three", max_checkpoints=3, checkpoint_interval=2, save_best=True, testpercent=40)
    assert names(tmp_path / "three") == [
        "best_model.pt",
        "checkpoint_epoch_0002_batch_000001.pt",
        "checkpoint_epoch_0002_batch_000002.pt",
        "checkpoint_epoch_0003.pt",
    ]


def test_checkpoints_come_as_often_as_asked_for(tmp_path):
    train(5, tmp_path / "a", checkpoint_interval=2, checkpoint_batches=0)
    assert names(tmp_path / "a") == [f"checkpoint_epoch_000{k}.pt" for k in (2, 4, 5)]  # the last one in any case
    train(2, tmp_path / "b", checkpoint_interval=0, checkpoint_batches=0)
    assert not (tmp_path / "b").exists()


def changed_frames():
    frames = list(small_data.frames())
    frames[3] = replace(frames[3], positions=frames[3].positions + 1e-9)
    return frames


CHANGES = {
    "data": ({"structures": changed_frames()}, r"data\.sha256: '.* → '", ("data",)),
    "labels": (
        {"structures": [replace(s, energy=s.energy + 1e-6) for s in small_data.frames()]},
        r"data\.sha256",
        ("sha256",),
    ),
    "batch size": ({"method": Adam(mu=0.01, batchsize=5)}, r"config\.method\.batchsize: 4 → 5", ("batchsize",)),
    "learning rate": ({"method": Adam(mu=0.02, batchsize=4)}, r"config\.method\.mu: 0\.01 → 0\.02", ("mu",)),
    "loss": ({"force_weight": 0.7}, r"config\.force_weight: 0\.3 → 0\.7", ("force_weight",)),
    "seed": ({"seed": 2}, r"seed: 1 → 2", ("seed",)),
    "split": ({"split_seed": 2}, r"split\.split_seed: 1 → 2", ("split",)),
    "energies of free atoms": (
        {"atomic_energies": {"Ti": -5.0, "O": -3.5}},
        r"atomic_energies\.O: -3\.0 → -3\.5",
        ("atomic_energies",),
    ),
}


@pytest.mark.parametrize(("change", "difference", "allow"), CHANGES.values(), ids=CHANGES)
def test_another_training_is_refused_with_what_has_changed_unless_allowed(change, difference, allow, tmp_path):
    path = tmp_path / "checkpoint_epoch_0002.pt"
    train(2, tmp_path, **GRADIENTS)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with pytest.raises(ConfigError, match=rf"checkpoint_epoch_0002\.pt belongs to another training; .*\s+{difference}"):
        train(1, tmp_path, path, **{**GRADIENTS, **change})
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before
    _, out = train(1, None, path, allow=allow, **{**GRADIENTS, **change})
    assert len(out.errors) == 3


def test_seeds_that_may_change_hold(tmp_path):
    path = tmp_path / "checkpoint_epoch_0002.pt"
    train(2, tmp_path)
    _, out = train(1, None, path, allow=("seed", "split"), seed=2, split_seed=5)
    assert (out.seed, out.split_seed) == (2, 5)
    _, fresh = train(0, split_seed=5)
    assert out.test_indices == fresh.test_indices
    found = {seed: small_data.weights(train(1, None, path, allow=("seed",), seed=seed)[0]) for seed in (None, 1, 2)}
    assert found[None] == found[1] != found[2]


def test_another_architecture_is_refused(tmp_path):
    train(1, tmp_path)
    other = TorchANNPotential({"Ti": [(7, "tanh")], "O": [(5, "tanh")]}, small_data.DESCRIPTOR)
    with pytest.raises(ConfigError, match=r"recipe\.arch\.Ti"):
        other.train(small_data.frames(), small_data.config(), tmp_path / "checkpoint_epoch_0001.pt")
    assert not other.is_trained()


def test_a_trained_potential_resumes_from_the_checkpoint_not_from_itself(tmp_path):
    whole = train(4, **FORCES)
    train(2, tmp_path, **FORCES)
    potential, _ = train(1, seed=77)
    config = small_data.config(**{**FORCES, "seed": None})
    out = potential.train(small_data.frames(), config, tmp_path / "checkpoint_epoch_0002.pt")
    assert result(potential, out) == result(*whole)
