"""Compiled passes through the networks: what torch computes, to rounding, and the same bits for any threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from potentia import ChebyshevDescriptor
from potentia.potentials import network_passes
from potentia.potentials.descriptors.blocks_numba import compiled
from potentia.potentials.network_passes import CompiledPasses, NetworkInput, TorchPasses, passes_of
from potentia.potentials.networks import AtomicNetworks
from potentia.seeding import torch_stream
from potentia.simd.exponentials import hyperbolic_tangent, logistic
from potentia.simd.lanes import LANES, load, store
from potentials.small_data import frames

COMPILED = ("linear", "tanh", "sigmoid", "silu", "mtanh", "twist")
N_FEATURES = 19
ROUNDING = {torch.float64: 1e-13, torch.float32: 2e-5}
every_activation = pytest.mark.parametrize("activation", COMPILED)
every_dtype = pytest.mark.parametrize(
    "dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.slow)], ids=str
)
"""The loops are compiled for each precision: half a minute, so float32 is slow."""
every_size = pytest.mark.parametrize("n", [1, 3, 16, 33, 150])


@compiled
def _tanh_of(x, y):
    for k in range(x.size // LANES):
        store(y, k, hyperbolic_tangent(load(x, k)))


@compiled
def _logistic_of(x, y):
    for k in range(x.size // LANES):
        store(y, k, logistic(load(x, k)))


def networks(activation="tanh", dtype=torch.float64, last="tanh"):
    """Three species: two layers of different widths, one wide layer, three layers."""
    arch = {
        "H": [(5, activation), (17, activation)],
        "C": [(40, activation)],
        "O": [(3, activation), (16, activation), (2, last)],
    }
    model = AtomicNetworks(arch, tuple(arch), N_FEATURES, 0, dtype)
    model.feature_mean.copy_(torch.randn(N_FEATURES, generator=torch_stream(1, "mean")))
    model.feature_scale.copy_(torch.rand(N_FEATURES, generator=torch_stream(1, "scale")))
    model.feature_scale[4] = 0.0  # a feature that never varies
    model.e_scaling.fill_(0.7)
    model.e_shift.fill_(-1.5)
    return model


def atoms(n=150, dtype=torch.float64, kinds=3):
    """Some of 200 atoms in any order, as three structures."""
    draw = torch_stream(2, "atoms")
    values = torch.randn(200, N_FEATURES, generator=draw, dtype=torch.float64).to(dtype)
    species = torch.randint(kinds, (200,), generator=draw)
    chosen = torch.randperm(200, generator=draw)[:n]
    return NetworkInput(values, chosen, species[chosen], torch.arange(n) * 3 // max(n, 1), 3)


def cotangents(n=150, dtype=torch.float64):
    draw = torch_stream(3, "cotangents")
    return torch.randn(3, generator=draw).double(), torch.randn(200, N_FEATURES, generator=draw)[:n].to(dtype)


def pass_over(model, given, *, gradient=True):
    return passes_of(model, given, gradient=gradient)


def everything(passes, by_energy, change):
    """Energies, gradient, and weight gradients with and without it, one after the other."""
    parts = [passes.atomic, passes.by_feature, *passes.weight_gradients(by_energy, change)]
    return [part.detach() for part in (*parts, *passes.weight_gradients(by_energy, None))]


def assert_near(found, expected, tolerance):
    largest = max(float(one.abs().max()) for one in expected if one.numel())
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * largest)


@every_activation
@every_dtype
def test_they_are_those_of_torch(activation, dtype):
    model, given = networks(activation, dtype), atoms(dtype=dtype)
    found = pass_over(model, given)
    assert isinstance(found, CompiledPasses)
    expected = TorchPasses(model, given, gradient=True)
    assert_near(
        everything(found, *cotangents(dtype=dtype)), everything(expected, *cotangents(dtype=dtype)), ROUNDING[dtype]
    )


@every_size
@pytest.mark.parametrize("kinds", [1, 3])
def test_any_number_of_atoms_of_any_species_will_do(n, kinds):
    model, given = networks(), atoms(n, kinds=kinds)
    expected = TorchPasses(model, given, gradient=True)
    assert_near(everything(pass_over(model, given), *cotangents(n)), everything(expected, *cotangents(n)), 1e-13)


def test_no_atoms_give_no_energies_and_gradients_of_zero():
    passes = pass_over(networks(), atoms(0))
    found = everything(passes, *cotangents(0))
    assert (found[0].shape, found[1].shape) == ((0,), (0, N_FEATURES))
    assert not any(part.any() for part in found[2:])


def test_without_a_gradient_there_is_none_and_the_energies_are_the_same_bits():
    model, given = networks(), atoms()
    without = pass_over(model, given, gradient=False)
    assert without.by_feature is None
    assert torch.equal(without.atomic, pass_over(model, given).atomic)


@every_dtype
def test_neither_threads_nor_company_change_a_bit(dtype, monkeypatch):
    monkeypatch.setattr(network_passes, "WORTH", 1000)
    model, given = networks(dtype=dtype), atoms(dtype=dtype)
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(everything(pass_over(model, given), *cotangents(dtype=dtype)))
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(one, first) for run in found for one, first in zip(run, found[0], strict=True))
    few = NetworkInput(given.values, given.atoms[40:51], given.network[40:51], given.owner[40:51], 3)
    alone = pass_over(model, few)
    assert torch.equal(alone.atomic, found[0][0][40:51])
    assert torch.equal(alone.by_feature, found[0][1][40:51])


def test_other_activations_and_mixed_precision_are_left_to_torch():
    assert isinstance(pass_over(networks(last="gelu"), atoms()), TorchPasses)
    assert isinstance(pass_over(networks("relu"), atoms()), TorchPasses)
    mixed = pass_over(networks(dtype=torch.float32), atoms())
    assert isinstance(mixed, TorchPasses)
    assert (mixed.atomic.dtype, mixed.by_feature.dtype) == (torch.float32, torch.float64)


def test_a_feature_that_is_not_finite_spoils_its_atom_and_the_weights_but_no_other_atom():
    model, given = networks(), atoms()
    clean = pass_over(model, given).atomic
    values = given.values.clone()
    values[given.atoms[7], 2] = torch.nan
    spoiled = pass_over(model, NetworkInput(values, given.atoms, given.network, given.owner, 3))
    others = torch.arange(150) != 7
    assert spoiled.atomic[7].isnan()
    assert torch.equal(spoiled.atomic[others], clean[others])
    assert any(part.isnan().any() for part in spoiled.weight_gradients(*cotangents()))


def test_a_trained_architecture_is_that_of_a_descriptor():
    descriptor = ChebyshevDescriptor(("Ti", "O"), 4, 3.8, 2, 3.4)
    geometry = descriptor.geometry(frames())
    values, everyone = descriptor.features(geometry).values, geometry.everything
    given = NetworkInput(values, everyone.atoms, geometry.species[everyone.atoms], everyone.owner, 2)
    arch = {name: [(6, "tanh")] for name in descriptor.species}
    model = AtomicNetworks(arch, descriptor.species, values.shape[1], 0, values.dtype)
    expected = TorchPasses(model, given, gradient=True)
    torch.testing.assert_close(pass_over(model, given).atomic, expected.atomic, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tanh_and_the_logistic_function_are_exact_to_few_units_in_the_last_place(dtype):
    near, tails = np.linspace(-0.8, 0.8, 16 * 4000), np.logspace(-30, np.log10(80), 16 * 500)
    x = np.concatenate([np.linspace(-24, 24, 16 * 8000), near, tails, -tails]).astype(dtype)
    fine = x.astype(np.longdouble)
    for function, expected, most in ((_tanh_of, np.tanh(fine), 2.0), (_logistic_of, 1 / (1 + np.exp(-fine)), 3.0)):
        y = np.empty_like(x)
        function(x, y)
        assert float((np.abs(y - expected) / np.spacing(np.abs(expected.astype(dtype)))).max()) <= most


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tanh_and_the_logistic_function_end_well(dtype):
    x = np.zeros(LANES, dtype)
    x[:5] = np.nan, np.inf, -np.inf, 1e30, -1e30
    y = np.empty_like(x)
    _tanh_of(x, y)
    assert np.array_equal(y[:6], np.array([np.nan, 1, -1, 1, -1, 0], dtype), equal_nan=True)
    _logistic_of(x, y)
    assert np.isnan(y[0])
    assert np.array_equal(y[[1, 3, 5]], np.array([1, 1, 0.5], dtype))
    assert np.all((y[[2, 4]] >= 0) & (y[[2, 4]] < 1e-37))
