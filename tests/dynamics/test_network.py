"""Laws of networks whose outputs are bounded parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from potentia.dynamics import MODEL_SPECS, Parameter, ParameterNetwork, get_model_spec
from potentia.dynamics.network import places_of
from potentia.errors import ConfigError
from potentia.seeding import torch_seeded, torch_stream

LOG = Parameter(name="k", low=[0.01, 1e-6], high=[10.0, 1e6], default=[0.5, 3.0], scale="log", shape=(2,))
SPEC = replace(get_model_spec("unicycle"), parameters=(*get_model_spec("unicycle").parameters, LOG))

every_model = pytest.mark.parametrize("spec", [*MODEL_SPECS.values(), SPEC], ids=[*MODEL_SPECS, "with a log scale"])


def network(spec=SPEC, n_inputs=3, hidden=(8,), **settings):
    with torch_seeded(torch.device("cpu"), 0):
        return ParameterNetwork(spec, n_inputs, hidden, **settings).double()


def inputs(rows=5, n_inputs=3):
    return torch.randn(rows, n_inputs, generator=torch_stream(0), dtype=torch.float64)


@every_model
@pytest.mark.parametrize("n_inputs", [0, 3])
def test_a_new_network_returns_the_defaults(spec, n_inputs):
    found = network(spec, n_inputs)(inputs(n_inputs=n_inputs))
    for parameter in spec.parameters:
        low, high = parameter.bounds
        inside = (parameter.values > low + 0.02 * (high - low)) & (parameter.values < high - 0.02 * (high - low))
        error = np.abs(found[parameter.name].detach().numpy() - parameter.values) / (high - low)
        assert found[parameter.name].shape == (5, *parameter.shape)
        assert (error[:, inside] < 1e-12).all()
        assert (error <= 0.02 + 1e-12).all()


def test_in_single_precision_too():
    found = network().float().vector(inputs().float())
    expected = network().vector(inputs())
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-6, atol=1e-6)


def test_a_default_on_a_bound_begins_inside_where_it_can_be_learned():
    spec = get_model_spec("unicycle").with_bounds({"drag": (0.0, 0.5)})
    model = network(spec, 0)
    drag = model(torch.empty(1, 0).double())["drag"]
    assert drag.item() == pytest.approx(0.01)
    drag.sum().backward()
    assert model.bias.grad.abs().max() > 1e-3 * 0.5


@every_model
def test_bounds_are_never_crossed(spec):
    model = network(spec)
    for z in (-1e4, -50.0, 50.0, 1e4):
        for dtype in (torch.float32, torch.float64):
            part = model.to(dtype)
            found = part.between(torch.sigmoid(part.start + z).expand(1, -1))
            assert torch.isfinite(found).all()
            assert (found >= part.low).all()
            assert (found <= part.high).all()


def test_a_logarithmic_scale_moves_by_factors():
    spec = replace(SPEC, parameters=(LOG,), gauge=())
    model = network(spec, 0)
    found = model.between(torch.tensor([[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]).double())
    np.testing.assert_allclose(found.numpy(), [[0.01, 1e-6], [10**-0.5, 1.0], [10.0, 1e6]], rtol=1e-9)


@every_model
def test_places_are_the_inverse_of_between(spec):
    model = network(spec, 0)
    places = torch.rand(spec.vector_size, generator=torch_stream(1), dtype=torch.float64)
    params = {key: value[0].numpy() for key, value in model.named(model.between(places[None])).items()}
    np.testing.assert_allclose(places_of(spec, params).numpy(), places.numpy(), atol=1e-12)
    model.move_to(places)
    np.testing.assert_allclose(model.places(torch.empty(1, 0))[0].detach().numpy(), places.numpy(), atol=1e-12)


def test_saturation_is_counted_by_parameter():
    model = network()
    first = [key == "k_accel" for key in SPEC.param_keys[:-1]] + [False, True]
    with torch.no_grad():
        model.weight[torch.tensor(first)] = 1e3 * torch.randn(8, generator=torch_stream(2), dtype=torch.float64)
    found = model.saturation(inputs(200))
    assert found["k_turn"] == found["drag"] == 0
    assert found["k_accel"] > 0.9
    assert found["k"] > 0.9  # of one of its two entries


@pytest.mark.parametrize("settings", [{}, {"layer_norm": True}, {"activation": "tanh"}, {"hidden": ()}])
def test_inputs_matter_once_something_is_learned(settings):
    model = network(**settings)
    assert (model.vector(inputs()).std(0) < 1e-12).all()
    with torch.no_grad():
        model.weight.fill_(0.1)
    assert (model.vector(inputs()).std(0) > 1e-9).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": (8, 0)}, "hidden must be an integer of at least 1"),
        ({"hidden": 8}, r"hidden must be the nodes of each hidden layer, such as \(128, 128\)"),
        ({"activation": "sillu"}, "did you mean 'silu'"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        network(**settings)


def test_constants_of_a_network_with_inputs_cannot_be_set():
    with pytest.raises(ConfigError, match="only a network without inputs"):
        network().move_to(torch.full((7,), 0.5))
