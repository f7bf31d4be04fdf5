"""What a training hands back: tables, files, errors of parts, forecasts, and the rules that end it early."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from potentia import SGD, Adam, ChebyshevDescriptor, TorchANNPotential
from potentia.errors import ConfigError, PotentiaWarning
from potentia.potentials.tables import Energies, read_forces
from potentia.potentials.task import PotentialTask
from potentia.train import newest_checkpoint
from potentials import small_data
from potentials.runs import database, in_memory, result, train
from potentials.small_data import DESCRIPTOR, GRADIENTS, without

pytestmark = pytest.mark.filterwarnings("ignore:.*with a validation set of only:potentia.errors.PotentiaWarning")

FRAMES = [
    replace(
        without(s, *(["forces", "stress"] if k % 5 == 4 else [])),
        info={"config_type": "solid" if k % 2 == 0 else "gas"},
    )
    for k, s in enumerate(small_data.frames(13))
]
PARTS = ("train", "test")


def parts(out):
    return zip(PARTS, (out.train_indices, out.test_indices), strict=True)


# ----------------------------------------------------------------------------------------------- tables and files


@pytest.mark.parametrize("streamed", [False, True])
def test_tables_of_energies_and_forces_are_the_predictions_to_the_last_digit(streamed, tmp_path):
    settings = {"output_dir": str(tmp_path / "tables"), "save_energies": True, "save_forces": True, "testpercent": 30}
    limit = {"memory_limit": 0} if streamed else {}
    potential, out = train(FRAMES, **settings, **limit, **GRADIENTS)
    files = sorted(path.name for path in (tmp_path / "tables").iterdir())
    assert files == ["energies.test.0", "energies.train.0", "forces.test.0", "forces.train.0"]
    read = Energies(tmp_path / "tables/energies.train.0", tmp_path / "tables/energies.test.0")
    for name, indices in parts(out):
        table, own = getattr(read, f"energies_{name}"), getattr(out.energies, f"energies_{name}")
        assert table.equals(own)
        structures = {FRAMES[k].name: FRAMES[k] for k in indices}
        assert sorted(table["Path-of-input-file"]) == sorted(structures)
        ordered = [structures[path] for path in table["Path-of-input-file"]]
        predicted = potential.predict(ordered, eval_forces=True)
        assert table["Ref(eV)"].tolist() == [s.energy for s in ordered]
        np.testing.assert_allclose(table["ANN(eV)"], predicted.total_energy, rtol=1e-14)
        forces = read_forces(tmp_path / f"tables/forces.{name}.0")
        labelled = [k for k, s in enumerate(ordered) if s.forces is not None]
        expected = np.concatenate([predicted.forces[k] for k in labelled])
        np.testing.assert_allclose(forces[[f"ANN-F{axis}(eV/Ang)" for axis in "xyz"]], expected, rtol=0, atol=1e-14)
        reference = np.concatenate([ordered[k].forces for k in labelled])
        assert (forces[[f"Ref-F{axis}(eV/Ang)" for axis in "xyz"]].to_numpy() == reference).all()
        places = {s.name: k for k, s in enumerate(FRAMES)}
        assert set(forces["Structure"]) == {places[ordered[k].name] for k in labelled}


def test_tables_are_written_only_where_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(FRAMES, **GRADIENTS)
    assert not list(tmp_path.iterdir())
    train(FRAMES, save_energies=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["energies.test.0", "energies.train.0"]


def test_cost_is_the_error_in_the_units_of_the_network():
    potential, out = train(FRAMES)
    table = out.energies.energies_train
    scaling = potential.learned()["model"]["e_scaling"].item()
    np.testing.assert_allclose(table["Cost-Func"], table["Ref-ANN(eV/atom)"] * scaling, rtol=1e-13)


def test_entries_of_a_database_are_called_by_source_and_frame(tmp_path):
    dataset = database(tmp_path / "a.h5", FRAMES)
    _, out = train(datasets={"dataset": dataset}, testpercent=30)
    for name, indices in parts(out):
        expected = [f"source {k // 3}#frame={k % 3}" for k in indices]
        assert sorted(getattr(out.energies, f"energies_{name}")["Path-of-input-file"]) == sorted(expected)


def test_errors_of_groups_and_species_are_those_of_numpy():
    potential, out = train(FRAMES, testpercent=40, split_seed=2, **GRADIENTS)  # both groups are in both parts
    groups, species = out.errors_by_group(), out.errors_by_species()
    for name, indices in parts(out):
        predicted = potential.predict([FRAMES[k] for k in indices], eval_forces=True)
        rows = [(FRAMES[k], e, f) for k, e, f in zip(indices, predicted.total_energy, predicted.forces, strict=True)]
        for group in ("solid", "gas"):
            error = [(e - s.energy) / s.n_atoms for s, e, _ in rows if s.info["config_type"] == group]
            labelled = [(s, f) for s, _, f in rows if s.info["config_type"] == group and s.forces is not None]
            force = np.concatenate([(f - s.forces).ravel() for s, f in labelled])
            row = groups.loc[(name, group)]
            assert (row["structures"], row["force_components"]) == (len(error), len(force))
            assert row["RMSE"] == pytest.approx(np.sqrt(np.mean(np.square(error))), rel=1e-11)
            assert row["MAE_force"] == pytest.approx(np.mean(np.abs(force)), rel=1e-11)
            assert row["max_force"] == pytest.approx(np.max(np.abs(force)), rel=1e-11)
        for element in ("Ti", "O"):
            force = [
                f[k] - s.forces[k]
                for s, _, f in rows
                if s.forces is not None
                for k in range(s.n_atoms)
                if s.species[k] == element
            ]
            row = species.loc[(name, element)]
            assert row["atoms"] == len(force)
            assert row["RMSE_force"] == pytest.approx(np.sqrt(np.mean(np.square(force))), rel=1e-11)


@pytest.mark.parametrize("batchsize", [1, 4, 100])
@pytest.mark.parametrize("policy", ["uniform", "energy_weighted", "error_weighted"])
def test_the_errors_reported_last_are_those_of_the_whole_parts_however_they_were_drawn(batchsize, policy):
    settings = {"method": Adam(mu=0.01, batchsize=batchsize), "sampling_policy": policy, "force_fraction": 0.5}
    potential, out = train(FRAMES, testpercent=30, memory_limit=0, **settings, **GRADIENTS)
    for name, indices in parts(out):
        frames = [FRAMES[k] for k in indices]
        found = potential.predict(frames, eval_forces=True)
        energy = [(e - s.energy) / s.n_atoms for e, s in zip(found.total_energy, frames, strict=True)]
        force = [(f - s.forces).ravel() for f, s in zip(found.forces, frames, strict=True) if s.forces is not None]
        assert out.stats[f"final_RMSE_{name}"] == pytest.approx(np.sqrt(np.mean(np.square(energy))), rel=1e-11)
        rmse = np.sqrt(np.mean(np.square(np.concatenate(force))))
        assert out.stats[f"final_RMSE_force_{name}"] == pytest.approx(rmse, rel=1e-11)


def test_the_record_of_a_potential_has_the_history_that_was_handed_back():
    potential, out = train(FRAMES, iterations=3, **GRADIENTS)
    history = potential.metadata["training_history"]
    for name in out.errors:
        np.testing.assert_array_equal(history[name].numpy(), out.errors[name])


# -------------------------------------------------------------------------------------------------- ending early


def test_it_ends_when_nothing_gets_better_and_says_so(tmp_path):
    settings = {"method": SGD(lr=1e-300), "early_stopping": 2, "iterations": 9, "testpercent": 30, "save_best": False}
    _, out = train(FRAMES, checkpoint_dir=tmp_path, **settings)
    assert len(out.errors) == 3
    assert "no better than" in out.ended
    assert "It ended early: no better than" in str(out)
    with pytest.warns(PotentiaWarning, match="this run was stopped after epoch 3") as caught:
        small_data.fresh().train(FRAMES, small_data.config(**settings), tmp_path / "checkpoint_epoch_0003.pt")
    assert {Path(w.filename).name for w in caught} == {Path(__file__).name}


def test_a_training_that_gets_better_is_not_stopped_and_waits_on_after_resuming(tmp_path):
    settings = {"early_stopping": 3, "early_stopping_min_delta": 1.0, "testpercent": 30, "save_best": False}
    _, whole = train(FRAMES, iterations=9, **settings)
    train(FRAMES, checkpoint_dir=tmp_path, iterations=2, **settings)
    _, resumed = train(FRAMES, tmp_path / "checkpoint_epoch_0002.pt", iterations=7, **settings)
    assert len(whole.errors) == len(resumed.errors) == 4
    _, out = train(FRAMES, iterations=4, early_stopping=1, testpercent=30)
    assert out.errors["RMSE_test"].is_monotonic_decreasing
    assert (len(out.errors), out.ended) == (4, "")


@pytest.mark.parametrize("name", ["early_stopping", "use_scheduler"])
def test_what_goes_by_the_validation_needs_one(name):
    with pytest.raises(ConfigError, match=f"{name}=1 needs structures held out|{name}=True needs structures held out"):
        train(FRAMES, testpercent=0, **{name: True if name == "use_scheduler" else 1})


@pytest.mark.parametrize("limit", [None, 0], ids=["whole", "streamed"])
def test_time_is_up_and_the_rest_is_trained_later(limit, tmp_path, monkeypatch):
    clock = itertools.count()
    settings = {"memory_limit": limit, "save_best": False, "method": Adam(mu=0.02, batchsize=3), **GRADIENTS}
    with monkeypatch.context() as patch:
        patch.setattr("potentia.train.stopping.time.monotonic", lambda: float(next(clock)))
        _, out = train(FRAMES, checkpoint_dir=tmp_path, checkpoint_interval=0, max_time=6, iterations=4, **settings)
    assert out.ended == "the time of 6 s is up"
    path = newest_checkpoint(tmp_path)
    assert path.name == "checkpoint_epoch_0001_batch_000002.pt"
    assert result(*train(FRAMES, path, iterations=3, **settings)) == result(*train(FRAMES, iterations=4, **settings))


@pytest.mark.slow
def test_a_training_that_gets_sigterm_ends_well_and_is_resumed(tmp_path):
    script = [sys.executable, Path(small_data.__file__), tmp_path]
    with subprocess.Popen(script, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not newest_checkpoint(tmp_path) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == b""
    settings = {"save_best": False, **GRADIENTS}
    potential, out = train(None, newest_checkpoint(tmp_path), iterations=2, **settings)
    assert result(potential, out) == result(*train(iterations=len(out.errors), **settings))


# ---------------------------------------------------------------------------------------- precision, device, memory


def test_single_precision_is_that_of_the_networks():
    single, out = train(FRAMES, precision="float32", **GRADIENTS)
    double, _ = train(FRAMES, precision="float64", **GRADIENTS)
    assert {t.dtype for n, t in single.learned()["model"].items() if "networks" in n} == {torch.float32}
    assert result(double, out)[0] == small_data.weights(train(FRAMES, **GRADIENTS)[0])
    found, expected = (p.predict(FRAMES).total_energy for p in (single, double))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found != expected


def test_a_descriptor_of_single_precision_trains_in_single_precision():
    settings = {"dtype": torch.float32, "kernels": "torch"}  # and gelu: nothing of it would be compiled
    descriptor = ChebyshevDescriptor(DESCRIPTOR.species, 4, 3.8, 2, 3.4, **settings)
    potential = small_data.fresh("gelu", descriptor)
    potential.train(FRAMES, small_data.config(**GRADIENTS))
    assert potential.learned()["model"]["networks.0.weights.0"].dtype == torch.float32
    other = small_data.fresh("gelu", descriptor)
    other.train(FRAMES, small_data.config(precision="float64", **GRADIENTS))
    assert other.learned()["model"]["networks.0.weights.0"].dtype == torch.float64


@pytest.mark.parametrize("mode", ["cpu", "gpu", "mixed"])
@pytest.mark.parametrize("device", [None, "cpu"])
def test_where_features_are_kept_changes_no_number(mode, device):
    expected = result(*train(FRAMES, **GRADIENTS))
    assert result(*train(FRAMES, memory_mode=mode, device=device, **GRADIENTS)) == expected


def test_mixed_memory_needs_the_features_on_the_host():
    descriptor = ChebyshevDescriptor(DESCRIPTOR.species, 4, 3.8, 2, 3.4, device="meta")
    with pytest.raises(
        ConfigError, match="memory_mode='mixed' keeps features on the host, but the descriptor is on meta"
    ):
        small_data.fresh(descriptor=descriptor).train(FRAMES, small_data.config(memory_mode="mixed"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device here")
def test_a_device_that_is_not_there_is_told():
    with pytest.raises(ConfigError, match="device='cuda:3' cannot be used here"):
        train(FRAMES, device="cuda:3")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_features_on_the_host_train_networks_on_a_gpu():
    potential, out = train(FRAMES, memory_mode="mixed", device="cuda", **GRADIENTS)
    _, expected = train(FRAMES, **GRADIENTS)
    np.testing.assert_allclose(out.errors, expected.errors, rtol=1e-8)
    assert next(iter(potential.learned()["model"].values())).device.type == "cuda"


# -------------------------------------------------------------------------------------------------------- forecasts


def test_a_forecast_changes_nothing_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    potential, _ = train(FRAMES)
    before = small_data.weights(potential)
    for settings in ({}, {"sampling_policy": "error_weighted"}, {"memory_limit": 0, "num_workers": 2}):
        config = small_data.config(iterations=7, checkpoint_dir="checkpoints", save_best=False, seed=None, **settings)
        found = potential.forecast(FRAMES, replace(config, **GRADIENTS))
        assert (found.epochs, found.batches_per_epoch) == (7, 3)
        assert 0 < found.seconds_per_epoch < 10
        assert found.seconds_total == 7 * found.seconds_per_epoch
        assert 2**26 < found.memory_bytes < 2**40
        assert "7 epochs of 3 batches" in str(found)
    assert small_data.weights(potential) == before
    assert not list(tmp_path.iterdir())
    fresh = small_data.fresh()
    fresh.forecast(dataset=in_memory(FRAMES), config=small_data.config())
    assert not fresh.is_trained()


@pytest.mark.parametrize("weights", [{}, GRADIENTS], ids=["energies", "gradients"])
def test_a_forecast_comes_true(weights, monkeypatch):
    """By a clock on which each batch takes 7 ms, a score 50 ms, and all else no time."""
    now = [0.0]

    def taking(seconds, call):
        def timed(*given):
            now[0] += seconds
            return call(*given)

        return timed

    for name, seconds in (("loss", 0.007), ("score", 0.050)):
        monkeypatch.setattr(PotentialTask, name, taking(seconds, getattr(PotentialTask, name)))
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    config = small_data.config(iterations=4, testpercent=30, **weights)
    forecast = small_data.fresh().forecast(FRAMES, config)
    out = small_data.fresh().train(FRAMES, config)
    np.testing.assert_allclose(out.timing["epoch_time"][:-1], forecast.seconds_per_epoch)


def test_the_best_model_is_a_potential_on_its_own(tmp_path):
    _, out = train(FRAMES, checkpoint_dir=tmp_path, testpercent=30, iterations=4, save_energies=False)
    best = TorchANNPotential.from_file(tmp_path / "best_model.pt")
    assert np.isfinite(best.predict(FRAMES).total_energy).all()
    assert out.stats["epoch_min_RMSE_test"] <= 4
