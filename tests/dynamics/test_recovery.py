"""Known parameters are found again: constants, parameters that follow features, two kinds of ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from potentia.dynamics import (
    DynamicsParameterNet,
    DynamicsTrainingConfig,
    FeatureSettings,
    get_model_spec,
    simulate_dataset,
)
from potentia.seeding import stream
from potentia.train import LBFGS

NONE = FeatureSettings(mode="none")
CAR = get_model_spec("singletrack").gauge_fixed()
TRUTH = {"mu": 0.8, "C_Sr": 4.5, "lf": 0.15, "lr": 0.18, "h": 0.06, "I": 0.05}


def solved_alike(net, data, params):
    """Return the windows as the network's own solver has them with these parameters."""
    return replace(data, targets=net.simulate(data.initial_states, data.controls, params, data.dt))


def relative(found, truth):
    return {key: abs(float(found[key].mean()) / value - 1) for key, value in truth.items()}


def test_constants_are_found_by_gradients_alone():
    truth = {"k_turn": 1.2, "b_turn": 0.1, "k_accel": 0.8, "b_accel": -0.2}
    net = DynamicsParameterNet("unicycle", features=NONE, substeps=1, fix={"drag": 0.0})
    data = solved_alike(net, simulate_dataset(get_model_spec("unicycle"), truth, windows=32, horizon=8), truth)
    schedule = {"scheduler": "cosine", "epochs": 250, "batch_size": 32, "learning_rate": 0.08, "min_lr": 1e-5}
    net.train(data, DynamicsTrainingConfig(seed=0, loss="scaled-mse", clip_norm=None, weight_decay=0, **schedule))
    assert max(relative(net.predict_params(data), truth).values()) < 1e-3


ADAM = {
    "scheduler": "cosine", "epochs": 5000, "batch_size": 128, "learning_rate": 0.1, "min_lr": 1e-6,
    "clip_norm": None, "weight_decay": 0.0,
}  # fmt: skip
QUASI_NEWTON = {"optimizer": LBFGS(batchsize=None), "scheduler": "constant", "epochs": 60}


@pytest.mark.parametrize(
    ("method", "bound"),
    [(QUASI_NEWTON, 1e-6), pytest.param(ADAM, 1e-3, marks=pytest.mark.slow)],
    ids=["L-BFGS", "AdamW"],
)
def test_the_single_track_is_found_by_gradients_alone(method, bound):
    net = DynamicsParameterNet("singletrack", features=NONE, substeps=1)
    data = solved_alike(net, simulate_dataset(CAR, TRUTH, windows=128, horizon=40, dt=0.03), TRUTH)
    net.train(data, DynamicsTrainingConfig(seed=0, loss="scaled-mse", precision="float64", **method))
    assert max(relative(net.predict_params(data), TRUTH).values()) < bound


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("noise", "bound"), [(0.0, 1e-8), (0.01, 0.03)])
def test_the_single_track_is_polished(noise, bound):
    net = DynamicsParameterNet("singletrack", features=NONE, substeps=1)
    data = solved_alike(net, simulate_dataset(CAR, TRUTH, windows=400, horizon=20), TRUTH)
    measured = simulate_dataset(CAR, TRUTH, windows=400, horizon=20, noise=noise)
    exact = simulate_dataset(CAR, TRUTH, windows=400, horizon=20)
    data = replace(data, targets=data.targets + measured.targets - exact.targets)
    net.train(data, DynamicsTrainingConfig(seed=0, epochs=2, learning_rate=0.02, polish="gauss-newton"))
    assert max(relative(net.predict_params(data), TRUTH).values()) < bound


def grip(features):
    return 0.4 + 0.6 / (1 + np.exp(-features @ np.array([1.5, -1.0, 0.5])))


@pytest.mark.slow
def test_grip_that_follows_features_is_found():
    net = DynamicsParameterNet(
        "singletrack", hidden=(32, 32), substeps=1, features=FeatureSettings(mode="features"), fix=fixed_but("mu", "I")
    )
    settings = {"horizon": 12, "features": 3, "noise": 0.003}
    data = simulate_dataset(CAR, lambda f: {"mu": grip(f)}, windows=2000, seed=0, **settings)
    held_out = simulate_dataset(CAR, lambda f: {"mu": grip(f)}, windows=300, seed=1, **settings)
    schedule = {"scheduler": "cosine", "epochs": 100, "batch_size": 128, "learning_rate": 5e-3}
    net.train(data, DynamicsTrainingConfig(seed=0, **schedule), held_out)
    truth, found = grip(held_out.features), net.predict_params(held_out)["mu"]
    assert 1 - ((found - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum() > 0.99

    constant = DynamicsParameterNet("singletrack", substeps=1, features=NONE, fix=fixed_but("mu", "I"))
    constant.train(data, DynamicsTrainingConfig(seed=0, **{**schedule, "epochs": 15, "learning_rate": 0.03}), held_out)
    oracle = net.simulate(
        held_out.initial_states, held_out.controls, {"mu": truth, "I": CAR.default_params["I"]}, held_out.dt
    )
    assert displacement(net.predict(held_out), held_out) < 1.1 * displacement(oracle, held_out)
    assert displacement(constant.predict(held_out), held_out) > 3 * displacement(net.predict(held_out), held_out)


@pytest.mark.slow
def test_grip_of_two_grounds_is_found():
    wet = stream(0, "wet").integers(0, 2, 400).astype(float)[:, None]
    truth = {0.0: 0.9, 1.0: 0.45}
    net = DynamicsParameterNet(
        "singletrack", hidden=(), substeps=1, features=FeatureSettings(mode="features"), fix=fixed_but("mu")
    )
    data = simulate_dataset(
        CAR, lambda f: {"mu": np.where(f[:, 0] > 0, truth[1.0], truth[0.0])}, windows=400, horizon=12, features=wet
    )
    schedule = {"scheduler": "cosine", "epochs": 60, "batch_size": 100, "learning_rate": 0.05}
    net.train(data, DynamicsTrainingConfig(seed=0, **schedule))
    found = net.predict_params(data)["mu"]
    for ground, mu in truth.items():
        assert found[wet[:, 0] == ground].mean() == pytest.approx(mu, rel=0.02)


def fixed_but(*free):
    return {key: value for key, value in CAR.default_params.items() if key not in free}


def displacement(states, data):
    return float(np.hypot(*np.moveaxis((states - data.targets)[..., :2], -1, 0)).mean())
