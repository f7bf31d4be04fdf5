"""Waves that move and fade as their parameters say, a tokenizer of them, and predictors that are right or wrong."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from potentia.operators import Continuous, OperatorData, ParameterSpace, Samples
from potentia.operators.features import feature_set
from potentia.operators.tokenizer import BehaviorTokenizer, TokenizerConfig, TokenizerTrainingConfig

SPACE = ParameterSpace((Continuous(name="speed", low=0.2, high=2.0), Continuous(name="decay", low=0.0, high=0.5)))
STEPS, GRID = 6, 16


def waves(draw, values, steps):
    """Return profiles of all waves that a grid has, which move and fade as their parameters say.

    Shape: [samples, steps + 1, 1, x]
    """
    k = np.arange(1, GRID // 2)
    size = np.exp(draw.normal(size=(len(values), len(k))) - 0.4 * k)
    start = size * np.exp(2j * np.pi * draw.random(size.shape))
    x = np.exp(1j * k[:, None] * np.arange(GRID) / GRID * 2 * np.pi)  # [waves, x]
    frames = [
        np.exp(-values[:, 1:] * t) * (0.5 + ((start * np.exp(-1j * k * values[:, :1] * t)) @ x).real)
        for t in 0.5 * np.arange(steps + 1)
    ]
    return np.stack(frames, 1)[:, :, None].astype(np.float32)


def samples(n, seed, first_group, steps=STEPS):
    draw = np.random.default_rng(seed)
    values = SPACE.values(draw.random((n, 2)))
    return Samples(waves(draw, values, steps), values, np.arange(first_group, first_group + n))


def data(n_train=8, n_test=24, steps=STEPS):
    parts = [samples(n, k, 1000 * k, steps) for k, n in enumerate((n_train, 4, n_test))]
    return OperatorData(*parts, space=SPACE, channels=("u",), time_step=0.5, name="waves")


def features(n, steps=STEPS):
    """Return features of true waves."""
    return feature_set(samples(n, 9, 0, steps), channels=("u",))


@functools.cache
def tokenizer(steps=STEPS):
    """Return a small one, trained on true waves."""
    made = BehaviorTokenizer(TokenizerConfig(codes=6, levels=2, latent_dim=4, hidden=16, decoder_hidden=24))
    made.train(features(64, steps), TokenizerTrainingConfig(epochs=40, batch_size=32, learning_rate=3e-3, seed=1))
    return made


@dataclass
class Known:
    """Gives the fields of some samples back, changed as asked."""

    samples: Samples
    change: object = staticmethod(lambda fields: fields)

    def predict(self, initial, parameters, steps):
        found = self.change(self.samples.fields[: len(initial), : steps + 1])
        assert found.shape == (len(initial), steps + 1, *initial.shape[1:])
        return found.astype(np.float32)


def noise(fields):
    """Return noise of the same size behind the true initial fields."""
    made = np.random.default_rng(0).standard_normal(fields.shape).astype(np.float32)
    made[:, 0] = fields[:, 0]
    return made


def mean_trajectory(fields):
    """Return the same trajectory, a usual one, for all samples."""
    return np.repeat(fields[:1], len(fields), 0)
