"""Laws of training a parameter network through the simulation."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest

from dynamics.turns import NONE, SPEC, TRUTH, config, moved, net, shared, windows, with_far_speed
from potentia.dynamics.results import TrainOut
from potentia.errors import ConfigError, DataError, PotentiaWarning, TrainingError
from potentia.storage import read_json
from potentia.train import LBFGS, Callback, ExponentialAverage, newest_checkpoint
from potentia.train.vector_optimizers import VectorAdam


@functools.cache
def plain():
    return windows()


@functools.cache
def rich():
    return windows(features=2)


@functools.cache
def others():
    return windows(16, seed=7, features=2)


def train(data=None, validation=None, model=None, resume_from=None, allow=(), callbacks=(), **settings):
    model = net(features=NONE) if model is None else model
    data = plain() if data is None else data
    out = model.train(data, config(**settings), validation, resume_from, allow_changes=allow, callbacks=callbacks)
    return model, out


class Watch(Callback):
    """Notes what a run is after each epoch."""

    def __init__(self, look):
        self.look = look
        self.seen = []

    def on_epoch(self, run):
        self.seen.append(self.look(run))


# ------------------------------------------------------------------------------------------------ what is learned


@pytest.mark.parametrize("loss", ["scaled", "scaled-huber", "scaled-mse", "yaw-l1"])
def test_every_loss_falls(loss):
    _, out = train(loss=loss, epochs=8, clip_norm=None)
    assert out.errors["train_loss"].iloc[-1] < 0.9 * out.errors["train_loss"].iloc[0]


def test_the_loss_of_the_original_is_the_sum_over_a_window():
    model, out = train(loss="yaw-l1", epochs=1, learning_rate=1e-12, batch_size=48)
    error = np.abs(model.predict(plain()) - plain().targets)
    error[..., 2] = np.abs(np.angle(np.exp(1j * error[..., 2])))
    assert out.errors["train_loss"].iloc[0] == pytest.approx(error.sum((1, 2)).mean(), rel=1e-4)


def test_the_loss_does_not_depend_on_how_windows_are_cut():
    still = windows(20, truth={})
    initial = np.zeros_like(still.initial_states)
    targets = np.broadcast_to([3.0, 0, 0, 0], still.targets.shape)
    still = replace(still, initial_states=initial, targets=targets, controls=np.zeros_like(still.controls))
    _, out = train(still, epochs=4, batch_size=20, curriculum=((1, 1), (1, 2), (1, 4)), learning_rate=1e-12)
    assert list(out.progress["horizon"]) == [1, 2, 4, 6]
    np.testing.assert_allclose(out.errors["train_loss"], out.errors["train_loss"].iloc[0], rtol=1e-6)


def test_batches_of_any_size_have_the_same_mean_loss():
    losses = [train(batch_size=size, epochs=1, learning_rate=1e-12)[1].stats["final_train_loss"] for size in (7, 48)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_targets_that_do_not_count_change_nothing():
    mask = np.ones((48, 6), dtype=bool)
    mask[::3, 2:] = False
    wild = plain().targets.copy()
    wild[~mask] = np.nan
    masked = [replace(plain(), mask=mask), replace(plain(), mask=mask, targets=wild)]
    first, second = (shared(*train(data, data)) for data in masked)
    assert first == second
    assert first != shared(*train(plain(), plain()))


def test_far_places_lose_no_digits():
    near, far = (train(moved(plain(), x), moved(plain(), x), epochs=2)[1] for x in (0.0, 5e5))
    np.testing.assert_allclose(far.errors, near.errors, rtol=1e-4)


def test_weights_of_states_choose_what_is_learned():
    model, _ = train(state_weights={"x": 0, "y": 0, "psi": 0}, epochs=30, learning_rate=0.03)
    found = model.predict_params(plain())
    assert found["k_turn"][0] == pytest.approx(1.0, abs=0.01)  # not seen by the loss: the default
    assert abs(found["k_accel"][0] - TRUTH["k_accel"]) < 0.1


def test_a_prior_holds_what_the_data_do_not_tell():
    flat = {"state_weights": {"x": 0, "y": 0, "psi": 0}, "epochs": 60, "learning_rate": 0.05, "clip_norm": None}
    model, _ = train(prior={"k_turn": (1.3, 0.01), "k_accel": (1.4, 0.5)}, **flat)
    found = model.predict_params(plain())
    assert found["k_turn"][0] == pytest.approx(1.3, abs=0.01)
    assert abs(found["k_accel"][0] - TRUTH["k_accel"]) < 0.1  # data outweigh it


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ({"k_tunr": (1, 1)}, "did you mean 'k_turn'"),
        ({"drag": (1, 1)}, "prior: 'drag' is fixed"),
    ],
)
def test_priors_of_what_is_not_predicted_are_refused(prior, message):
    with pytest.raises(ConfigError, match=message):
        train(model=net(features=NONE, fix={"drag": 0.1}), prior=prior)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_constants_are_polished_to_the_last_digit():
    model, data = net(features=NONE), windows(12)
    data = replace(data, targets=model.simulate(data.initial_states, data.controls, TRUTH, data.dt))
    train(data, model=model, polish="gauss-newton", epochs=1)
    for key, value in TRUTH.items():
        assert model.predict_params(data)[key][0] == pytest.approx(value, abs=1e-8)
    assert model.metadata["polish"]["iterations"] > 0


# ------------------------------------------------------------------------------------------ choice, rate, validation


def test_the_best_weights_are_those_of_the_lowest_validation_loss():
    default = windows(16, truth={}, seed=3)  # what the new network predicts: each step of training makes it worse
    model, out = train(plain(), default, epochs=4)
    assert out.kept_epoch == 1
    assert out.errors["val_loss"].is_monotonic_increasing
    assert shared(model, out)[0] == shared(*train(plain(), default, epochs=1))[0]
    last, out = train(plain(), default, epochs=4, save_best=False)
    assert out.kept_epoch == 4
    assert shared(last, out)[0] != shared(model, out)[0]


def test_the_validation_columns_are_what_predict_says():
    model, out = train(rich(), others(), net(), epochs=2, precision="float64")
    error = model.predict(others()) - others().targets
    distance = np.hypot(error[..., 0], error[..., 1])
    best = out.errors.loc[out.kept_epoch]
    assert best["val_ade"] == pytest.approx(distance.mean(), rel=1e-9)
    assert best["val_fde"] == pytest.approx(distance[:, -1].mean(), rel=1e-9)
    assert best["val_rmse_v"] == pytest.approx(math.sqrt((error[:, -1, 3] ** 2).mean()), rel=1e-9)
    scales = np.array(model.metadata["state_scales"])
    assert best["val_loss"] == pytest.approx((np.abs(error) / scales).mean(), rel=1e-9)


def test_a_plateau_keeps_optimizer_moments_and_decay():
    def look(run):
        optimizer = run.stepper.optimizer
        moments = optimizer.state[run.stepper.flat[0]]
        return (type(optimizer), optimizer.param_groups[0]["weight_decay"], int(moments["step"]), run.learning_rate)

    watch = Watch(look)
    default = windows(16, truth={}, seed=3)
    settings = {"lr_patience": 0, "lr_factor": 0.1, "min_lr": 2e-4, "weight_decay": 0.03, "epochs": 5}
    train(plain(), default, callbacks=[watch], **settings)
    assert [kind for kind, *_ in watch.seen] == [VectorAdam] * 5
    assert {decay for _, decay, *_ in watch.seen} == {0.03}
    assert [step for _, _, step, _ in watch.seen] == [3, 6, 9, 12, 15]
    assert [rate for *_, rate in watch.seen] == pytest.approx([0.01, 0.01, 0.001, 2e-4, 2e-4])


def test_without_validation_only_epochs_of_whole_windows_are_compared():
    watch = Watch(lambda run: run.monitored)
    _, out = train(epochs=4, curriculum=((5, 2),), callbacks=[watch])  # 3 batches an epoch
    assert [math.isnan(value) for value in watch.seen] == [True, True, False, False]
    assert watch.seen[3] == out.errors["train_loss"].iloc[3]
    assert out.kept_epoch >= 3


def test_averaged_weights_and_other_optimizers_are_taken():
    average, _ = train(average=ExponentialAverage(0.9))
    assert shared(average, _)[0] != shared(*train())[0]
    _, out = train(optimizer=LBFGS(batchsize=48), scheduler="constant", loss="scaled-mse", epochs=6)
    assert out.stats["final_train_loss"] < 0.05 * out.errors["train_loss"].iloc[0]


# ------------------------------------------------------------------------------------------------- what diverges


def test_a_window_that_diverges_is_left_out_and_counted():
    model, out = train(with_far_speed(plain(), [5]), epochs=8)
    assert list(out.progress["diverged"]) == [1] * 8
    assert list(out.progress["skipped"]) == [0] * 8
    assert out.stats["final_train_loss"] < 0.9 * out.errors["train_loss"].iloc[0]
    assert all(np.isfinite(value).all() for value in model.predict_params(plain()).values())


def test_a_batch_in_which_all_diverge_is_skipped():
    with pytest.warns(PotentiaWarning, match="its loss is not finite"):
        _, out = train(with_far_speed(plain(), [5]), batch_size=1, epochs=1)
    assert list(out.progress["skipped"]) == [1]


def test_too_many_windows_that_diverge_end_the_training_and_are_named(tmp_path):
    which = [3, 8, 20, 41]
    with pytest.warns(
        PotentiaWarning, match=r"4 of 48 windows could not be simulated in epoch 1 \(windows 3, 8, 20, 41"
    ):
        _, out = train(with_far_speed(plain(), which), checkpoint_dir=str(tmp_path))
    assert len(out.errors) == 1
    assert "4 of 48 windows" in out.ended
    assert not out.resumable
    found = read_json(tmp_path / "diverged_windows.json", "diverged windows")
    assert (found["epoch"], found["windows"]) == (1, which)


def test_a_training_in_which_nothing_can_be_simulated_says_so():
    far = with_far_speed(plain(), range(48))
    with pytest.raises(TrainingError, match="10 batches in a row"), pytest.warns(PotentiaWarning):
        train(far, batch_size=4)


# --------------------------------------------------------------------------------------------------------- resume


NETWORKS = {
    "constants": (lambda: net(features=NONE), {}),
    "columns": (net, {"average": ExponentialAverage(0.9)}),
    "curriculum": (net, {"curriculum": ((2, 2), (3, 4)), "lr_patience": 0}),
    "a prior": (net, {"prior": {"drag": (0.0, 0.1)}, "loss": "yaw-l1", "scheduler": "cosine"}),
    "double precision": (lambda: net(layer_norm=True), {"precision": "float64"}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_resumed_training_equals_the_unbroken_one_to_the_bit(name, tmp_path):
    build, settings = NETWORKS[name]
    every = {"checkpoint_dir": str(tmp_path), "checkpoint_batches": 2, "max_checkpoints": None, **settings}
    whole = shared(*train(rich(), others(), build(), checkpoint_interval=1, **every))
    written = sorted(path for path in tmp_path.iterdir() if path.name != "best_model.pt")
    assert len(written) == 6
    for path in written:  # in the middle of epochs, and at their ends
        assert shared(*train(rich(), others(), build(), path, **settings)) == whole


def test_windows_that_were_left_out_are_remembered_over_a_break(tmp_path):
    far = with_far_speed(plain(), [3, 8, 20, 41])
    every = {"checkpoint_dir": str(tmp_path), "checkpoint_batches": 1, "max_checkpoints": None}
    with pytest.warns(PotentiaWarning, match="4 of 48 windows"):
        train(far, **every)
    with pytest.warns(PotentiaWarning, match="4 of 48 windows"):
        train(far, resume_from=tmp_path / "checkpoint_epoch_0000_batch_000002.pt")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda: {"data": windows(seed=9)}, "data: "),
        (lambda: {"validation": plain()}, "validation: None"),
        (lambda: {"model": net(features=NONE, fix={"drag": 0.0})}, "recipe.fix: None"),
        (lambda: {"weight_decay": 0.5}, r"config.weight_decay: 0.0001 → 0.5"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(changed, message, tmp_path):
    train(checkpoint_dir=str(tmp_path))
    with pytest.raises(ConfigError, match=message):
        train(resume_from=newest_checkpoint(tmp_path), **changed())


def test_what_may_change_is_named(tmp_path):
    train(checkpoint_dir=str(tmp_path))
    _, out = train(resume_from=newest_checkpoint(tmp_path), epochs=5, allow=("epochs",))
    assert len(out.errors) == 5


# ------------------------------------------------------------------------------------------------------- messages


def test_windows_of_another_model_are_refused():
    with pytest.raises(
        DataError, match=r"the training windows have the states x, y, psi, v, model 'singletrack' has x"
    ):
        train(model=net("singletrack"))
    with pytest.raises(DataError, match="the windows lack the feature 'f0'"):
        train(rich(), plain(), net())


def test_a_parameter_at_its_bound_is_warned_of():
    narrow = net(features=NONE, bounds={"k_accel": (0.95, 1.05)})
    with pytest.warns(PotentiaWarning, match=r"at a bound in many of the windows: k_accel \(100%\)"):
        _, out = train(model=narrow, epochs=40, learning_rate=0.2)
    assert out.saturation["k_accel"] == 1
    assert "At a bound: k_accel in 100% of the windows" in str(out)


def test_the_result_tells_what_happened(tmp_path):
    _, out = train(rich(), others(), net())
    assert "val_rmse_psi" in out.errors
    assert "3 epochs, 48 training windows, seed 1" in str(out)
    assert repr(out).startswith("TrainOut(3 epochs")
    assert out.stats["min_val_loss"] == out.errors["val_loss"].min()
    out.plot_training_errors(tmp_path / "errors.png")
    assert len(out.plot_training_summary().axes) == 2
    assert (tmp_path / "errors.png").stat().st_size > 1000


def test_a_training_can_be_forecast():
    model = net()
    forecast = model.forecast(rich(), config(epochs=7), others())
    assert (forecast.epochs, forecast.batches_per_epoch) == (7, 3)
    assert not model.is_trained()


def test_one_step_and_one_window_are_enough():
    single = windows(1, horizon=1)
    model, out = train(single, single)
    assert len(out.errors) == 3
    assert model.predict(single).shape == (1, 1, 4)


def test_steps_of_different_lengths_are_trained_on():
    dt = np.full((48, 6), 0.05)
    dt[:, ::2] = 0.1
    model = net(features=NONE)
    data = windows()
    targets = model.simulate(data.initial_states, data.controls, TRUTH, dt)
    _, out = train(replace(data, dt=dt, targets=targets), epochs=40, learning_rate=0.05, model=model)
    assert out.stats["final_train_loss"] < 0.2 * out.errors["train_loss"].iloc[0]
    assert abs(model.predict_params(data)["k_turn"][0] - TRUTH["k_turn"]) < 0.02
    assert SPEC.param_keys == tuple(model.predict_params(data))


def test_a_history_without_an_epoch_is_drawn_all_the_same():
    """As of a training that was stopped at once."""
    for draw in (TrainOut.plot_training_errors, TrainOut.plot_training_summary):
        (axes, *_) = draw(TrainOut([])).axes
        assert "no epoch was completed" in {text.get_text() for text in axes.texts}
