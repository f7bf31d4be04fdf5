"""Laws of committees of potentials: members are single potentials, and predictions are theirs put together."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import Subset

from potentia import (
    Adam,
    ChebyshevDescriptor,
    Kalman,
    StructureDataset,
    TorchANNPotential,
    TorchCommitteeConfig,
    TorchCommitteePotential,
)
from potentia.ensemble import multiplicity
from potentia.errors import ConfigError, DataError, NotFittedError, TrainingError
from potentia.potentials import AenetEnsembleResult
from potentia.potentials.committee.training import MemberTraining
from potentia.potentials.datasets.contents import Contents
from potentials import small_data
from potentials.committees import SEEDS, fresh, train
from potentials.runs import in_memory
from potentials.small_data import DESCRIPTOR, FREE, GRADIENTS
from processes import environment

COLUMNS = [
    "index", "source_index", "identifier", "energy", "energy_mean", "energy_std", "member_energies",
    "max_force_uncertainty", "mean_force_uncertainty", "num_members", "aggregation", "reference_member",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a committee of three with forces, and what its training returned."""
    folder = tmp_path_factory.mktemp("committee") / "run"
    return train(folder, members=3, checkpoint_dir="any", save_best=False, **GRADIENTS)


# ------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize(
    "settings",
    [
        {"max_energy": -0.05, "normalize_features": False},
        {"method": Kalman(batchsize=4), "force_weight": 0.3},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param(GRADIENTS, marks=pytest.mark.slow),
        pytest.param({"sampling_policy": "error_weighted", "normalize_energy": False}, marks=pytest.mark.slow),
        pytest.param({"group_weights": {"a": 3.0}, "split_by": "group"}, marks=pytest.mark.slow),
    ],
    ids=["filtered", "kalman", "energies", "forces", "drawn", "groups"],
)
def test_members_are_single_potentials_to_the_bit(settings, tmp_path):
    structures = [replace(s, info={"config_type": "abc"[k % 3]}) for k, s in enumerate(small_data.frames(20))]
    committee, result = train(tmp_path / "run", structures, **settings)
    for member, record in zip(committee.load_members(), result.members, strict=True):
        alone = small_data.fresh()
        out = alone.train(structures, small_data.config(**(SEEDS | settings | {"seed": record.seed})))
        assert small_data.weights(member) == small_data.weights(alone)
        np.testing.assert_equal(record.metrics["final_RMSE_test"], out.stats["final_RMSE_test"])
        assert record.trainout.errors.equals(out.errors)


@pytest.mark.slow
def test_processes_change_nothing(tmp_path):
    alone, _ = train(tmp_path / "one", **GRADIENTS)
    together, result = train(tmp_path / "two", committee={"max_parallel": 2, "threads_per_member": 1}, **GRADIENTS)
    assert result.execution_mode == "parallel"
    for one, other in zip(alone.load_members(), together.load_members(), strict=True):
        assert small_data.weights(one) == small_data.weights(other)


def test_data_sets_are_shared_too(tmp_path):
    dataset = in_memory(small_data.frames(24))
    parts = {"train_dataset": Subset(dataset, range(0, 24, 2)), "test_dataset": Subset(dataset, range(1, 24, 4))}
    committee, _ = train(tmp_path / "run", datasets=parts, atomic_energies=None)
    alone = small_data.fresh()
    alone.train(config=small_data.config(**(SEEDS | {"seed": 1, "atomic_energies": None})), **parts)
    assert small_data.weights(committee.load_members()[0]) == small_data.weights(alone)
    found = json.loads((tmp_path / "run/committee_metadata.json").read_text())
    assert (found["resolved_train_dataset"], found["resolved_test_dataset"]) == ("StructureDataset",) * 2


def test_the_layout_is_that_of_the_page(trained):
    _, result = trained
    names = sorted(path.relative_to(result.output_dir).as_posix() for path in result.output_dir.rglob("*"))
    assert [name for name in names if "/" not in name] == [
        "committee_metadata.json",
        *(f"member_{k:03d}" for k in range(3)),
    ]
    assert {name.split("/")[1] for name in names if name.startswith("member_000/")} == {
        "model.pt", "history.json", "history.csv", "summary.json", "checkpoints",
    }  # fmt: skip
    found = json.loads(result.metadata_path.read_text())
    assert {
        "schema_version", "timestamp", "execution_mode", "output_dir", "committee_config", "training_config",
        "architecture", "descriptor_config", "resolved_train_dataset", "resolved_test_dataset", "members", "failures",
    } <= set(found)  # fmt: skip
    assert [member.seed for member in result.members] == [1, 2, 3]
    assert {
        "final_MAE_train", "final_RMSE_test", "min_RMSE_test", "epoch_min_RMSE_test", "train_energy_rmse",
        "test_force_rmse", "best_val_loss", "epochs_recorded",
    } <= set(result.stats)  # fmt: skip
    assert result.stats["epochs_recorded"] == {"mean": 2.0, "std": 0.0, "min": 2.0, "max": 2.0, "n": 3}
    assert len(result.trainouts) == 3
    assert "final_RMSE_test" in result.to_dataframe()


def test_members_differ_but_share_the_split_and_the_normalisation(trained):
    first, second, _ = (member.learned()["model"] for member in trained[0].load_members())
    for name in ("feature_mean", "feature_scale", "e_shift", "e_scaling"):
        assert torch.equal(first[name], second[name])
    weights = [name for name in first if name.startswith("networks.")]
    assert weights
    assert not any(torch.equal(first[name], second[name]) for name in weights if first[name].any())


@pytest.mark.parametrize("resample", ["bootstrap", "subset"])
def test_resampled_members_see_their_part_alone(resample, tmp_path):
    structures = small_data.frames(20)
    committee, _ = train(tmp_path / "run", structures, committee={"resample": resample, "subset_fraction": 0.5})
    plain, _ = train(tmp_path / "plain", structures)
    for one, other in zip(committee.load_members(), plain.load_members(), strict=True):
        assert small_data.weights(one) != small_data.weights(other)
        data = one.metadata["data"]
        assert data["structures"] == 20


def test_a_bootstrap_counts_a_structure_as_often_as_it_is_drawn(tmp_path):
    """Full batches: k copies in the list and a weight of k are the same loss."""
    structures = small_data.frames(10)
    settings = {"method": Adam(mu=0.01, batchsize=None), "testpercent": 0, "loss": "mae"}
    committee, result = train(tmp_path / "run", structures, committee={"resample": "bootstrap"}, **settings)
    drawn = multiplicity(TorchCommitteeConfig(2, resample="bootstrap"), 10, result.members[0].seed)
    counts = np.empty_like(drawn)
    counts[Contents.of(structures).order] = drawn
    weighted = [replace(s, weight=float(k)) for s, k in zip(structures, counts, strict=True) if k]
    stats = committee.load_members()[0].learned()["model"]
    alone = small_data.fresh()
    known = {"mean": stats["feature_mean"].numpy(), "std": 1 / stats["feature_scale"].numpy()}
    shift, scaling = float(stats["e_shift"]), float(stats["e_scaling"])
    same = small_data.config(seed=1, feature_stats=known, E_shift=shift, E_scaling=scaling, **settings)
    alone.train(weighted, same)
    for name, value in alone.learned()["model"].items():
        torch.testing.assert_close(value, stats[name], rtol=1e-9, atol=1e-11)


def test_a_second_call_trains_what_is_missing(tmp_path, monkeypatch):
    settings = {"checkpoint_dir": "any", "save_best": False, "iterations": 4}
    unbroken, _ = train(tmp_path / "whole", **settings)
    calls, call = [], MemberTraining.__call__

    def breaks(self, member):
        calls.append(member.index)
        if len(calls) == 2:
            config = replace(self.config, iterations=2)
            call(replace(self, config=config), member)
            member.model_path.unlink()
            raise MemoryError("no more")
        return call(self, member)

    with monkeypatch.context() as patch:
        patch.setattr(MemberTraining, "__call__", breaks)
        with pytest.raises(TrainingError, match=r"member\(s\): 1 \(MemoryError: no more\)"):
            train(tmp_path / "run", **settings)
    broken = TorchCommitteePotential.from_directory(tmp_path / "run")
    assert len(broken.load_members()) == 1
    committee, result = train(tmp_path / "run", **settings)
    assert len(result.trainouts[1].history) == 4  # from its checkpoint of epoch 2 on
    for one, other in zip(unbroken.load_members(), committee.load_members(), strict=True):
        assert small_data.weights(one) == small_data.weights(other)


def test_the_time_is_that_of_all_members(tmp_path):
    _, result = train(tmp_path / "run", checkpoint_dir="any", save_best=False, iterations=10**6, max_time=1.0)
    assert [member.status for member in result.members] == ["interrupted", "planned"]
    with pytest.raises(NotFittedError, match="No completed committee members were found"):
        TorchCommitteePotential.from_directory(tmp_path / "run")


def test_drawn_seeds_are_kept_for_the_next_call(tmp_path):
    wanted = TorchCommitteeConfig(2, output_dir=tmp_path / "run")
    config = small_data.config(seed=None)
    first = fresh().train(small_data.frames(), config, wanted)
    again = fresh().train(small_data.frames(), config, wanted)
    assert [m.seed for m in first.members] == [m.seed for m in again.members]
    assert again.members[0].model_path.stat().st_mtime == first.members[0].model_path.stat().st_mtime


def test_nothing_but_members_is_left(trained, tmp_path):
    with pytest.raises(DataError, match="empty"):
        train(tmp_path / "run", [])
    assert list(tmp_path.rglob("*.h5")) == []
    assert list(trained[1].output_dir.rglob("*.h5")) == []


def test_other_devices_must_be_listed(tmp_path):
    with pytest.raises(ConfigError, match=r"requires an explicit devices=\[...\] list"):
        train(tmp_path, device="cuda", committee={"max_parallel": 2})


@pytest.mark.slow
def test_a_dask_cluster_trains_the_same(tmp_path):
    pytest.importorskip("distributed")
    from potentials import dask_committee

    command = [sys.executable, dask_committee.__file__, str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(set(told["workers"])) == 2
    assert told["mode"] == "parallel"
    there = TorchCommitteePotential.from_directory(tmp_path / "run")
    here, _ = train(tmp_path / "here", members=3)
    for one, other in zip(there.load_members(), here.load_members(), strict=True):
        assert small_data.weights(one) == small_data.weights(other)


# ------------------------------------------------------------------------------------------------- predictions


def test_predictions_are_those_of_the_members(trained):
    committee, structures = trained[0], small_data.frames(20)[:5]
    found = committee.predict(structures, eval_forces=True, eval_stress=True)
    single = [m.predict(structures, eval_forces=True, eval_stress=True) for m in committee.load_members()]
    energies = np.array([out.total_energy for out in single])
    assert np.array_equal(np.array([one.member_energies for one in found]), energies.T)
    assert np.array_equal(found.energy_std, energies.std(0))
    assert np.array_equal(found.energy, energies.mean(0))
    for k, one in enumerate(found):
        forces = np.stack([out.forces[k] for out in single])
        assert np.array_equal(one.member_forces, forces)
        assert np.array_equal(one.force_uncertainty, forces.std(0).mean(1))
        assert one.num_members == 3
        assert found.max_force_uncertainty[k] == forces.std(0).mean(1).max()
    assert np.array_equal(found.member_outputs[1].stress[0], single[1].stress[0])
    assert len(found[1:3]) == 2
    assert found[-1] is found.predictions[-1]


def test_one_member_may_answer(trained):
    structures = small_data.frames(20)[:3]
    found = trained[0].predict(structures, eval_forces=True, aggregation="reference", reference_member=2)
    single = trained[0].load_members()[2].predict(structures, eval_forces=True)
    assert found.energy.tolist() == single.total_energy
    assert np.array_equal(found[0].forces, single.forces[0])
    assert found[0].energy_mean != found[0].energy
    with pytest.raises(ConfigError, match="one of the 3 members"):
        trained[0].predict(structures, aggregation="reference", reference_member=3)


def test_tables_of_predictions(trained):
    found = trained[0].predict(small_data.frames(20)[:6])
    frame = found.to_dataframe()
    assert list(frame.columns)[:12] == COLUMNS
    assert frame["index"].tolist() == list(range(6))
    assert frame["max_force_uncertainty"].isna().all()
    assert found.sort_by("energy", ascending=True)["energy"].is_monotonic_increasing
    top = found.top_uncertain(n=2)
    assert top["energy_std"].tolist() == sorted(frame["energy_std"], reverse=True)[:2]
    with pytest.raises(ConfigError, match="did you mean 'energy_std'"):
        found.sort_by("energy_st")
    nothing = trained[0].predict([])
    assert (len(nothing), list(nothing.to_dataframe().columns)[:12]) == (0, COLUMNS)


def test_a_part_of_a_data_set_knows_where_it_comes_from(trained):
    dataset = in_memory(small_data.frames(20), free=FREE)
    found = trained[0].predict_dataset(Subset(Subset(dataset, range(1, 20, 2)), [4, 0]), eval_forces=True)
    assert (found.indices, found.source_indices) == ([0, 1], [9, 1])
    whole = trained[0].predict(small_data.frames(20), eval_forces=True)
    assert found.energy_std.tolist() == whole.energy_std[[9, 1]].tolist()
    assert found.identifiers == [dataset.get_structure_identifier(9), dataset.get_structure_identifier(1)]
    other = StructureDataset(small_data.frames(4), ChebyshevDescriptor(("Ti", "O"), 3, 3.8, 2, 3.4))
    with pytest.raises(ConfigError, match="another descriptor"):
        trained[0].predict_dataset(other)


def test_members_go_to_aenet_and_come_back(trained, tmp_path):
    structures = small_data.frames(20)[:3]
    manifest = trained[0].to_aenet_ascii(tmp_path, prefix="committee", structures=structures)
    assert [sorted(paths) for paths in manifest] == [["O", "Ti"]] * 3
    assert manifest[1]["Ti"] == (tmp_path / "member_001/committee.Ti.nn.ascii").resolve()
    back = TorchCommitteePotential.from_aenet(manifest)
    here, there = (c.predict(structures, eval_forces=True) for c in (trained[0], back))
    assert back.is_trained()
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(one.member_energies, other.member_energies, rtol=0, atol=1e-9)
        np.testing.assert_allclose(one.forces_std, other.forces_std, rtol=0, atol=1e-9)
    with pytest.raises(NotFittedError, match="members is empty"):
        TorchCommitteePotential.from_aenet([])


def test_one_member_that_cannot_be_exported_keeps_all_from_being_written(trained, tmp_path):
    committee = TorchCommitteePotential.from_directory(trained[1].output_dir)
    with torch.no_grad():
        committee.load_members()[2].fitted().model.networks[0].biases[0].fill_(np.nan)
    with pytest.raises(DataError, match="weights that are not finite"):
        committee.to_aenet_ascii(tmp_path, structures=small_data.frames(20)[:3])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_directory_can_be_moved(trained, tmp_path):
    committee, result = trained
    shutil.copytree(result.output_dir, tmp_path / "moved")
    there = TorchCommitteePotential.from_directory(tmp_path / "moved/committee_metadata.json")
    structures = small_data.frames(20)[:2]
    assert there.predict(structures).energy_std.tolist() == committee.predict(structures).energy_std.tolist()
    assert all(path.is_relative_to(tmp_path) for path in there.member_model_paths)


def test_members_must_be_alike(trained, tmp_path):
    paths = trained[0].member_model_paths
    small_data.trained("tanh", ("Ti", "O")).save(tmp_path / "a.pt")
    wide = TorchANNPotential({name: [(3, "tanh")] for name in ("Ti", "O")}, DESCRIPTOR)
    wide.train(small_data.frames(), small_data.config())
    wide.save(tmp_path / "b.pt")
    assert len(TorchCommitteePotential.from_files([paths[0], tmp_path / "a.pt"]).load_members()) == 2
    with pytest.raises(ConfigError, match=r"must share the same architecture, but .*b.pt differs"):
        TorchCommitteePotential.from_files([paths[0], tmp_path / "b.pt"])
    with pytest.raises(NotFittedError, match="No committee member models"):
        TorchCommitteePotential.from_files([])
    with pytest.raises(NotFittedError, match="No committee member models"):
        fresh().predict(small_data.frames())
    free = small_data.fresh()
    free.train(small_data.frames(), small_data.config(atomic_energies={"Ti": 0.0, "O": 0.0}))
    free.save(tmp_path / "c.pt")
    with pytest.raises(ConfigError, match="same atomic-reference energy mapping"):
        TorchCommitteePotential.from_files([paths[0], tmp_path / "c.pt"])


def test_member_predictions_must_fit_together():
    energies = np.array([1.0, 2.0])
    with pytest.raises(DataError, match="one energy for each member"):
        AenetEnsembleResult.from_member_predictions(np.zeros((2, 2)))
    with pytest.raises(DataError, match=r"shape \(members, atoms, 3\) with 2 members, got \(3, 4, 3\)"):
        AenetEnsembleResult.from_member_predictions(energies, np.zeros((3, 4, 3)))
    found = AenetEnsembleResult.from_member_predictions(energies, np.array([np.zeros((4, 3)), np.ones((4, 3))]))
    assert found.force_uncertainty.tolist() == [0.5] * 4
    assert math.isclose(found.energy_std, 0.5)
