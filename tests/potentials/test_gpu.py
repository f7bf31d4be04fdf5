"""On a GPU, features, derivatives, training and prediction are those of the CPU but for rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from potentia import ChebyshevDescriptor, TorchANNPotential
from potentials import small_data

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
every_dtype = pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.float64, 1e-10), (torch.float32, 2e-4)], ids=["float64", "float32"]
)


def descriptor(device, dtype):
    return ChebyshevDescriptor(small_data.SPECIES, 4, small_data.CUTOFF, 2, 3.4, device=device, dtype=dtype)


def worked(device, dtype):
    """Features of some structures, and their derivatives along fixed directions, on the CPU."""
    one = descriptor(device, dtype)
    geometry = one.geometry(small_data.frames())
    features = one.features(geometry)
    rng = np.random.default_rng(0)

    def drawn(*shape):
        return torch.from_numpy(rng.normal(size=shape)).to(device, dtype)

    cotangent, shift = drawn(geometry.n_atoms, one.n_features), drawn(geometry.n_atoms, 3)
    strain = drawn(geometry.n_structures, 3, 3)
    everything = geometry.everything
    found = [features.values, *one.vjp(geometry, features.moments, everything, cotangent)]
    found.append(one.jvp(geometry, features.moments, everything, shift, strain))
    return [tensor.double().cpu() for tensor in found]


@every_dtype
def test_features_and_derivatives(dtype, rtol):
    for there, here in zip(worked("cuda", dtype), worked("cpu", torch.float64), strict=True):
        torch.testing.assert_close(there, here, rtol=rtol, atol=rtol * float(here.abs().max()))


@every_dtype
@pytest.mark.parametrize("settings", [{}, small_data.GRADIENTS], ids=["energies", "forces and stress"])
def test_training_and_prediction(dtype, rtol, settings):
    found = {}
    for device in ("cuda", "cpu"):
        arch = {name: [(6, "tanh"), (5, "tanh")] for name in small_data.SPECIES}
        potential = TorchANNPotential(arch, descriptor(device, dtype))
        out = potential.train(small_data.frames(), small_data.config(**settings))
        predicted = potential.predict(small_data.frames(), eval_forces=True, eval_stress=True)
        forces = np.concatenate([f.ravel() for f in predicted.forces])
        found[device] = (out.errors["RMSE_train"].to_numpy(), np.array(predicted.total_energy), forces)
    for there, here in zip(found["cuda"], found["cpu"], strict=True):
        np.testing.assert_allclose(there, here, rtol=0, atol=100 * rtol * np.abs(here).max())


def test_features_on_the_host_and_training_on_the_gpu_are_training_on_the_cpu():
    potential, here = small_data.fresh(), small_data.fresh()
    potential.train(small_data.frames(), small_data.config(device="cuda", memory_mode="mixed", **small_data.GRADIENTS))
    here.train(small_data.frames(), small_data.config(**small_data.GRADIENTS))
    for name, weight in here.learned()["model"].items():
        torch.testing.assert_close(potential.learned()["model"][name].cpu(), weight, rtol=1e-6, atol=1e-9)
