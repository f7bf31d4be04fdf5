"""Laws of the networks on fields, and of their settings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from potentia.config import from_dict, plain
from potentia.errors import ConfigError, DataError
from potentia.operators.networks.base import FieldNetworkConfig, FieldShape
from potentia.operators.networks.fno import FNOConfig
from potentia.operators.networks.u_afno import UAFNOConfig
from potentia.operators.systems import GrayScott
from potentia.testing import operators as laws
from potentia.testing.estimators import settings_go_there_and_back

SMALL_U = {"base_channels": 4, "encoder_levels": 1, "modes": 4, "afno_blocks": 1, "mixing_groups": 2}
SMALL = {
    "fno": FNOConfig(width=6, modes=3, layers=2),
    "fno_film": FNOConfig(width=6, modes=3, layers=2, conditioning="film", conditioning_width=5),
    "u_afno": UAFNOConfig(**SMALL_U, conditioning_width=5),
    "u_afno_deep": UAFNOConfig(**{**SMALL_U, "encoder_levels": 2}, residual_blocks=1, conditioning_width=5),
    "isotropic": FNOConfig(width=6, modes=3, layers=2, isotropic=True),
    "direct": FNOConfig(width=6, modes=3, layers=2, update="direct"),
}
every_config = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)
with_places = FNOConfig(width=6, modes=3, layers=2, coordinates=True)


def drawn(*shape, seed=2):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def build(config, n_axes=2, n_parameters=3, n_channels=2):
    """A network whose weights are all away from 0, also those that begin there."""
    torch.manual_seed(1)
    network = config.build(FieldShape(n_channels, n_axes, n_parameters)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def count(config, *shape):
    return sum(p.numel() for p in config.build(FieldShape(*shape)).parameters())


def test_numbers_of_parameters():
    """The scale of each channel, which residual updates have besides, is left out."""
    places = {"coordinates": True, "update": "direct"}
    assert count(FNOConfig(width=24, modes=8, layers=4, **places), 2, 2, 4) == 595_034
    assert count(FNOConfig(width=32, modes=16, layers=4, **places), 1, 1, 0) == 139_745
    assert count(UAFNOConfig(update="direct"), 1, 2, 0) == 9_558_785
    assert count(UAFNOConfig(update="direct"), 1, 2, 12) == 9_796_737
    small = {"encoder_levels": 2, "modes": 8, "afno_blocks": 2, "conditioning_width": 32, "update": "direct"}
    assert count(UAFNOConfig(base_channels=16, **small), 2, 2, 4) == 563_314
    assert count(UAFNOConfig(base_channels=8, **small), 2, 2, 4) == 149_146
    assert count(UAFNOConfig(base_channels=8, residual_blocks=1, **small), 2, 2, 4) == 96_154
    assert count(
        UAFNOConfig(base_channels=8, modes=3, encoder_levels=2, afno_blocks=2, **{"update": "direct"}), 2, 2, 4
    ) == (
        count(UAFNOConfig(base_channels=8, modes=9, encoder_levels=2, afno_blocks=2, **{"update": "direct"}), 2, 2, 4)
    )


def test_the_bottleneck_of_the_defaults_is_256_by_8_by_8():
    network = UAFNOConfig(residual_blocks=1, afno_blocks=1).build(FieldShape(1, 2, 0))
    with torch.no_grad():
        found = network.intermediate_features(torch.zeros(1, 1, 64, 64), None)
    assert found["bottleneck"].shape == (1, 256, 8, 8)
    assert network.bottleneck_channels == 256
    assert [found[f"skip_{k}"].shape[1:] for k in range(3)] == [(64, 64, 64), (128, 32, 32), (256, 16, 16)]


def test_an_isotropic_fno_has_one_real_matrix_for_each_wave_up_to_its_direction():
    network = FNOConfig(width=4, modes=3, layers=1, isotropic=True).build(FieldShape(2, 2, 0))
    assert network.layers[0].waves.shape == (6, 4, 4)  # (0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)
    assert count(FNOConfig(width=24, modes=8, layers=4, isotropic=True, update="direct"), 2, 2, 4) == 88_106


@every_config
@pytest.mark.parametrize("n_parameters", [0, 3])
def test_every_parameter_has_a_gradient(config, n_parameters):
    network = build(config, n_parameters=n_parameters)
    parameters = drawn(4, n_parameters) if n_parameters else None
    laws.every_parameter_has_a_gradient(network, drawn(4, 2, 16, 16), parameters)


def test_every_wave_of_an_fno_has_a_gradient_of_both_signs():
    network = build(FNOConfig(width=4, modes=4, layers=2))
    network(drawn(4, 2, 8, 8), drawn(4, 3)).square().mean().backward()
    for layer in network.layers:
        assert layer.waves.shape == (4, 8, 4, 2, 4)  # waves of the last axis, of the other one with both signs
        assert layer.waves.grad.flatten(2).abs().amax(2).min() > 0


@every_config
def test_a_scale_of_0_changes_nothing(config):
    network = build(from_dict(type(config), {**plain(config), "update": "residual"}))
    fields = drawn(2, 2, 16, 16)
    assert not torch.allclose(network(fields, drawn(2, 3)), fields)
    with torch.no_grad():
        network.scale.zero_()
    assert torch.equal(network(fields, drawn(2, 3)), fields)


@every_config
def test_a_residual_update_is_the_field_and_the_scaled_change(config):
    settings = plain(config)
    residual = from_dict(type(config), {**settings, "update": "residual", "scale": 0.25}).build(FieldShape(2, 2, 3))
    direct = from_dict(type(config), {**settings, "update": "direct"}).build(FieldShape(2, 2, 3))
    direct.load_state_dict({name: value for name, value in residual.state_dict().items() if name != "scale"})
    fields, parameters = drawn(2, 2, 16, 16).float(), drawn(2, 3).float()
    torch.testing.assert_close(residual(fields, parameters), fields + 0.25 * direct(fields, parameters))


@pytest.mark.parametrize("name", ["u_afno", "u_afno_deep"])
def test_moved_fields_give_moved_fields_where_waves_are_not_mixed(name):
    """All but the perceptron on real and imaginary parts of waves: it is not the same for a wave with another phase."""
    network = build(SMALL[name])
    fields, parameters = drawn(2, 2, 16, 16), drawn(2, 3)
    by = (4, 8)  # whole points of the coarsest grid
    with pytest.raises(AssertionError, match="moved fields give moved fields: off by"):
        laws.moved_fields_give_moved_fields(network, fields, parameters, by)
    with torch.no_grad():
        for block in network.bottom:
            block.mix[1].weight.zero_()
            block.mix[1].bias.zero_()
    laws.moved_fields_give_moved_fields(network, fields, parameters, by)


@pytest.mark.parametrize("n_axes", [1, 2])
def test_an_fno_without_places_moves_by_any_number_of_points(n_axes):
    fields, parameters = drawn(2, 2, *(14,) * n_axes), drawn(2, 3)
    by = (5, -3)[:n_axes]
    laws.moved_fields_give_moved_fields(build(SMALL["fno"], n_axes), fields, parameters, by)
    with pytest.raises(AssertionError, match="moved fields give moved fields: off by"):
        laws.moved_fields_give_moved_fields(build(with_places, n_axes), fields, parameters, by)


@pytest.mark.parametrize(
    "change",
    [lambda a: a.rot90(1, (-2, -1)), lambda a: a.flip(-1), lambda a: a.flip(-2), lambda a: a.transpose(-2, -1)],
    ids=["turned", "mirrored", "mirrored the other way", "transposed"],
)
def test_an_isotropic_fno_commutes_with_turns_and_mirrors_as_gray_scott_does(change):
    system, draw = GrayScott(), np.random.default_rng(1)
    before = system.initial(2, (16, 16), 0)
    values = system.space.values(draw.random((2, 4)))
    after = system.trajectories(before, values, 2)
    torch.testing.assert_close(system.trajectories(change(before), values, 2), change(after), rtol=0, atol=1e-6)
    fields, parameters = before.double(), torch.from_numpy(system.space.embed(values))
    for name, commutes in (("isotropic", True), ("fno", False)):
        network = build(SMALL[name], n_parameters=4)
        found, wanted = network(change(fields), parameters), change(network(fields, parameters))
        assert torch.allclose(found, wanted, rtol=1e-10, atol=1e-10) == commutes


def test_an_isotropic_fno_of_one_axis_commutes_with_mirrors():
    network, fields, parameters = build(SMALL["isotropic"], n_axes=1), drawn(2, 2, 15), drawn(2, 3)
    found, wanted = network(fields.flip(2), parameters), network(fields, parameters).flip(2)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "config", [SMALL["fno"], SMALL["fno_film"], SMALL["isotropic"]], ids=["channels", "film", "isotropic"]
)
@pytest.mark.parametrize("n_axes", [1, 2])
def test_an_fno_is_the_same_operator_on_a_finer_grid(config, n_axes):
    """Of linear layers exactly; activations make waves beyond the coarse grid's, fewer the finer it is."""
    network, parameters = build(config, n_axes), drawn(2, 3)

    def difference(points):
        fine, coarse = (smooth(n, n_axes) for n in (2 * points, points))
        found = network(fine, parameters)[..., ::2] if n_axes == 1 else network(fine, parameters)[..., ::2, ::2]
        return (found - network(coarse, parameters)).abs().max().item()

    assert difference(32) < 2e-3
    assert difference(64) < 0.02 * difference(16)


def smooth(points, n_axes):
    x = torch.arange(points).double() * (2 * torch.pi / points)
    along = torch.stack((torch.sin(x) + torch.cos(2 * x), torch.cos(x)))  # [channels, x]
    first = torch.stack((along, along.flip(0)))  # [samples, channels, x]
    return first if n_axes == 1 else first[..., None] * torch.cos(x)


@every_config
def test_parameters_matter_unless_they_are_left_out(config):
    fields, one, other = drawn(2, 2, 16, 16), drawn(2, 3), drawn(2, 3, seed=3)
    network = build(config)
    assert not torch.allclose(network(fields, one), network(fields, other))
    blind = build(from_dict(type(config), {**plain(config), "use_parameters": False}))
    assert torch.equal(blind(fields, one), blind(fields, other))
    assert torch.equal(blind(fields, one), blind(fields, None))


@every_config
def test_samples_do_not_see_each_other(config):
    laws.samples_do_not_see_each_other(build(config), drawn(3, 2, 16, 16), drawn(3, 3))


@every_config
def test_features_on_the_way(config):
    network = build(config)
    found = network.intermediate_features(drawn(2, 2, 16, 16), drawn(2, 3))
    part = 16 // 2 ** getattr(config, "encoder_levels", 0)
    assert found["bottleneck"].shape == (2, network.bottleneck_channels, part, part)
    assert set(found) - {"bottleneck"}


@every_config
def test_settings_there_and_back(config):
    settings_go_there_and_back(config, FieldNetworkConfig)


def test_grids_that_cannot_be_are_refused():
    with pytest.raises(DataError, match=r"modes=3 needs 2 axes of at least 6 points, got the grid \(16, 4\)"):
        build(SMALL["fno"]).require_grid((16, 4))
    with pytest.raises(
        DataError, match=r"encoder_levels=2 .* multiple of 4 points, at least 16, got the grid \(18, 16\)"
    ):
        build(SMALL["u_afno_deep"]).require_grid((18, 16))
    with pytest.raises(ConfigError, match=r"fields of 2 axes, these have 1: take an FNOConfig"):
        SMALL["u_afno"].build(FieldShape(2, 1, 0))


@pytest.mark.parametrize("config", [SMALL["fno"], SMALL["u_afno"]], ids=["fno", "u_afno"])
def test_parameters_that_are_not_there_are_named(config):
    with pytest.raises(DataError, match=r"embedded parameters \[samples, parameters\] = \(2, 3\), got none"):
        build(config)(drawn(2, 2, 16, 16), None)
    with pytest.raises(DataError, match=r"= \(2, 3\), got \(2, 4\)"):
        build(config)(drawn(2, 2, 16, 16), drawn(2, 4))


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (FNOConfig, {"width": 0}, "width must be an integer of at least 1"),
        (FNOConfig, {"conditioning": "fild"}, "did you mean 'film'"),
        (FNOConfig, {"coordinates": 1}, "coordinates must be"),
        (FNOConfig, {"isotropic": 1}, "isotropic must be"),
        (FNOConfig, {"isotropic": True, "coordinates": True}, "coordinates name a direction"),
        (FNOConfig, {"mode": 3}, "no setting 'mode'; did you mean 'modes'"),
        (FNOConfig, {"update": "residal"}, "did you mean 'residual'"),
        (UAFNOConfig, {"mixing_groups": 5}, "mixing_groups must divide the 256 channels at the bottom, got 5"),
        (UAFNOConfig, {"afno_blocks": 0}, "afno_blocks must be"),
        (UAFNOConfig, {"encoder_levels": 2.5}, "encoder_levels must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(cls, settings, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(cls, settings)
