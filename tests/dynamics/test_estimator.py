"""Laws of an estimator of parameters: recipe, file, what it predicts, and what it says."""

from __future__ import annotations

import copy
import functools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from dynamics.turns import NONE, SPEC, TRUTH, config, net, windows
from potentia.dynamics import (
    MODEL_SPECS,
    DynamicsParameterNet,
    FeatureSettings,
    Parameter,
    get_model_spec,
    register_model_spec,
    simulate_dataset,
)
from potentia.dynamics.models.mlp_dynamics import mlp_dynamics
from potentia.errors import ConfigError, DataError, FileFormatError, NotFittedError, PotentiaWarning
from potentia.train import newest_checkpoint


@functools.cache
def rich():
    return windows(features=2)


@functools.cache
def others():
    return windows(9, seed=7, features=2)


@pytest.fixture(scope="module")
def trained():
    model = net(bounds={"drag": (0.0, 0.3)}, fix={"b_accel": -0.2})
    model.train(rich(), config(epochs=10))
    return model


@pytest.fixture
def registered():
    before = dict(MODEL_SPECS)
    yield MODEL_SPECS
    MODEL_SPECS.clear()
    MODEL_SPECS.update(before)


# ------------------------------------------------------------------------------------------------------ prediction


def test_states_follow_from_the_predicted_parameters(trained):
    params = trained.predict_params(others())
    assert list(params) == ["k_turn", "b_turn", "k_accel", "drag"]
    assert all(value.shape == (9,) for value in params.values())
    expected = trained.simulate(others().initial_states, others().controls, params, others().dt)
    np.testing.assert_array_equal(trained.predict(others()), expected)


def test_parameters_differ_with_the_features_and_stay_within_bounds(trained):
    for key, value in trained.predict_params(others()).items():
        low, high = trained.spec_.parameter(key).bounds
        assert ((value >= low) & (value <= high)).all()
        assert value.std() > 0


def test_how_many_windows_at_a_time_changes_nothing(trained):
    np.testing.assert_allclose(trained.predict(others(), batch_size=2), trained.predict(others()), rtol=1e-12)


def test_targets_are_not_looked_at(trained):
    blind = replace(others(), targets=np.zeros_like(others().targets))
    np.testing.assert_array_equal(trained.predict(blind), trained.predict(others()))


def test_a_simulation_needs_no_training():
    model = net()
    found = model.simulate([[0.0, 0, 0, 1]], np.zeros((1, 3, 2)), SPEC.default_params, 0.5)
    np.testing.assert_allclose(found[0], [[0.5, 0, 0, 1], [1.0, 0, 0, 1], [1.5, 0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"initial_states": [0.0, 0, 0, 1]}, r"one window is initial_states\[None\]"),
        ({"controls": np.zeros((2, 3, 2))}, r"`controls` must have shape \[1, steps, 2\]"),
        ({"dt": 0.0}, "`dt` must be finite and greater than 0"),
        ({"params": {"k_turn": "fast"}}, "parameter 'k_turn' must be an array of numbers"),
    ],
)
def test_what_cannot_be_simulated_is_refused(changed, message):
    given = {"initial_states": [[0.0, 0, 0, 1]], "controls": np.zeros((1, 3, 2)), "params": SPEC.default_params}
    with pytest.raises(DataError, match=message):
        net().simulate(**({"dt": 0.1} | given | changed))


def test_windows_that_diverge_are_warned_of():
    fast = {**SPEC.default_params, "k_turn": 1.0}
    with pytest.warns(
        PotentiaWarning, match=r"1 of 2 windows could not be simulated to their end \(the first is window 1"
    ):
        found = net().simulate([[0.0, 0, 0, 1], [0, 0, 0, 1e308]], np.full((2, 3, 2), 1.0), fast, 1e3)
    assert np.isfinite(found[0]).all()


# --------------------------------------------------------------------------------------------------------- summary


def test_a_summary_is_the_same_for_every_chunk(trained):
    whole = trained.summarize(rich()).table
    values = trained.predict_params(rich())
    for size in (1, 7, 48, 1000):
        pd.testing.assert_frame_equal(trained.summarize(rich(), size).table, whole, rtol=1e-12)
    assert list(whole.index) == list(values)
    for key, value in values.items():
        row = whole.loc[key]
        assert row["mean"] == pytest.approx(value.mean(), rel=1e-12)
        assert row["std"] == pytest.approx(value.std(), rel=1e-9)
        assert (row["min"], row["max"]) == pytest.approx((value.min(), value.max()), rel=1e-12)
        assert row["q05"] == pytest.approx(np.quantile(value, 0.05), rel=1e-12)
        assert row["q50"] == pytest.approx(np.median(value), rel=1e-12)
    assert whole.loc["drag", ["lo", "hi"]].tolist() == [0.0, 0.3]


def test_a_summary_counts_what_is_at_a_bound():
    model = net(features=NONE, bounds={"k_turn": (0.9, 1.05), "k_accel": (0.95, 1.1)})
    with pytest.warns(PotentiaWarning, match=r"k_turn \(100%\), k_accel \(100%\)"):
        model.train(windows(), config(epochs=25, learning_rate=0.3))
    table = model.summarize(rich()).table
    assert table.loc["k_turn", ["at_lower", "at_upper"]].tolist() == [0, 1]
    assert table.loc["k_accel", ["at_lower", "at_upper"]].tolist() == [1, 0]


def test_a_summary_as_plain_values_has_the_shape_of_the_parameters(registered):
    register_model_spec(replace(SPEC, name="twice", parameters=(*SPEC.parameters, WHEELS)))
    model = net("twice", features=NONE)
    model.train(windows(4), config(epochs=1))
    found = json.loads(json.dumps(model.summarize(windows(4)).to_dict()))
    assert (found["model"], found["n"]) == ("twice", 4)
    assert np.shape(found["params"]["wheels"]["mean"]) == (2, 3)
    assert found["params"]["drag"]["at_lower"] == 0
    assert "wheels[1, 2]" in str(model.summarize(windows(4)))
    assert np.shape(model.summarize(windows(4)).means()["wheels"]) == (2, 3)


WHEELS = Parameter(name="wheels", low=0.0, high=1.0, default=0.5, shape=(2, 3))


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_a_chunk_holds_at_least_one_window(trained, size):
    with pytest.raises(ConfigError, match="chunk_size must be an integer of at least 1"):
        trained.summarize(rich(), size)


# ------------------------------------------------------------------------------------------------------ evaluation


def test_the_evaluation_has_baselines_and_the_score_is_the_skill(trained):
    found = trained.evaluate(others())
    assert set(found.metrics["surrogate"]) >= {"network", "default parameters", "persistence"}
    assert 0 < trained.score(others()) < 1
    assert "default parameters" in found.text()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_constant_parameters_are_a_baseline_where_training_windows_are_given(trained):
    found = trained.evaluate(others(), rich().take(slice(0, 12)))
    assert "constant fit" in set(found.metrics["surrogate"])


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_what_the_data_tell_is_asked_of_the_predicted_parameters(trained):
    report = trained.identifiability(rich().take(slice(0, 8)))
    assert "k_turn" in report.text()
    assert "b_accel" not in report.text()


# ------------------------------------------------------------------------------------------------------------ file


def test_saved_is_loaded(trained, tmp_path):
    path = tmp_path / "net.pt"
    trained.save(path, {"note": "wet"})
    again = DynamicsParameterNet.load(path)
    np.testing.assert_array_equal(again.predict(others()), trained.predict(others()))
    assert again.recipe() == trained.recipe()
    assert repr(again) == repr(trained)
    assert again.rollout_ == trained.rollout_
    assert again.metadata["extra_metadata"] == {"note": "wet"}
    assert again.metadata["training_config"]["learning_rate"] == 0.01
    np.testing.assert_array_equal(again.to("cpu").predict(others()), trained.predict(others()))


def test_a_checkpoint_opens_as_a_model(tmp_path):
    model = net()
    model.train(rich(), config(checkpoint_dir=str(tmp_path), save_best=False))
    opened = DynamicsParameterNet.load(newest_checkpoint(tmp_path))
    np.testing.assert_array_equal(opened.predict(others()), model.predict(others()))


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "net.pt").write_bytes(b"no")
    with pytest.raises(FileFormatError, match="no whole potentia file"):
        DynamicsParameterNet.load(tmp_path / "net.pt")


def test_substeps_of_the_training_are_kept(tmp_path):
    data = windows(8)
    model = net("unicycle", substeps=3, features=NONE)
    model.train(data, config(epochs=1))
    model.save(tmp_path / "net.pt")
    assert DynamicsParameterNet.load(tmp_path / "net.pt").rollout_.substeps == 3


def stiff(rate):
    """Return the unicycle as a model whose fastest rate is so many times k_turn (1/s)."""
    return replace(SPEC, name="stiff", stiffness_fn=lambda states, p: rate * p["k_turn"] + 0 * states[..., 3])


@pytest.mark.parametrize(("high", "substeps"), [(3.0, 3), (1.1, 2)])
def test_a_stiff_model_gets_substeps_for_twice_its_rate_unless_its_bounds_need_less(high, substeps):
    model = net(stiff(30), substeps="auto", features=NONE, bounds={"k_turn": (0.9, high)})
    out = model.train(replace(windows(6), dt=0.05), config(epochs=1, compiled=False))
    assert out.substeps == substeps  # 60/s and 33/s times 0.05 s


def test_substeps_that_are_too_few_for_what_was_found_are_warned_of():
    data = replace(windows(6), dt=0.05)
    said = r"substeps=1 are too few .* in 1 of the windows.*with substeps=[56]; see docs/"
    with pytest.warns(PotentiaWarning, match=said):
        net(stiff(100), features=NONE).train(data, config(epochs=1, compiled=False))
    net(stiff(100), substeps=3, features=NONE).train(data, config(epochs=1, compiled=False))  # 1.7 at once


def test_a_model_that_cannot_be_compiled_says_why_its_training_is_slow():
    def rates(states, controls, p):
        found = torch.zeros_like(states)
        found[..., 3] = controls[..., 1] - p["drag"] * states[..., 3]
        return found

    spec = replace(SPEC, name="in-place", dynamics_fn=rates)
    with pytest.warns(PotentiaWarning, match=r"model 'in-place' go through torch.*changes a tensor.*compiled=False"):
        net(spec, features=NONE).train(windows(6), config(epochs=1))
    net(spec, features=NONE).train(windows(6), config(epochs=1, compiled=False))


def test_a_network_that_was_trained_by_torch_stays_so():
    model = net(features=NONE)
    model.train(windows(6), config(epochs=1, compiled=False))
    loaded = DynamicsParameterNet.from_parts(model.recipe(), model.learned())
    assert not model.rollout_.compiled
    assert loaded.rollout_ == model.rollout_


def test_a_model_of_the_user_must_be_registered_to_be_loaded(registered, tmp_path):
    own = replace(SPEC, name="own-car").with_defaults({"drag": 0.3})
    model = net(own, features=NONE)
    model.train(windows(), config())
    path = tmp_path / "net.pt"
    model.save(path)
    with pytest.raises(ConfigError, match="this needs the model 'own-car', whose equations are no part of a file"):
        DynamicsParameterNet.load(path)
    register_model_spec(replace(own, parameters=SPEC.parameters))
    again = DynamicsParameterNet.load(path)  # with its own defaults
    np.testing.assert_array_equal(again.predict(others()), model.predict(others()))
    assert again.spec_.describe() == model.spec_.describe()
    assert again.recipe() == model.recipe()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"constants": {"mass": 1.0}}, "its parameters and constants are"),
        (
            {"states": (*SPEC.states[:3], replace(SPEC.states[3], name="w")), "speed": None},
            "its states are x, y, psi, w",
        ),
        ({"dynamics_fn": lambda s, u, p: 2 * SPEC.dynamics_fn(s, u, p)}, "the same names, but other equations"),
    ],
)
def test_another_model_of_the_same_name_is_refused(registered, changed, message, tmp_path):
    own = register_model_spec(replace(SPEC, name="own-car"))
    model = net("own-car", features=NONE)
    model.train(windows(8), config(epochs=1))
    model.save(tmp_path / "net.pt")
    register_model_spec(replace(own, **changed), replace=True)
    with pytest.raises(ConfigError, match=message):
        DynamicsParameterNet.load(tmp_path / "net.pt")


def test_a_hidden_size_of_learned_dynamics_is_loaded_without_help(tmp_path):
    model = DynamicsParameterNet(mlp_dynamics(5), features=NONE, substeps=1)
    data = simulate_dataset(model.spec_, windows=6, horizon=3)
    model.train(data, config(epochs=1))
    model.save(tmp_path / "net.pt")
    again = DynamicsParameterNet.load(tmp_path / "net.pt")
    assert again.predict_params(data)["W1"].shape == (6, 5, 6)
    np.testing.assert_array_equal(again.predict(data), model.predict(data))


# ---------------------------------------------------------------------------------------------------------- recipe


def test_bounds_fixed_parameters_and_gauge_make_the_model():
    free = net("singletrack", gauge="free").spec_
    held = net("singletrack", fix={"m": 3.0}, bounds={"mu": (0.5, 0.8)}).spec_
    assert set(free.param_keys) - set(held.param_keys) == set(free.gauge) == {"C_Sf", "m"}
    assert held.constants["m"] == 3.0
    assert held.constants["C_Sf"] == get_model_spec("singletrack").parameter("C_Sf").values
    assert [float(side) for side in held.parameter("mu").bounds] == [0.5, 0.8]


def test_the_laws_of_scikit_learn_hold():
    settings = {"hidden": (4,), "bounds": {"drag": (0.0, 0.2)}, "features": FeatureSettings(mode="none")}
    model = DynamicsParameterNet("unicycle", **settings)
    params = model.get_params()
    assert all(params[name] is value for name, value in settings.items())  # nothing is changed on the way in
    clone = type(model)(**{name: copy.deepcopy(value) for name, value in params.items()})
    assert clone.get_params() == params
    assert repr(clone) == repr(model)
    assert model.set_params(hidden=(5, 5)) is model
    assert model.get_params()["hidden"] == (5, 5)
    with pytest.raises(ConfigError, match="no parameter 'hiden'; did you mean 'hidden'"):
        model.set_params(hiden=(3,))
    with pytest.raises(ConfigError, match="hidden must be"):
        model.set_params(hidden=3)
    assert model.get_params()["hidden"] == (5, 5)


def test_a_recipe_builds_the_same():
    model = net(bounds={"drag": (0.0, 0.2)}, features=FeatureSettings(mode="history", history=2), gauge="free")
    again = DynamicsParameterNet.from_recipe(json.loads(json.dumps(model.recipe())))
    assert again.recipe() == model.recipe()
    with pytest.raises(ConfigError, match="no setting 'hiden'"):
        DynamicsParameterNet.from_recipe({"hiden": [3]})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "singeltrack"}, "Unknown model 'singeltrack'"),
        ({"gauge": "loose"}, "gauge must be one of"),
        ({"integration": "rk5"}, "method must be one of"),
        ({"substeps": 0}, "substeps must be an integer of at least 1"),
        ({"features": "none"}, r"features must be FeatureSettings\(...\)"),
        ({"fix": {"darg": 1}}, "did you mean 'drag'"),
        ({"fix": {"drag": 0.1}, "bounds": {"drag": (0, 1)}}, "bounds of 'drag' change nothing: fix names it"),
        ({"model": "singletrack", "bounds": {"m": (3, 4)}}, "bounds of 'm' change nothing: gauge='fix' holds it"),
        ({"fix": dict(TRUTH)}, "all parameters are fixed"),
        ({"layer_norm": 1}, "layer_norm must be True or False"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        net(**settings)


def test_before_training_it_says_so():
    assert repr(net()) == "DynamicsParameterNet('unicycle', hidden=(8,), substeps=1)"
    assert net().metadata is None
    with pytest.raises(NotFittedError, match="call `train` first"):
        net().predict(rich())


def test_constants_keep_all_their_digits():
    wide = replace(SPEC, constants={**SPEC.constants, "accel_max": 0.1})
    found = net(wide).simulate([[0.0, 0, 0, 0]], [[[0, 1.0]]], SPEC.default_params, 1.0)
    assert found[0, 0, 3] == pytest.approx(0.1, abs=1e-15)
