"""Laws of the networks that take each point on its own, and of their settings."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from potentia.config import from_dict, plain
from potentia.errors import ConfigError
from potentia.trajectories.networks.base import NetworkConfig, Shape
from potentia.trajectories.networks.fully_connected import FullyConnectedConfig
from potentia.trajectories.networks.multi_onet import MultiONetConfig

SMALL = {
    "fully_connected": FullyConnectedConfig(hidden_size=7, num_hidden_layers=2, activation="tanh"),
    "multi_onet": MultiONetConfig(hidden_size=7, output_factor=3, activation="silu"),
    "cosines": FullyConnectedConfig(hidden_size=7, num_hidden_layers=2, activation="tanh", time_cosines=3),
    "cosines_in_the_trunk": MultiONetConfig(hidden_size=7, output_factor=3, activation="silu", time_cosines=4),
    "cosines_beside_params": MultiONetConfig(hidden_size=7, params_branch=False, activation="silu", time_cosines=4),
    "params_in_the_trunk": MultiONetConfig(hidden_size=7, params_branch=False, activation="silu"),
}
every_config = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)


def build(config, n_parameters=2, n_quantities=3):
    torch.manual_seed(1)
    return config.build(Shape(n_quantities, n_parameters)).double()


def given(n=4, n_times=5, n_parameters=2, n_quantities=3):
    draw = torch.Generator().manual_seed(2)
    parameters = torch.randn(n, n_parameters, generator=draw).double() if n_parameters else None
    return torch.randn(n, n_quantities, generator=draw).double(), torch.linspace(0, 1, n_times).double(), parameters


def count(config, n_quantities, n_parameters=0):
    return sum(p.numel() for p in config.build(Shape(n_quantities, n_parameters)).parameters())


def test_numbers_of_parameters():
    assert count(FullyConnectedConfig(hidden_size=222, num_hidden_layers=2), 6) == 52_620  # as published
    assert count(FullyConnectedConfig(), 6, 2) == (9 * 150 + 150) + 4 * (150 * 150 + 150) + (150 * 6 + 6)
    branch = (6 * 100 + 100) + 4 * (100 * 100 + 100) + (100 * 60 + 60)
    trunk = (1 * 100 + 100) + 4 * (100 * 100 + 100) + (100 * 60 + 60)
    assert count(MultiONetConfig(), 6) == branch + trunk
    assert count(MultiONetConfig(), 6, 2) == count(MultiONetConfig(params_branch=False), 6, 2) == branch + trunk + 200


def test_defaults():
    assert plain(FullyConnectedConfig()) == {
        **{"class": "FullyConnectedConfig", "hidden_size": 150, "num_hidden_layers": 5, "activation": "relu"},
        **{"time_cosines": 0, "hard_initial_condition": False},
    }
    assert plain(MultiONetConfig()) == {
        **{"class": "MultiONetConfig", "hidden_size": 100, "branch_hidden_layers": 5, "trunk_hidden_layers": 5},
        **{
            "output_factor": 10,
            "params_branch": True,
            "activation": "relu",
            "time_cosines": 0,
            "hard_initial_condition": False,
        },
    }


@every_config
@pytest.mark.parametrize("n_parameters", [0, 2])
def test_a_whole_grid_is_its_points_one_by_one(config, n_parameters):
    network = build(config, n_parameters)
    initial, times, parameters = given(n_parameters=n_parameters)
    whole = network(initial, times, parameters)
    assert whole.shape == (4, 5, 3)
    for n in range(4):
        for t in range(5):
            of_one = None if parameters is None else parameters[n : n + 1]
            point = network(initial[n : n + 1], times[t : t + 1], of_one)
            torch.testing.assert_close(point[0, 0], whole[n, t], rtol=1e-12, atol=1e-12)


@every_config
@pytest.mark.parametrize("hard", [False, True])
def test_times_of_each_trajectory_may_differ_and_come_in_any_order(config, hard):
    network = build(from_dict(type(config), {**plain(config), "hard_initial_condition": hard}))
    initial, times, parameters = given()
    whole = network(initial, times, parameters)
    order = torch.stack([torch.arange(5).roll(n) for n in range(4)])
    found = network(initial, times[order], parameters)
    torch.testing.assert_close(found, whole.gather(1, order[..., None].expand(-1, -1, 3)), rtol=1e-12, atol=1e-12)


@every_config
def test_a_hard_initial_condition_is_exact(config):
    initial, times, parameters = given()
    soft, hard = (
        build(from_dict(type(config), {**plain(config), "hard_initial_condition": on})) for on in (False, True)
    )
    assert torch.equal(hard(initial, times, parameters)[:, 0], initial)
    assert not torch.allclose(soft(initial, times, parameters)[:, 0], initial)
    torch.testing.assert_close(
        hard(initial, times, parameters), initial[:, None] + times[:, None] * soft(initial, times, parameters)
    )


@every_config
def test_times_and_parameters_matter_and_have_derivatives(config):
    network = build(config)
    inputs = [part.requires_grad_() for part in given()]
    assert torch.autograd.gradcheck(network, inputs)
    assert all(gradient.abs().min() > 0 for gradient in torch.autograd.grad(network(*inputs).sum(), inputs))


def test_the_sum_over_factors_is_that_of_the_definition():
    config = MultiONetConfig(hidden_size=7, output_factor=3)
    network = build(config, 0)
    initial, times, _ = given(n_parameters=0)
    branch, trunk = network.branch(initial), network.trunk(times[:, None])
    for q in range(3):
        group = slice(3 * q, 3 * q + 3)
        torch.testing.assert_close(network(initial, times, None)[..., q], branch[:, group] @ trunk[:, group].T)


@pytest.mark.parametrize(
    ("n_parameters", "params_branch", "scattered"), [(0, False, False), (2, True, False), (2, False, True)]
)
def test_whole_trajectories_are_drawn_where_they_cost_less(n_parameters, params_branch, scattered):
    assert build(MultiONetConfig(params_branch=params_branch), n_parameters).scattered is scattered


def test_every_layer_has_an_activation_of_its_own():
    """One slope shared by all layers would train another network than the one that was asked for."""
    network = FullyConnectedConfig(num_hidden_layers=3, activation="prelu").build(Shape(2, 0))
    assert len([m for m in network.modules() if isinstance(m, nn.PReLU)]) == 3
    onet = MultiONetConfig(branch_hidden_layers=2, trunk_hidden_layers=3, activation="prelu").build(Shape(2, 0))
    assert len({id(m.weight) for m in onet.modules() if isinstance(m, nn.PReLU)}) == 5


@every_config
def test_settings_there_and_back(config):
    assert from_dict(NetworkConfig, plain(config)) == config


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (FullyConnectedConfig, {"hidden_size": 0}, "hidden_size must be an integer of at least 1, got 0"),
        (FullyConnectedConfig, {"num_hidden_layers": 1.5}, "num_hidden_layers must be an integer"),
        (FullyConnectedConfig, {"activation": "rellu"}, "activation must be one of .* did you mean 'relu'"),
        (FullyConnectedConfig, {"hidden_sise": 3}, "no setting 'hidden_sise'; did you mean 'hidden_size'"),
        (MultiONetConfig, {"output_factor": 0}, "output_factor must be"),
        (MultiONetConfig, {"trunk_hidden_layers": 0}, "trunk_hidden_layers must be"),
        (MultiONetConfig, {"activation": "swish"}, "activation must be one of"),
    ],
)
def test_settings_that_cannot_be_are_refused(cls, settings, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(cls, settings)


def test_cosines_let_a_network_see_fast_changes_of_time():
    times = torch.linspace(0, 1, 101).double()
    initial, target = torch.zeros(1, 1).double(), torch.cos(24 * torch.pi * times)[None, :, None]

    def error(cosines):
        torch.manual_seed(0)
        network = FullyConnectedConfig(hidden_size=16, num_hidden_layers=1, activation="silu", time_cosines=cosines)
        built = network.build(Shape(1, 0)).double()
        optimizer = torch.optim.Adam(built.parameters(), lr=0.02)
        for _ in range(150):
            optimizer.zero_grad()
            loss = (built(initial, times, None) - target).square().mean()
            loss.backward()
            optimizer.step()
        return loss.item()

    assert error(32) < 0.01
    assert error(0) > 0.2
