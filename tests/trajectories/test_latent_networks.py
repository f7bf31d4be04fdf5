"""Latent networks: sizes, the loss on any grid, polynomials, the latent equation and where it has no solution."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss, smooth_l1_loss

from potentia.config import from_dict, plain
from potentia.errors import ConfigError, DataError
from potentia.ode import Euler, FixedTsit5, RungeKutta4, Tsit5
from potentia.seeding import torch_seeded, torch_stream
from potentia.trajectories.networks.base import NetworkConfig, Shape
from potentia.trajectories.networks.latent_loss import LatentLoss, curvature, derivative_error, slope
from potentia.trajectories.networks.latent_neural_ode import LatentNeuralODEConfig
from potentia.trajectories.networks.latent_poly import LatentPolyConfig, powers

SHAPE = Shape(n_quantities=3, n_parameters=2)
SMALL = {"latent_features": 2, "coder_layers": 1, "coder_width": 8}
POLY = LatentPolyConfig(**SMALL)
STATE_POLY = LatentPolyConfig(
    **SMALL, degree=6, basis="chebyshev", coeff_network=True, coeff_inputs="state", coeff_width=8
)
PARAMETER_POLY = LatentPolyConfig(**SMALL, coeff_network=True, coeff_width=8, coeff_layers=1)
ODE = LatentNeuralODEConfig(**SMALL, ode_layers=1, ode_width=8, activation="tanh", ode_activation="tanh")
ENCODED_ODE = replace(ODE, encode_params=True, solver=RungeKutta4(substeps=2))
every_network = pytest.mark.parametrize(
    "config",
    [POLY, STATE_POLY, PARAMETER_POLY, ODE, ENCODED_ODE],
    ids=["poly", "state poly", "parameter poly", "ode", "encoded ode"],
)
GRID = torch.linspace(0, 1, 12, dtype=torch.float64)
UNEVEN = torch.tensor([0, 0.02, 0.1, 0.13, 0.3, 0.34, 0.7, 1.0], dtype=torch.float64)


def network(config, shape=SHAPE, seed=0):
    with torch_seeded(torch.device("cpu"), seed, "network"):
        return config.build(shape).double()


def inputs(n=4, shape=SHAPE):
    draw = torch_stream(0, "inputs")
    initial = 2 * torch.rand(n, shape.n_quantities, generator=draw, dtype=torch.float64) - 1
    return initial, torch.rand(n, shape.n_parameters, generator=draw, dtype=torch.float64)


def n_weights(config, shape):
    return sum(weight.numel() for weight in network(config, shape).parameters())


# -------------------------------------------------------------------------------------------------- all networks


@every_network
def test_it_trains_on_whole_trajectories_and_every_weight_has_a_gradient(config):
    model = network(config)
    initial, parameters = inputs()
    target = torch.sin(5 * GRID[:, None] + initial[:, None])
    loss, prediction = model.loss(mse_loss, initial, GRID, parameters, target)
    loss.backward()
    assert model.points is False
    assert prediction.shape == (4, 12, 3)
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.parameters())


@every_network
def test_times_of_each_trajectory_in_any_order_give_the_states_of_shared_times(config):
    model = network(replace(config, solver=Tsit5()) if config is ENCODED_ODE else config)
    initial, parameters = inputs()
    states = model(initial, GRID, parameters)
    order = torch.stack([torch.randperm(12, generator=torch_stream(0, "order", i)) for i in range(4)])
    own = model(initial, GRID[order], parameters)
    torch.testing.assert_close(own, states.gather(1, order[..., None].expand(-1, -1, 3)), rtol=0, atol=1e-12)


@every_network
def test_trajectories_do_not_see_each_other(config):
    model, (initial, parameters) = network(config), inputs()
    together = model(initial, GRID, parameters)
    torch.testing.assert_close(model(initial[2:3], GRID, parameters[2:3]), together[2:3], rtol=0, atol=1e-12)


@every_network
def test_at_u_0_is_what_the_coders_make_of_the_initial_state(config):
    model, (initial, parameters) = network(config), inputs()
    expected = model.decoder(model.encode(initial, parameters))
    torch.testing.assert_close(model(initial, GRID[:1], parameters)[:, 0], expected, rtol=0, atol=1e-12)


@every_network
def test_a_hard_initial_condition_is_exact_and_has_no_term_for_the_coders(config):
    model, (initial, parameters) = network(replace(config, hard_initial_condition=True)), inputs()
    assert torch.equal(model(initial, GRID, parameters)[:, 0], initial)
    target = torch.sin(5 * GRID[:, None] + initial[:, None])
    model.weights = LatentLoss(states=0, slope=0, curvature=0)
    assert model.loss(mse_loss, initial, GRID, parameters, target)[0].item() == 0


@every_network
def test_settings_there_and_back(config):
    assert from_dict(NetworkConfig, plain(config)) == config


@every_network
def test_the_same_seed_gives_the_same_weights(config):
    for one, other in zip(network(config).parameters(), network(config).parameters(), strict=True):
        assert torch.equal(one, other)


def test_known_numbers_of_weights():
    assert n_weights(LatentPolyConfig(latent_features=2, degree=1), Shape(6, 0)) == 4810
    coders = (6 * 64 + 64) + 2 * (64 * 64 + 64) + (64 * 5 + 5) + (5 * 64 + 64) + 2 * (64 * 64 + 64) + (64 * 6 + 6)
    flow = (6 * 64 + 64) + 4 * (64 * 64 + 64) + (64 * 5 + 5) + 1
    assert n_weights(LatentNeuralODEConfig(), Shape(6, 1)) == coders + flow


def test_states_beyond_the_range_of_minmax_are_reached():
    """A decoder that ends in tanh cannot, and under ``standardise`` cuts all beyond one standard deviation."""
    for name, bound in (("identity", math.inf), ("tanh", 1.0)):
        model = network(replace(POLY, output_activation=name))
        with torch.no_grad():
            model.decoder[-2].bias.fill_(3.0)
            assert float(model(inputs()[0], GRID, inputs()[1]).max()) <= bound
            assert (float(model(inputs()[0], GRID, inputs()[1]).max()) > 2) == (name == "identity")


def test_every_layer_has_an_activation_of_its_own():
    layers = [
        m
        for m in network(replace(ODE, activation="prelu", ode_activation="prelu")).modules()
        if isinstance(m, nn.PReLU)
    ]
    assert len({layer.weight.data_ptr() for layer in layers}) == len(layers) == 1 + 1 + 2


# ------------------------------------------------------------------------------------------------------ the loss


@pytest.mark.parametrize("times", [GRID, UNEVEN], ids=["even", "uneven"])
def test_differences_of_a_parabola_are_exact_on_every_grid(times):
    values = (2 - 3 * times + 4 * times**2)[None, :, None]
    h = times.diff()
    near = torch.minimum(h[1:], h[:-1]) / h.mean()  # nearer than even: weighed down
    torch.testing.assert_close(slope(values, times)[0, 1:-1, 0], (8 * times - 3)[1:-1] * near.clamp(max=1))
    torch.testing.assert_close(curvature(values, times)[0, :, 0], 8 * near.clamp(max=1) ** 2)


def test_slopes_on_an_even_grid_are_those_of_numpy():
    values = torch.randn(2, 12, 3, generator=torch_stream(0, "values"), dtype=torch.float64)
    np.testing.assert_allclose(
        slope(values, GRID).numpy(), np.gradient(values.numpy(), GRID.numpy(), axis=1), atol=1e-9
    )


def test_grids_of_each_trajectory_are_as_one_after_the_other():
    values = torch.randn(2, 8, 3, generator=torch_stream(0, "values"), dtype=torch.float64)
    grids = torch.stack((UNEVEN, torch.linspace(0, 1, 8, dtype=torch.float64) ** 2))
    for derivative in (slope, curvature):
        both = derivative(values, grids)
        for i in range(2):
            torch.testing.assert_close(both[i], derivative(values[i : i + 1], grids[i])[0])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("n_times", [10, 100, 1000])
@pytest.mark.parametrize("waves", [1, 30])
def test_no_derivative_outweighs_the_states_however_fine_the_grid_or_fast_the_target(order, n_times, waves):
    """Where the prediction is the mean of the targets, each error is their variance."""
    u = torch.linspace(0, 1, n_times, dtype=torch.float64)
    target = torch.sin(2 * math.pi * waves * u + 0.3)[None, :, None].expand(2, -1, 3)
    variance = float(target.var((0, 1), correction=0).mean())
    assert float(derivative_error(torch.zeros_like(target), target, u, order)) == pytest.approx(variance)
    assert float(derivative_error(target / 2, target, u, order)) == pytest.approx(variance / 4)


def test_on_a_logarithmic_grid_rounding_does_not_become_the_loss():
    u = torch.cat((torch.zeros(1), torch.logspace(-9, 0, 60)))
    target = torch.exp(-3 * u)[None, :, None]
    noise = 1e-6 * torch.randn(1, 61, 1, generator=torch_stream(0, "noise"))
    loss = LatentLoss().of_derivatives(target + noise, target, u)
    assert float(loss) < 1e-5
    for coarse in (torch.full_like(u, 0.5), (8 * u).round() / 8):  # times that are one in this precision
        assert math.isfinite(float(LatentLoss().of_derivatives(target + noise, target, coarse)))


def test_short_and_constant_trajectories_have_a_finite_loss():
    model, (initial, parameters) = network(POLY), inputs()
    for n_times in (1, 2, 3):
        target = initial[:, None].expand(-1, n_times, -1)
        loss, _ = model.loss(mse_loss, initial, GRID[:n_times], parameters, target)
        assert math.isfinite(float(loss.detach()))


def test_the_loss_is_the_weighed_sum_of_its_terms():
    model, (initial, parameters) = network(POLY), inputs()
    target = torch.sin(5 * GRID[:, None] + initial[:, None])

    def loss(measure=mse_loss, **weights):
        model.weights = LatentLoss(**weights)
        with torch.no_grad():
            return float(model.loss(measure, initial, GRID, parameters, target)[0])

    off = dict.fromkeys(("states", "identity", "slope", "curvature"), 0.0)
    alone = {name: loss(**{**off, name: 1.0}) for name in off}
    assert all(value > 0 for value in alone.values())
    assert loss() == pytest.approx(100 * alone["states"] + alone["identity"] + alone["slope"] + alone["curvature"])
    assert loss(measure=smooth_l1_loss, **{**off, "states": 1.0}) != pytest.approx(alone["states"], rel=0.1)
    weak = loss(measure=lambda p, t: smooth_l1_loss(p, t, beta=10.0))
    assert weak < loss(measure=lambda p, t: smooth_l1_loss(p, t, beta=0.1))


# --------------------------------------------------------------------------------------------------- polynomials


@pytest.mark.parametrize("basis", ["monomial", "chebyshev", "legendre"])
def test_each_basis_spans_the_polynomials_that_are_0_at_the_start(basis):
    columns = powers(GRID, 5, basis)
    assert columns[0].tolist() == [0.0] * 5
    monomials = torch.stack([GRID**d for d in range(1, 6)], -1)
    fitted = torch.linalg.lstsq(columns, monomials).solution
    torch.testing.assert_close(columns @ fitted, monomials, rtol=0, atol=1e-12)


@pytest.mark.parametrize("basis", ["chebyshev", "legendre"])
def test_at_a_high_degree_the_basis_is_far_better_conditioned_than_powers(basis):
    u = torch.linspace(0, 1, 200, dtype=torch.float64)
    assert torch.linalg.cond(powers(u, 12, basis)) < 100
    assert torch.linalg.cond(powers(u, 12, "monomial")) > 1e7


def test_the_way_is_shared_unless_a_network_makes_it():
    initial, parameters = inputs()
    for config, differs in ((POLY, False), (STATE_POLY, True), (PARAMETER_POLY, True)):
        model = network(config)
        latent = model.encode(initial, parameters)
        way = model.move(latent, initial, GRID, parameters) - latent[:, None]
        assert torch.allclose(way[0], way[1]) != differs


def test_coefficients_from_parameters_that_there_are_not_are_refused():
    with pytest.raises(ConfigError, match="coeff_network needs parameters, and this data has none: set coeff_inputs"):
        PARAMETER_POLY.build(Shape(3, 0))
    assert STATE_POLY.build(Shape(3, 0))


# ---------------------------------------------------------------------------------------------- latent equations


def test_the_latent_state_solves_its_equation():
    model, (initial, parameters) = network(replace(ODE, solver=Tsit5(rtol=1e-10, atol=1e-10))), inputs()
    fine = torch.linspace(0, 1, 2001, dtype=torch.float64)
    with torch.no_grad():
        latent = model.move(model.encode(initial, parameters), initial, fine, parameters)
        rates = model.flow(None, latent[:, 1000], *model.flow.drive(parameters))
    differences = (latent[:, 1001] - latent[:, 999]) / (fine[1001] - fine[999])
    torch.testing.assert_close(differences, rates, rtol=0, atol=1e-6)


def test_parameters_go_into_the_rates_or_into_the_encoder():
    initial, parameters = inputs()
    for config, encoded in ((ODE, False), (ENCODED_ODE, True)):
        model = network(config)
        assert torch.equal(model.encode(initial, parameters), model.encode(initial, parameters + 1)) != encoded
        assert not torch.allclose(model(initial, GRID, parameters), model(initial, GRID, parameters + 1))


@pytest.mark.parametrize("solver", [FixedTsit5(step=0.05), RungeKutta4(substeps=4), Euler(substeps=200)], ids=repr)
def test_every_solver_finds_the_same_states(solver):
    initial, parameters = inputs()
    expected = network(ODE)(initial, GRID, parameters)
    found = network(replace(ODE, solver=solver))(initial, GRID, parameters)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3 if isinstance(solver, Euler) else 1e-5)


def test_the_rates_are_bounded_where_they_are_meant_to_be():
    model, free = network(ODE), network(replace(ODE, ode_tanh_reg=False))
    far = torch.full((1, 2), 1e3, dtype=torch.float64)
    drive = torch.ones(1, 2, dtype=torch.float64)
    for flow, bounded in ((model.flow, True), (free.flow, False)):
        with torch.no_grad():
            flow.others[-1].bias.fill_(50.0)
        assert (float(flow(None, far, *flow.drive(drive)).detach().max()) <= 1) == bounded


def test_a_trajectory_without_solution_is_nan_and_named_and_the_others_are_untouched():
    model = network(replace(ODE, ode_tanh_reg=False, ode_activation="relu"))
    initial, parameters = inputs()
    broken = parameters.clone()
    broken[1, 0] = torch.inf
    whole, states = (model(initial, GRID, given) for given in (parameters, broken))
    assert torch.isnan(states[1, 1:]).all()
    torch.testing.assert_close(states[[0, 2, 3]], whole[[0, 2, 3]], rtol=0, atol=1e-12)
    model.require_solved(initial, GRID, parameters)
    message = r"1 of 4 trajectories has no solution: trajectory 1 \(not finite\); ask for times"
    with pytest.raises(DataError, match=message):
        model.require_solved(initial, GRID, broken)


def test_a_trajectory_without_solution_makes_the_loss_of_its_batch_not_finite():
    model, (initial, parameters) = network(replace(ODE, solver=Tsit5(max_steps=1))), inputs()
    loss, _ = model.loss(mse_loss, initial, GRID, parameters, torch.zeros(4, 12, 3, dtype=torch.float64))
    assert math.isnan(float(loss.detach()))
    with pytest.raises(DataError, match=r"4 of 4 trajectories has no solution: trajectory 0 \(too many steps\), 1"):
        model.require_solved(initial, GRID, parameters)


def test_times_before_the_initial_state_are_refused():
    initial, parameters = inputs()
    with pytest.raises(DataError, match=r"begins at the initial state, u = 0, .* got u = -0.1"):
        network(ODE)(initial, GRID - 0.1, parameters)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(POLY, basis="chebychev"), "did you mean 'chebyshev'"),
        (lambda: replace(POLY, degree=0), "degree must be an integer of at least 1"),
        (lambda: replace(ODE, ode_activation="rely"), "ode_activation must be one of .* did you mean 'relu'"),
        (lambda: replace(ODE, coder_width=0), "coder_width must be an integer of at least 1"),
        (lambda: LatentLoss(slope=-1), "slope must be a finite number of at least 0"),
        (lambda: from_dict(LatentNeuralODEConfig, {"ode_witdh": 3}), "did you mean 'ode_width'"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
