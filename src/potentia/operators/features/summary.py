"""Features of a whole trajectory: growth, rhythm, memory, drifts of invariants, transport and rank."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from operator import attrgetter

import torch
from torch import Tensor

from potentia.operators.features.families import Family
from potentia.operators.features.frames import FLOOR, TINY, log_above, root, slope_over_time
from potentia.operators.features.movie import Movie

__all__ = ["SUMMARY"]

SUMMARY: Family[Movie] = Family("summary")
"""Each has a value for each channel of a trajectory; E_t is the mean square after t of T steps, v_t the variance.

Beneath a logarithm or a stroke nothing is less than f, the square of `FLOOR` times ⟨E⟩ over all steps; no
length is less than the root of f.
"""


@SUMMARY.add()
def energy_growth(movie: Movie) -> Tensor:
    """Slope of log E_t over t/T."""
    return slope_over_time(log_above(movie.energy, movie.floor))


@SUMMARY.add()
def variance_growth(movie: Movie) -> Tensor:
    """Slope of log v_t over t/T."""
    return slope_over_time(movie.spread.log())


@SUMMARY.add()
def energy_ratio(movie: Movie) -> Tensor:
    """log(E_T/E_0)."""
    logs = log_above(movie.energy, movie.floor)
    return logs[:, -1] - logs[:, 0]


@SUMMARY.add()
def trend_r2(movie: Movie) -> Tensor:
    """Part of the variance over time of ⟨u⟩ that a straight line explains."""
    means = movie.mean
    t = torch.linspace(-0.5, 0.5, movie.steps + 1, dtype=means.dtype, device=means.device)
    explained = slope_over_time(means).square() * t.square().mean()
    return explained / torch.maximum(means.var(1, correction=0), movie.floor[:, 0])


@SUMMARY.add(differentiable=False)
def dominant_freq(movie: Movie) -> Tensor:
    """Frequency with the most power in E_t, in units of the Nyquist frequency of the steps."""
    return movie.time_frequencies[movie.energy_spectrum.argmax(-1)]


@SUMMARY.add()
def temporal_centroid(movie: Movie) -> Tensor:
    """Σ f P/Σ P of the spectrum of E_t, straight line removed and Hann-windowed."""
    return movie.energy_spectrum @ movie.time_frequencies / movie.energy_power


@SUMMARY.add()
def peak_fraction(movie: Movie) -> Tensor:
    """Part of the largest mode in that spectrum."""
    return movie.energy_spectrum.amax(-1) / movie.energy_power


@SUMMARY.add()
def autocorr_lag1(movie: Movie) -> Tensor:
    """Mean cosine between neighbouring steps, ⟨u_t, u_{t+1}⟩/(‖u_t‖ ‖u_{t+1}‖)."""
    return movie.likeness.diagonal(1, -2, -1).mean(-1)


@SUMMARY.add(differentiable=False)
def decay_time(movie: Movie) -> Tensor:
    """First lag, interpolated and over T, at which the mean cosine between steps is below 1/e; 1 if there is none."""
    lags = [movie.likeness.diagonal(lag, -2, -1).mean(-1) for lag in range(movie.steps + 1)]
    curve = torch.stack(lags, -1)  # [samples, channels, steps + 1]
    below = curve < math.exp(-1)
    first = below.int().argmax(-1, keepdim=True).clamp_min(1)
    before, after = curve.gather(-1, first - 1), curve.gather(-1, first)
    place = first - 1 + (before - math.exp(-1)) / (before - after + TINY)
    return torch.where(below.any(-1), place[..., 0] / movie.steps, torch.ones_like(place[..., 0]))


@SUMMARY.add(heavy=True)
def step_change_mean(movie: Movie) -> Tensor:
    """Mean over the steps of ‖u_{t+1} − u_t‖/‖u_t‖."""
    return movie.step_change.mean(1)


@SUMMARY.add(heavy=True)
def step_change_std(movie: Movie) -> Tensor:
    """Deviation of it over the steps."""
    return root(movie.step_change.var(1, correction=0))


@SUMMARY.add(heavy=True)
def step_change_max(movie: Movie) -> Tensor:
    """Largest of them."""
    return movie.step_change.amax(1)


@SUMMARY.add()
def late_to_early(movie: Movie) -> Tensor:
    """Log of the mean of ‖u_{t+1} − u_t‖/‖u_t‖ over the last quarter of the steps over that of the first quarter.

    Means below 10⁻² count as that.
    """
    quarter = max(movie.steps // 4, 1)
    early, late = movie.step_change[:, :quarter].mean(1), movie.step_change[:, -quarter:].mean(1)
    return late.clamp_min(FLOOR).log() - early.clamp_min(FLOOR).log()


@SUMMARY.add(heavy=True)
def irreversibility(movie: Movie) -> Tensor:
    """|⟨d³⟩|/⟨d²⟩^1.5 with d = u_{t+1} − u_t, over space and time; with signs, mirrored channels would cancel."""
    return movie.change.pow(3).mean((1, 3)).abs() / movie.spread_over_time.pow(1.5)


@SUMMARY.add(differentiable=False)
def permutation_entropy(movie: Movie) -> Tensor:
    """Entropy of the order of three neighbouring E_t over log 6."""
    windows = movie.energy.transpose(1, 2).unfold(-1, 3, 1)  # [samples, channels, windows, 3]
    order = windows.argsort(dim=-1, stable=True)
    patterns = torch.nn.functional.one_hot(order[..., 0] * 3 + order[..., 1], 9).to(windows.dtype)
    p = patterns.mean(-2)
    found: Tensor = -torch.special.xlogy(p, p).sum(-1) / math.log(6)
    return found


@SUMMARY.add(heavy=True)
def roughness(movie: Movie) -> Tensor:
    """⟨|u_{t+1} − 2 u_t + u_{t−1}|²⟩/⟨d²⟩ with d = u_{t+1} − u_t, over space and time."""
    change = movie.change
    second = (change[:, 1:] - change[:, :-1]).square().mean((1, 3))
    return second / movie.spread_over_time


INVARIANTS: dict[str, tuple[Callable[[Movie], Tensor], str]] = {
    "l1": (attrgetter("absolute"), "⟨|u|⟩"),
    "l2": (attrgetter("rms"), "√⟨u²⟩"),
    "linf": (attrgetter("peak"), "max |u|"),
    "entropy": (attrgetter("entropy"), "−Σ p log p/log(points) with p = (|u| + √f)/Σ(|u| + √f)"),
    "variation": (attrgetter("variation"), "⟨|∇u|⟩"),
}
"""What is followed over time: [samples, steps + 1, channels]."""


def _drift(movie: Movie, invariant: str) -> Tensor:
    series = INVARIANTS[invariant][0](movie)
    return (series[:, -1] - series[:, 0]) / (movie.steps * _start(series))


def _drift_std(movie: Movie, invariant: str) -> Tensor:
    series = INVARIANTS[invariant][0](movie)
    return root(series.diff(dim=1).var(1, correction=0)) / _start(series)


def _monotonicity(movie: Movie, invariant: str) -> Tensor:
    series = INVARIANTS[invariant][0](movie)
    change = series.diff(dim=1)
    return change.sum(1).abs() / torch.maximum(change.abs().sum(1), _least(series))


def _start(series: Tensor) -> Tensor:
    """Return the size of an invariant at the beginning, at least `FLOOR` of its mean size.  [samples, channels]"""
    return torch.maximum(series[:, 0].abs(), _least(series))


def _least(series: Tensor) -> Tensor:
    return FLOOR * series.abs().mean(1) + TINY


for _name, (_, _text) in INVARIANTS.items():
    SUMMARY.put(
        f"{_name}_drift", f"(I_T − I_0)/(T |I_0|) of I = {_text}.", partial(_drift, invariant=_name), heavy=True
    )
    SUMMARY.put(
        f"{_name}_drift_std",
        f"Deviation over the steps of I_{{t+1}} − I_t, over |I_0|, of I = {_text}.",
        partial(_drift_std, invariant=_name),
        heavy=True,
    )
    SUMMARY.put(f"{_name}_monotonicity", f"|Σ dI|/Σ|dI| of I = {_text}.", partial(_monotonicity, invariant=_name))


@SUMMARY.add()
def low_band_slope(movie: Movie) -> Tensor:
    """Slope over t/T of the log of the power below 0.16 of Nyquist."""
    return slope_over_time(log_above(movie.band_powers[..., :2].sum(-1), movie.floor))


@SUMMARY.add()
def high_band_slope(movie: Movie) -> Tensor:
    """Slope over t/T of the log of the power above 0.36 of Nyquist."""
    return slope_over_time(log_above(movie.band_powers[..., 3:].sum(-1), movie.floor))


@SUMMARY.add()
def cascade(movie: Movie) -> Tensor:
    """`high_band_slope` minus `low_band_slope`."""
    return high_band_slope(movie) - low_band_slope(movie)


@SUMMARY.add(heavy=True)
def flow_speed(movie: Movie) -> Tensor:
    """|⟨d ∇u⟩|/⟨|∇u|²⟩ with d = u_{t+1} − u_t and ∇u between the steps: of a moving pattern its speed (1/step)."""
    between = [(one[:, 1:] + one[:, :-1]) / 2 for one in movie.gradient]
    moved = torch.stack([(movie.change * one).mean((1, 3)) for one in between])
    squares = torch.stack([one.square().mean((1, 3)) for one in between]).sum(0)
    return root(moved.square().sum(0)) / torch.maximum(squares, movie.floor[:, 0])


@SUMMARY.add()
def rank(movie: Movie) -> Tensor:
    """(Σ λ)²/Σ λ² over (T + 1), λ of the products between steps of the deviations from the mean over time."""
    gram = movie.fluctuation_gram
    trace = gram.diagonal(dim1=-2, dim2=-1).sum(-1)
    steps = movie.steps + 1
    return trace.square() / (steps * torch.maximum(gram.square().sum((-2, -1)), (steps * movie.floor[:, 0]).square()))


@SUMMARY.add()
def top_mode(movie: Movie) -> Tensor:
    """Largest λ over Σ λ: the variance that one fixed pattern explains."""
    gram = movie.fluctuation_gram
    trace = gram.diagonal(dim1=-2, dim2=-1).sum(-1)
    whole = torch.maximum(trace, (movie.steps + 1) * movie.floor[:, 0])
    found: Tensor = torch.linalg.eigvalsh(gram)[..., -1] / whole
    return found
