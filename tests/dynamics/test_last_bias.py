"""Laws of the polish of a network that sees something: only its last bias moves, and never to a higher loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dynamics.known_drives import EXPLOSIVE
from dynamics.turns import SPEC, TRUTH, config, net, windows
from potentia.dynamics import FeatureDataset
from potentia.dynamics.losses import ScaledLoss, YawL1

MEASURES = {"scaled": "l1", "scaled-huber": "huber", "scaled-mse": "mse"}


def trained(data, **settings):
    model = net()
    model.train(data, config(**settings))
    return model


def loss_of(model, data, loss):
    """Return the training loss of what a network predicts."""
    states, targets = torch.from_numpy(model.predict(data)), torch.from_numpy(data.targets)
    if loss == "yaw-l1":
        return float(YawL1(angles=SPEC.angles)(states, targets)) / len(data)
    return float(ScaledLoss.of_data(data, SPEC, MEASURES[loss])(states, targets))


@pytest.mark.parametrize("loss", ["scaled", "scaled-huber", "scaled-mse", "yaw-l1"])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_the_training_loss_never_rises_and_nothing_but_the_last_bias_moves(loss, noise):
    data = windows(24, features=2, noise=noise)
    plain, polished = (trained(data, loss=loss, polish=polish) for polish in ("off", "gauss-newton"))
    before, after = (loss_of(model, data, loss) for model in (plain, polished))
    told = polished.metadata["polish"]
    assert after < before
    assert (told["loss_before"], told["loss"]) == (pytest.approx(before, rel=1e-5), pytest.approx(after, rel=1e-9))
    own, other = (model.network_.state_dict() for model in (plain, polished))
    assert [name for name in own if not torch.equal(own[name], other[name])] == ["bias"]


@pytest.mark.parametrize("loss", ["scaled", "scaled-mse"])
def test_what_all_windows_share_is_found_though_the_training_was_too_short_for_it(loss):
    """The parameters follow a feature a little, and are far from the defaults: one step of AdamW cannot go there."""
    data = windows(32, truth=lambda seen: {**TRUTH, "k_turn": 1.2 + 0.01 * np.tanh(seen[:, 0])}, features=1)
    short = {"loss": loss, "epochs": 1, "learning_rate": 1e-3}
    plain, polished = (trained(data, polish=polish, **short) for polish in ("off", "gauss-newton"))
    assert loss_of(polished, data, loss) < 0.1 * loss_of(plain, data, loss)
    assert np.abs(plain.predict_params(data)["k_turn"] - 1.2).min() > 0.15
    assert np.abs(polished.predict_params(data)["k_turn"] - 1.2).max() < 0.05


def test_what_is_known_before_weighs_as_in_the_training():
    data = windows(12, features=1)
    free, held = (trained(data, polish="gauss-newton", prior=prior) for prior in ({}, {"k_turn": (0.8, 1e-4)}))
    assert free.predict_params(data)["k_turn"].mean() == pytest.approx(1.2, abs=0.05)
    assert held.predict_params(data)["k_turn"].mean() == pytest.approx(0.8, abs=0.01)


def test_windows_that_cannot_be_simulated_are_left_out():
    start = np.array([[0.1], [0.2], [0.3], [9.0]])  # from the last one roll-outs end in no time
    times = 0.1 * np.arange(1, 6)
    targets = (start / np.sqrt(1 + 2 * start**2 * times))[..., None]  # of k = −1
    data = FeatureDataset(
        start, np.zeros((4, 5, 0)), targets, np.array(0.1), ("level",), (), features=start, feature_names=("seen",)
    )
    model = net(EXPLOSIVE)
    model.train(data, config(polish="gauss-newton", max_diverged=1.0, epochs=1))
    told = model.metadata["polish"]
    assert told["left_out"] == 1
    assert told["loss"] < told["loss_before"]
