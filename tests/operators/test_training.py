"""Laws of the training of neural operators: resumption, windows, terms of the loss, what is not finite."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from operators import fields_data
from operators.fields_data import MeanAlignment, data, same, settings, trained, weights
from potentia.errors import ConfigError, DataError, PotentiaWarning, TrainingError
from potentia.operators import FNOConfig, NeuralOperator, OperatorTrainingConfig, TrainOut
from potentia.operators.bad_steps import BadSteps
from potentia.operators.checkpoints import load_checkpoint, resumed_lines
from potentia.operators.networks.base import FieldShape
from potentia.operators.task import FieldModel, spared_by_decay
from potentia.operators.training import Training
from potentia.train import Callback, StepNames, newest_checkpoint

GUIDE_KEYS = {
    "model_state_dict", "optimizer_state_dict", "scheduler_state_dict", "epoch", "global_step", "history",
    "best_val_loss", "alignment_state", "config", "args",
}  # fmt: skip


class StopAfter(Callback):
    """Interrupts a run after so many steps, as a killed process would."""

    def __init__(self, steps):
        self.steps = steps

    def on_batch(self, run):
        if run.epoch * run.batches + run.batch == self.steps:
            run.interrupted = "killed"


class Spoil(Callback):
    """Makes a weight not a number before some steps, and puts it back after them."""

    def __init__(self, steps):
        self.steps = set(steps)
        self.before = None

    def _weight(self, run):
        return run.model.network.out.bias

    def on_begin(self, run):
        self._spoil(run, 0)

    def on_batch(self, run):
        if self.before is not None:
            self._weight(run).data.copy_(self.before)
            self.before = None
        self._spoil(run, run.epoch * run.batches + run.batch)

    def _spoil(self, run, step):
        if step in self.steps:
            self.before = self._weight(run).detach().clone()
            self._weight(run).data.fill_(float("nan"))


def test_learning_rate_of_a_step_is_that_of_the_guide():
    config = OperatorTrainingConfig(epochs=10, lr=3e-4, warmup_steps=500)
    rates = [config.schedule(225).rate(3e-4, {}, step / 225) for step in (0, 250, 500, 1375, 2250, 3000)]
    assert rates == pytest.approx([3e-5, 1.65e-4, 3e-4, 1.5e-4, 0, 0], abs=1e-18)


def test_warmup_must_end_before_the_training_and_is_a_tenth_of_a_short_one():
    assert OperatorTrainingConfig(epochs=2).schedule(50).warmup_epochs == 10 / 50
    with pytest.raises(ConfigError, match="warmup_steps must be less than all steps, 2 epochs of 50 = 100, got 500"):
        OperatorTrainingConfig(epochs=2, warmup_steps=500).schedule(50)


def test_constant_rate_follows_the_warmup():
    config = OperatorTrainingConfig(epochs=2, lr=1.0, lr_schedule="constant", warmup_steps=10)
    assert [config.schedule(50).rate(1.0, {}, e) for e in (0, 0.2, 2)] == pytest.approx([0.1, 1, 1])
    assert OperatorTrainingConfig(epochs=2, lr_schedule="constant", warmup_steps=0).schedule(50) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1"),
        ({"lr": 0.0}, "lr must be greater than 0"),
        ({"bptt_start": "end"}, "bptt_start must be one of"),
        ({"lr_schedule": "cosin"}, "did you mean 'cosine'"),
        ({"max_bad_fraction": 2.0}, "max_bad_fraction must be"),
        ({"step_growth": 0.0}, "step_growth must be greater than 0"),
        ({"device": "gpu"}, "device must be the name of a torch device"),
    ],
)
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(ConfigError, match=message):
        settings(**changes)


def test_checkpoints_have_the_names_and_keys_of_the_guide(tmp_path):
    trained(settings(epochs=3, checkpoint_dir=str(tmp_path), save_every=1, keep_steps=2))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["best_model.pt", "epoch_1.pt", "epoch_2.pt", "epoch_3.pt", "step_8.pt", "step_9.pt"]
    found = load_checkpoint(tmp_path / "step_8.pt")  # 3 steps an epoch
    assert found.keys() >= GUIDE_KEYS
    assert (found["epoch"], found["batch_in_epoch"], found["global_step"]) == (2, 2, 8)
    assert found["scheduler_state_dict"]["step"] == 8
    assert len(found["history"]["train_loss"]) == len(found["history"]["val_loss"]) == 2
    assert found["best_val_loss"] == min(found["history"]["val_loss"])
    assert found["config"]["width"] == 4
    assert found["args"]["bptt_window"] == 3
    assert found["alignment_state"] is None
    assert newest_checkpoint(tmp_path, StepNames()).name == "epoch_3.pt"


def test_newest_checkpoint_is_the_one_that_had_come_farthest(tmp_path):
    stop = StopAfter(5)
    trained(settings(checkpoint_dir=str(tmp_path)), callbacks=[stop])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best_model.pt", "epoch_1.pt", "step_5.pt"]
    assert newest_checkpoint(tmp_path, StepNames()).name == "step_5.pt"


@pytest.mark.parametrize(
    ("how", "killed_after"),
    [
        ("plain", 3), ("plain", 7), ("accumulated", 3), ("aligned", 7),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in (("accumulated", 7), ("aligned", 3), ("chunks", 3))),
        ("chunks", 7),
    ],
)  # fmt: skip
def test_a_run_that_was_killed_anywhere_ends_as_if_it_was_not(tmp_path, how, killed_after):
    changes = {
        "plain": {},
        "accumulated": {"accumulate": 2, "batch_size": 2},
        "aligned": {},
        "chunks": {"bptt_start": "chunks"},
    }
    config = settings(checkpoint_dir=str(tmp_path), save_every=1, seed=None, **changes[how])
    alignment = MeanAlignment() if how == "aligned" else None
    whole, out = trained(dataclasses.replace(config, seed=5, checkpoint_dir=None), alignment=alignment)
    _, cut = trained(dataclasses.replace(config, seed=5), alignment=alignment, callbacks=[StopAfter(killed_after)])
    assert cut.resumable
    newest = newest_checkpoint(tmp_path, StepNames())
    resumed, again = trained(config, alignment=alignment, resume_from=newest)
    assert same(weights(whole), weights(resumed))
    assert same(whole.projector_state_, resumed.projector_state_)
    assert again.errors.equals(out.errors)


def test_a_checkpoint_of_other_data_or_settings_is_refused_by_name(tmp_path):
    trained(settings(epochs=1, checkpoint_dir=str(tmp_path)))
    path = tmp_path / "epoch_1.pt"
    with pytest.raises(ConfigError, match=r"(?s)config.epochs: 1 → 4.*config.lr: 0.01 → 0.1"):
        trained(settings(lr=0.1), resume_from=path)
    with pytest.raises(ConfigError, match="data: "):
        trained(settings(epochs=1), on=data(n_train=9), resume_from=path)
    _, out = trained(settings(), resume_from=path, allow_changes=("epochs",))
    assert len(out.errors) == 4


def test_accumulated_batches_have_the_gradient_of_one_large_batch():
    one, _ = trained(settings(epochs=1, batch_size=10, lambda_ic=0.3))
    parts, _ = trained(settings(epochs=1, batch_size=5, accumulate=2, lambda_ic=0.3))
    for name, weight in weights(one).items():
        torch.testing.assert_close(weights(parts)[name], weight, rtol=1e-4, atol=1e-6)


def test_patience_is_kept_over_an_interruption_and_the_best_weights_come_back(tmp_path):
    config = settings(epochs=30, lr=0.5, early_stop_patience=2, checkpoint_dir=str(tmp_path), clip_grad=None)
    whole, out = trained(config)
    assert out.ended.startswith("no better than")
    values = out.errors["val_loss"]
    assert out.kept_epoch == values.idxmin() == len(values) - 2
    assert same(weights(whole), weights(NeuralOperator.load(tmp_path / "best_model.pt")))
    resumed, again = trained(config, resume_from=tmp_path / f"epoch_{len(values) - 1}.pt")
    assert len(again.errors) == len(values)
    assert same(weights(whole), weights(resumed))


def test_a_step_that_is_not_finite_is_left_out_counted_and_still_a_step(tmp_path):
    config = settings(epochs=2, checkpoint_dir=str(tmp_path))
    with pytest.warns(PotentiaWarning, match="epoch 1, batch 2 left out"):
        operator, out = trained(config, callbacks=[Spoil([1])])
    assert [row["skipped"] for row in out.history] == [1, 0]
    assert np.isfinite(operator.predict(data().test.initial, data().test.parameters, 3)).all()
    found = load_checkpoint(tmp_path / "epoch_2.pt")
    assert (found["bad_batches"], found["global_step"]) == (1, 6)


@pytest.mark.filterwarnings("ignore:epoch")
def test_more_than_a_tenth_of_50_steps_that_are_not_finite_end_the_training():
    config = settings(epochs=12, batch_size=2, timesteps=2)  # 5 steps an epoch
    with pytest.raises(TrainingError, match=r"6 of 50 steps were not finite, more than 10%: lower lr \(now .*\)"):
        trained(config, callbacks=[Spoil(range(0, 48, 8))])
    trained(dataclasses.replace(config, max_bad_fraction=0.2), callbacks=[Spoil(range(0, 48, 8))])


def test_decay_spares_biases_scales_and_modulation():
    network = FNOConfig(width=4, modes=2, layers=1, conditioning="film").build(FieldShape(1, 1, 2))
    spared = {id(p) for p in spared_by_decay(FieldModel(network))}
    names = {name for name, p in network.named_parameters() if id(p) in spared}
    pulled = {name for name, p in network.named_parameters() if id(p) not in spared}
    assert {"scale", "lift.bias", "modulations.0.weight", "modulations.0.bias"} <= names
    assert pulled == {
        "lift.weight", "layers.0.waves", "layers.0.point.weight", "conditioning.0.weight", "conditioning.2.weight",
        "hidden.weight", "out.weight",
    }  # fmt: skip


def test_only_what_is_pulled_shrinks_without_a_gradient():
    config = settings(epochs=1, batch_size=10, lambda_traj=0.0, lambda_ic=0.0, weight_decay=0.5, warmup_steps=0)
    started = Training("neural operator", fields_data.NETWORK, config).prepare(data(), None, ()).model.network
    operator, _ = trained(dataclasses.replace(config, save_best=False))
    for name, weight in weights(operator).items():
        kept = name == "scale" or name.endswith("bias")
        expected = dict(started.state_dict())[name] * (1 if kept else 1 - 1e-2 * 0.5)
        torch.testing.assert_close(weight, expected)


def test_an_alignment_sees_whole_roll_outs_and_its_projector_learns(tmp_path):
    alignment = MeanAlignment()
    operator, out = trained(settings(checkpoint_dir=str(tmp_path)), alignment=alignment)
    assert alignment.steps == 6
    assert all(shape[1:] == (7, 1, 16) for shape in alignment.seen)
    assert {"train_commit", "val_commit"} <= set(out.errors)
    assert "train_latent" not in out.errors
    row = out.errors.iloc[-1]
    assert row["val_loss"] == pytest.approx(row["val_traj"] + 0.5 * row["val_commit"])
    begun = Training("x", fields_data.NETWORK, settings(), alignment).prepare(data(), None, ()).model.projector
    assert not same(dict(begun.state_dict()), operator.projector_state_)
    assert same(load_checkpoint(tmp_path / "epoch_4.pt")["alignment_state"], operator.projector_state_)
    with pytest.raises(ConfigError, match="alignment"):
        trained(settings(), resume_from=tmp_path / "epoch_1.pt")


def test_data_are_cut_to_what_the_settings_name():
    _, out = trained(settings(epochs=1, n_samples=4, timesteps=2))
    assert (out.n_train_samples, out.n_steps) == (4, 2)
    some = data()
    twice = dataclasses.replace(some.train, group=np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3]))
    some = dataclasses.replace(some, train=twice)
    _, out = trained(settings(epochs=1, n_realizations=2), on=some)
    assert out.n_train_samples == 7
    with pytest.raises(DataError, match="n_samples=11, but the training part has 10 samples"):
        trained(settings(n_samples=11))


def test_transfer_begins_with_what_the_first_operator_predicts_and_a_new_optimizer(tmp_path):
    trained(settings(checkpoint_dir=str(tmp_path)))
    other = data(n_train=6, steps=5)
    first = NeuralOperator.load(tmp_path / "best_model.pt")
    still = settings(epochs=1, lr=1e-12, warmup_steps=0, weight_decay=0.0)
    tuned, out = trained(still, on=other, init_from=tmp_path / "best_model.pt")
    asked = other.test.initial, other.test.parameters, 5
    np.testing.assert_allclose(tuned.predict(*asked), first.predict(*asked), atol=1e-5)
    assert len(out.errors) == 1  # a new run: step 0, no history
    with pytest.raises(ConfigError, match="give one of them"):
        trained(still, init_from="a", resume_from="b")
    with pytest.raises(ConfigError, match=r"(?s)holds another network.*network.width: 4 → 6"):
        trained(still, network=FNOConfig(width=6, modes=3, layers=1), init_from=tmp_path / "best_model.pt")
    renamed = dataclasses.replace(other, channels=("v",))
    with pytest.raises(ConfigError, match="was trained on the channels u, not on v"):
        trained(still, on=renamed, init_from=tmp_path / "best_model.pt")


def test_what_a_user_is_told_of_a_resumption(tmp_path):
    trained(settings(checkpoint_dir=str(tmp_path)), callbacks=[StopAfter(5)])
    assert resumed_lines(tmp_path / "step_5.pt")[1:6] == [
        "  ✓ Loaded model weights",
        "  ✓ Loaded optimizer state",
        "  ✓ Loaded scheduler state",
        "  ✓ Resuming from epoch 2, step 5",
        "    (Will skip first 2 batches of epoch 2)",
    ]


def test_forecast_changes_nothing_and_bad_steps_counts_over_epochs():
    operator = NeuralOperator(fields_data.NETWORK)
    assert operator.forecast(data(), settings()).batches_per_epoch == 3
    assert not operator.is_trained()
    assert BadSteps(0.1).fraction == 0.1


def test_one_parameter_more_than_the_network_knows_is_one_error():
    with pytest.raises(DataError, match="needs 1 axes of at least 20 points, got the grid"):
        trained(network=FNOConfig(width=4, modes=10, layers=1))


def test_figures_name_no_unit_where_there_is_none_and_are_drawn_before_any_epoch():
    row = {"train_loss": 0.3, "val_loss": 0.4, "val_rel_l2": 0.5}
    assert [axes.get_ylabel() for axes in TrainOut([row]).plot_training_summary().axes] == ["loss", "relative L2"]
    assert len(TrainOut([]).plot_training_summary().axes) == 2
