"""The random convolutional operator: its formula, bounds, smoothness in the parameters, seeds of weights and noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from operators.system_data import some
from potentia.errors import ConfigError, DataError
from potentia.operators.systems import RandomConv


def by_hand(one, u, values, seed=0):
    """A step of one sample, convolved by Fourier transform, from the weights that `drawn` gives."""
    raw = np.frombuffer(one.drawn(seed), dtype=np.float32).astype(float)
    sizes = [(2, 16, 1, 7, 7), (2, 16, 16, 7, 7), (2, 16, 16, 7, 7), (2, 1, 16, 1, 1)]
    ends = np.cumsum([0, *(math.prod(size) for size in sizes)])
    *inner, last = (raw[a:b].reshape(size) for a, b, size in zip(ends, ends[1:], sizes, strict=False))
    at = dict(zip(one.space.names, values, strict=True))
    mix = np.array([np.cos(np.pi * at["mix"] / 2), np.sin(np.pi * at["mix"] / 2)])
    x, y = np.meshgrid(np.arange(-3, 4), np.arange(-3, 4), indexing="ij")
    cos, sin = np.cos(at["angle"]), np.sin(at["angle"])
    wide, narrow = at["sigma"] * (1 + at["anisotropy"]), at["sigma"] * (1 - at["anisotropy"])
    envelope = np.exp(-0.5 * (((x * cos + y * sin) / wide) ** 2 + ((y * cos - x * sin) / narrow) ** 2))

    def layer(h, basis):
        kernel = envelope * np.tensordot(mix, basis, 1)
        kernel /= np.sqrt((kernel**2).sum((1, 2, 3), keepdims=True))
        whole = np.zeros((*kernel.shape[:2], *h.shape[1:]))
        whole[:, :, :7, :7] = kernel[:, :, ::-1, ::-1]  # a convolution in the sense of networks is a correlation
        product = np.fft.fft2(np.roll(whole, (-3, -3), (2, 3))) * np.fft.fft2(h)
        convolved = at["gain"] * np.fft.ifft2(product.sum(1)).real
        return functional.gelu(torch.from_numpy(convolved)).numpy()

    h = layer(u[None], inner[0])
    for number in range(1, int(at["depth"])):
        h = h + layer(h, inner[number]) / math.sqrt(number + 1)
    out = np.tensordot(mix, last, 1)[0, :, 0, 0]
    r = np.tensordot(out / np.sqrt((out**2).sum()), h, 1)
    change = np.tanh(2 * (r - r.mean()) + at["feedback"] * u)
    return u + at["s"] * (change - (0.2, 1.0)[int(at["policy"])] * u)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_random_conv_is_its_formula(depth):
    one = RandomConv()
    fields, values = some(one, 2)
    values[:, 7] = depth
    found = one.step(fields, torch.from_numpy(values))
    for sample in range(2):
        by_formula = by_hand(one, fields[sample, 0].double().numpy(), values[sample])
        np.testing.assert_allclose(found[sample, 0], by_formula, atol=2e-5)


def test_random_conv_stays_below_its_bound():
    one = RandomConv()
    fields, values = some(one, 16)
    found = one.trajectories(fields, values, 30).abs().amax((2, 3, 4))
    highest = torch.maximum(found[:, 0], torch.where(torch.from_numpy(values[:, 8]) == 1, 1.0, 5.0))
    assert (found <= highest[:, None] + 1e-5).all()


@pytest.mark.parametrize("column", range(7), ids=RandomConv().space.names[:7])
def test_random_conv_changes_little_where_a_parameter_does(column):
    one = RandomConv()
    fields, _ = some(one, 3)
    unit = np.random.default_rng(1).uniform(0.1, 0.8, (3, 9))
    values = one.space.values(unit)

    def moved(by):
        shifted = unit.copy()
        shifted[:, column] += by
        found = one.trajectories(fields, one.space.values(shifted), 4)[:, -1]
        return (found - one.trajectories(fields, values, 4)[:, -1]).norm()

    assert 0 < moved(0.002) < 0.1 * fields.norm()
    assert 1.8 < moved(0.002) / moved(0.001) < 2.2  # a derivative exists


def test_random_conv_turns_to_itself_after_half_a_turn():
    one = RandomConv()
    fields, values = some(one, 2)
    other = values.copy()
    values[:, 4], other[:, 4] = 0.0, math.pi
    torch.testing.assert_close(
        one.trajectories(fields, values, 3), one.trajectories(fields, other, 3), rtol=1e-4, atol=1e-4
    )


def test_other_seeds_of_weights_are_other_operators():
    fields, values = some(RandomConv(), 3)
    one, same, other = (RandomConv(weights_seed=k).trajectories(fields, values, 5) for k in (0, 0, 1))
    assert torch.equal(one, same)
    assert (one - other).norm() > 0.2 * one.norm()
    assert RandomConv(weights_seed=0).drawn(5) == RandomConv().drawn(6) != RandomConv(weights_seed=1).drawn(5)


def test_with_independent_weights_the_parameters_do_not_decide():
    one = RandomConv(weights="independent")
    fields, values = some(one, 1)
    fields, values = fields.expand(3, -1, -1, -1), np.repeat(values, 3, 0)
    found = one.trajectories(fields, values, 5, np.array([1, 1, 2], dtype=np.uint64))
    assert torch.equal(found[0], found[1])
    assert (found[0] - found[2]).norm() > 0.2 * found[0].norm()
    assert one.drawn(1) != one.drawn(2)


def test_independent_weights_hide_all_that_parameters_tell():
    n, one = 24, RandomConv(weights="independent")
    fields, values = one.initial(1, (12, 12), 0).expand(n, -1, -1, -1), some(one, n)[1]
    first, second = (one.trajectories(fields, values, 24, seeds)[:, -1] for seeds in np.arange(2 * n).reshape(2, n))
    same_parameters, other_parameters = (first - second).square().mean(), (first - second.roll(1, 0)).square().mean()
    assert same_parameters > 0.6 * other_parameters


def test_noise_comes_from_the_seeds_given():
    one = RandomConv(noisy=True)
    fields, values = some(one, 3)
    values[:, 9] = 0.1
    seeds = np.array([7, 8, 9], dtype=np.uint64)
    found = one.trajectories(fields, values, 4, seeds)
    assert torch.equal(found, one.trajectories(fields, values, 4, seeds))
    assert torch.equal(found[:, :3], one.trajectories(fields, values, 2, seeds))
    assert torch.equal(found[1:2], one.trajectories(fields[1:2], values[1:2], 4, seeds[1:2]))
    assert not torch.equal(found, one.trajectories(fields, values, 4, seeds + 1))
    quiet = RandomConv().trajectories(fields, values[:, :9], 1)[:, 1]
    strength = (found[:, 1] - quiet).std((1, 2, 3)) / torch.from_numpy(values[:, 6]).sqrt()
    torch.testing.assert_close(
        strength, torch.full((3,), 0.1, dtype=torch.float64), rtol=0.2, atol=0, check_dtype=False
    )
    with pytest.raises(DataError, match="needs the seeds of the samples"):
        one.trajectories(fields, values, 1)


def test_all_kinds_of_initial_fields_are_drawn():
    one = RandomConv()
    kinds = one.kinds(40, 3)
    assert set(kinds) == {"noise", "bands", "wave", "blobs"}
    fields = one.initial(40, (24, 24), 3)[:, 0]
    for kind, field in zip(kinds, fields, strict=True):
        if kind == "bands":
            assert field.std() == pytest.approx(1.0, rel=0.01)
        if kind == "wave":  # one pair of modes
            power = torch.fft.fft2(field).abs().square().flatten().sort().values
            assert power[:-2].sum() < 1e-8 * power.sum()


def test_settings_of_random_conv_are_checked():
    with pytest.raises(ConfigError, match="weights must be one of 'shared', 'independent'"):
        RandomConv(weights="shard")
    with pytest.raises(ConfigError, match="noisy must be True or False"):
        RandomConv(noisy=1)
