"""Shift and scale of features and energies: from the training part, from the user, or none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from potentia import TorchANNPotential
from potentia.errors import ConfigError, DataError
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.normalisation import Normalisation, energy_scale, feature_statistics, set_normalisation
from potentials import small_data
from potentials.small_data import DESCRIPTOR, FREE


def buffers(structures=None, **changes):
    """Train for no epoch, and return what was set: indices of the training part, and the normalisation."""
    potential = small_data.fresh()
    out = potential.train(structures or small_data.frames(), small_data.config(iterations=0, **changes))
    model = potential.learned()["model"]
    return out.train_indices, {name: tensor.numpy() for name, tensor in model.items() if "networks" not in name}


def feature_scale(parts):
    """Return mean and scale as the networks have them."""
    mean, std = feature_statistics(parts)
    found = {name: torch.zeros_like(mean) for name in ("feature_mean", "feature_scale", "e_shift", "e_scaling")}
    nothing = FeatureRanges((), 0.0, {})
    set_normalisation(found, Normalisation(True, mean.numpy(), std.numpy(), 0.0, 1.0, nothing))
    return found["feature_mean"], found["feature_scale"]


def features_of(indices):
    frames = [small_data.frames()[k] for k in indices]
    return torch.cat([DESCRIPTOR.forward_from_positions(s.positions, s.species, s.cell, s.pbc) for s in frames]).numpy()


def energies_of(indices):
    frames = [small_data.frames()[k] for k in indices]
    return np.array([(s.energy - sum(FREE[name] for name in s.species)) / s.n_atoms for s in frames])


@pytest.mark.parametrize("gradients", [{}, small_data.GRADIENTS], ids=["energies", "gradients"])
def test_features_of_the_training_atoms_have_mean_0_and_deviation_1(gradients):
    train, found = buffers(**gradients)
    normalised = (features_of(train) - found["feature_mean"]) * found["feature_scale"]
    assert len(train) == 8
    np.testing.assert_allclose(normalised.mean(0), 0, atol=1e-13)
    np.testing.assert_allclose(normalised.std(0), 1, rtol=1e-12)


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_order_of_the_atoms_changes_a_bit(size, dtype):
    rng = np.random.default_rng(3)
    values = torch.from_numpy(size * (rng.normal(size=(997, 6)) + [0, 1, -3, 30, 100, 0.01])).to(dtype)
    mean, scale = feature_scale(lambda: [values])
    wide = values.double()
    exact = torch.tensor([math.fsum(column) / len(values) for column in wide.T.tolist()], dtype=torch.float64)
    assert mean.numpy() == pytest.approx(exact.numpy(), rel=1e-15)
    assert scale.numpy() == pytest.approx(1 / wide.std(0, correction=0).numpy(), rel=1e-13)
    for seed in range(3):
        parts = values[torch.from_numpy(np.random.default_rng(seed).permutation(997))].split(10 + 300 * seed)
        assert [t.numpy().tobytes() for t in feature_scale(lambda parts=parts: parts)] == [
            t.numpy().tobytes() for t in (mean, scale)
        ]


@pytest.mark.parametrize("gradients", [{}, small_data.GRADIENTS], ids=["energies", "gradients"])
def test_energies_of_the_training_structures_fill_minus_1_to_1(gradients):
    train, found = buffers(**gradients)
    normalised = (energies_of(train) - found["e_shift"]) * found["e_scaling"]
    assert normalised.min() == pytest.approx(-1, abs=1e-12)
    assert normalised.max() == pytest.approx(1, abs=1e-12)


def test_nothing_is_normalised_if_so_wished():
    _, found = buffers(normalize_features=False, normalize_energy=False)
    assert not found["feature_mean"].any()
    assert (found["feature_scale"] == 1).all()
    assert (found["e_shift"], found["e_scaling"]) == (0, 1)


def test_one_can_be_normalised_without_the_other():
    _, both = buffers()
    _, features = buffers(normalize_energy=False)
    _, energies = buffers(normalize_features=False)
    np.testing.assert_array_equal(features["feature_scale"], both["feature_scale"])
    assert (features["e_shift"], features["e_scaling"]) == (0, 1)
    assert (energies["feature_scale"] == 1).all()
    assert (energies["e_shift"], energies["e_scaling"]) == (both["e_shift"], both["e_scaling"])


def test_each_energy_setting_counts_alone():
    _, own = buffers()
    _, shifted = buffers(E_shift=-1.25)
    assert (shifted["e_shift"], shifted["e_scaling"]) == (-1.25, own["e_scaling"])
    _, scaled = buffers(E_scaling=3.5)
    assert (scaled["e_shift"], scaled["e_scaling"]) == (own["e_shift"], 3.5)
    _, given = buffers(E_shift=0.5, E_scaling=2.0, normalize_energy=False)
    assert (given["e_shift"], given["e_scaling"]) == (0.5, 2.0)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, np.ndarray.tolist])
def test_feature_statistics_may_be_given(normalize, kind):
    mean, std = np.linspace(-1, 1, DESCRIPTOR.n_features), np.linspace(0.5, 2, DESCRIPTOR.n_features)
    _, found = buffers(feature_stats={"mean": kind(mean), "std": kind(std)}, normalize_features=normalize)
    np.testing.assert_allclose(found["feature_mean"], mean, rtol=1e-15)
    np.testing.assert_allclose(found["feature_scale"], 1 / std, rtol=1e-15)
    assert found["e_scaling"] != 1


def test_feature_statistics_must_fit_the_descriptor():
    n = DESCRIPTOR.n_features
    with pytest.raises(DataError, match=rf"feature_stats\['mean'\]` must have shape .*\({n},\)"):
        buffers(feature_stats={"mean": np.zeros(n + 1), "std": np.ones(n)})
    with pytest.raises(ConfigError, match=r"feature_stats\['std'\] must not be negative"):
        buffers(feature_stats={"mean": np.zeros(n), "std": -np.ones(n)})


def test_a_given_deviation_of_zero_drops_the_feature():
    std = np.ones(DESCRIPTOR.n_features)
    std[3] = 0
    _, found = buffers(feature_stats={"mean": np.zeros(DESCRIPTOR.n_features), "std": std})
    assert found["feature_scale"].tolist() == std.tolist()


def test_a_constant_feature_is_dropped_whatever_its_size():
    values = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values[:, 1] = 30.1
    values[:, 2] = 0.0
    values[:, 3] = 30.1 * (1 + 1e-15 * values[:, 3])  # noise of summation in another order
    _, scale = feature_scale(lambda: [values])
    assert (scale[1:] == 0).all()
    assert scale[0] == pytest.approx(1 / values[:, 0].std(correction=0).item())


def test_structures_that_are_all_alike_can_be_learned():
    alike = [replace(small_data.molecule(1), name=str(k)) for k in range(5)]
    _, found = buffers(alike, testpercent=0)
    assert np.isfinite(found["feature_scale"]).all()
    assert (found["e_shift"], found["e_scaling"]) == (0, 1)
    potential = small_data.fresh()
    potential.train(alike, small_data.config(force_weight=0.5, testpercent=0))
    assert np.isfinite(potential.predict(alike).total_energy).all()


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_a_large_mean_costs_no_digits_of_the_deviation(offset):
    values = torch.linspace(-1, 1, 2001, dtype=torch.float64)[:, None]
    _, exact = feature_scale(lambda: [values])
    mean, scale = feature_scale(lambda: [values + offset])
    assert mean.item() == pytest.approx(offset, rel=1e-14, abs=1e-14)
    assert scale.item() == pytest.approx(exact.item(), rel=1e-9)


def test_features_in_float32_are_summed_in_float64():
    values = 100 + torch.linspace(-1, 1, 200_001, dtype=torch.float32)[:, None]
    _, expected = feature_scale(lambda: [values.double()])
    _, found = feature_scale(lambda: [values])
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def test_equal_energies_are_left_as_they_are():
    assert energy_scale(torch.full((5,), -3.25, dtype=torch.float64)) == (0.0, 1.0)
    assert energy_scale(torch.tensor([-3.0, -1.0]).double()) == (-2.0, 1.0)


def test_predictions_do_not_depend_on_how_a_linear_model_is_normalised():
    """A linear network absorbs shift and scale: fold them into its weights, and the energies are the same."""
    descriptor = DESCRIPTOR
    potential = TorchANNPotential({name: [(3, "linear")] for name in descriptor.species}, descriptor)
    potential.train(small_data.frames(), small_data.config())
    model = {name: tensor.clone() for name, tensor in potential.learned()["model"].items()}
    for k in range(2):
        first = model[f"networks.{k}.weights.0"]
        folded = first * model["feature_scale"]
        model[f"networks.{k}.biases.0"] -= folded @ model["feature_mean"]
        first.copy_(folded)
        model[f"networks.{k}.weights.1"] /= model["e_scaling"]
        model[f"networks.{k}.biases.1"] = model[f"networks.{k}.biases.1"] / model["e_scaling"] + model["e_shift"]
    for name, value in (("feature_mean", 0), ("feature_scale", 1), ("e_shift", 0), ("e_scaling", 1)):
        model[name] = torch.full_like(model[name], value)
    plain = TorchANNPotential.from_parts(potential.recipe(), {**potential.learned(), "model": model})
    found, expected = (p.predict(small_data.frames(), eval_forces=True) for p in (plain, potential))
    np.testing.assert_allclose(found.total_energy, expected.total_energy, rtol=1e-12)
    np.testing.assert_allclose(np.concatenate(found.forces), np.concatenate(expected.forces), rtol=0, atol=1e-11)
