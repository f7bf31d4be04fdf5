"""What a family of trajectory surrogates promises as a whole, from the settings of a study to its figures."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from potentia.cli import main
from potentia.study import read_yaml, write_yaml
from potentia.trajectories import (
    SURROGATES,
    SYSTEMS,
    FullyConnected,
    FullyConnectedConfig,
    Preprocessing,
    Study,
    Trajectories,
    TrajectoryData,
    TrajectoryTrainingConfig,
    make_data,
)
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.evaluation import EvaluationSettings, roll_outs, time_predictions
from potentia.trajectories.evaluation.timing import timing_metrics
from potentia.trajectories.networks.base import SurrogateNetwork
from processes import PATIENCE, environment
from trajectories import dask_study
from trajectories.known_flows import Flow, part
from trajectories.study_data import MODALITIES, root_with, settings

LOOK = {"figures": False, "timing_batch_sizes": [4], "timing_runs": 1}
COMMAND = [sys.executable, "-c", "import sys; from potentia.cli import main; sys.exit(main())", "study", "run"]


def states_of(study, *which):
    return study.load(*which).network_.state_dict()


def same_models(one, other):
    for task in one.tasks():
        which = [task.settings[key] for key in ("surrogate", "mode", "metric")]
        there = states_of(other, *which)
        assert all(torch.equal(value, there[name]) for name, value in states_of(one, *which).items()), task.name


def ramp(n=4):
    """States that run from -1 to 1 with time, in 101 steps.  [trajectories, times, quantities]"""
    times = np.linspace(3.0, 8.0, 101)
    states = np.broadcast_to(np.linspace(-1, 1, 101)[:, None], (n, 101, 1)).copy()
    states += np.arange(n)[:, None, None] * 0.5
    return Trajectories(states, times, None, ("x",))


class ExactRamp(SurrogateNetwork):
    """The flow of dx/du = 2: what a perfect training would end with."""

    points = True

    def __init__(self):
        super().__init__(hard_initial_condition=False)
        self.speed = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def evolve(self, initial, times, parameters):
        return initial[:, None] + self.speed * times[..., None]


def test_the_exact_flow_as_a_surrogate_is_exact_when_it_is_rolled_out():
    """Through scaling, map of time and back: 101 times, chunks of ten steps, every offset."""
    whole = ramp()
    data = TrajectoryData.of(whole, whole.take([0]), ramp(5).take([4]), "ramp")
    plain = Preprocessing(log10_transform=False, normalise="disable")
    exact = FullyConnected(FullyConnectedConfig(hidden_size=1, num_hidden_layers=1), preprocessing=plain)
    exact.train(data, TrajectoryTrainingConfig(epochs=1, seed=1))
    exact.fitted_ = dataclasses.replace(exact.fitted(), network=ExactRamp())
    found = roll_outs("exact", exact, data.val, ErrorScale(log10=False), EvaluationSettings(iterative=True))
    values = {metric.metric: metric.value for metric in found.metrics}
    assert values["iteration_interval"] == values["offsets"] == 10
    assert values["mean_absolute_error_real_all_offsets"] <= 1e-12
    assert np.abs(found.states - data.val.states).max() <= 1e-12


def test_a_study_extrapolates_a_ramp(tmp_path):
    data = TrajectoryData.of(ramp(4), ramp(5).take([4]), ramp(6).take([5]), "ramp")
    root = root_with(tmp_path, data, "ramp")
    network = {"hidden_size": 16, "num_hidden_layers": 2, "activation": "silu", "learning_rate": 0.01}
    blocks = {
        "extrapolation": {"enabled": True, "cutoffs": [50]},
        "dataset": {"name": "ramp", "log10_transform": False},
    }
    more = {"batch_size": 50, "epochs": 80, "surrogate_configs": {"FullyConnected": network}}
    study = Study.from_config(settings(**blocks, **more, **LOOK), root=root)
    assert study.run().complete
    model, known = study.load("FullyConnected", "extrapolation", 50), data.train
    errors = np.abs(model.predict(known.initial_states, known.times) - known.states)
    assert errors[:, :50].mean() <= 0.02  # right inside its window, in the time of the whole set …
    beyond = model.predict(known.initial_states, known.times)[:, 100, 0]
    assert (beyond > known.states[:, 49, 0] + 0.5).all()  # … and beyond it not what it was at its end
    found = study.evaluate()
    metrics = found.metrics[found.metrics["block"] == "extrapolation"].set_index("metric")["value"]
    assert {"cutoff 50 - MAE_real_inside", "cutoff 50 - MAE_real_outside", "cutoff 101 - MAE_real"} <= set(
        metrics.index
    )


def test_no_default_rate_is_above_the_first_one():
    data = make_data("simple_ode", n_train=2, n_test=1, n_val=1, times=np.linspace(0, 10, 5))
    for name, cls in SURROGATES.items():
        rates = cls().train(data, TrajectoryTrainingConfig(epochs=6, seed=1)).learning_rate
        assert max(rates) / rates[0] <= 1, name
        assert rates[-1] < rates[0], name


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_defaults_of_every_surrogate_train_on_every_system(system):
    one = SYSTEMS[system]
    data = make_data(system, n_train=3, n_test=1, n_val=1, times=one.times[::20])
    positive = all(part.states.min() > 0 for part in (data.train, data.test, data.val))
    parameters = data.train.parameters
    log_parameters = parameters is None or parameters.min() > 0
    transforms = Preprocessing(log10_transform=positive, log10_transform_params=log_parameters)
    for name, cls in SURROGATES.items():
        surrogate = cls(preprocessing=transforms)
        out = surrogate.train(data, TrajectoryTrainingConfig(epochs=1, seed=1))
        assert np.isfinite(out.errors.to_numpy()).all(), name
        found = surrogate.predict(data.val.initial_states, data.val.times, data.val.parameters)
        assert np.isfinite(found).all(), name


def test_roll_outs_report_the_root_of_the_mean_square_in_dex():
    truth = part(3, np.linspace(0, 3, 31))
    found = roll_outs("slow", Flow(0.8), truth, ErrorScale(log10=True, floor=1e-30), EvaluationSettings())
    values = {metric.metric: metric.value for metric in found.metrics}
    errors = np.log10(found.states[:, 1:]) - np.log10(truth.states[:, 1:])
    assert values["root_mean_squared_error_log"] == pytest.approx(np.sqrt(np.square(errors).mean()), rel=1e-12)
    assert values["root_mean_squared_error_log"] > 2 * np.square(errors).mean()


def test_a_checkpoint_keeps_the_best_epoch_and_none_the_last(tmp_path):
    root = root_with(tmp_path)
    wild = {"hidden_size": 8, "num_hidden_layers": 1, "learning_rate": 0.3, "scheduler": "constant"}
    kept = {}
    for checkpoint in (True, False):
        more = {"training_id": str(checkpoint), "checkpoint": checkpoint, "epochs": 6}
        study = Study.from_config(settings(surrogate_configs={"FullyConnected": wild}, **more), root=root)
        study.run()
        model, test = study.load("FullyConnected"), study.data.test
        losses = model.metadata["training_history"]["test_loss"].numpy()
        found = np.log10(model.predict(test.initial_states, test.times)) - np.log10(test.states)
        kept[checkpoint] = (np.abs(found).mean(), losses)
    assert kept[True][1].argmin() < 5  # the last epoch is not the best here
    assert kept[True][0] == pytest.approx(min(kept[True][1]), rel=1e-5)
    assert kept[False][0] == pytest.approx(kept[False][1][-1], rel=1e-5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    study = Study.from_config(settings(**MODALITIES, **LOOK), root=root_with(tmp_path_factory.mktemp("whole")))
    assert study.run().complete
    return study


def test_each_modality_is_reported_with_the_main_model_in_its_place(whole):
    metrics = whole.evaluate().metrics
    own = metrics[metrics["surrogate"] == "FullyConnected"]

    def values(block):
        names = own[own["block"] == block]["metric"]
        return list(dict.fromkeys(name.split(" - ")[0] for name in names))

    assert values("interpolation") == ["interval 1", "interval 2", "interval 3"]
    assert values("extrapolation") == ["cutoff 6", "cutoff 11"]
    assert values("sparse") == ["factor 1", "factor 4"]
    assert values("batch_scaling") == ["batch_size 16", "batch_size 64", "batch_size 128"]
    counts = own[own["metric"].str.contains("n_train_samples")].set_index("metric")["value"]
    assert counts.tolist() == [24, 6]


def test_the_main_training_stands_first_among_those_of_a_modality(tmp_path):
    blocks = {"sparse": MODALITIES["sparse"], "losses": True, "figures": True}
    study = Study.from_config(settings(**blocks), root=root_with(tmp_path))
    study.run()
    found = study.evaluate()

    def shown(name):
        figure = found.figure(f"FullyConnected/{name}")
        return [text.get_text() for legend in figure.legends for text in legend.get_texts()] or [
            text.get_text() for axes in figure.axes for text in axes.get_legend().get_texts()
        ]

    assert shown("losses_main") == ["train", "test"]
    assert shown("losses_sparse") == ["main train", "main test", "factor 4 train", "factor 4 test"]


def test_times_of_predictions_are_means_of_whole_runs(monkeypatch):
    """Runs of 1, 3 and 5 s with two points each; the first call is not counted."""
    clock = iter([9.0, 1.0, 3.0, 5.0])

    class Clock:
        now = 0.0

        @classmethod
        def perf_counter(cls):
            return cls.now

    class Takes:
        def predict(self, initial_states, times, parameters=None):
            Clock.now += next(clock)

    monkeypatch.setattr("potentia.trajectories.evaluation.timing.time", Clock)
    truth = part(1, np.linspace(0, 1, 2))
    table = time_predictions("one", Takes(), truth, EvaluationSettings(timing_batch_sizes=(1,), timing_runs=3))
    values = {metric.metric: metric.value for metric in timing_metrics(table, truth)}
    assert values["mean_inference_time_per_run"] == values["median_inference_time_per_run"] == 3
    assert values["std_inference_time_per_run"] == pytest.approx(np.std([1, 3, 5]))
    assert values["num_predictions"] == 2
    assert values["mean_inference_time_per_prediction"] == 1.5


def test_all_models_share_one_map_of_time_and_no_two_their_weights(whole):
    times = torch.linspace(-1, 7, 33, dtype=torch.float64)
    models = [[task.settings[key] for key in ("surrogate", "mode", "metric")] for task in whole.tasks()]
    maps = [whole.load(*which).scaling_.times(times) for which in models]
    assert all(torch.equal(one, maps[0]) for one in maps)
    weights = [torch.cat([w.flatten() for w in states_of(whole, *which).values()]) for which in models]
    assert not any(torch.equal(a, b) for k, a in enumerate(weights) for b in weights[:k])
    assert len({task.seed for task in whole.tasks()}) == len(models)


def test_two_lines_are_a_study(tmp_path):
    """All settings of networks and training at their defaults."""
    data = make_data("lotka_volterra", n_train=6, n_test=2, n_val=2)
    root = root_with(tmp_path, data, "lotka_volterra")
    lines = (
        "{training_id: lv, surrogates: [MultiONet, FullyConnected, LatentNeuralODE, LatentPoly], devices: cpu,",
        " batch_size: [4096, 4096, 64, 64], epochs: 1, dataset: {name: lotka_volterra}}",
    )
    (root / "config.yaml").write_text("\n".join(lines))
    assert main(["study", "run", str(root / "config.yaml"), "--root", str(root)]) == 0
    study = Study.from_config(root / "config.yaml", root=root)
    assert len(study.run().before) == 4
    for plan in study.config.surrogates:
        assert plan.network == SURROGATES[plan.name].config_class()
        defaults = TrajectoryTrainingConfig(epochs=1, batch_size=plan.batch_size, save_best=False)
        assert dataclasses.replace(plan.training, seed=None, device="cpu") == defaults


# ------------------------------------------------------------------------------------------------------- real processes


@pytest.mark.slow
def test_processes_of_a_dask_cluster_train_the_same(whole, tmp_path):
    pytest.importorskip("distributed")
    done = subprocess.run(
        [sys.executable, dask_study.__file__, str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["worked"] == [True, True]
    assert told["failed"] == []
    assert told["done"] == sorted(task.name for task in whole.tasks())
    there = Study.from_config(settings(**MODALITIES, **LOOK, devices=["cpu", "cpu"]), root=tmp_path)
    same_models(there, whole)


@pytest.mark.slow
def test_a_study_that_is_killed_does_what_is_left_and_nothing_else(tmp_path):
    """The command, on two slots, killed with its workers when some models are there and others half trained."""
    longer = {"epochs": 250, "devices": ["cpu", "cpu"], "uncertainty": MODALITIES["uncertainty"]}
    broken, unbroken = root_with(tmp_path / "broken"), root_with(tmp_path / "unbroken")
    write_yaml(broken / "config.yaml", settings(**longer))
    study = Study.from_config(broken / "config.yaml", root=broken)
    command = [*COMMAND, str(broken / "config.yaml"), "--root", str(broken)]
    folder, deadline = study.directory / "FullyConnected", time.monotonic() + PATIENCE
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL) as process:
        while not list(folder.glob("*.yaml")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.pth")}
    records = {path.stem for path in folder.glob("*.yaml")}
    assert 0 < len(records) < 3
    result = study.run()
    assert set(result.before) >= records
    assert set(result.before) | set(result.done) == {task.name for task in study.tasks()}
    assert all(path.stat().st_mtime_ns == when for path, when in before.items() if path.stem in result.before)
    assert not [*study.directory.rglob("*.tmp"), *study.directory.rglob("*.unfinished")]
    assert read_yaml(folder / "fullyconnected_UQ_2.yaml")["result"]["epochs"] == 250
    other = Study.from_config(settings(**{**longer, "devices": ["cpu"]}), root=unbroken)
    other.run()
    same_models(study, other)
