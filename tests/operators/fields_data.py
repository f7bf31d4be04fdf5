"""Fields small enough to be learned in a blink, and networks of a size that goes with them."""

from __future__ import annotations

import numpy as np
import torch

from potentia.operators import (
    Continuous,
    FNOConfig,
    NeuralOperator,
    OperatorData,
    OperatorTrainingConfig,
    ParameterSpace,
    Samples,
)
from potentia.operators.alignment_terms import AlignmentTerms

GRID = 16
SPACE = ParameterSpace((Continuous(name="speed", low=0.0, high=2.0), Continuous(name="decay", low=0.0, high=0.4)))
NETWORK = FNOConfig(width=4, modes=3, layers=1)


def waves(n, steps=6, seed=0, first_group=0, grid=GRID):
    """Return waves that move and fade, e^(−decay t) sin(k x + φ − speed t): only the parameters tell how."""
    draw = np.random.default_rng(seed)
    values = SPACE.values(draw.random((n, 2)))
    number, phase = draw.integers(1, 3, n)[:, None], draw.random(n)[:, None] * 2 * np.pi
    x = np.arange(grid) / grid * 2 * np.pi
    fields = [
        np.exp(-values[:, 1:] * t) * np.sin(number * x + phase - values[:, :1] * t) for t in np.arange(steps + 1) * 0.5
    ]
    return Samples(np.stack(fields, 1)[:, :, None], values, np.arange(first_group, first_group + n))


def data(n_train=10, n_other=4, **changes):
    parts = [waves(n, first_group=100 * k, seed=k, **changes) for k, n in enumerate((n_train, n_other, n_other))]
    return OperatorData(*parts, space=SPACE, channels=("u",), time_step=0.5, name="waves")


def settings(**changes):
    return OperatorTrainingConfig(**{"epochs": 4, "seed": 3, "bptt_window": 3, "lr": 1e-2, **changes})


def trained(config=None, *, on=None, network=NETWORK, **how):
    operator = NeuralOperator(network)
    out = operator.train(data() if on is None else on, config or settings(), **how)
    return operator, out


def weights(operator):
    return operator.network_.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class MeanAlignment(AlignmentTerms):
    """Draws the mean of the last field, by a projector of one number, to that of the truth."""

    def __init__(self, weight=0.5):
        self.weight = weight
        self.seen = []

    @property
    def weights(self):
        return {"commit": self.weight, "latent": 0.0}

    def projector(self, network):
        return torch.nn.Linear(network.bottleneck_channels, 1)

    def terms(self, projector, rolled):
        self.seen.append(tuple(rolled.predicted.shape))
        features = rolled.network.intermediate_features(rolled.predicted[:, -1], rolled.parameters)["bottleneck"]
        found = projector(features.flatten(2).mean(2))[:, 0]
        return {"commit": (found - rolled.truth[:, -1].flatten(1).mean(1)).square().mean()}

    def describe(self):
        return {"weight": self.weight}

    def require(self, data, steps):
        self.steps = steps
