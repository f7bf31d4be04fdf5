"""Small drives of a unicycle, and short trainings on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from potentia.dynamics import (
    DynamicsParameterNet,
    DynamicsTrainingConfig,
    FeatureSettings,
    get_model_spec,
    simulate_dataset,
)

SPEC = get_model_spec("unicycle").gauge_fixed()
NONE = FeatureSettings(mode="none")
TRUTH = {"k_turn": 1.2, "b_turn": 0.1, "k_accel": 0.8, "b_accel": -0.2, "drag": 0.1}
TIMES = {"epoch_time", "forward_time", "backward_time"}


def windows(n=48, truth=None, **settings):
    """Return windows of a unicycle."""
    return simulate_dataset(SPEC, TRUTH if truth is None else truth, **({"windows": n, "horizon": 6} | settings))


def net(model="unicycle", **settings):
    """Return a small network."""
    return DynamicsParameterNet(model, **({"hidden": (8,), "substeps": 1} | settings))


def config(**settings):
    """Return settings of a short training."""
    short = {"epochs": 3, "seed": 1, "stop_on_signal": False}
    own = {} if "optimizer" in settings else {"batch_size": 16, "learning_rate": 0.01}
    return DynamicsTrainingConfig(**(short | own | settings))


def shared(model, out):
    """Return all that two equal trainings have in common."""
    weights = {key: tensor.numpy().tobytes() for key, tensor in model.network_.state_dict().items()}
    history = [{key: repr(value) for key, value in row.items() if key not in TIMES} for row in out.history]
    return weights, history, out.kept_epoch


def with_far_speed(data, which):
    """Return windows of which some begin with a speed that single precision does not hold."""
    initial = data.initial_states.copy()
    initial[list(which), 3] = 1e39
    return replace(data, initial_states=initial)


def moved(data, x):
    """Return the same windows elsewhere."""
    shift = np.array([x, -x, 0, 0])
    return replace(data, initial_states=data.initial_states + shift, targets=data.targets + shift)
