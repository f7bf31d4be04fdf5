"""Laws of features: a known value of each, their gradients, and where they are not defined."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.fft
import torch

from potentia.errors import ConfigError, DataError
from potentia.operators.dataset import Samples
from potentia.operators.features import FAMILIES, feature_set, feature_table, temporal_series
from potentia.operators.features.temporal import cosine_coefficients
from potentia.operators.space import Choice, Continuous, ParameterSpace

N = 16
X = torch.arange(N, dtype=torch.float64) / N
RAMP = torch.arange(N, dtype=torch.float64)
QUARTER = torch.tensor([1.0] * 4 + [0.0] * 12, dtype=torch.float64)
POINT = torch.tensor([1.0] + [0.0] * 15, dtype=torch.float64)
FLOOR = 1e-4


def wave(k: int, n: int = N, phase: float = 0.0) -> torch.Tensor:
    return torch.sin(2 * math.pi * (k * torch.arange(n, dtype=torch.float64) / n) + phase)


def still(*channels: torch.Tensor) -> torch.Tensor:
    """Return a movie in which nothing moves.  [1, 4, channels, *grid]"""
    return torch.stack(channels)[None, None].repeat(1, 4, *(1,) * (channels[0].ndim + 1))


def scaled(field: torch.Tensor, *factors: float) -> torch.Tensor:
    """Return a movie of a field times factors.  [1, steps + 1, 1, *grid]"""
    return torch.stack([factor * field for factor in factors])[None, :, None]


def along(field: torch.Tensor, axis: int = 0) -> torch.Tensor:
    """Return a field of two axes that changes along one.  [x, y]"""
    square = field[:, None].repeat(1, len(field))
    return square if axis == 0 else square.T


def spots() -> torch.Tensor:
    """Return three clusters, the largest over a corner of the periodic grid.  [8, 8]"""
    field = torch.zeros(8, 8, dtype=torch.float64)
    for x, y in ((0, 0), (7, 0), (0, 7), (7, 7), (2, 3), (5, 5)):
        field[x, y] = 1
    return field


def histogram(*parts: float) -> float:
    """Return the entropy of a histogram whose least value has the first part of the points, the largest the other."""
    kernel = torch.softmax(-2 * torch.arange(32, dtype=torch.float64) ** 2, 0)
    p = parts[0] * kernel + parts[1] * kernel.flip(0)
    return float(-(p * (p + 1e-12).log()).sum()) / math.log(32)


def seen(value: float, white: float) -> float:
    """Return what is seen of a mean over the spectrum, given that of white noise, which is as strong as the floor."""
    return (value + FLOOR * white) / (1 + FLOOR)


def slope(rate: float, modes: int) -> float:
    """Return the slope of the log of the power of a wave of `BANDS`, with the noise of as many modes of 15."""
    t = np.arange(5) / 4
    noise = FLOOR * (np.exp(0.6 * t) + np.exp(-0.4 * t)).mean() * modes / 15
    return float(np.polyfit(t, np.log(np.exp(rate * t) + noise), 1)[0])


def quarter_entropy() -> float:
    """Return the entropy of `QUARTER` beside the root of the floor that `HALVES` have."""
    root = math.sqrt(FLOOR * 0.625)
    p = (QUARTER + root) / (4 + N * root)
    return float(-(p * p.log()).sum()) / math.log(N)


TWO = wave(3) + 2 * wave(1)
FIVE = sum(a * wave(k, 64) for a, k in ((1, 1), (2, 3), (3, 8), (4, 16), (5, 24)))
MOVING = torch.stack([wave(1, phase=-2 * math.pi * t / N) for t in range(N)])[None, :, None]
TURN = 2 * math.pi / N
GROWING = scaled(wave(1), *np.exp(0.5 * np.arange(5) / 4))
PULSE = scaled(torch.ones(N, dtype=torch.float64), *np.sqrt(1 + 0.5 * np.cos(np.pi * (np.arange(N) + 0.5) / 2)))
ZIGZAG = scaled(QUARTER + 1, 1.0, 3.0, 2.0, 4.0)
HALVES = torch.stack([torch.ones(N), (torch.arange(N) < 4).double()] * 2)[None, :, None].double()
BANDS = torch.stack([math.exp(0.3 * t / 4) * wave(1) + math.exp(-0.2 * t / 4) * wave(6) for t in range(5)])[
    None, :, None
]
STEEP = torch.fft.irfft(torch.tensor([0.0] + [k**-1.5 for k in range(1, N // 2 + 1)], dtype=torch.complex128), n=N)
PHRASES = torch.tensor([0, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 1], dtype=torch.float64)
PATCHES = torch.tensor([1.0] * 4 + [0.0] * 28, dtype=torch.float64)
PARTLY = scaled(QUARTER, 0, 0, 1, 1)

STEPS = {
    "mean": (still(RAMP), 7.5),
    "std": (still(RAMP), math.sqrt(255 / 12)),
    "skew": (still(QUARTER), 0.5 / math.sqrt(3 / 16)),
    "kurt": (still(QUARTER), -2 / 3),
    "least": (still(RAMP - 2), -2),
    "largest": (still(RAMP), 15),
    "q05": (still(RAMP.flip(0)), 0.75),
    "q50": (still(RAMP), 7.5),
    "q95": (still(RAMP), 14.25),
    "iqr": (still(RAMP), 7.5),
    "grad_rms": (still(wave(3)), N * math.sin(6 * math.pi / N) / math.sqrt(2)),
    "grad_max": (still(wave(3)), N * math.sin(6 * math.pi / N)),
    "grad_anisotropy": (still(along(wave(3), 1) + along(2 * wave(3), 0)), 3 / 5),
    "lap_rms": (still(wave(3)), 2 * N**2 * (1 - math.cos(6 * math.pi / N)) / math.sqrt(2)),
    **{
        f"band_frac_{k}": (still(FIVE), math.log10(seen((k + 1) ** 2 / 55, modes / 63)))
        for k, modes in enumerate((2, 8, 12, 18, 23))
    },
    "centroid": (still(TWO), seen(7 / 40, 8 / 15)),
    "bandwidth": (still(TWO), math.sqrt(seen(2.6 / 64, 344 / 960) - seen(7 / 40, 8 / 15) ** 2)),
    "flatness": (still(wave(3)), (2 * math.log10(7.5 + FLOOR) + 13 * math.log10(FLOOR)) / 15 - math.log10(1 + FLOOR)),
    "rms": (still(RAMP), math.sqrt(1240 / 16)),
    "step_change": (scaled(RAMP, 1, 1, 3, 3), (0, 0, 2, 0)),
    "corr_mean": (still(wave(1), -wave(1), wave(2)), -1 / 3),
    "corr_absmax": (still(wave(1), -wave(1), wave(2)), 1),
    "participation": (still(wave(1), -wave(1), wave(2)), 9 / 5),
}

WHOLE = {
    "summary.energy_growth": (GROWING, 1),
    "summary.variance_growth": (GROWING + 3, 1),
    "summary.energy_ratio": (GROWING, 1),
    "summary.trend_r2": (scaled(torch.ones(N, dtype=torch.float64), 2, 4, 6, 8), 1),
    "summary.dominant_freq": (PULSE, 0.5),
    "summary.temporal_centroid": (PULSE, 0.5),
    "summary.peak_fraction": (PULSE, 2 / 3),
    "summary.autocorr_lag1": (MOVING, math.cos(TURN)),
    "summary.decay_time": (MOVING, (3 + 1 - math.exp(-1) / math.cos(3 * TURN)) / (N - 1)),
    "summary.step_change_mean": (scaled(RAMP, 1, 2, 2, 4), 2 / 3),
    "summary.step_change_std": (scaled(RAMP, 1, 2, 2, 4), math.sqrt(2) / 3),
    "summary.step_change_max": (scaled(RAMP, 1, 2, 2, 5), 1.5),
    "summary.late_to_early": (scaled(RAMP, 1, 3, 6, 9, 13.5), -math.log(4)),
    "summary.irreversibility": (PARTLY, math.sqrt(12)),
    "summary.permutation_entropy": (scaled(RAMP, 1, 2, 1, 2, 1, 2), math.log(2) / math.log(6)),
    "summary.roughness": (scaled(RAMP, 0, 1, 0, 1), 4),
    **{f"summary.{name}_drift": (ZIGZAG, 1) for name in ("l1", "l2", "linf", "variation")},
    **{f"summary.{name}_drift_std": (ZIGZAG, math.sqrt(2)) for name in ("l1", "l2", "linf", "variation")},
    **{f"summary.{name}_monotonicity": (ZIGZAG, 3 / 5) for name in ("l1", "l2", "linf", "variation")},
    "summary.entropy_drift": (HALVES, (quarter_entropy() - 1) / 3),
    "summary.entropy_drift_std": (HALVES, (1 - quarter_entropy()) * math.sqrt(8 / 9)),
    "summary.entropy_monotonicity": (HALVES, 1 / 3),
    "summary.low_band_slope": (BANDS, slope(0.6, 2)),
    "summary.high_band_slope": (BANDS, slope(-0.4, 11)),
    "summary.cascade": (BANDS, slope(-0.4, 11) - slope(0.6, 2)),
    "summary.flow_speed": (MOVING, 2 * math.tan(TURN / 2) / (N * math.sin(TURN))),
    "summary.rank": (MOVING, 2 / N),
    "summary.top_mode": (MOVING, 0.5),
    "initial.cluster_count": (still(spots()), math.log(4)),
    "initial.largest_cluster_frac": (still(spots()), 4 / 6),
    "initial.autocorr": (still(along(wave(3))), (math.cos(6 * math.pi / N) + 1) / 2),
    "initial.centroid_dist": (still(POINT), 0),
    "initial.dominant_freq": (still(along(wave(3), 1)), 3 / 8),
    "initial.spectral_centroid": (still(TWO), seen(7 / 40, 8 / 15)),
    "initial.power_law_exp": (still(STEEP), 3),
    "initial.entropy": (still(QUARTER), histogram(0.75, 0.25)),
    "initial.local_entropy_var": (still(PATCHES), 3 / 16 * (histogram(0.5, 0.5) - histogram(1, 0)) ** 2),
    "initial.lz_complexity": (still(PHRASES), 6 * 4 / 16),
    "initial.predictability": (still(wave(3) + 1), 1),
    "initial.density": (still(QUARTER), 0.25 / (1 + math.exp(-10)) + 0.75 / (1 + math.exp(10))),
    "initial.gradient_rms": (still(wave(3)), N * math.sin(6 * math.pi / N) / math.sqrt(2)),
    "initial.symmetry": (still(along(wave(1, phase=math.pi / 2))), math.cos(TURN)),
}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-7, atol=1e-9)


def test_every_feature_has_a_known_value():
    assert set(STEPS) == set(FAMILIES["temporal"].members)
    assert set(WHOLE) == {f"{name}.{one}" for name in ("initial", "summary") for one in FAMILIES[name].members}


@pytest.mark.parametrize("name", STEPS)
def test_a_feature_of_each_step_has_its_known_value(name):
    movie, value = STEPS[name]
    found = temporal_series(movie)[name][0]
    np.testing.assert_allclose(found.numpy(), np.broadcast_to(value, len(found)), rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("name", WHOLE)
def test_a_feature_of_the_whole_has_its_known_value(name):
    movie, value = WHOLE[name]
    assert feature_set(movie, [name.split(".")[0]]).column(name).item() == pytest.approx(value, rel=3e-6, abs=2e-6)


def test_what_the_reference_of_this_field_had_constant_tells_fields_apart():
    wide, narrow = QUARTER + torch.roll(QUARTER, 2), POINT + torch.roll(POINT, 5)
    features = feature_set(torch.cat((still(wide), still(narrow))), ["initial"])
    for name in ("density", "largest_cluster_frac"):
        first, second = features.column(f"initial.{name}").tolist()
        assert abs(first - second) > 0.1
    turned = feature_set(torch.cat((still(along(TWO, 0)), still(along(TWO, 1)))), ["initial"])
    for name in ("dominant_freq", "spectral_centroid"):
        first, second = turned.column(f"initial.{name}").tolist()
        assert first == pytest.approx(second)


def test_a_field_of_noise_has_a_flat_spectrum_and_a_point_too():
    assert temporal_series(still(POINT))["flatness"][0, 0].item() == pytest.approx(0, abs=1e-6)


def test_a_trajectory_is_summarised_by_the_cosine_coefficients_of_each_feature():
    series = noise(3, 9, 2)
    np.testing.assert_allclose(
        cosine_coefficients(series, 9).numpy(), scipy.fft.dct(series.numpy(), norm="ortho", axis=1).transpose(0, 2, 1)
    )
    fields = noise(2, 9, 1, 8)
    features = feature_set(fields, ["temporal"])
    expected = scipy.fft.dct(temporal_series(fields)["q95"].numpy(), norm="ortho", axis=1)[:, :4]
    found = [features.column(f"temporal.q95.dct{k}").numpy() for k in range(4)]
    np.testing.assert_allclose(np.stack(found, 1), expected)


@pytest.mark.parametrize("grid", [(12,), (8, 8)])
def test_gradients_are_those_of_finite_differences(grid):
    fields = noise(1, 5, 2, *grid).requires_grad_()
    which = torch.tensor(feature_set(fields).differentiable)

    def values(given):
        return feature_set(given).values[:, which]

    assert torch.autograd.gradcheck(values, fields, fast_mode=True, rtol=1e-2, atol=1e-4)


def test_features_without_gradient_say_so_and_carry_none():
    fields = noise(2, 6, 1, 8).requires_grad_()
    features = feature_set(fields)
    without = torch.tensor([not one for one in features.differentiable])
    assert {name for name, no in zip(features.names, without, strict=True) if no} == {
        "initial.cluster_count", "initial.largest_cluster_frac", "initial.dominant_freq", "initial.lz_complexity",
        "summary.dominant_freq", "summary.decay_time", "summary.permutation_entropy",
    }  # fmt: skip
    (gradient,) = torch.autograd.grad(features.values[:, without].sum() + 0 * fields.sum(), fields)
    assert not gradient.any()


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("grid", [(16,), (8, 8)])
def test_fields_without_any_variation_have_finite_features_and_gradients(grid, value):
    fields = torch.full((1, 5, 2, *grid), value, requires_grad=True)
    features = feature_set(fields).values
    features.sum().backward()
    assert features.isfinite().all()
    assert fields.grad.isfinite().all()


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_what_is_left_of_a_field_that_has_died_tells_nothing(level):
    """What is far below a hundredth of a field's size changes features little."""
    dying = torch.stack([level + 10.0 ** (-2 * t) * wave(2) for t in range(9)])[None, :, None]
    rest = dying + 1e-7 * noise(*dying.shape)
    before, after = feature_set(dying, ["summary", "temporal"]), feature_set(rest, ["summary", "temporal"])
    apart = (after.values - before.values).abs()[0] / (1 + before.values.abs()[0])
    blind = ["permutation_entropy", "dominant_freq"]  # look at order and not at size
    far = {name for name, one in zip(before.names, apart.tolist(), strict=True) if one > 0.01}
    assert far <= {f"summary.{name}" for name in blind}


@pytest.mark.parametrize("grid", [(16,), (8, 8)])
def test_moving_the_origin_of_the_periodic_grid_changes_nothing(grid):
    fields = noise(2, 5, 2, *grid)
    before, after = feature_set(fields), feature_set(fields.roll(3, -1))
    fixed = {"initial.local_entropy_var", "initial.lz_complexity", "initial.symmetry"}  # look at places
    keep = torch.tensor([name not in fixed for name in before.names])
    close(after.values[:, keep], before.values[:, keep])


def test_batches_and_the_order_of_families_change_nothing():
    fields = noise(5, 5, 1, 16)
    whole = feature_set(fields, batch_size=5)
    assert feature_set(fields, ["temporal", "initial", "summary"], batch_size=2).names == whole.names
    close(feature_set(fields, batch_size=2).values, whole.values)
    close(torch.cat([feature_set(one[None]).values for one in fields]), whole.values)


def test_gradients_of_a_field_do_not_depend_on_the_number_of_points():
    fine, coarse = (temporal_series(still(wave(2, n)))["grad_rms"][0, 0].item() for n in (256, 128))
    assert fine == pytest.approx(coarse, rel=0.01) == pytest.approx(4 * math.pi / math.sqrt(2), rel=0.01)


def test_what_is_not_defined_is_absent():
    one, two = feature_set(noise(1, 5, 1, 16)), feature_set(noise(1, 5, 2, 16, 16))
    absent = {
        name.removesuffix(".dct0") for name in set(two.names) - set(one.names) if not name.endswith(("1", "2", "3"))
    }
    assert absent == {
        "temporal.grad_anisotropy", "initial.symmetry", "temporal.corr_mean", "temporal.corr_absmax",
        "temporal.participation",
    }  # fmt: skip
    assert len(feature_set(noise(1, 5, 1, 64, 64)).names) == 14 + 37 + 24 * 4
    assert "temporal.band_frac_0.dct0" not in one.names  # no mode of 16 points is so slow
    assert "initial.symmetry" not in feature_set(noise(1, 5, 1, 8, 12)).names
    assert "initial.local_entropy_var" not in feature_set(noise(1, 5, 1, 10)).names


def test_the_architecture_family_is_parameters_as_they_are_and_as_networks_see_them():
    space = ParameterSpace((Continuous(name="nu", low=0.0, high=2.0), Choice(name="kind", options=("a", "b"))))
    samples = Samples(noise(2, 5, 1, 8).numpy(), np.array([[0.5, 1.0], [1.0, 0.0]]), np.arange(2))
    features = feature_set(samples, ["architecture"], space=space, n_weights=1000)
    expected = pytest.approx(np.array([[0.5, 1, -0.5, 0, 1, 3], [1, 0, 0, 1, 0, 3]]))
    names = ["nu", "kind", "nu.seen_0", "kind.seen_0", "kind.seen_1", "log10_weights"]
    assert list(features.names) == [f"architecture.{name}" for name in names]
    assert features.frame().to_numpy() == expected
    assert features.group.tolist() == [0, 1]
    with pytest.raises(DataError, match="'architecture' is of parameters: give Samples"):
        feature_set(noise(2, 5, 1, 8), ["architecture"])


def test_errors_say_what_was_wanted():
    with pytest.raises(ConfigError, match="no family of features 'sumary'; did you mean 'summary'"):
        feature_set(noise(1, 5, 1, 8), ["sumary"])
    with pytest.raises(ConfigError, match="different ones of"):
        feature_set(noise(1, 5, 1, 8), ["initial", "initial"])
    with pytest.raises(DataError, match=r"shape \[samples, steps \+ 1, channels, x\]"):
        feature_set(noise(5, 1, 8))
    with pytest.raises(DataError, match="3 steps behind the initial field"):
        feature_set(noise(1, 3, 1, 8))
    with pytest.raises(DataError, match="have 1 channels, but 2 names"):
        feature_set(noise(1, 5, 1, 8), channels=("u", "v"))
    bad = noise(3, 5, 1, 8)
    bad[1, 2] = math.nan
    with pytest.raises(DataError, match="sample 1 are not finite"):
        feature_set(bad)
    with pytest.raises(ConfigError, match=r"no feature 'summary.rnk' here; did you mean 'summary.rank'"):
        feature_set(noise(1, 5, 1, 8)).column("summary.rnk")


def test_each_feature_has_a_formula():
    table = feature_table()
    assert len(table) == 14 + 37 + 27
    assert table["formula"].str.len().min() > 3
