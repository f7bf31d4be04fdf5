"""Laws of potentials that several processes train together; run as a script it is one of them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from potentia import LBFGS, Adam, Kalman, LevenbergMarquardt
from potentia.errors import TrainingError
from potentia.train import newest_checkpoint
from potentials import small_data
from potentials.small_data import GRADIENTS, config, without
from processes import reports, torchrun

pytestmark = pytest.mark.slow

FEW = {"force_weight": 0.4, "stress_weight": 0.2, "force_fraction": 0.6, "force_scale_unbiased": True}
SETTINGS = {
    "energies": {},
    "forces and stress": {**GRADIENTS, "method": Adam(mu=0.01, batchsize=5)},
    "some forces": {**FEW, "loss": "huber", "method": Adam(mu=0.01, batchsize=3)},
    "one structure": {**GRADIENTS, "method": Adam(mu=0.01, batchsize=1), "testpercent": 10},
    "no test": {**GRADIENTS, "testpercent": 0},
    "only forces": {"force_weight": 1.0, "method": Adam(mu=0.01, batchsize=2)},
    "streamed": {**GRADIENTS, "memory_limit": 0, "num_workers": 1},
    "single precision": {**GRADIENTS, "precision": "float32"},
    "lbfgs": {**GRADIENTS, "method": LBFGS()},
    "kalman": {**GRADIENTS, "method": Kalman(batchsize=3)},
    "kalman, one structure": {"method": Kalman(batchsize=1)},
    "kalman, only forces": {"force_weight": 1.0, "method": Kalman(batchsize=1)},
    "lm, only forces": {"force_weight": 1.0, "method": LevenbergMarquardt(batchsize=2)},
    "lm": {**GRADIENTS, "method": LevenbergMarquardt()},
}
CLOSE = {"single precision": 1e-4}
SOME = [
    without(s, *(["forces"] if k % 3 == 0 else []), *(["stress"] if k == 4 else []))
    for k, s in enumerate(small_data.frames(11))
]
"""Frames of which some have no forces, some no stress, and some neither."""


def trained(structures=None, resume_from=None, **settings):
    potential = small_data.fresh()
    out = potential.train(structures or SOME, config(**{"iterations": 2, "save_best": False, **settings}), resume_from)
    return potential, out


def told(potential, out):
    """Everything that is learned and reported, but the times, as JSON."""
    parities = {"train": out.train_parity, "test": out.test_parity}
    return {
        "weights": [x for t in potential.learned()["model"].values() for x in t.double().flatten().tolist()],
        "history": [[v for k, v in row.items() if k not in small_data.TIMES] for row in out.history],
        "parity": {
            f"{part} {name}": value.ravel().tolist()
            for part, parity in parities.items()
            if parity is not None
            for name, value in vars(parity).items()
            if isinstance(value, np.ndarray)
        },
        "split": [out.train_indices, out.test_indices, out.seed, out.split_seed],
    }


def assert_close(one, other, rel):
    assert one["split"] == other["split"]
    assert list(one["parity"]) == list(other["parity"])
    for name in ("weights", "history"):
        np.testing.assert_allclose(np.ravel(one[name]), np.ravel(other[name]), rel, 1e-3 * rel)
    for name, values in one["parity"].items():
        np.testing.assert_allclose(values, other["parity"][name], rel, 1e-2 * rel, err_msg=name)


# What two processes find, started once for all laws below


def learned(folder):
    return {name: told(*trained(**settings)) for name, settings in SETTINGS.items()}


def unseeded(folder):
    return told(*trained(seed=None))


def checkpoints(folder):
    """The first writes; both go on from there."""
    trained(checkpoint_dir=folder / os.environ["RANK"], checkpoint_batches=1, **GRADIENTS)
    trained(checkpoint_dir=folder / "same", max_checkpoints=2, **GRADIENTS)
    return told(*trained(resume_from=newest_checkpoint(folder / "same"), **GRADIENTS))


def differences(folder):
    with pytest.raises(TrainingError) as error:
        trained(SOME[::-1] if os.environ["RANK"] == "1" else SOME)
    return str(error.value)


LAWS = [learned, unseeded, checkpoints, differences]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def both(folder):
    """Return what each of the two has found."""
    return reports(__file__, folder)


@pytest.mark.parametrize("name", SETTINGS)
def test_two_learn_what_one_does(both, name):
    one, two = (found["learned"][name] for found in both)
    assert repr(one) == repr(two)
    assert_close(one, json.loads(json.dumps(told(*trained(**SETTINGS[name])))), CLOSE.get(name, 1e-7))


def test_without_a_seed_all_take_that_of_the_first(both):
    assert repr(both[0]["unseeded"]) == repr(both[1]["unseeded"])


def test_the_first_writes_and_all_go_on(both, folder):
    assert sorted(path.name for path in folder.iterdir()) == ["0", "same"]
    assert len(list((folder / "0").iterdir())) == 8
    assert len(list((folder / "same").iterdir())) == 2
    one, two = (found["checkpoints"] for found in both)
    assert repr(one) == repr(two)
    assert_close(one, told(*trained(resume_from=newest_checkpoint(folder / "same"), **GRADIENTS)), 1e-7)
    assert_close(one, told(*trained(iterations=4, **GRADIENTS)), 1e-7)


def test_other_data_in_one_of_them_are_noticed(both):
    for found in both:
        assert found["differences"].startswith("settings or data differ between the 2 processes (those of 1 from")


def test_three_processes_of_torchrun_learn_what_one_does(tmp_path):
    found = [json.loads(text)["learned"] for text in torchrun(tmp_path / "logs", __file__, tmp_path, n=3)]
    assert repr(found[0]) == repr(found[1]) == repr(found[2])
    for name, settings in SETTINGS.items():
        assert_close(found[0][name], told(*trained(**settings)), CLOSE.get(name, 1e-7))


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = {law.__name__: law(Path(sys.argv[1])) for law in LAWS}
    sys.stdout.write(json.dumps(found))
