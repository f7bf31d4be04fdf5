"""Laws that every surrogate keeps: what goes in and out of `predict`, files, checkpoints."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from potentia.errors import ConfigError, DataError, FileFormatError, NotFittedError, PotentiaWarning
from potentia.testing import trajectories as laws
from potentia.testing.estimators import saved_is_loaded
from potentia.train import newest_checkpoint
from potentia.trajectories import (
    SURROGATES,
    FullyConnected,
    FullyConnectedConfig,
    LatentNeuralODE,
    LatentNeuralODEConfig,
    LatentPoly,
    LatentPolyConfig,
    MultiONet,
    MultiONetConfig,
    Preprocessing,
    TrajectoryTrainingConfig,
)
from potentia.trajectories.surrogates import TrajectorySurrogate
from trajectories import decays

SMALL = {
    "FullyConnected": FullyConnectedConfig(hidden_size=8, num_hidden_layers=2, activation="silu"),
    "MultiONet": MultiONetConfig(hidden_size=8, output_factor=3),
    "LatentNeuralODE": LatentNeuralODEConfig(latent_features=2, coder_width=8, ode_width=8, ode_layers=1),
    "LatentPoly": LatentPolyConfig(latent_features=2, coder_width=8),
}
DATA = {n: decays.data(8, 3, parameters=n) for n in (0, 2)}
every_surrogate = pytest.mark.parametrize("name", SURROGATES)
with_and_without_parameters = pytest.mark.parametrize("parameters", [0, 2])


def fresh(name: str, **preprocessing) -> TrajectorySurrogate:
    return SURROGATES[name](SMALL[name], preprocessing=Preprocessing(**preprocessing))


def settings(**changed) -> TrajectoryTrainingConfig:
    return TrajectoryTrainingConfig(**({"epochs": 2, "batch_size": 4, "seed": 1, "learning_rate": 1e-3} | changed))


@pytest.fixture(scope="module")
def trained():
    known = {}

    def trained(name, parameters=0, **changed):
        key = (name, parameters, repr(changed))
        if key not in known:
            known[key] = fresh(name)
            known[key].train(DATA[parameters], settings(**changed))
        return known[key]

    return trained


def asked(parameters: int, n: int = 5):
    """Return initial states, times and parameters of the part held out."""
    val = DATA[parameters].val
    given = None if val.parameters is None else val.parameters[:n]
    return val.initial_states[:n], val.times, given


def test_all_are_listed():
    assert list(SURROGATES) == ["MultiONet", "FullyConnected", "LatentNeuralODE", "LatentPoly"]
    assert set(SMALL) == set(SURROGATES)
    assert len({cls.kind for cls in SURROGATES.values()}) == 4


@every_surrogate
@with_and_without_parameters
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_it_is_trained_asked_saved_and_loaded_to_the_bit(name, parameters, precision, trained, tmp_path):
    surrogate = trained(name, parameters, precision=precision)
    found = surrogate.predict(*asked(parameters))
    assert (found.shape, found.dtype) == ((5, 11, 3), np.float64)
    assert np.isfinite(found).all()
    surrogate.save(tmp_path / "a.pt", {"note": "mine"})
    saved_is_loaded(surrogate, lambda one: one.predict(*asked(parameters)))
    loaded = type(surrogate).load(tmp_path / "a.pt")
    assert next(loaded.network_.parameters()).dtype == getattr(torch, precision)
    assert loaded.metadata.pop("extra_metadata") == {"note": "mine"}
    history = loaded.metadata["training_history"]
    assert history.keys() == surrogate.metadata["training_history"].keys()
    for key in loaded.metadata.keys() - {"training_history"}:
        assert loaded.metadata[key] == surrogate.metadata[key], key


@every_surrogate
@with_and_without_parameters
def test_neither_batch_size_nor_order_of_times_nor_whose_times_they_are_matters(name, parameters, trained):
    surrogate = trained(name, parameters, precision="float64")
    initial, times, given = asked(parameters)
    exact = 1e-4 if name == "LatentNeuralODE" else 1e-10  # a solver chooses its steps for all it is given
    laws.check_surrogate(surrogate, initial, times, given, rtol=exact)
    between = surrogate.predict(initial, [0.05, 0.1], given)
    assert between.shape == (5, 2, 3)


@every_surrogate
def test_a_hard_initial_condition_holds_in_physical_units(name):
    network = SMALL[name]
    changed = {**network.__dict__, "hard_initial_condition": True}
    surrogate = SURROGATES[name](type(network)(**changed))
    surrogate.train(DATA[0], settings(precision="float64"))
    initial, times, _ = asked(0)
    laws.hard_initial_condition_holds(surrogate, initial, times)


@every_surrogate
def test_a_checkpoint_opens_as_a_model(name, tmp_path):
    surrogate = fresh(name)
    surrogate.train(DATA[0], settings(checkpoint_dir=str(tmp_path)))
    best = type(surrogate).load(tmp_path / "best_model.pt")
    assert np.array_equal(best.predict(*asked(0)), surrogate.predict(*asked(0)))
    last = type(surrogate).load(newest_checkpoint(tmp_path))
    assert last.metadata["n_train_samples"] == 8


def test_a_file_of_another_kind_is_refused(trained, tmp_path):
    path, folder = tmp_path / "a.pt", tmp_path / "run"
    trained("MultiONet").save(path)
    with pytest.raises(FileFormatError, match="holds a multi_onet, not a fully_connected or checkpoint"):
        FullyConnected.load(path)
    fresh("MultiONet").train(DATA[0], settings(checkpoint_dir=str(folder)))
    with pytest.raises(FileFormatError, match="not of a fully_connected"):
        FullyConnected.load(newest_checkpoint(folder))
    with pytest.raises(FileFormatError, match="not of a fully_connected"):
        fresh("FullyConnected").train(DATA[0], settings(), newest_checkpoint(folder))


def test_loading_leaves_the_global_generators_alone(trained, tmp_path):
    trained("MultiONet").save(tmp_path / "a.pt")
    before = torch.get_rng_state()
    MultiONet.load(tmp_path / "a.pt")
    assert torch.equal(torch.get_rng_state(), before)


def test_no_file_holds_code(trained, tmp_path):
    trained("LatentPoly").save(tmp_path / "a.pt")
    assert b"potentia" in Path(tmp_path / "a.pt").read_bytes()[:4000]
    assert not Path(tmp_path / "a.pt").read_bytes().startswith((b"PK", b"\x80"))


def test_what_has_learned_nothing_says_so(tmp_path):
    surrogate = FullyConnected()
    assert surrogate.metadata is None
    for ask in (
        lambda: surrogate.predict(*asked(0)),
        lambda: surrogate.save(tmp_path / "a"),
        lambda: surrogate.network_,
    ):
        with pytest.raises(NotFittedError, match="this FullyConnected has learned nothing yet; call `train` first"):
            ask()


def test_a_recipe_builds_the_same_untrained_surrogate():
    surrogate = fresh("MultiONet", normalise="standardise")
    again = MultiONet.from_recipe(surrogate.recipe())
    assert (again.network, again.preprocessing) == (surrogate.network, surrogate.preprocessing)
    assert MultiONet.from_recipe({}).network == MultiONetConfig()


def test_settings_of_another_network_are_refused():
    with pytest.raises(ConfigError, match=r"network of a LatentPoly must be LatentPolyConfig\(...\), got FullyConn"):
        LatentPoly(FullyConnectedConfig())


# ------------------------------------------------------------------------------------------- what cannot be asked


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"initial_states": np.ones((5, 2))}, r"\(…, 3\) with the quantities A, B, C, got \(5, 2\)"),
        ({"initial_states": np.ones(3)}, r"one trajectory is initial_states\[None\]"),
        ({"initial_states": [["a", "b", "c"]]}, "initial_states must be an array of numbers"),
        ({"initial_states": [[1, 1, 1], [1, math.nan, 1]]}, "initial_states of trajectory 1, B, is nan"),
        ({"initial_states": [[1, 1, -2.0]]}, r"log10 needs states above 0, but C has 1 of 1 .*minimum -2"),
        ({"times": np.ones((2, 3))}, r"times must have shape .* = \(5, …\), got \(2, 3\)"),
        ({"times": 1.0}, r"times must have shape"),
        ({"times": [0, math.inf]}, "times must be finite, got inf"),
        ({"parameters": np.ones((5, 2))}, "trained without parameters: leave them out"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
    ],
)
def test_a_wrong_question_is_named(changed, message, trained):
    initial, times, _ = asked(0)
    question = {"initial_states": initial, "times": times} | changed
    with pytest.raises((DataError, ConfigError), match=message):
        trained("FullyConnected").predict(**question)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (None, "trained with the parameters parameter_0, parameter_1: give them"),
        (np.ones((5, 1)), r"= \(5, 2\) with the parameters parameter_0, parameter_1, got \(5, 1\)"),
        (np.full((5, 2), math.nan), "parameters of trajectory 0, parameter_0, is nan"),
        (-np.ones((5, 2)), "log10 needs parameters above 0"),
    ],
)
def test_wrong_parameters_are_named(parameters, message, trained):
    initial, times, _ = asked(2)
    with pytest.raises(DataError, match=message):
        trained("FullyConnected", 2).predict(initial, times, parameters)


@every_surrogate
def test_times_outside_the_horizon_are_answered_with_one_warning(name, trained):
    initial, _, _ = asked(0)
    with pytest.warns(PotentiaWarning, match="2 of 3 times are outside the horizon .*0 to 2: .*extrapolates") as seen:
        found = trained(name).predict(initial, [1.0, 2.1, 2.2])
    assert len(seen) == 1
    assert np.isfinite(found).all()


def test_nothing_asked_is_nothing_answered(trained):
    surrogate = trained("FullyConnected")
    assert surrogate.predict(np.ones((0, 3)), [0.0, 1.0]).shape == (0, 2, 3)
    assert surrogate.predict(np.ones((2, 3)), []).shape == (2, 0, 3)


def test_a_floor_raises_what_has_no_logarithm(trained):
    surrogate = fresh("FullyConnected", tolerance=1e-6)
    surrogate.train(DATA[0], settings())
    low, floor = (surrogate.predict([[1.0, 1.0, value]], [1.0]) for value in (-1.0, 1e-6))
    assert np.array_equal(low, floor)


def test_an_equation_without_solution_is_named():
    surrogate = LatentNeuralODE(SMALL["LatentNeuralODE"])
    surrogate.train(DATA[0], settings(epochs=1))
    with torch.no_grad():
        surrogate.network_.flow.others[-1].bias.fill_(math.nan)
    with pytest.raises(DataError, match="latent equation of 5 of 5 trajectories has no solution"):
        surrogate.predict(*asked(0))


def test_it_moves_to_a_device_that_is_there(trained):
    surrogate = trained("FullyConnected")
    assert np.array_equal(surrogate.to("cpu").predict(*asked(0)), surrogate.predict(*asked(0)))
    with pytest.raises(ConfigError, match="cannot be used here"):
        surrogate.to("cuda:63")
