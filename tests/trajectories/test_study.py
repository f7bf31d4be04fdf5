"""Laws of studies: what each modality trains on, one map of time, the same bits anywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from potentia.errors import ConfigError, DataError, FileFormatError
from potentia.study import read_yaml
from potentia.trajectories import FullyConnected, Study, write_trajectories
from potentia.trajectories.modalities import part_of
from trajectories.study_data import MODALITIES, decays, root_with, settings

LOOK = {"figures": False, "timing_batch_sizes": [4], "timing_runs": 1}


def weights(model):
    return list(model.network_.state_dict().values())


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    study = Study.from_config(settings(**MODALITIES, **LOOK), root=root_with(tmp_path_factory.mktemp("study")))
    assert study.run().complete
    return study


def test_each_modality_cuts_what_is_trained_on_and_never_what_is_held_out():
    data = decays()
    for mode, value, trajectories, times in [
        ("main", None, 24, 11),
        ("UQ", 1, 24, 11),
        ("batchsize", 32, 24, 11),
        ("interpolation", 3, 24, 4),
        ("extrapolation", 6, 24, 6),
        ("sparse", 5, 5, 11),  # ⌈24/5⌉
    ]:
        part = part_of(data, 1, mode, value)
        assert part.train.states.shape == (trajectories, times, 2)
        assert len(part.test.times) == times
        assert len(part.test) == (1 if mode == "sparse" else 4)
        assert part.val is data.val
        assert part.horizon == data.horizon
    assert len(part_of(data, 2, "sparse", 3).train) == 4
    assert np.array_equal(part_of(data, 1, "interpolation", 3).train.times, data.train.times[[0, 3, 6, 9]])


def test_a_step_that_is_kept_has_the_same_mapped_time_in_every_model(done):
    times = torch.from_numpy(done.data.train.times)
    u = done.load("FullyConnected").scaling_.times(times)
    assert (u[0], u[-1]) == (0, 1)
    for mode, metric in [("interpolation", 3), ("extrapolation", 6), ("sparse", 4)]:
        assert torch.equal(done.load("FullyConnected", mode, metric).scaling_.times(times), u)


def test_every_model_is_where_it_was_with_a_record_that_tells_the_truth(done):
    folder = done.directory / "FullyConnected"
    suffixes = ["main", "interpolation_2", "interpolation_3", "extrapolation_6", "sparse_4", "UQ_1", "UQ_2"]
    names = [f"fullyconnected_{suffix}" for suffix in [*suffixes, "batchsize_16", "batchsize_128"]]
    assert {path.name for path in folder.iterdir()} == {f"{name}.{kind}" for name in names for kind in ("pth", "yaml")}
    told = read_yaml(folder / "fullyconnected_sparse_4.yaml")["result"]
    assert (told["n_train_samples"], told["n_timesteps"], told["epochs"]) == (6, 11, 3)
    assert told["training_config"]["batch_size"] == 64
    assert read_yaml(folder / "fullyconnected_batchsize_16.yaml")["result"]["training_config"]["batch_size"] == 16
    assert (done.directory / "completed.txt").read_text() == "9 of 9 tasks completed\n"


def test_no_member_is_the_main_model(done):
    models = [done.load("FullyConnected"), *(done.load("FullyConnected", "UQ", k) for k in (1, 2))]
    assert not any(equal(models[a], models[b]) for a, b in [(0, 1), (0, 2), (1, 2)])


def test_a_model_is_opened_by_name_and_from_its_file(done):
    path = done.directory / "FullyConnected/fullyconnected_main.pth"
    assert equal(FullyConnected.load(path), done.load("FullyConnected"))
    with pytest.raises(ConfigError, match="no model 'FullyConnected UQ 3'; it has fullyconnected_main"):
        done.load("FullyConnected", "UQ", 3)


def test_a_model_says_nothing_of_what_else_was_trained(done, tmp_path):
    alone = Study.from_config(settings(), root=root_with(tmp_path))
    with pytest.raises(FileFormatError, match="not trained yet"):
        alone.load("FullyConnected")
    alone.run()
    assert equal(alone.load("FullyConnected"), done.load("FullyConnected"))


def test_other_settings_are_refused_resumed_or_begun_anew(tmp_path):
    root = root_with(tmp_path)
    Study.from_config(settings(), root=root).run()
    other = Study.from_config(settings(epochs=2, devices=["cpu"], losses=True), root=root)
    with pytest.raises(ConfigError, match=r"epochs: \[3\] → \[2\]"):
        other.run()
    assert other.run(on_mismatch="resume").before == ("fullyconnected_main",)
    other.results.mkdir(parents=True)
    assert other.run(on_mismatch="restart").done == ("fullyconnected_main",)
    assert (root / "results/a.old-1").is_dir()
    assert not other.results.exists()
    assert other.load("FullyConnected").metadata["epochs"] == 2
    assert (root / "trained/a.old-1/FullyConnected/fullyconnected_main.pth").is_file()
    Study.from_config(settings(epochs=2, compute=True, devices=["cpu"]), root=root).run()  # evaluation is free


def test_data_that_change_are_seen(tmp_path):
    root = root_with(tmp_path)
    study = Study.from_config(settings(), root=root)
    write_trajectories(study.path, decays().with_splits(decays().train.take(slice(9)), decays().test))
    (end,) = study.run().failed
    assert end.error.startswith(f"{DataError.__name__}: ")
    assert "has changed since the study began" in end.error
    with pytest.raises(ConfigError, match=r"dataset\.mark"):
        Study.from_config(settings(), root=root).run()


def test_a_training_that_pauses_goes_on_where_it_was(tmp_path):
    root = root_with(tmp_path)
    slow = {"FullyConnected": {"hidden_size": 8, "num_hidden_layers": 1, "max_time": 0.1}}
    study = Study.from_config(settings(epochs=60, surrogate_configs=slow), root=root)
    runs = 1
    while not (result := study.run()).complete:
        assert "was interrupted" in result.failed[0].error
        runs += 1
    assert runs > 1
    unbroken = Study.from_config(settings(epochs=60), root=root_with(tmp_path / "b"))
    unbroken.run()
    assert equal(study.load("FullyConnected"), unbroken.load("FullyConnected"))


def test_a_forecast_tells_of_every_task(done):
    table = done.forecast()
    assert list(table["task"]) == [task.name for task in done.tasks()]
    assert (table["seconds"] > 0).all()
    half = table.set_index("task")["seconds"]
    assert half["fullyconnected_extrapolation_6"] == pytest.approx(half["fullyconnected_main"] * 6 / 11)


def test_an_evaluation_has_all_modalities_and_baselines(done):
    found = done.evaluate()
    assert found.surrogates == ("FullyConnected",)
    assert found.baselines
    blocks = set(found.metrics["block"])
    assert {"interpolation", "extrapolation", "sparse", "batch_scaling"} <= blocks
    assert len(done.progress()) == 9


def test_only_what_was_trained_is_evaluated(done):
    def evaluated(**more):
        return Study.from_config({**settings(**MODALITIES, **LOOK), **more}, root=done.root).evaluate()

    assert evaluated(sparse=None, interpolation={"enabled": True, "intervals": [3]}).surrogates == ("FullyConnected",)
    for more, message in [
        ({"training_id": "b"}, "nothing is trained under 'b'"),
        ({"surrogates": ["MultiONet"], "surrogate_configs": {}}, "has no MultiONet; it has FullyConnected"),
        (
            {"sparse": {"enabled": True, "factors": [4, 2]}},
            "sparse.factors asks for 2, which the study has not trained",
        ),
        ({"uncertainty": {"enabled": True, "ensemble_size": 4}}, "uncertainty.ensemble_size asks for 3"),
        ({"dataset": {"name": "decay", "subset_factor": 2}}, r"dataset.subset_factor: 1 → 2"),
        ({"batch_size": 32}, r"surrogate_configs.FullyConnected.batch_size: 64 → 32"),
    ]:
        with pytest.raises(ConfigError, match=message):
            evaluated(**more)


def test_what_is_missing_is_named(tmp_path):
    study = Study.from_config(settings(uncertainty={"enabled": True, "ensemble_size": 2}), root=root_with(tmp_path))
    study.run()
    (study.directory / "FullyConnected/fullyconnected_UQ_1.pth").unlink()
    with pytest.raises(ConfigError, match="lacks fullyconnected_UQ_1"):
        study.evaluate()


@pytest.mark.slow
def test_four_slots_give_the_same_bits_as_one(done, tmp_path):
    study = Study.from_config(settings(**MODALITIES, devices=["cpu"] * 4), root=root_with(tmp_path))
    assert study.run().complete
    for task in study.tasks():
        named = [task.settings[key] for key in ("surrogate", "mode", "metric")]
        assert equal(study.load(*named), done.load(*named))
