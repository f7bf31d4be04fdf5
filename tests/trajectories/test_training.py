"""Laws of the training of a surrogate: what is made small, by which steps, and what is handed back."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from potentia.config import from_dict
from potentia.errors import ConfigError, DataError, PotentiaWarning, TrainingError
from potentia.train import (
    LBFGS,
    Adam,
    Callback,
    ExponentialAverage,
    ScheduleFreeAdamW,
    fit,
)
from potentia.trajectories import (
    FullyConnected,
    FullyConnectedConfig,
    LatentPoly,
    LatentPolyConfig,
    MultiONet,
    MultiONetConfig,
    Preprocessing,
    TrainOut,
    TrajectoryTrainingConfig,
)
from trajectories import decays, known_flows

DATA = decays.data()
NETWORK = FullyConnectedConfig(hidden_size=12, num_hidden_layers=2, activation="silu")
SCHEDULERS = ["cosine", "poly", "schedulefree", "constant"]


def settings(**changed) -> TrajectoryTrainingConfig:
    return TrajectoryTrainingConfig(**({"epochs": 4, "batch_size": 44, "seed": 1, "learning_rate": 3e-3} | changed))


def train(data=DATA, network=NETWORK, preprocessing=None, cls=FullyConnected, **changed):
    surrogate = cls(network, preprocessing=preprocessing)
    return surrogate, surrogate.train(data, settings(**changed))


def weights(surrogate) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in surrogate.network_.parameters()])


def errors_of(surrogate, part) -> dict[str, float]:
    """Return the errors of predictions as a user would compute them."""
    found = surrogate.predict(part.initial_states, part.times, part.parameters)
    logs = np.abs(np.log10(found) - np.log10(part.states))
    return {
        "loss": logs.mean(),
        "rmse": np.sqrt(np.square(logs).mean()),
        "mae": np.abs(found - part.states).mean(),
        "rmse_linear": np.sqrt(np.square(found - part.states).mean()),
    }


# -------------------------------------------------------------------------------------------------- what is learned


@pytest.mark.parametrize(
    ("cls", "network"),
    [(FullyConnected, NETWORK), (MultiONet, MultiONetConfig(hidden_size=16, activation="silu"))],
    ids=["fully_connected", "multi_onet"],
)
def test_it_learns_what_is_held_out(cls, network):
    surrogate, out = train(cls=cls, network=network, epochs=40, batch_size=33, learning_rate=0.01)
    assert errors_of(surrogate, DATA.val)["loss"] < 0.25 * np.abs(np.log10(DATA.val.states)).mean()
    assert out.stats["min_test_loss"] < 0.25 * out.errors["test_loss"].iloc[0]


@pytest.mark.parametrize("normalise", ["minmax", "standardise", "disable"])
def test_the_history_holds_the_exact_errors_of_the_test_part_in_dex_and_in_the_unit_of_the_states(normalise):
    surrogate, out = train(preprocessing=Preprocessing(normalise=normalise), save_best=False, precision="float64")
    last, expected = out.errors.iloc[-1], errors_of(surrogate, DATA.test)
    for name, column in {"loss": "loss", "rmse": "rmse", "mae": "mae", "rmse_linear": "rmse_linear"}.items():
        assert last[f"test_{column}"] == pytest.approx(expected[name], rel=1e-9), name


def test_without_log10_all_errors_are_of_the_states():
    _, out = train(preprocessing=Preprocessing(log10_transform=False))
    assert not out.dex
    np.testing.assert_allclose(out.errors["test_loss"], out.errors["test_mae"], rtol=1e-5)
    assert "dex" not in str(out)


def test_training_errors_are_exact_sums_over_batches_of_any_size():
    """With a rate that changes nothing, all batches see the same weights: 264 points are 5 batches of 50 and 14."""
    sizes = [50, 264, 1000]
    found = [
        train(epochs=1, batch_size=size, learning_rate=1e-30, precision="float64")[1].errors.iloc[0] for size in sizes
    ]
    for one in found[1:]:
        pd.testing.assert_series_equal(one, found[0], rtol=1e-12)
    assert found[0]["train_loss"] == pytest.approx(
        errors_of(train(epochs=1, learning_rate=1e-30, precision="float64")[0], DATA.train)["loss"], rel=1e-12
    )


def test_every_point_is_drawn_once_an_epoch_or_every_trajectory():
    for cls, network, n, size in (
        (FullyConnected, NETWORK, 24 * 11, 44),
        (MultiONet, MultiONetConfig(), 24, 4),  # 4 trajectories have 44 points
        (LatentPoly, LatentPolyConfig(), 24, 10),
    ):
        batch_size = 10 if cls is LatentPoly else 42
        ready = cls(network)._training(settings(batch_size=batch_size)).prepare(DATA, None, ())
        first, second = ready.batches(0), ready.batches(1)
        first, second = ([batch.places for batch in plan] for plan in (first, second))
        for plan in (first, second):
            assert sorted(np.concatenate(plan).tolist()) == list(range(n))
        assert len(first[0]) == (42 if cls is FullyConnected else size)
        assert not np.array_equal(np.concatenate(first), np.concatenate(second))


def test_a_point_of_the_batch_is_the_one_of_the_data():
    ready = FullyConnected(NETWORK)._training(settings(precision="float64")).prepare(DATA, None, ())
    part = ready.task.train.points(torch.tensor([0, 11 * 3 + 5, 11 * 24 - 1]), torch.zeros(3, dtype=torch.int64))
    physical = ready.scaling.physical(part.states[:, 0]).numpy()
    states = DATA.train.states
    np.testing.assert_allclose(physical, [states[0, 0], states[3, 5], states[23, 10]], rtol=1e-12)
    np.testing.assert_allclose(part.times[:, 0], [0, 0.5, 1], atol=1e-15)
    np.testing.assert_allclose(ready.scaling.physical(part.initial).numpy(), states[[0, 3, 23], 0], rtol=1e-12)


def test_a_later_start_is_a_trajectory_that_begins_there():
    """Its initial state is the one at that step, and its time is what has gone by since, on an uneven grid too."""
    times = np.array([1.0, 1.5, 3.0, 4.0, 11.0])
    part = decays.Trajectories(np.arange(10.0).reshape(2, 5, 1) + 1, times, None, ("x",))
    other = decays.Trajectories(part.states + 20, times, None, ("x",))
    data = decays.TrajectoryData.of(part, part, other, "uneven")
    linear, log = Preprocessing(log10_transform=False), Preprocessing(log10_transform=False, log_timesteps=True)
    for preprocessing, u in ((linear, [0.25, 1.0]), (log, np.log([1 + 2.5, 1 + 10.0]) / np.log(11))):
        surrogate = FullyConnected(NETWORK, preprocessing=preprocessing)
        ready = surrogate._training(settings(precision="float64")).prepare(data, None, ())
        points = ready.task.train.points(torch.tensor([3, 9]), torch.tensor([1, 0]))
        np.testing.assert_allclose(ready.scaling.physical(points.initial)[:, 0], [2, 6])
        np.testing.assert_allclose(ready.scaling.physical(points.states)[:, 0, 0], [4, 10])
        np.testing.assert_allclose(points.times[:, 0], u, rtol=1e-12)
        whole = ready.task.train.later(1)
        np.testing.assert_allclose(ready.scaling.physical(whole.initial)[:, 0], [2, 7])
        np.testing.assert_allclose(ready.scaling.physical(whole.states)[1, :, 0], [7, 8, 9, 10])
        moments = torch.tensor([1.0, 2.5, 3.5, 10.5], dtype=torch.float64)
        np.testing.assert_allclose(whole.times, ready.scaling.times(moments), rtol=1e-12)


@pytest.mark.parametrize("cls", [FullyConnected, MultiONet, LatentPoly])
def test_as_many_begin_later_as_the_settings_say(cls):
    for part in (0.0, 0.5, 1.0):
        ready = cls()._training(settings(batch_size=1, later_starts=part)).prepare(DATA, None, ())
        plan = [batch for epoch in range(20) for batch in ready.batches(epoch)]
        begins = np.array([int(batch.begins[0]) for batch in plan])
        ends = np.array([batch.places[0] % 11 if cls is FullyConnected else 10 for batch in plan])
        assert (begins < np.maximum(ends, 1)).all()
        expected = part * np.mean([(end - 1) / end if end else 0.0 for end in ends])
        assert np.mean(begins > 0) == pytest.approx(expected, abs=0.06)
        assert set(begins) == ({0} if part == 0 else set(range(10)))


def test_later_starts_help_where_rates_do_not_depend_on_the_time():
    few = known_flows.data(np.linspace(0, 3, 9), train=6, n_quantities=2)
    network = FullyConnectedConfig(hidden_size=24, num_hidden_layers=2, activation="silu", hard_initial_condition=True)
    linear = Preprocessing(log10_transform=False)
    by_part = {
        part: train(few, network, linear, epochs=300, batch_size=32, learning_rate=0.01, later_starts=part)[0]
        for part in (0.0, 1.0)
    }
    errors = {part: errors_of(one, few.val)["mae"] for part, one in by_part.items()}
    assert errors[1.0] < 0.7 * errors[0.0], errors


def test_a_step_of_a_part_of_the_times_has_the_same_place_in_time():
    """Time is mapped by the horizon of the whole set, whatever is cut from it."""
    whole = FullyConnected(NETWORK)._training(settings()).prepare(DATA, None, ()).task.train.times
    for steps in (slice(None, None, 3), slice(None, 6), slice(None, None, 7)):
        cut = DATA.with_splits(DATA.train.at_steps(steps), DATA.test.at_steps(steps))
        ready = FullyConnected(NETWORK)._training(settings()).prepare(cut, None, ())
        assert torch.equal(ready.task.train.times, whole[steps])


def test_an_extrapolation_is_one():
    """States that ramp with time, learned in the first half: right there, and not a stretched half beyond."""
    ramp = Preprocessing(log10_transform=False)
    times = np.linspace(0, 1, 101)
    part = decays.Trajectories(np.broadcast_to(times[:, None] * 2 - 1, (4, 101, 1)), times, None, ("x",))
    data = decays.TrajectoryData.of(part, part, part, "ramp")
    cut = data.with_splits(part.at_steps(slice(50)), part.at_steps(slice(50)))
    surrogate, _ = train(cut, preprocessing=ramp, epochs=60, batch_size=50, learning_rate=0.01)
    found = surrogate.predict(part.initial_states, times)[0, :, 0]
    assert np.abs(found - part.states[0, :, 0])[:50].max() <= 0.02
    assert found[100] > 0.5


# ------------------------------------------------------------------------------------------------- rates and steps


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_no_rate_is_ever_above_the_learning_rate(scheduler, optimizer):
    _, out = train(epochs=20, batch_size=264, scheduler=scheduler, optimizer=optimizer, learning_rate=1e-4)
    assert max(out.learning_rate) <= 1e-4


@pytest.mark.parametrize(
    "optimizer", [LBFGS(), Adam(mu=0.003, batchsize=50, clip_norm=0.1), ScheduleFreeAdamW(0.01, 50)]
)
def test_any_method_of_the_engine_trains(optimizer):
    config = TrajectoryTrainingConfig(epochs=6, optimizer=optimizer, scheduler="constant", seed=1)
    out = FullyConnected(NETWORK).train(DATA, config)
    assert out.errors["test_loss"].iloc[-1] < out.errors["test_loss"].iloc[0]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_schedule_free_weights_are_those_that_were_scored(optimizer, tmp_path):
    surrogate, out = train(
        scheduler="schedulefree", optimizer=optimizer, save_best=False, precision="float64", learning_rate=0.02
    )
    surrogate.save(tmp_path / "a.pt")
    loaded = FullyConnected.load(tmp_path / "a.pt")
    assert errors_of(loaded, DATA.test)["loss"] == pytest.approx(out.errors["test_loss"].iloc[-1], rel=1e-12)


def test_averaged_weights_are_those_that_were_scored():
    surrogate, out = train(average=ExponentialAverage(0.9), save_best=False, precision="float64")
    assert errors_of(surrogate, DATA.test)["loss"] == pytest.approx(out.errors["test_loss"].iloc[-1], rel=1e-12)
    assert not torch.equal(weights(surrogate), weights(train(save_best=False, precision="float64")[0]))


@pytest.mark.parametrize(
    ("cls", "network"),
    [(FullyConnected, NETWORK), (LatentPoly, LatentPolyConfig(coder_width=8, activation="silu"))],
    ids=["fully_connected", "latent_poly"],
)
def test_loss_function_and_beta_reach_every_network(cls, network):
    losses = [{}, {"loss_function": "smoothl1", "beta": 0.1}, {"loss_function": "smoothl1", "beta": 10.0}]
    found = [weights(train(cls=cls, network=network, batch_size=8, **changed)[0]) for changed in losses]
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])
    same = weights(train(cls=cls, network=network, batch_size=8, beta=7.0)[0])
    assert torch.equal(same, found[0])  # the mean square has no beta


# --------------------------------------------------------------------------------------------- which weights are kept


class Spoiled(Callback):
    """Ruins the weights at the end of the last epoch, so that they are not the best."""

    @torch.no_grad()
    def on_batch(self, run):
        if run.epoch == 3 and run.batch == run.batches:
            for weight in [*run.model.parameters(), *run.average_weights.values()]:
                weight.add_(0.5)


def spoil(monkeypatch):
    def spoiled(run, task, batches, epochs, callbacks):
        fit(run, task, batches, epochs, [*callbacks, Spoiled()])

    monkeypatch.setattr("potentia.train.prepared.fit", spoiled)


@pytest.mark.parametrize("scheduler", ["constant", "schedulefree"])
def test_the_kept_weights_have_the_lowest_test_error(scheduler, monkeypatch, tmp_path):
    """The last epoch and the best are compared by one measure, that of the history."""
    spoil(monkeypatch)
    changed = {"scheduler": scheduler, "precision": "float64", "warmup_epochs": 0, "epochs": 4}
    surrogate, out = train(**changed, checkpoint_dir=str(tmp_path))
    losses = out.errors["test_loss"]
    assert losses.idxmin() == out.kept_epoch == surrogate.metadata["kept_epoch"] < 4
    kept = errors_of(surrogate, DATA.test)["loss"]
    assert kept == pytest.approx(losses.min(), rel=1e-12)
    assert errors_of(FullyConnected.load(tmp_path / "best_model.pt"), DATA.test)["loss"] == kept
    last, out = train(**changed, save_best=False)
    assert errors_of(last, DATA.test)["loss"] == pytest.approx(losses.iloc[-1], rel=1e-12)
    assert out.kept_epoch == 4


def test_early_stopping_goes_by_the_test_part(monkeypatch):
    _, out = train(epochs=400, learning_rate=0.2, early_stopping=2, scheduler="constant")
    assert len(out.errors) < 400
    assert "no better" in out.ended
    assert not out.resumable
    assert out.kept_epoch == len(out.errors) - 2


# ------------------------------------------------------------------------------------------------- seeds and record


def test_a_seed_decides_and_none_draws_a_new_one():
    one, other = (train(epochs=1)[0] for _ in range(2))
    assert torch.equal(weights(one), weights(other))
    assert not torch.equal(weights(one), weights(train(epochs=1, seed=2)[0]))
    (first, out), (second, _) = (train(epochs=1, seed=None) for _ in range(2))
    assert not torch.equal(weights(first), weights(second))
    assert torch.equal(weights(first), weights(train(epochs=1, seed=out.seed)[0]))


def test_the_global_generators_are_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_both_precisions_begin_with_the_same_weights():
    single, double = (train(epochs=1, learning_rate=1e-30, precision=p)[0] for p in ("float32", "float64"))
    assert weights(single).dtype == torch.float32
    assert torch.equal(weights(single).double(), weights(double))


def test_the_record_tells_true_numbers():
    surrogate, out = train(epochs=3)
    record = surrogate.metadata
    assert (record["n_train_samples"], record["n_timesteps"], record["epochs"], record["seed"]) == (24, 11, 3, 1)
    assert record["duration"] == pytest.approx(out.timing["epoch_time"].sum())
    assert from_dict(TrajectoryTrainingConfig, record["training_config"]) == settings(epochs=3)
    assert record["data"] == {"name": "decays", "system": None, "mark": DATA.mark(), "horizon": [0.0, 2.0]}
    columns = record["training_history"]
    assert columns["test_loss"].tolist() == out.errors["test_loss"].tolist()
    cut = DATA.with_splits(DATA.train.take(slice(None, None, 5)), DATA.test)
    assert train(cut, epochs=1)[0].metadata["n_train_samples"] == 5  # of 24 every 5th: 0, 5, 10, 15, 20


def test_what_is_handed_back(tmp_path):
    _, out = train(epochs=3)
    assert isinstance(out, TrainOut)
    assert out.errors.index.tolist() == [1, 2, 3]
    assert list(out.errors) == ["train_loss", "test_loss", "train_rmse", "test_rmse", "test_mae", "test_rmse_linear"]
    assert np.isfinite(out.errors.to_numpy()).all()
    assert (out.timing["epoch_time"] > 0).all()
    assert out.stats["final_test_loss"] == out.errors["test_loss"].iloc[-1]
    for plot in (out.plot_training_errors, out.plot_training_summary):
        assert isinstance(plot(tmp_path / "a.png"), Figure)
    assert (tmp_path / "a.png").stat().st_size > 1000
    text = str(out)
    assert "3 epochs, 24 training trajectories, seed 1" in text
    assert f"in epoch {out.stats['epoch_min_test_loss']}" in text
    assert "dex" in text


def test_a_forecast_trains_nothing():
    surrogate = FullyConnected(NETWORK)
    found = surrogate.forecast(DATA, settings(epochs=7))
    assert (found.epochs, found.batches_per_epoch) == (7, 6)
    assert found.seconds_per_epoch > 0
    assert not surrogate.is_trained()


# --------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(("bad", "message"), [(-1.0, "log10 needs states above 0, but B has 1 of"), (0.0, "minimum 0")])
def test_states_without_logarithm_are_named(bad, message):
    states = DATA.train.states.copy()
    states[3, 4, 1] = bad
    train_part = decays.Trajectories(states, DATA.train.times, None, decays.LABELS)
    with pytest.raises(DataError, match=message):
        train(DATA.with_splits(train_part, DATA.test))


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_without_its_initial_states_is_refused(part):
    parts = {"train": DATA.train, "test": DATA.test}
    parts[part] = parts[part].at_steps(slice(1, None))
    with pytest.raises(DataError, match=f"decays: {part} begins at time 0.2, the horizon at 0: keep the first step"):
        train(DATA.with_splits(**parts))


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="cannot be used here"):
        train(device="cuda:63")


def test_steps_that_are_too_large_are_an_error_that_says_so():
    with pytest.warns(PotentiaWarning, match="left out"), pytest.raises(TrainingError, match="lower the learning rate"):
        train(optimizer="sgd", learning_rate=1e30, epochs=30)


def test_the_number_of_threads_changes_nothing_but_rounding():
    threads = torch.get_num_threads()
    found = []
    for n in (1, 2):
        torch.set_num_threads(n)
        found.append(weights(train(epochs=2, precision="float64")[0]))
    torch.set_num_threads(threads)
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-12)
    assert math.isfinite(found[0].sum())
