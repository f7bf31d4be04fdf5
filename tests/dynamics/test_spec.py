"""What a model is: names, bounds, defaults, fixed numbers; its parameters as a vector; and models by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from potentia.dynamics import MODEL_SPECS, Parameter, Variable, get_model_spec, list_model_specs, register_model_spec
from potentia.dynamics.models import singletrack_spec
from potentia.dynamics.vector import flatten_bounds, flatten_params, unflatten_params

SPEC = get_model_spec("singletrack")


def test_known_models_are_listed_in_order():
    names = list_model_specs()
    assert names == sorted(names)
    assert {"singletrack", "singletrack-augmented", "mlp-dynamics", "tv-linear", "unicycle"} <= set(names)
    assert {"singletrack-pacejka", "bodyframe-pacejka", "kinematic", "cascaded-tanks"} <= set(names)


def test_an_unknown_model_is_answered_with_those_that_are_known():
    with pytest.raises(ValueError, match=r"^Unknown model 'singeltrack'. Available models: .*unicycle; did you mean"):
        get_model_spec("singeltrack")
    with pytest.raises(ValueError, match=r"^Unknown model None. Available models: bodyframe-pacejka"):
        get_model_spec(None)


def test_a_name_is_given_once():
    spec = singletrack_spec(name="my-car")
    try:
        assert register_model_spec(spec) is get_model_spec("my-car")
        with pytest.raises(
            ValueError, match=r"there is a model 'my-car' already: choose another name, or replace=True"
        ):
            register_model_spec(spec)
        other = register_model_spec(spec.with_fixed({"m": 4.0}), replace=True)
        assert get_model_spec("my-car") is other
    finally:
        del MODEL_SPECS["my-car"]


def test_documented_names_stand_in_their_order():
    assert SPEC.state_names == ("x", "y", "delta", "v", "psi", "psi_dot", "beta")
    assert SPEC.param_keys == ("mu", "C_Sf", "C_Sr", "lf", "lr", "h", "m", "I")
    assert SPEC.param_shapes == dict.fromkeys(SPEC.param_keys, ())
    assert get_model_spec("tv-linear").param_shapes == {"A": (5, 7), "B": (5,)}
    assert get_model_spec("unicycle").state_names == ("x", "y", "psi", "v")
    assert get_model_spec("mlp-dynamics").param_keys == ("W1", "b1", "W2", "b2", "alpha")
    assert SPEC.angles == (False, False, False, False, True, False, False)
    assert (SPEC.speed, SPEC.min_speed) == ("v", 1.0)


def test_a_parameter_that_is_fixed_is_no_longer_predicted():
    fixed = SPEC.with_fixed({"m": 3.0})
    assert "m" not in fixed.param_keys
    assert fixed.vector_size == 7
    assert fixed.gauge == ("C_Sf",)
    state, control = torch.full((1, 7), 0.1), torch.zeros(1, 2)
    params = {key: torch.tensor(value, dtype=torch.float32) for key, value in SPEC.default_params.items()}
    wanted = SPEC.rates(state, control, {**params, "m": torch.tensor(3.0)})
    del params["m"]
    torch.testing.assert_close(fixed.rates(state, control, params), wanted, rtol=0, atol=0)


def test_constants_have_the_precision_of_the_states():
    found = SPEC.with_constants(torch.zeros(1, dtype=torch.float64), {})
    assert float(found["s_max"]) == 0.4189


def test_bounds_are_narrowed_and_defaults_follow():
    narrow = SPEC.with_bounds({"m": (4.0, 4.5), "mu": (0.5, 1.2)})
    assert narrow.parameter("m").bounds == (4.0, 4.5)
    assert float(narrow.default_params["m"]) == 4.0
    assert float(narrow.default_params["mu"]) == float(SPEC.default_params["mu"])
    assert float(SPEC.with_defaults({"mu": 0.7}).default_params["mu"]) == 0.7
    with pytest.raises(ValueError, match=r"parameter 'mu': default must lie within \[0.1, 1.5\], got 9"):
        SPEC.with_defaults({"mu": 9.0})
    with pytest.raises(ValueError, match=r"model 'singletrack' has no parameter 'mass'"):
        SPEC.with_bounds({"mass": (1.0, 2.0)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": 2.0}, r"parameter 'a': low must be less than high"),
        ({"high": np.inf}, r"parameter 'a': high must be finite, got inf"),
        ({"default": 3.0}, r"parameter 'a': default must lie within"),
        ({"scale": "log", "low": -1.0}, r"parameter 'a': scale='log' needs low > 0"),
        ({"scale": "cubic"}, r"scale must be one of 'linear', 'log', got 'cubic'"),
        ({"low": "x"}, r"parameter 'a': low must be a number or numbers of shape \(\)"),
        ({"low": [0.0, 0.0, 0.0], "shape": (2,)}, r"low must be a number or numbers of shape \(2,\)"),
        ({"shape": (0,)}, r"shape of parameter 'a' must be an integer of at least 1"),
        ({"name": "a b"}, r"name of a parameter must be made of letters, digits and '_', got 'a b'"),
        ({"name": "lambda"}, r"name of a parameter must be made of"),
    ],
)
def test_parameters_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        Parameter(**{"name": "a", "low": 0.0, "high": 1.0, "default": 0.5, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "My Car"}, r"name of a model must be made of lower-case letters, digits and '-', got 'My Car'"),
        ({"states": ()}, r"model 'singletrack' needs at least one state and one parameter"),
        ({"gauge": ("mass",)}, r"model 'singletrack': gauge names 'mass'"),
        ({"speed": "V"}, r"model 'singletrack': speed names the state 'V'"),
        ({"constants": {"m": 1.0}}, r"parameters and constants must have different names, twice there: m"),
        ({"controls": (Variable(name="v"),)}, r"states and controls must have different names, twice there: v"),
        ({"min_speed": -1.0}, r"min_speed must be a finite number of at least 0"),
    ],
)
def test_models_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SPEC, **changes)


def test_what_a_file_keeps_of_a_model_are_plain_values():
    found = singletrack_spec().describe()
    assert found["parameters"][0]["name"] == "mu"
    assert found["constants"]["s_max"] == 0.4189


@pytest.mark.parametrize(
    "shapes", [{"a": ()}, {"a": (2,)}, {"b": (3, 2), "a": (), "c": (1,)}, {"c": (1, 1), "d": (3,)}]
)
@pytest.mark.parametrize("leading", [(), (4,), (2, 3)])
def test_a_vector_is_taken_apart_and_put_together(shapes, leading):
    keys = tuple(shapes)
    size = sum(int(np.prod(shape, dtype=int)) for shape in shapes.values())
    count = int(np.prod(leading, dtype=int))
    vector = torch.arange(count * size, dtype=torch.float64).reshape(*leading, size)
    parts = unflatten_params(vector, keys, shapes)
    assert {key: tuple(part.shape) for key, part in parts.items()} == {key: leading + shapes[key] for key in keys}
    assert torch.equal(flatten_params(parts, keys, shapes), vector)


def test_bounds_are_spread_over_arrays_in_c_order():
    low, high = flatten_bounds(["a", "b"], {"a": ([[1, 2], [3, 4]], 9.0), "b": (0.0, 5.0)}, {"a": (2, 2), "b": ()})
    assert low.tolist() == [1, 2, 3, 4, 0]
    assert high.tolist() == [9, 9, 9, 9, 5]
    with pytest.raises(ValueError, match=r"each lower bound must be less than the upper bound"):
        flatten_bounds(["a"], {"a": (1.0, 1.0)}, {"a": ()})


def test_vectors_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"a vector of parameters must have 3 entries, got 4"):
        unflatten_params(torch.zeros(4), ["a"], {"a": (3,)})
    with pytest.raises(ValueError, match=r"parameter 'a' must have shape \(..., \(3,\)\), got \(2,\)"):
        flatten_params({"a": torch.zeros(2)}, ["a"], {"a": (3,)})
