"""Trajectories of waves whose growth, speed and length decide all that they do, and small trainings on them."""

from __future__ import annotations

import math

import torch

from potentia.operators.features import Features, feature_set
from potentia.operators.tokenizer import BehaviorTokenizer, TokenizerConfig, TokenizerTrainingConfig

STEPS = 8
SMALL = {"codes": 6, "levels": 2, "latent_dim": 4, "hidden": 16, "decoder_hidden": 24, "revive_every": 3}


def waves(samples: int, seed: int = 0, steps: int = STEPS, channels: int = 1) -> torch.Tensor:
    """Return fields.  [samples, steps + 1, channels, 16]"""
    draws = torch.Generator().manual_seed(seed)
    growth, speed = torch.randn(2, samples, channels, 1, generator=draws).unbind(0)
    cycles = torch.randint(1, 4, (samples, channels, 1), generator=draws)
    x = torch.arange(16) / 16
    frames = [
        torch.exp(growth * t / steps) * torch.sin(2 * math.pi * (cycles * x - speed * t / steps))
        for t in range(steps + 1)
    ]
    return torch.stack(frames, 1)


def features(samples: int = 60, seed: int = 0, **changed) -> Features:
    return feature_set(waves(samples, seed, **changed))


def trained(data: Features, epochs: int = 6, *, batch_size: int = 16, **changed) -> BehaviorTokenizer:
    tokenizer = BehaviorTokenizer(TokenizerConfig(**(SMALL | changed)))
    tokenizer.train(data, TokenizerTrainingConfig(epochs=epochs, batch_size=batch_size, seed=1))
    return tokenizer
