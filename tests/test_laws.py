"""Laws for users: a part that breaks one is told its name. The tests of each part call those that it keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from potentia import ChebyshevDescriptor, Structure
from potentia.dynamics import ModelSpec, Parameter, Variable
from potentia.errors import ConfigError
from potentia.operators.networks.base import FieldNetwork, FieldShape
from potentia.potentials.descriptors import register_descriptor
from potentia.testing import descriptors, dynamics, methods, operators, potentials, trajectories
from potentia.testing.comparing import require_close, require_same
from potentia.testing.estimators import settings_go_there_and_back
from potentia.testing.structures import turn
from potentia.train import SGD, TrainingMethod
from potentia.train.steppers import GradientStepper
from potentia.trajectories.systems import SYSTEMS

WATER = Structure([[0, 0, 0.1], [0, 0.8, -0.5], [0.1, -0.7, -0.5]], ["O", "H", "H"])
CRYSTAL = replace(WATER, cell=3.1 * np.eye(3) + 0.1, pbc=np.ones(3, bool))


def broken(message):
    return pytest.raises(AssertionError, match=message)


# ---------------------------------------------------------------------------------------------------------- descriptors


class WithHeight(ChebyshevDescriptor):
    """Adds something to the first feature, whose derivative it does not know."""

    def features(self, geometry):
        found = super().features(geometry)
        values = found.values.clone()
        values[:, 0] += self.added(geometry)
        return replace(found, values=values)

    def added(self, geometry):
        centre = torch.repeat_interleave(torch.arange(geometry.n_atoms), geometry.start.diff())
        return torch.zeros(geometry.n_atoms, dtype=self.dtype).index_add(0, centre, geometry.vector[:, 2].abs())


class WithNumber(WithHeight):
    def added(self, geometry):
        first = geometry.atom_start[geometry.owner]
        return 0.1 * (torch.arange(geometry.n_atoms) - first)


class WithCompany(WithHeight):
    def added(self, geometry):
        return 0.1 * geometry.n_structures


class WithoutEnd(WithHeight):
    def added(self, geometry):
        return 0.1 * geometry.start.diff()


@register_descriptor
class Forgetful(ChebyshevDescriptor):
    def settings(self):
        return {**super().settings(), "rad_order": 3, "rad_cutoff": 2.9}


def descriptor(cls=ChebyshevDescriptor, **settings):
    return cls(["H", "O"], 3, 3.0, 2, 3.0, kernels="torch", **settings)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_descriptor_keeps_its_laws_in_either_precision(dtype):
    descriptors.check_descriptor(descriptor(dtype=dtype), [WATER, CRYSTAL])


def test_what_a_descriptor_breaks_is_named():
    with broken("turning a structure changes no feature: off by"):
        descriptors.check_descriptor(descriptor(WithHeight), [WATER])
    with broken("vjp is the derivative by positions: off by"):
        descriptors.vjp_is_the_derivative(descriptor(WithHeight), WATER)
    with broken("features follow their atoms"):
        descriptors.check_descriptor(descriptor(WithNumber), [WATER])
    with broken("structures beside a structure change no bit"):
        descriptors.check_descriptor(descriptor(WithCompany), [WATER, WATER])


@pytest.mark.parametrize("kernels", ["numba", "torch"])
def test_simulations_see_what_the_descriptor_sees(kernels):
    seen = ChebyshevDescriptor(["H", "O"], 3, 3.0, 2, 2.5, kernels=kernels)
    for structure in (WATER, CRYSTAL):
        descriptors.simulations_see_the_same(seen, structure)
    with broken("pairs beyond the cutoff change no features: off by"):
        descriptors.simulations_see_the_same(descriptor(WithoutEnd), CRYSTAL)
    with broken("features fade towards the cutoff: off by"):
        descriptors.features_fade_at_the_cutoff(descriptor(WithoutEnd))


def test_what_files_know_makes_the_same_descriptor():
    with broken("a descriptor that was written down and read has the same features: other bits"):
        descriptors.settings_go_there_and_back(descriptor(Forgetful), [WATER])
    with pytest.raises(ConfigError, match="there is no descriptor 'WithHeight'"):
        descriptors.settings_go_there_and_back(descriptor(WithHeight), [WATER])


def test_differences_need_double_precision():
    with pytest.raises(ConfigError, match=r"compared with differences in float64, this is of torch\.float32"):
        descriptors.vjp_is_the_derivative(descriptor(dtype=torch.float32), WATER)


# ----------------------------------------------------------------------------------------------------------- potentials


class Springs:
    """Pulls every atom to the middle of all; ``forces`` and ``energy`` may be changed."""

    def __init__(self, forces=lambda x: -x, energy=lambda x, size: 0.5 * np.square(x).sum()):
        self.forces, self.energy = forces, energy

    def predict(self, structures, eval_forces=False, eval_stress=False, batch_size=32):
        away = [s.positions - s.positions.mean(0) for s in structures]
        return SimpleNamespace(
            total_energy=[float(self.energy(x, batch_size)) for x in away],
            forces=[self.forces(x) for x in away],
            stress=[None] * len(away),
        )


BROKEN = {
    "forces are minus the slopes of the energy: off by": Springs(lambda x: x),
    "turning a structure turns forces and stress": Springs(
        lambda x: -x * [1, 1, 2], lambda x, _: 0.5 * (np.square(x) * [1, 1, 2]).sum()
    ),
    "the order of atoms does not matter": Springs(
        lambda x: -(np.arange(3)[:, None] - 1) * x + ((np.arange(3)[:, None] - 1) * x).mean(0),
        lambda x, _: 0.5 * ((np.arange(3)[:, None] - 1) * np.square(x)).sum(),
    ),
    "the batch size changes nothing, 1": Springs(energy=lambda x, size: 0.5 * np.square(x).sum() + 1e-6 * size),
}


def test_a_potential_may_be_anything_that_answers():
    potentials.check_potential(Springs(), [WATER])


@pytest.mark.parametrize("law", BROKEN)
def test_what_a_potential_breaks_is_named(law):
    with broken(law):
        potentials.check_potential(BROKEN[law], [WATER])


def test_a_crystal_has_a_stress():
    with broken("a crystal has a stress: there is none"):
        potentials.stress_is_the_slope_of_the_energy(Springs(), CRYSTAL)


# ------------------------------------------------------------------------------------- trajectories, models, networks


class Averaging:
    """A surrogate whose trajectories see each other, or whose states belong to the place of a time."""

    def __init__(self, by_place=False):
        self.by_place = by_place

    def predict(self, initial, times, parameters=None, batch_size=None):
        initial = np.asarray(initial)
        n = len(initial) if batch_size is None else batch_size
        shared = np.repeat([initial[k : k + n].mean() for k in range(0, len(initial), n)], n)[: len(initial)]
        grown = np.cumsum(np.abs(times), -1) if self.by_place else np.asarray(times) + shared[:, None]
        return np.broadcast_to(grown, (len(initial), np.shape(times)[-1]))[..., None]


def test_what_a_surrogate_breaks_is_named():
    asked = (np.arange(5.0)[:, None], np.linspace(1, 2, 3))
    with broken("the batch size does not matter: off by"):
        trajectories.check_surrogate(Averaging(), *asked)
    with broken("the order of times does not matter"):
        trajectories.check_surrogate(Averaging(by_place=True), *asked)
    with broken("a hard initial condition holds"):
        trajectories.hard_initial_condition_holds(Averaging(), *asked)


def test_a_wrong_jacobian_is_named():
    right = SYSTEMS["lotka_volterra"]

    class Wrong(type(right)):
        def jacobian(self, t, state, parameters):
            return 1.1 * super().jacobian(t, state, parameters)

    with broken(f"the Jacobian is the derivative of the rates by {right.labels[0]}: off by"):
        trajectories.jacobian_is_the_derivative_of_the_rates(Wrong(), np.arange(1.0, 7.0))


def model(rates, default=0.5, **more):
    """A number that decays."""
    return ModelSpec(
        name="decay",
        states=(Variable(name="n"),),
        controls=(),
        parameters=(Parameter(name="k", low=0.1, high=1.0, default=default),),
        dynamics_fn=rates,
        **more,
    )


def asked_of(rates, **more):
    states, controls = torch.tensor([[1.0], [2.0]]).double(), torch.zeros(2, 3, 0).double()
    return model(rates, **more), states, controls, {"k": torch.tensor([0.4, 0.6]).double()}, 0.1


def decay(states, controls, p):
    return -p["k"][..., None] * states


def test_what_a_model_breaks_is_named():
    dynamics.check_model(*asked_of(decay))
    with broken("rates take any leading axes"):
        dynamics.check_model(*asked_of(lambda s, c, p: decay(s, c, p) * s.mean(0)))
    with broken("rates keep the precision of the states: torch.float64 and torch.float64"):
        dynamics.check_model(*asked_of(lambda s, c, p: decay(s, c, p) * torch.ones(1).double()))
    with broken("derivatives of a roll-out are those of differences"):
        dynamics.check_model(*asked_of(lambda s, c, p: decay(s.detach(), c, p)))
    with broken("defaults lie inside the bounds: k = 1.0"):
        dynamics.check_model(*asked_of(decay, default=1.0))
    with broken("derivatives at rest are finite: by the states"):
        dynamics.at_rest_rates_and_derivatives_are_finite(model(lambda s, c, p: decay(s, c, p) * s.abs().sqrt()))


def test_what_a_model_says_of_its_stiffness_is_compared():
    states, params = torch.ones(2, 1).double(), {"k": torch.tensor([40.0, 60.0]).double()}
    for factor, law in ((0.5, "no eigenvalue is larger"), (3.0, "within a factor of two: at most 0.333 of it")):
        spec = model(decay, stiffness_fn=lambda s, p, factor=factor: factor * p["k"])
        with broken(law):
            dynamics.no_eigenvalue_is_larger_than_the_stiffness_says(spec, states, params)


def test_a_law_that_a_model_cannot_have_is_refused():
    with pytest.raises(ConfigError, match="model 'decay' has no stiffness_fn, so there is no bound"):
        dynamics.no_eigenvalue_is_larger_than_the_stiffness_says(model(decay), torch.ones(1, 1), {})
    with pytest.raises(ConfigError, match="no two positions and a heading"):
        dynamics.turned_world_gives_the_turned_path(*asked_of(decay))


class Mixing(FieldNetwork):
    """Adds the mean over samples, or has a weight that nothing uses."""

    def __init__(self, mixes):
        super().__init__(FieldShape(1, 1, 0), "residual", 0.1)
        self.mixes, self.gain = mixes, nn.Parameter(torch.ones(1))

    def change(self, fields, parameters):
        return self.gain * fields.mean(0, keepdim=True) if self.mixes else fields

    def intermediate_features(self, fields, parameters):
        return {}


def test_what_a_network_on_fields_breaks_is_named():
    fields = torch.linspace(0, 1, 12).reshape(3, 1, 4).double()
    with broken("every parameter has a gradient: gain has none"):
        operators.check_field_network(Mixing(mixes=False).double(), fields)
    with broken("samples do not see each other, 0"):
        operators.check_field_network(Mixing(mixes=True).double(), fields)


# ------------------------------------------------------------------------------------------------- methods and settings


class Forgetting(GradientStepper):
    """Does not save its moments."""

    def state(self):
        return {}

    def load_state(self, state):
        return


@dataclass(frozen=True)
class ForgetfulSGD(SGD):
    method_name = "forgetful"

    def stepper(self, parameters, spared=()):
        return Forgetting(lambda p: torch.optim.SGD(p, 0.05, momentum=0.9), parameters)


@dataclass(frozen=True)
class Rounded:
    """Does not keep what it is given."""

    rate: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "rate", self.rate + 1)


def test_a_method_that_forgets_is_named():
    methods.equal_seeds_give_equal_runs(ForgetfulSGD(batchsize=4))
    with broken(r"resumed from .*\.pt a run is the unbroken one: other bits at /history/RMSE_train"):
        methods.resumed_is_unbroken(ForgetfulSGD(batchsize=4))


def test_settings_that_change_on_their_way_are_named():
    settings_go_there_and_back(SGD(), TrainingMethod)
    with broken(r"settings go to plain values and back: Rounded\(rate=3.0\) instead of Rounded\(rate=2.0\)"):
        settings_go_there_and_back(Rounded(1.0))


def test_numbers_that_are_none_agree_with_nothing():
    with broken(r"a law: off by nan at \(1,\)"):
        require_close("a law", [1.0, np.nan], [1.0, np.nan], rtol=1.0)
    with broken(r"a law: shape \(2,\) instead of \(3,\)"):
        require_close("a law", [1, 2], [1, 2, 3])
    require_same("a law", [np.nan, torch.zeros(2)], [np.nan, torch.zeros(2)])
    with broken("a law: Tensor instead of ndarray at /0"):
        require_same("a law", [torch.zeros(2)], [np.zeros(2)])


def test_a_turn_is_a_turn():
    np.testing.assert_allclose(turn(3) @ turn(3).T, np.eye(3), atol=1e-14)
    assert np.linalg.det(turn(3)) == pytest.approx(1)
