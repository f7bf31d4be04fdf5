"""Gray-Scott: the equations as they are written on paper, what stays as it is, symmetries, patterns that live."""

from __future__ import annotations

import math

import numpy as np
import torch

from operators.system_data import some
from potentia.operators.systems import GrayScott


def euler(u, v, du, dv, feed, k):
    """A step as it is written on paper."""

    def laplacian(a):
        return np.roll(a, 1, 0) + np.roll(a, -1, 0) + np.roll(a, 1, 1) + np.roll(a, -1, 1) - 4 * a

    reaction = u * v * v
    return u + du * laplacian(u) - reaction + feed * (1 - u), v + dv * laplacian(v) + reaction - (feed + k) * v


def test_gray_scott_is_forty_plain_steps():
    one = GrayScott()
    fields, values = some(one, 2)
    found = one.trajectories(fields, values, 1)[:, 1].numpy()
    for sample, (feed, delta, du, ratio) in enumerate(values):
        k = math.sqrt(feed) / 2 - feed - 0.002 + delta * 0.008 * (1 - feed / 0.07)
        u, v = fields[sample].double().numpy()
        for _ in range(40):
            u, v = euler(u, v, du, du * ratio, feed, k)
        np.testing.assert_allclose(found[sample], (u, v), atol=2e-5)


def test_gray_scott_without_v_stays_as_it_is():
    one = GrayScott()
    fields, values = some(one, 3)
    fields[:, 0], fields[:, 1] = 1.0, 0.0
    found = one.trajectories(fields, values, 2)
    assert torch.equal(found[:, 2], fields)


def test_a_uniform_gray_scott_field_stays_uniform():
    one = GrayScott()
    fields, values = some(one, 3)
    fields[:, 0], fields[:, 1] = 0.6, 0.3
    after = one.trajectories(fields, values, 2)[:, 2]
    assert torch.equal(after, after[:, :, :1, :1].expand_as(after))
    assert not torch.equal(after, fields)


def test_a_turned_gray_scott_field_goes_on_alike():
    one = GrayScott()
    fields, values = some(one, 3, grid=(16, 16))
    turned = one.trajectories(fields.rot90(1, (2, 3)), values, 5).rot90(-1, (3, 4))
    assert torch.equal(turned, one.trajectories(fields, values, 5))


def test_gray_scott_does_not_depend_on_threads():
    one, threads = GrayScott(), torch.get_num_threads()
    fields, values = some(one, 5)
    try:
        torch.set_num_threads(1)
        single = one.trajectories(fields, values, 2)
        torch.set_num_threads(3)
        assert torch.equal(one.trajectories(fields, values, 2), single)
    finally:
        torch.set_num_threads(threads)


def test_patterns_live_on_in_most_gray_scott_samples():
    one = GrayScott()
    fields, values = some(one, 24, grid=(32, 32))
    v = one.trajectories(fields, values, 25)[:, -1, 1]
    assert (v.std((1, 2)) > 0.02).float().mean() > 0.6
