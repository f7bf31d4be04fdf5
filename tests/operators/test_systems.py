"""Systems of fields: known solutions, orders of convergence, what is conserved, symmetries, and bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from potentia.errors import ConfigError, DataError
from potentia.operators.systems import SYSTEMS, Burgers, FieldSystem, GrayScott, RandomConv, register, system
from potentia.trajectories import SYSTEMS as TRAJECTORY_SYSTEMS

NAMES = ("random_conv", "gray_scott", "burgers")
GRIDS = {"random_conv": (16, 12), "gray_scott": (16, 12), "burgers": (64,)}
every_system = pytest.mark.parametrize("name", NAMES)


def some(one: FieldSystem, n: int, *, grid=None, seed=0):
    """Initial fields and parameters."""
    fields = one.initial(n, grid or GRIDS[one.name], seed)
    return fields, one.space.values(np.random.default_rng(seed).random((n, len(one.space))))


# ------------------------------------------------------------------------------------------------- all of them


def test_systems_are_known_by_names_that_no_other_family_has():
    assert tuple(SYSTEMS)[:3] == NAMES
    assert not set(SYSTEMS) & set(TRAJECTORY_SYSTEMS)
    with pytest.raises(ConfigError, match="no system 'burger'; did you mean 'burgers'"):
        system("burger")


def test_a_name_cannot_be_taken_by_another_class():
    class Other(GrayScott):
        pass

    with pytest.raises(ConfigError, match="there is a system 'gray_scott' already, GrayScott"):
        register(Other())


@every_system
def test_a_sample_does_not_depend_on_the_others(name):
    one = SYSTEMS[name]
    fields, values = some(one, 5)
    assert torch.equal(one.initial(3, GRIDS[name], 0), fields[:3])
    together = one.trajectories(fields, values, 3)
    alone = one.trajectories(fields[3:4], values[3:4], 3)
    assert torch.equal(alone[0], together[3])


@every_system
def test_other_seeds_give_other_initial_fields(name):
    one = SYSTEMS[name]
    assert not torch.equal(one.initial(2, GRIDS[name], 0), one.initial(2, GRIDS[name], 1))
    assert len(one.kinds(4, 0)) == 4


@every_system
def test_trajectories_begin_with_the_initial_field_and_stay_in_their_bounds(name):
    one = SYSTEMS[name]
    fields, values = some(one, 4)
    found = one.trajectories(fields, values, 4)
    assert found.shape == (4, 5, len(one.channels), *GRIDS[name])
    assert torch.equal(found[:, 0], fields)
    assert found.isfinite().all()
    assert found.abs().max() < one.bound


@every_system
def test_one_step_after_another_is_the_trajectory(name):
    one = SYSTEMS[name]
    fields, values = some(one, 2)
    found = one.trajectories(fields, values, 2)
    twice = one.step(one.step(fields, torch.from_numpy(values)), torch.from_numpy(values))
    torch.testing.assert_close(twice, found[:, 2], rtol=1e-4, atol=1e-4)  # Burgers leaves fine modes out in between
    assert torch.equal(one.trajectories(fields, values, 1, every=2)[:, 1], found[:, 2])


@every_system
def test_a_moved_field_moves_on_alike(name):
    one = SYSTEMS[name]
    fields, values = some(one, 3)
    moved = one.trajectories(fields.roll(5, 2), values, 3).roll(-5, 3)
    torch.testing.assert_close(moved, one.trajectories(fields, values, 3), rtol=1e-4, atol=1e-5)


@every_system
def test_shapes_that_do_not_fit_are_refused(name):
    one = SYSTEMS[name]
    fields, values = some(one, 3)
    with pytest.raises(DataError, match=rf"{name}: 3 initial fields need parameters \[3, {len(one.space)}\]"):
        one.trajectories(fields, values[:2], 1)
    with pytest.raises(DataError, match=rf"{name}: initial fields must have shape \[samples, {len(one.channels)} ch"):
        one.trajectories(fields[:, 0], values, 1)


# --------------------------------------------------------------------------------------------------- Gray-Scott


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


# ------------------------------------------------------------------------------------------------------ Burgers

X = torch.arange(256, dtype=torch.float64) / 256


def burgers(field, nu, steps=10, **settings):
    """Fields [steps + 1, x] from one field."""
    one = Burgers(**settings)
    return one.trajectories(field[None, None], np.full((1, 1), nu), steps)[0, :, 0]


def test_a_faint_burgers_wave_decays_as_heat_does():
    found = burgers(1e-6 * torch.sin(2 * math.pi * X), 0.05)
    for k, field in enumerate(found):
        exact = 1e-6 * math.exp(-4 * math.pi**2 * 0.05 * 0.1 * k) * torch.sin(2 * math.pi * X)
        assert (field - exact).abs().max() < 1e-11


def test_burgers_has_the_solution_of_cole_and_hopf():
    nu, height = 0.05, 0.9
    found = burgers(
        4 * math.pi * nu * height * torch.sin(2 * math.pi * X) / (1 + height * torch.cos(2 * math.pi * X)), nu
    )
    for k, field in enumerate(found):
        left = height * math.exp(-4 * math.pi**2 * nu * 0.1 * k)
        exact = 4 * math.pi * nu * left * torch.sin(2 * math.pi * X) / (1 + left * torch.cos(2 * math.pi * X))
        assert (field - exact).abs().max() < 1e-7


def test_a_burgers_shock_is_that_of_cole_and_hopf():
    nu, t, n = 0.01, 0.5, 4096
    x = np.arange(n) / n
    potential = np.exp((np.cos(2 * np.pi * x) - 1) / (2 * np.pi) / (2 * nu))  # of u = sin(2πx)
    k = 2 * np.pi * np.fft.rfftfreq(n, 1 / n)
    heat = np.fft.rfft(potential) * np.exp(-nu * k**2 * t)
    exact = -2 * nu * np.fft.irfft(1j * k * heat, n) / np.fft.irfft(heat, n)
    found = burgers(torch.sin(2 * math.pi * X), nu, steps=5)[-1].numpy()
    assert np.abs(np.diff(found)).max() > 0.05  # it is steep
    np.testing.assert_allclose(found, exact[:: n // 256], atol=1e-5)


def test_burgers_converges_with_order_four_in_time():
    field = 2 * torch.sin(2 * math.pi * X) + torch.cos(4 * math.pi * X)
    exact, *found = (burgers(field, 0.05, steps=2, dt=dt)[-1] for dt in (0.0005, 0.005, 0.0025))
    coarse, fine = ((one - exact).abs().max().item() for one in found)
    assert 12 < coarse / fine < 20


def test_a_finer_solver_changes_no_burgers_field():
    one = Burgers()
    fields = one.initial(3, (256,), 0).double()
    nu = np.full((3, 1), 0.005)
    found, finer = (Burgers(points=n).trajectories(fields, nu, 6) for n in (512, 1024))
    assert (found - finer).abs().max() < 1e-4


def test_the_same_burgers_sample_on_another_grid_is_the_same_function():
    one = Burgers()
    nu = np.full((3, 1), 0.02)
    coarse, fine = (one.trajectories(one.initial(3, (n,), 0), nu, 5) for n in (128, 512))
    away = (coarse - fine[..., ::4]).abs().amax((0, 2, 3))
    assert away[0] < 5e-3  # what the modes that the coarse grid does not hold are worth
    assert away[2:].max() < 1e-4


def test_burgers_keeps_its_mass_and_loses_energy():
    field = 0.3 + torch.sin(2 * math.pi * X) + torch.cos(6 * math.pi * X)
    found = burgers(field, 0.01)
    torch.testing.assert_close(found.mean(1), torch.full((11,), 0.3, dtype=torch.float64), rtol=0, atol=1e-13)
    assert (found.square().mean(1).diff() < 0).all()


def test_burgers_fields_are_drawn_from_the_covariance_they_name():
    found = Burgers().initial(600, (64,), 0)[:, 0].double()
    assert found.mean(1).abs().max() < 1e-6
    power = (torch.fft.rfft(found).abs() / 64).square().mean(0)[1:6]
    k = 2 * math.pi * torch.arange(1, 6)
    torch.testing.assert_close(power, (25 / (k**2 + 25)).double() ** 2 * 1.0, rtol=0.15, atol=0)


def test_a_fixed_viscosity_is_no_parameter():
    one = Burgers(lowest=0.01, highest=0.01)
    assert len(one.space) == 0
    field = torch.sin(2 * math.pi * X)
    found = one.trajectories(field[None, None], np.zeros((1, 0)), 3)[0, :, 0]
    torch.testing.assert_close(found, burgers(field, 0.01, steps=3), rtol=0, atol=1e-14)


def test_shocks_make_burgers_more_than_heat():
    one, nu = Burgers(lowest=0.01, highest=0.01), 0.01
    fields = one.trajectories(one.initial(32, (256,), 0), np.zeros((32, 0)), 10)[:, :, 0].double()
    k = 2 * math.pi * torch.arange(129)
    heat = torch.fft.irfft(torch.fft.rfft(fields[:, 0]) * torch.exp(-nu * k**2), 256)

    def away(guess):
        return ((guess - fields[:, -1]).norm(dim=1) / fields[:, -1].norm(dim=1)).mean()

    assert 1.8 < away(fields[:, 0]) < 3.2
    assert 0.8 < away(heat) < 1.5


def test_viscosities_that_the_grid_is_too_coarse_for():
    with pytest.raises(ConfigError, match="points must be an integer of at least 1024, got 512"):
        Burgers(lowest=0.001)
    with pytest.raises(ConfigError, match=r"dt must go into 0\.1 a whole number of times"):
        Burgers(dt=0.003)
    with pytest.raises(DataError, match=r"a viscosity of 0\.001 is below 0\.005.*use Burgers"):
        burgers(torch.sin(X), 0.001)


# --------------------------------------------------------------------------------- random convolutional operator


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
