"""Laws of a run: all that belongs to it is in its directory, and a run that was broken off goes on as if it had not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from dynamics.small_runs import config, logs_in
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.msgpack_tensors import read_msgpack
from potentia.dynamics.opened_run import OpenedRun
from potentia.dynamics.run_directory import RunDirectory
from potentia.dynamics.training_run import run_training
from potentia.errors import ConfigError, DataError, FileFormatError, PotentiaWarning
from potentia.train import Callback, read_json_lines

TIMES = {"epoch_time", "forward_time", "backward_time"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    logs_in(root / "logs")
    return root


@pytest.fixture(scope="module")
def whole(root):
    """A run with everything."""
    settings = config(
        root, val_dataset=["logs/log-002.npz"], analysis=True, analysis_scenarios=1, log_every=2, epochs=4, seed=3
    )
    return run_training(settings)


def strict(path):
    return json.loads(path.read_text(), parse_constant=pytest.fail)


def test_the_directory_has_all_that_belongs_to_a_run(whole, root):
    directory = whole.directory.path
    assert directory.parent == root / "results" / "unicycle"
    found = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    assert {
        "settings.yaml", "provenance.json", "metrics.jsonl", "history.csv", "loss_history.json", "pct_network_loss.png",
        "model.safetensors", "params_last.msgpack", "params_best.msgpack", "errors.csv",
        "checkpoints/best_model.pt", "checkpoints/checkpoint_epoch_0004.pt", "pct_predicted_params.json",
        "best_predicted_params.json", "predicted_params_training.npz", "predicted_params_validation.npz",
        "identifiability.json", "metrics_training.csv", "metrics_validation.csv",
    } <= found  # fmt: skip
    for part in ("training", "validation"):
        drawn = sorted((directory / "analysis" / part).glob("*.png"))
        assert len(drawn) >= 4
    for figure in (directory / "pct_network_loss.png", *drawn):
        assert imread(figure).std() > 0.01
    assert not [name for name in found if name.endswith(".tmp")]


def test_provenance_tells_data_seed_and_versions(whole):
    told = strict(whole.directory.provenance)
    assert told["seed"] == 3
    assert told["data"]["training"]["windows"] == whole.out.n_windows
    assert len(told["data"]["validation"]["sha256"]) == 64
    assert {"potentia", "python", "torch", "numpy"} <= set(told["versions"])
    assert told["host"]["name"]


def test_parameters_have_spread_bounds_and_whether_they_can_be_told(whole):
    told = strict(whole.directory.parameters)
    assert (told["model"], told["n"]) == ("unicycle", whole.out.n_windows)
    columns = {
        "mean", "std", "q05", "q50", "q95", "min", "max", "lo", "hi", "at_lower", "at_upper", "identifiable", "unit",
    }  # fmt: skip
    assert all(set(one) == columns for one in told["params"].values())
    assert told["params"]["k_turn"]["identifiable"] is True
    assert strict(whole.directory.best_parameters) == told
    with np.load(whole.directory.windows("training"), allow_pickle=False) as stored:
        assert stored["drag"].shape == (whole.out.n_windows,)
        assert stored["drag"].mean() == pytest.approx(told["params"]["drag"]["mean"])


def test_weights_of_both_kinds_of_files_are_the_same_bit_for_bit(whole):
    last = whole.directory.checkpoints / "checkpoint_epoch_0004.pt"
    for which, file in (("last", last), ("best", whole.directory.model)):
        known = DynamicsParameterNet.load(file).network_.state_dict()
        read = read_msgpack(whole.directory.weights(which))
        assert list(known) == list(read)
        assert all(known[name].numpy().tobytes() == read[name].numpy().tobytes() for name in known)


def test_logs_tell_losses_by_batch_and_by_epoch(whole):
    lines = read_json_lines(whole.directory.metrics)
    epochs = [one for one in lines if one["batch"] == 0]
    assert [one["val/loss"] for one in epochs] == [row["val_loss"] for row in whole.out.history]
    assert all({"train/loss", "learning_rate", "horizon"} <= set(one) for one in lines if one["batch"])
    assert strict(whole.directory.loss_history)["val_loss"] == [row["val_loss"] for row in whole.out.history]


def test_a_run_can_be_opened_and_asked_again(whole, root):
    opened = OpenedRun.of(whole.directory.path)
    windows = opened.windows()
    again = opened.evaluate(windows)
    assert again.metrics.equals(whole.metrics["validation"])
    assert len(opened.windows([str(root / "logs" / "log-000.npz")])) < whole.out.n_windows


def test_only_means_where_a_flat_file_is_asked_for(root):
    result = run_training(config(root, flat_json=True, output="told/params.json", epochs=1))
    means = strict(root / "told" / "params.json")
    params = result.net.predict_params(OpenedRun.of(result.directory.path).windows())
    assert means == {name: pytest.approx(values.mean()) for name, values in params.items()}
    assert not result.directory.parameters.exists()
    assert not result.directory.weights("best").exists()  # nothing was held out to choose by


def test_the_mode_of_the_features_is_in_the_name(root):
    result = run_training(config(root, feature_mode="none", epochs=1))
    assert result.directory.path.name.endswith("_ablation_none")


class Killed(Callback):
    """The end of a process at a known place."""

    def on_settled(self, run):
        if (run.epoch, run.batch) == (2, 1):
            raise KeyboardInterrupt


def test_a_run_that_was_killed_goes_on_bit_for_bit(root, monkeypatch):
    settings = config(root, val_dataset=["logs/log-002.npz"], epochs=4, log_every=1, curriculum="2:3,full")
    unbroken = run_training(settings)
    train = DynamicsParameterNet.train

    def killed(self, *given, callbacks=(), **more):
        return train(self, *given, callbacks=[*callbacks, Killed()], **more)

    with monkeypatch.context() as patch:
        patch.setattr(DynamicsParameterNet, "train", killed)
        with pytest.raises(KeyboardInterrupt):
            run_training(replace(settings, run_dir="broken"))
    with pytest.raises(FileFormatError, match="has no model yet"):
        OpenedRun.of(root / "broken")
    with pytest.raises(ConfigError, match=r"training\.lr: 0\.01 → 0\.5"):
        run_training(replace(settings, lr=0.5), resume=root / "broken")
    broken = run_training(settings, resume=root / "broken")
    for which in ("last", "best"):
        one, other = (read_msgpack(run.directory.weights(which)) for run in (unbroken, broken))
        assert all((one[name] == other[name]).all() for name in one)
    told = [
        [{name: value for name, value in line.items() if name not in TIMES} for line in read_json_lines(file)]
        for file in (unbroken.directory.metrics, broken.directory.metrics)
    ]
    assert told[0] == told[1]


def test_a_run_that_was_paused_says_so_and_goes_on(root):
    settings = config(root, max_time="0.001s", run_dir="paused")
    with pytest.warns(PotentiaWarning, match="go on by resuming"):
        paused = run_training(settings)
    assert paused.out.resumable
    done = run_training(replace(settings, max_time=None), resume=paused.directory.path)
    assert len(done.out.history) == 3
    assert done.directory.parameters.is_file()


def test_more_epochs_may_be_asked_for(root):
    first = run_training(config(root, epochs=1))
    settings = replace(config(root), epochs=2)
    assert len(run_training(settings, resume=first.directory.path).out.history) == 2
    assert RunDirectory.existing(first.directory.path).read_config().epochs == 2


def test_a_run_goes_on_as_it_was_begun_or_says_what_is_not_the_same(root, whole):
    settings, begun = whole.directory.read_config(), whole.directory.path
    before = whole.directory.settings.read_text()
    with pytest.raises(ConfigError, match=r"training\.lr: 0\.01 → 0\.5; training\.seed: 3 → 4\. Put them back"):
        run_training(replace(settings, lr=0.5, seed=4), resume=begun)
    with pytest.raises(ConfigError, match=r"run_.* was begun with .*training\.model: 'unicycle' → 'kinematic'"):
        run_training(replace(settings, model="kinematic"), resume=begun)
    with pytest.raises(DataError, match=r"was begun with other data: training\.sha256: .* Put them back as they were"):
        run_training(replace(settings, dataset=settings.dataset[:1]), resume=begun)
    with pytest.raises(DataError, match=r"was begun with other data: validation: .* → .absent"):
        run_training(replace(settings, val_dataset=()), resume=begun)
    assert whole.directory.settings.read_text() == before  # what was refused has not become the run's


def test_all_missing_data_are_named(root):
    with pytest.raises(DataError, match=r"these data are not there: .*/nowhere, .*/logs/none\.npz"):
        run_training(config(root, dataset=["logs", "nowhere"], val_dataset=["logs/none.npz"]))
    with pytest.raises(ConfigError, match=r"log-001.npz is in dataset \(.*/logs/.*\) and in val_dataset \(.*/logs\)"):
        run_training(config(root, dataset=["logs/log-001.npz"], val_dataset=["logs"]))
    with pytest.raises(ConfigError, match="there is nothing to train on: give --dataset"):
        run_training(config(root, dataset=[]))
    with pytest.raises(ConfigError, match=r"Unknown model 'unicicle'. Available models: .*did you mean 'unicycle'"):
        run_training(config(root, model="unicicle"))
    with pytest.raises(
        ConfigError, match=r"prior: mean of 'k_turn' is 50\.0, beyond its bounds 0\.5 and 1\.5: correct"
    ):
        run_training(config(root, prior={"k_turn": (50.0, 0.1)}))
    with pytest.raises(ConfigError, match="is a file: choose a run_dir that is new"):
        run_training(config(root, run_dir="logs/log-000.npz"))
    with pytest.raises(ConfigError, match="dynamics_hidden_size is for 'mlp-dynamics'"):
        run_training(config(root, dynamics_hidden_size=4))
