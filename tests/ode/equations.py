"""Equations whose solutions are known, as rates of many members."""

from __future__ import annotations

import torch


def decay(t, y):
    return -y


def oscillator(t, y, frequency):
    """Position and velocity over frequency."""
    return frequency * torch.stack((y[:, 1], -y[:, 0]), 1)


def oscillation(initial, times, frequency):
    """[members, times, 2]"""
    angle = frequency * times
    x, v = initial[:, :1], initial[:, 1:]
    return torch.stack((x * angle.cos() + v * angle.sin(), v * angle.cos() - x * angle.sin()), -1)


def driven(t, y):
    """y = sin t + C e^(−t)."""
    return (torch.sin(t) + torch.cos(t))[:, None] - y


def blow_up(t, y):
    """y = 1/(1/y₀ − t)."""
    return y * y


def van_der_pol(t, y, mu):
    return torch.stack((y[:, 1], mu[:, 0] * (1 - y[:, 0] ** 2) * y[:, 1] - y[:, 0]), 1)


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)
