"""Which structures are drawn, how much each counts, and that all of it goes on after an interruption."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from crossings import crossed
from potentia import SGD, Adam, TorchANNPotential
from potentia.errors import ConfigError, DataError
from potentia.potentials.datasets.contents import Contents
from potentia.potentials.task import PotentialTask
from potentia.train import Cosine, ExponentialAverage, Kalman, Run, UniformAverage, load_checkpoint
from potentials import small_data
from potentials.runs import result, train
from potentials.small_data import FREE, GRADIENTS

FRAMES = small_data.frames(12)
NOTHING = Adam(mu=1e-300, batchsize=20)
"""Weights rest, and an epoch is one batch."""


@pytest.fixture
def batches(monkeypatch):
    """Return the batches of structures that are trained on, one after the other."""
    seen, loss = [], PotentialTask.loss

    def watching(task, model, batch):
        seen.append((batch.structures.tolist(), loss(task, model, batch)))
        return seen[-1][1]

    monkeypatch.setattr(PotentialTask, "loss", watching)
    return seen


def drawn(batches):
    return [k for structures, _ in batches for k in structures]


def referenced(indices):
    return np.array([(s.energy - sum(FREE[n] for n in s.species)) / s.n_atoms for s in (FRAMES[k] for k in indices)])


def chi_square(counts, weights):
    expected = counts.sum() * weights / weights.sum()
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("policy", ["uniform", "energy_weighted", "error_weighted"])
def test_as_many_are_drawn_in_an_epoch_as_there_are(policy, batches):
    _, out = train(FRAMES, sampling_policy=policy, method=Adam(batchsize=4), iterations=3)
    assert [len(structures) for structures, _ in batches] == [4, 4, 2] * 3
    assert set(drawn(batches)) <= set(out.train_indices)
    each_once = [sorted(drawn(batches[k : k + 3])) == out.train_indices for k in (0, 3, 6)]
    assert each_once == [policy == "uniform"] * 3


def test_low_energies_are_drawn_more_often_in_the_known_proportion(batches):
    _, out = train(FRAMES, sampling_policy="energy_weighted", method=NOTHING, iterations=150, seed=5)
    above = referenced(out.train_indices) - referenced(out.train_indices).min()
    weights = 1 / (1 + above / above.max())
    assert weights.min() == 0.5
    counts = np.bincount(drawn(batches), minlength=12)[out.train_indices]
    assert counts.sum() == 150 * len(out.train_indices)
    assert chi_square(counts, weights) < chi2(len(weights) - 1).ppf(0.999)
    assert chi_square(counts, np.ones_like(weights)) > chi2(len(weights) - 1).ppf(0.999)


def test_equal_energies_are_drawn_evenly(batches):
    alike = [replace(s, energy=sum(FREE[name] for name in s.species) - s.n_atoms) for s in FRAMES]
    _, out = train(alike, sampling_policy="energy_weighted", method=NOTHING, iterations=100)
    counts = np.bincount(drawn(batches), minlength=12)[out.train_indices]
    assert chi_square(counts, np.ones(len(counts))) < chi2(len(counts) - 1).ppf(0.999)


def test_large_errors_are_drawn_more_often_with_scores_known_by_hand(batches, tmp_path):
    settings = {"sampling_policy": "error_weighted", "checkpoint_dir": tmp_path, "save_best": False}
    _, out = train(FRAMES, iterations=2, method=Adam(mu=0.01, batchsize=3), **settings)
    scores, first_epoch = np.ones(12), -(-len(out.train_indices) // 3)
    for epoch, part in enumerate((batches[:first_epoch], batches[first_epoch:])):
        errors = {}
        for structures, loss in part:
            for k, error in zip(structures, loss.scores[1].tolist(), strict=True):
                errors.setdefault(k, []).append(error)
        for k, found in errors.items():
            scores[k] = np.mean(found)
        saved = load_checkpoint(tmp_path / f"checkpoint_epoch_{epoch + 1:04d}.pt").run["memory"]["error_scores"]
        np.testing.assert_allclose(saved.numpy(), scores[Contents.of(FRAMES).order], rtol=1e-13)


def test_draws_by_errors_follow_the_errors(batches):
    """At weights that rest the errors are the same in each epoch, so the proportions are known."""
    potential, out = train(FRAMES, sampling_policy="error_weighted", method=NOTHING, iterations=150, seed=2)
    energies = potential.predict([FRAMES[k] for k in out.train_indices]).total_energy_per_atom
    errors = np.abs(
        [e - FRAMES[k].energy / FRAMES[k].n_atoms for e, k in zip(energies, out.train_indices, strict=True)]
    )
    assert set(drawn(batches[:20])) == set(out.train_indices)  # from then on each has its score
    counts = np.bincount(drawn(batches[20:]), minlength=12)[out.train_indices]
    assert chi_square(counts, errors) < chi2(len(errors) - 1).ppf(0.999)


# ---------------------------------------------------------------------------------------------------------- resuming

METHODS = {
    "adam": {"method": Adam(mu=0.02, batchsize=3)},
    "kalman": {"method": Kalman(batchsize=4)},
    "all together": {
        "method": SGD(lr=0.02, batchsize=3, momentum=0.9),
        "schedule": Cosine(total_epochs=4, warmup_epochs=1),
        "average": ExponentialAverage(decay=0.8),
    },
}
DRAWN = {"force_fraction": 0.5, "force_resample_num_epochs": 1, **GRADIENTS}


@pytest.mark.parametrize(
    ("policy", "limit", "method"), crossed(["energy_weighted", "error_weighted"], [None, 0], [*METHODS])
)
def test_resumed_in_the_middle_of_an_epoch_the_draws_are_the_same(policy, limit, method, tmp_path):
    settings = {"sampling_policy": policy, "memory_limit": limit, "save_best": False, **DRAWN, **METHODS[method]}
    whole = train(FRAMES, checkpoint_dir=tmp_path, checkpoint_batches=1, iterations=3, **settings)
    for name in ("0000_batch_000001", "0001", "0001_batch_000002", "0002_batch_000001"):
        resumed = train(FRAMES, tmp_path / f"checkpoint_epoch_{name}.pt", iterations=3 - int(name[:4]), **settings)
        assert result(*resumed) == result(*whole)


def test_another_policy_is_another_training(tmp_path):
    train(FRAMES, checkpoint_dir=tmp_path, save_best=False)
    path = tmp_path / "checkpoint_epoch_0002.pt"
    with pytest.raises(ConfigError, match=r"config\.sampling_policy: 'uniform' → 'error_weighted'"):
        train(FRAMES, path, sampling_policy="error_weighted")
    train(FRAMES, path, sampling_policy="error_weighted", allow_changes=("sampling_policy",))


# ---------------------------------------------------------------------------------------------------- force weights

SCHEDULE = {"force_weight": 0.5, "force_weight_schedule": [(0, 0.0), (2, 0.4), (3, 0.1)]}


def test_the_weight_of_forces_follows_its_schedule(batches):
    settings = {"method": Adam(mu=1e-300, batchsize=20), "iterations": 5, "testpercent": 0}
    train(FRAMES, **settings, **SCHEDULE)
    for epoch, (_, loss) in enumerate(batches):
        alpha = np.interp(epoch, [0, 2, 3], [0.0, 0.4, 0.1])
        rmse = {name: one.rmse for name, one in loss.sums.items()}
        assert loss.value.item() == pytest.approx((1 - alpha) * rmse["energy"] + alpha * rmse["force"], rel=1e-12)


def test_a_constant_schedule_is_the_weight_itself():
    constant = train(FRAMES, force_weight=0.3, force_weight_schedule=[(0, 0.3)], iterations=3)
    assert result(*constant) == result(*train(FRAMES, force_weight=0.3, iterations=3))


def test_a_scheduled_training_goes_on_where_it_stood(tmp_path):
    whole = train(FRAMES, checkpoint_dir=tmp_path, checkpoint_batches=1, save_best=False, iterations=4, **SCHEDULE)
    for name in ("0001_batch_000002", "0003"):
        path = tmp_path / f"checkpoint_epoch_{name}.pt"
        assert result(*train(FRAMES, path, iterations=4 - int(name[:4]), **SCHEDULE)) == result(*whole)


# ---------------------------------------------------------------------------------------------------- group weights


def grouped(frames):
    return [replace(s, info={"config_type": "crystal" if k % 2 == 0 else "molecule"}) for k, s in enumerate(frames)]


@pytest.mark.parametrize("limit", [None, 0], ids=["whole", "streamed"])
def test_the_weight_of_a_group_is_that_of_its_structures(limit):
    own = [replace(s, weight=1.0 + 0.5 * (k % 3)) for k, s in enumerate(grouped(FRAMES))]
    both = [replace(s, weight=s.weight * (3.0 if s.info["config_type"] == "crystal" else 1.0)) for s in own]
    found = train(own, group_weights={"crystal": 3.0}, memory_limit=limit, **GRADIENTS)
    assert result(*found) == result(*train(both, **GRADIENTS))
    assert result(*found)[0] != result(*train(own, **GRADIENTS))[0]


def test_a_group_of_weight_zero_is_not_learned():
    wrong = [replace(s, energy=s.energy + 0.5 * s.n_atoms * (k % 2)) for k, s in enumerate(grouped(FRAMES))]
    settings = {"normalize_energy": False, "normalize_features": False, "group_weights": {"molecule": 0.0}}
    assert small_data.weights(train(wrong, **settings)[0]) == small_data.weights(train(grouped(FRAMES), **settings)[0])


def test_groups_may_have_another_key_and_must_be_there():
    frames = [replace(s, info={"phase": "a" if k < 6 else "b"}) for k, s in enumerate(FRAMES)]
    twice = [replace(s, weight=2.0 if k < 6 else 1.0) for k, s in enumerate(frames)]
    assert result(*train(frames, group_key="phase", group_weights={"a": 2.0})) == result(*train(twice))
    with pytest.raises(ConfigError, match=r"group_weights names c, but no structure has that 'phase'; there are: a, b"):
        train(frames, group_key="phase", group_weights={"a": 2.0, "c": 1.0})


# ------------------------------------------------------------------------------------------------ losses and methods


@pytest.mark.parametrize(
    ("loss", "method"), crossed(["rmse", "mae", "huber"], [Adam(mu=0.02, batchsize=4), Kalman(batchsize=4)])
)
def test_every_loss_is_lowered_by_every_method(loss, method):
    _, out = train(FRAMES, loss=loss, method=method, iterations=12, **GRADIENTS)
    for name in ("MAE_train", "RMSE_force_train"):
        assert out.errors[name].iloc[-1] < 0.7 * out.errors[name].iloc[0]


def test_the_loss_is_the_measure_that_was_named(batches):
    settings = {"method": Adam(mu=1e-300, batchsize=20), "iterations": 1, "testpercent": 0, "force_weight": 0.4}
    train(FRAMES, loss="mae", **settings)
    train(FRAMES, loss="huber", huber_delta=0.05, **settings)
    mae, huber = (loss for _, loss in batches)
    assert mae.value.item() == pytest.approx(0.6 * mae.sums["energy"].mae + 0.4 * mae.sums["force"].mae, rel=1e-12)
    assert mae.value.item() - 0.025 <= huber.value.item() < mae.value.item()


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "lbfgs", "lm", "kalman", "auto"])
def test_every_method_can_be_named(name):
    potential, out = train(FRAMES, method=name, force_weight=0.2)
    assert np.isfinite(out.stats["final_RMSE_train"])
    assert potential.metadata["training_config"]["method"] is not None


def test_auto_is_the_method_that_it_stands_for():
    assert result(*train(FRAMES, method="auto")) == result(*train(FRAMES, method=Kalman()))
    assert result(*train(FRAMES, method="auto", **GRADIENTS)) == result(
        *train(FRAMES, method=Kalman(batchsize=8), **GRADIENTS)
    )


# --------------------------------------------------------------------------------------------------------- averages


@pytest.mark.parametrize("average", [ExponentialAverage(decay=0.7), UniformAverage()])
def test_the_averaged_weights_are_what_is_returned_scored_and_saved(average, tmp_path, monkeypatch):
    steps, follow = [], Run.follow_weights

    def watching(run):
        follow(run)
        steps.append({name: p.detach().clone() for name, p in run.model.named_parameters()})

    monkeypatch.setattr(Run, "follow_weights", watching)
    with pytest.warns(UserWarning, match="validation set of only"):
        potential, out = train(FRAMES, average=average, checkpoint_dir=tmp_path, testpercent=30, iterations=3)
    mean, expected = {}, potential.learned()["model"]
    for count, weights in enumerate(steps, 1):
        part = average.part(count)
        mean = {name: mean.get(name, w) * (1 - part) + w * part for name, w in weights.items()}
    for name, value in mean.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-12, atol=1e-14)
        assert not torch.equal(value, steps[-1][name])
    saved = TorchANNPotential.from_file(tmp_path / "checkpoint_epoch_0003.pt")
    assert small_data.weights(saved) == small_data.weights(potential)
    best = TorchANNPotential.from_file(tmp_path / "best_model.pt")
    held_out = [FRAMES[k] for k in out.test_indices]
    residuals = [
        e - s.energy / s.n_atoms for e, s in zip(best.predict(held_out).total_energy_per_atom, held_out, strict=True)
    ]
    assert np.sqrt(np.mean(np.square(residuals))) == pytest.approx(out.stats["min_RMSE_test"], rel=1e-10)


def test_labels_of_forces_are_needed_in_training():
    bare = [small_data.without(s, "forces", "stress") for s in FRAMES]
    with pytest.raises(DataError, match="no structure of the 10 in training has a force label"):
        train(bare, sampling_policy="error_weighted", force_weight=0.5)
