"""Training: the errors that are reported, what seeds do, going on from weights, and that something is learned."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from potentia import SGD, Adam, ChebyshevDescriptor
from potentia.errors import ConfigError, NotFittedError, PotentiaWarning
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.geometry import Geometry
from potentials import small_data
from potentials.small_data import FREE, GRADIENTS, config, without
from terminals import Terminal

SOME = [
    without(s, *(["forces"] if k % 3 == 0 else []), *(["stress"] if k == 4 else []))
    for k, s in enumerate(small_data.frames(13))
]
"""Frames of which some have no forces, some no stress, and some neither."""
SEED = 2
"""Of a split in which both parts have all labels."""


def trained(structures=None, **changes):
    potential = small_data.fresh()
    return potential, potential.train(structures or small_data.frames(), config(**changes))


def errors(potential, structures):
    """RMSE and MAE from what `predict` says, over all structures and over all components."""
    out = potential.predict(structures, eval_forces=True, eval_stress=True)
    rows = list(zip(structures, out.total_energy, out.forces, out.stress, strict=True))
    residuals = {
        "": [(e - s.energy) / s.n_atoms for s, e, _, _ in rows],
        "_force": [f - s.forces for s, _, f, _ in rows if s.forces is not None],
        "_stress": [t - s.stress for s, _, _, t in rows if s.stress is not None],
        "_virial": [(t - s.stress) * s.volume / s.n_atoms for s, _, _, t in rows if s.stress is not None],
    }
    flat = {name: np.concatenate([np.ravel(part) for part in parts]) for name, parts in residuals.items()}
    return {name: (np.sqrt(np.mean(d**2)), np.mean(np.abs(d))) for name, d in flat.items()}


@pytest.mark.parametrize("batchsize", [1, 3, 64])
def test_the_errors_reported_are_those_of_the_predictions(batchsize):
    potential, out = trained(
        SOME, method=Adam(mu=0.01, batchsize=batchsize), testpercent=40, split_seed=SEED, **GRADIENTS
    )
    for split, indices in (("train", out.train_indices), ("test", out.test_indices)):
        expected = errors(potential, [SOME[k] for k in indices])
        for name in ("", "_force", "_stress"):
            last = out.errors.iloc[-1]
            found = last[f"RMSE{name}_{split}"], last.get(f"MAE{name}_{split}", math.nan)
            assert found == pytest.approx(expected[name], rel=1e-11)


def test_errors_in_an_epoch_are_summed_over_uneven_batches():
    """With a learning rate of nothing, the errors collected batch by batch are those of one pass."""
    _, out = trained(SOME, method=Adam(mu=1e-300, batchsize=3), iterations=3, **GRADIENTS)
    assert len(out.train_indices) == 11  # 3 + 3 + 3 + 2
    first, last = out.errors.iloc[0], out.errors.iloc[-1]
    np.testing.assert_allclose(first, last, rtol=1e-12)


def test_the_parity_data_has_the_errors_that_are_reported():
    _, out = trained(SOME, testpercent=40, split_seed=SEED, **GRADIENTS)
    for split, parity in (("train", out.train_parity), ("test", out.test_parity)):
        for name, infix in (("energy", ""), ("force", "_force"), ("stress", "_stress")):
            reference, predicted = parity.pair(name)
            rmse = np.sqrt(np.mean((predicted - reference) ** 2))
            assert rmse == pytest.approx(out.stats[f"final_RMSE{infix}_{split}"], rel=1e-12)


def test_the_table_has_the_columns_that_users_know():
    _, out = trained(iterations=3)
    columns = ["MAE_train", "RMSE_train", "MAE_test", "RMSE_test", "RMSE_force_train", "RMSE_force_test"]
    assert list(out.errors) == columns
    assert out.errors.index.tolist() == [1, 2, 3]
    assert out.errors.filter(like="force").isna().all(axis=None)
    assert not out.has_force_data
    assert list(out.timing) == small_data.TIMES
    assert (out.timing > 0).all(axis=None)
    assert (out.timing["epoch_time"] >= out.timing["forward_time"]).all()
    assert out.learning_rate == [0.01] * 3
    assert (out.seed, out.split_seed) == (1, 1)


def test_the_statistics_are_those_of_the_table():
    _, out = trained(SOME, iterations=5, testpercent=40, split_seed=SEED, **GRADIENTS)
    table, stats = out.errors, out.stats
    assert out.has_force_data
    assert out.has_stress_data
    for name in ("RMSE_test", "RMSE_force_test", "RMSE_stress_test"):
        assert stats[f"min_{name}"] == table[name].min()
        assert stats[f"epoch_min_{name}"] == table[name].idxmin()
    assert all(stats[f"final_{name}"] == table[name].iloc[-1] for name in table)


def test_the_split_is_disjoint_and_complete():
    _, out = trained(small_data.frames(13), testpercent=35)
    assert len(out.test_indices) == int(13 * 0.35)
    assert sorted(out.train_indices + out.test_indices) == list(range(13))


def test_nothing_may_be_held_out():
    _, out = trained(testpercent=0, **GRADIENTS)
    assert out.test_indices == []
    assert out.test_parity is None
    assert out.errors[["RMSE_test", "MAE_test", "RMSE_force_test"]].isna().all(axis=None)
    assert math.isnan(out.stats["min_RMSE_test"])
    assert np.isfinite(out.stats["final_RMSE_train"])


def test_no_epochs_are_no_training_but_a_potential():
    potential, out = trained(iterations=0, **GRADIENTS)
    assert len(out.errors) == 0
    assert all(math.isnan(value) for value in out.stats.values())
    assert potential.is_trained()
    assert np.isfinite(potential.predict(small_data.frames()).total_energy).all()
    again, _ = trained(iterations=0)
    assert small_data.weights(again) == small_data.weights(potential)


def test_force_labels_change_nothing_in_training_on_energies():
    bare = [without(s, "forces", "stress") for s in small_data.frames()]
    assert small_data.weights(trained(bare)[0]) == small_data.weights(trained()[0])


def test_each_label_counts_where_it_is_trained_on():
    shaken = {
        "forces": [replace(s, forces=s.forces * 1.01) for s in small_data.frames()],
        "stress": [s if s.stress is None else replace(s, stress=s.stress * 1.01) for s in small_data.frames()],
    }
    for label, weights in (("forces", {"force_weight": 0.3}), ("stress", {"stress_weight": 0.3})):
        expected = small_data.weights(trained(**weights)[0])
        for name, frames in shaken.items():
            assert (small_data.weights(trained(frames, **weights)[0]) != expected) == (name == label)


def test_equal_seeds_give_equal_weights_bit_for_bit():
    options = {"force_fraction": 0.5, "force_resample_num_epochs": 1, **GRADIENTS}
    first, second, other = (trained(seed=seed, **options)[0] for seed in (7, 7, 8))
    assert small_data.weights(first) == small_data.weights(second)
    assert small_data.weights(first) != small_data.weights(other)


def test_the_seed_of_the_split_changes_the_split_alone():
    runs = [trained(iterations=0, split_seed=k, normalize_features=False, normalize_energy=False) for k in (1, 2)]
    (one, first), (two, second) = runs
    assert first.test_indices != second.test_indices
    assert small_data.weights(one) == small_data.weights(two)
    _, third = trained(iterations=0, seed=99, split_seed=1)
    assert third.test_indices == first.test_indices


def test_without_a_seed_each_training_is_another_and_says_its_seed():
    (one, first), (two, second) = (trained(seed=None, split_seed=5) for _ in range(2))
    assert small_data.weights(one) != small_data.weights(two)
    assert first.seed != second.seed
    again, _ = trained(seed=first.seed, split_seed=5)
    assert small_data.weights(again) == small_data.weights(one)


def test_without_a_seed_training_goes_on_from_the_present_weights():
    potential, _ = trained()
    before = {name: t.clone() for name, t in potential.learned()["model"].items()}
    potential.train(small_data.frames(4), config(seed=None, iterations=1, method=SGD(lr=1e-300)))
    after = potential.learned()["model"]
    assert all((after[name] == before[name]).all() for name in before)
    potential.train(small_data.frames(), config(seed=1))
    assert small_data.weights(potential) == small_data.weights(trained()[0])


def test_fine_tuning_with_a_drawn_seed_is_done_again_by_that_seed(tmp_path):
    before, _ = trained()
    before.save(tmp_path / "before")
    new = {"iterations": 2, "split_seed": 5, **GRADIENTS}
    tuned = small_data.fresh()
    out = tuned.train(small_data.frames(14), config(seed=None, **new), init_from=tmp_path / "before")
    assert tuned.metadata["seed"] == out.seed
    again, goes_on, other, fresh = (small_data.fresh() for _ in range(4))
    again.train(small_data.frames(14), config(seed=out.seed, **new), init_from=tmp_path / "before")
    assert small_data.weights(again) == small_data.weights(tuned)
    other.train(small_data.frames(14), config(seed=out.seed + 1, **new), init_from=tmp_path / "before")
    fresh.train(small_data.frames(14), config(seed=out.seed, **new))
    assert small_data.weights(tuned) not in (small_data.weights(other), small_data.weights(fresh))
    before_buffers = {name: bits for name, bits in small_data.weights(before).items() if "feature" in name}
    assert before_buffers
    assert {name: small_data.weights(tuned)[name] for name in before_buffers} == before_buffers
    out = before.train(small_data.frames(14), config(seed=None, **new))  # goes on from what it is
    goes_on.train(small_data.frames(14), config(seed=out.seed, **new), init_from=tmp_path / "before")
    assert small_data.weights(goes_on) == small_data.weights(before)


def test_a_fine_tuning_is_resumed_without_its_first_weights(tmp_path):
    trained()[0].save(tmp_path / "before")
    settings = {"checkpoint_dir": str(tmp_path / "c"), "save_best": False, "seed": 3, "checkpoint_interval": 1}
    whole, resumed = small_data.fresh(), small_data.fresh()
    whole.train(small_data.frames(), config(iterations=3, **settings), init_from=tmp_path / "before")
    first = sorted((tmp_path / "c").iterdir())[0]
    resumed.train(small_data.frames(), config(iterations=2, **settings | {"checkpoint_dir": None}), first)
    assert small_data.weights(resumed) == small_data.weights(whole)


def test_first_weights_of_another_potential_are_refused(tmp_path):
    trained()[0].save(tmp_path / "before")
    other = small_data.fresh("sigmoid")
    with pytest.raises(ConfigError, match=r"init_from: .*before holds another potential than this one: arch.Ti"):
        other.train(small_data.frames(), config(), init_from=tmp_path / "before")
    with pytest.raises(ConfigError, match="resume_from goes on with all of a run, init_from begins a new one"):
        other.train(small_data.frames(), config(), tmp_path / "before", init_from=tmp_path / "before")


def test_training_that_goes_on_keeps_the_energies_of_free_atoms():
    potential, _ = trained()
    potential.train(small_data.frames(), config(seed=None, atomic_energies=None))
    assert potential.learned()["atomic_energies"] == FREE


def test_missing_energies_of_free_atoms_are_zero_and_warned_of_at_the_place_of_the_call():
    with pytest.warns(PotentiaWarning, match="No atomic_energies provided") as caught:
        potential, _ = trained(atomic_energies=None)
    assert {Path(w.filename).name for w in caught} == {Path(__file__).name}
    out = potential.predict(small_data.frames())
    assert out.cohesive_energy == out.total_energy


@pytest.mark.parametrize("name", ["use_scheduler", "save_best"])
def test_a_small_validation_set_is_warned_of(name, tmp_path):
    with pytest.warns(PotentiaWarning, match=rf"{name}=True with a validation set of only 2 structure\(s\)") as caught:
        trained(**{"save_best": False, name: True}, checkpoint_dir=tmp_path)
    assert {Path(w.filename).name for w in caught} == {Path(__file__).name}


def test_an_interrupted_training_leaves_the_potential_as_it_was(monkeypatch):
    potential, _ = trained()
    before = small_data.weights(potential)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("potentia.potentials.task.PotentialTask.score", interrupted)
    for seed in (None, 5):
        with pytest.raises(KeyboardInterrupt):
            potential.train(small_data.frames(), config(seed=seed))
    assert small_data.weights(potential) == before
    fresh = small_data.fresh()
    with pytest.raises(KeyboardInterrupt):
        fresh.train(small_data.frames(), config())
    with pytest.raises(NotFittedError):
        fresh.predict(small_data.frames())


def test_training_on_energies_touches_no_structure_after_the_first_epoch(monkeypatch):
    """All features come before the first batch, once per structure; derivatives are never asked for."""
    calls = []
    for name in ("features", "vjp", "jvp"):
        monkeypatch.setattr(ChebyshevDescriptor, name, _counted(calls, name, getattr(ChebyshevDescriptor, name)))
    monkeypatch.setattr(Descriptor, "geometry", _counted(calls, "geometry", Descriptor.geometry))
    select = Geometry.select
    monkeypatch.setattr(Geometry, "select", _counted(calls, "select", select))
    trained(iterations=6)
    assert [name for name in calls if name != "select"] == ["geometry", "features"]
    assert calls[:2] == ["geometry", "features"]
    assert calls.count("select") > 6


def _counted(calls, name, method):
    def counting(*arguments, **options):
        calls.append(name)
        return method(*arguments, **options)

    return counting


def test_pairs_are_kept_only_where_derivatives_are_trained_on(monkeypatch):
    seen = []
    keep = Geometry.keep_pairs
    monkeypatch.setattr(Geometry, "keep_pairs", lambda geometry, kept: seen.append(keep(geometry, kept)) or seen[-1])
    trained(SOME)
    assert seen[-1].n_pairs == 0
    trained(SOME, **GRADIENTS)
    atoms = seen[-1].start.diff()
    kept = {int(k) for k in seen[-1].owner[atoms > 0]}
    assert kept == {k for k, s in enumerate(SOME) if s.forces is not None or s.stress is not None}


def test_energies_and_forces_are_learned():
    _, out = trained(small_data.frames(40), iterations=30, method=Adam(mu=0.02, batchsize=4), force_weight=0.5)
    first, last = out.errors.iloc[0], out.errors.iloc[-1]
    for name in ("RMSE", "RMSE_force"):
        assert last[f"{name}_train"] < 0.3 * first[f"{name}_train"]
        assert last[f"{name}_test"] < 0.8 * first[f"{name}_test"]


def test_stress_is_learned():
    frames = [s for s in small_data.frames(40) if s.stress is not None]
    _, out = trained(frames, iterations=40, method=Adam(mu=0.02, batchsize=4), stress_weight=0.5)
    assert out.errors["RMSE_stress_train"].iloc[-1] < 0.5 * out.errors["RMSE_stress_train"].iloc[0]


def test_training_writes_and_prints_nothing_unasked(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    trained(**GRADIENTS)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
    assert Path.cwd() == tmp_path


def test_the_progress_bar_goes_to_the_error_stream_if_it_is_a_terminal(capfd, monkeypatch):
    asked = {"show_progress": True, "show_batch_progress": True}
    trained(**asked)
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(sys, "stderr", Terminal())
    trained(**asked)
    assert "2/2" in sys.stderr.getvalue()
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("capfd")
def test_settings_may_be_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    potential = small_data.fresh()
    with pytest.warns(PotentiaWarning, match="No atomic_energies provided"):
        out = potential.train([small_data.molecule(1)] * 3)
    assert len(out.errors) == 100
    assert len(list((tmp_path / "checkpoints").iterdir())) == 100
