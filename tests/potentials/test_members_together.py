"""Members of a committee that are trained together, as one batched model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from potentia import Adam, AdamW, Kalman
from potentia.errors import ConfigError, TrainingError
from potentia.potentials.committee.together_task import TogetherTask
from potentia.train import Cosine, ExponentialAverage
from potentials import small_data
from potentials.committees import train
from potentials.small_data import GRADIENTS

# ------------------------------------------------------------------------------------------------- batched

TOGETHER = {"checkpoint_dir": None, "iterations": 4}


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "mae", "force_weight": 0.3, "force_fraction": 0.5, "force_weight_schedule": [(0, 0.1), (3, 0.3)]},
        {"method": AdamW(mu=0.01, batchsize=5), "schedule": Cosine(4), "average": ExponentialAverage(0.9)},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param(GRADIENTS, marks=pytest.mark.slow),
        pytest.param(
            {"sampling_policy": "energy_weighted", "testpercent": 0, "force_weight": 1.0}, marks=pytest.mark.slow
        ),
    ],
    ids=["parts", "schedule", "energies", "forces", "weighted"],
)
def test_members_trained_together_are_those_trained_alone(settings, tmp_path):
    settings = TOGETHER | settings
    alone, single = train(tmp_path / "alone", members=3, **settings)
    together, result = train(tmp_path / "together", members=3, committee={"batched": True}, **settings)
    assert result.execution_mode == "batched"
    assert_alike(alone, together)
    for one, other in zip(single.members, result.members, strict=True):
        assert one.metrics.keys() == other.metrics.keys()
        np.testing.assert_allclose(list(other.metrics.values()), list(one.metrics.values()), rtol=1e-7, atol=1e-10)
        assert set(one.trainout.errors) == set(other.trainout.errors)
        np.testing.assert_allclose(other.trainout.errors, one.trainout.errors, rtol=1e-7, atol=1e-10)
        assert {path.name for path in one.member_dir.iterdir()} == {path.name for path in other.member_dir.iterdir()}


def assert_alike(one, other):
    """Members are the same but for rounding."""
    for a, b in zip(one.load_members(), other.load_members(), strict=True):
        for name, value in a.learned()["model"].items():
            torch.testing.assert_close(b.learned()["model"][name], value, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("resample", ["bootstrap", pytest.param("subset", marks=pytest.mark.slow)])
def test_members_trained_together_see_their_parts(resample, tmp_path):
    """In one batch each: then their number does not count."""
    settings = TOGETHER | {"method": Adam(mu=0.01, batchsize=None), **GRADIENTS}
    alone, _ = train(tmp_path / "alone", members=3, committee={"resample": resample}, **settings)
    parts = {"resample": resample, "batched": True}
    together, _ = train(tmp_path / "together", members=3, committee=parts, **settings)
    assert_alike(alone, together)
    train(tmp_path / "small", members=3, committee=parts, **settings | {"method": Adam(batchsize=3)})


def test_members_trained_together_go_on_as_if_unbroken(tmp_path, monkeypatch):
    settings = {"checkpoint_dir": "any", "save_best": False, "iterations": 4, "checkpoint_batches": 1}
    unbroken, _ = train(tmp_path / "whole", committee={"batched": True}, **settings)
    loss, calls = TogetherTask.loss, []

    def breaks(task, model, batch):
        calls.append(1)
        if len(calls) == 6:
            raise MemoryError("no more")
        return loss(task, model, batch)

    with monkeypatch.context() as patch:
        patch.setattr(TogetherTask, "loss", breaks)
        with pytest.raises(TrainingError, match=r"0 \(MemoryError: no more\), 1 \(MemoryError"):
            train(tmp_path / "run", committee={"batched": True}, **settings)
    committee, result = train(tmp_path / "run", committee={"batched": True}, **settings)
    assert len(result.completed_members) == 2
    for one, other in zip(unbroken.load_members(), committee.load_members(), strict=True):
        assert small_data.weights(one) == small_data.weights(other)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"method": Kalman()}, "method=Kalman"),
        ({"method": Adam(clip_norm=1.0)}, "clip_norm"),
        ({"use_scheduler": True}, "use_scheduler"),
        ({"early_stopping": 3}, "early_stopping"),
        ({"sampling_policy": "error_weighted"}, "error_weighted"),
        ({"checkpoint_dir": "any"}, "save_best"),
        ({"force_weight": 0.1, "force_scale_unbiased": True}, "force_scale_unbiased"),
    ],
)
def test_what_goes_by_each_member_is_refused_together(settings, named, tmp_path):
    with pytest.raises(ConfigError, match=f"for all members, so .*{named}"):
        train(tmp_path / "run", committee={"batched": True}, **settings)
    with pytest.raises(ConfigError, match="leave batched, or the executor"):
        train(tmp_path / "run", committee={"batched": True}, executor=ThreadPoolExecutor(1))


def test_features_that_do_not_fit_into_memory_are_not_for_members_together(tmp_path):
    with pytest.raises(TrainingError, match="needs all features in memory"):
        train(tmp_path / "run", committee={"batched": True}, memory_limit=1, **TOGETHER)
