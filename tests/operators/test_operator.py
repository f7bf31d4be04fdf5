"""Laws of trained neural operators: asked, saved, loaded, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from operators.fields_data import NETWORK, SPACE, data, same, settings, trained, waves, weights
from potentia.errors import ConfigError, DataError, FileFormatError, NotFittedError, PotentiaWarning
from potentia.operators import FNOConfig, NeuralOperator, OperatorData, Samples, UAFNOConfig
from potentia.operators.space import ParameterSpace


@pytest.fixture(scope="module")
def operator():
    return trained(settings(epochs=2, timesteps=3))[0]


def asked(n=3):
    some = data().test
    return some.initial[:n], np.full((n, 2), (1.0, 0.2))


def test_predictions_begin_with_the_initial_fields_and_do_not_depend_on_the_batch_or_the_steps(operator):
    initial, parameters = asked()
    long = operator.predict(initial, parameters, 9)
    assert (long.shape, long.dtype) == ((3, 10, 1, 16), np.float32)
    assert np.array_equal(long[:, 0], initial)
    np.testing.assert_allclose(operator.predict(initial, parameters, 9, batch_size=1), long, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(operator.predict(initial, parameters, 4), long[:, :5], rtol=1e-6, atol=1e-6)
    assert operator.predict(initial, parameters, 0).shape == (3, 1, 1, 16)
    assert operator.predict(initial[:0], parameters[:0], 2).shape == (0, 3, 1, 16)


def test_parameters_by_name_are_those_in_their_column_and_a_number_stands_for_all(operator):
    initial, parameters = asked()
    by_name = operator.predict(initial, {"decay": 0.2, "speed": np.ones(3)}, 2)
    assert np.array_equal(by_name, operator.predict(initial, parameters, 2))
    assert np.array_equal(by_name, operator.predict(initial, {"decay": 0.2, "speed": 1.0}, 2))


def test_predictions_depend_on_the_parameters_unless_the_network_does_not_see_them(operator):
    initial, parameters = asked()
    other = parameters * (0.5, 1)
    assert not np.allclose(operator.predict(initial, parameters, 2), operator.predict(initial, other, 2), atol=1e-4)
    blind, _ = trained(settings(epochs=1), network=FNOConfig(width=4, modes=3, layers=1, use_parameters=False))
    assert np.array_equal(blind.predict(initial, parameters, 2), blind.predict(initial, other, 2))


def test_any_grid_that_the_network_takes(operator):
    initial = waves(2, grid=40).initial
    assert operator.predict(initial, asked(2)[1], 2).shape == (2, 3, 1, 40)
    with pytest.raises(DataError, match=r"needs 1 axes of at least 6 points, got the grid \(4,\)"):
        operator.predict(initial[..., :4], asked(2)[1], 2)


def test_fields_are_in_their_own_units():
    some = data()
    parts = {name: Samples(100 + 10 * part.fields, part.parameters, part.group) for name, part in some.parts().items()}
    shifted = OperatorData(**parts, space=SPACE, channels=("T",), time_step=0.5, name="shifted")
    plain, moved = (trained(settings(epochs=1), on=one)[0] for one in (some, shifted))
    initial, parameters = asked()
    found = moved.predict(100 + 10 * initial, parameters, 3)
    np.testing.assert_allclose(found, 100 + 10 * plain.predict(initial, parameters, 3), rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"parameters": {"speed": 1.0}}, ConfigError, "parameters are missing: decay"),
        ({"parameters": {"sped": 1.0, "decay": 0.1}}, ConfigError, "no parameter 'sped'; did you mean 'speed'?"),
        ({"parameters": None}, DataError, "was trained with the parameters speed, decay: give them"),
        (
            {"parameters": np.ones((2, 2))},
            DataError,
            r"3 initial fields need parameters \[3, 2\] \(speed, decay\), got",
        ),
        ({"parameters": {"speed": np.ones(2), "decay": 0.1}}, DataError, r"3 initial fields need parameters \[3, 2\]"),
        ({"initial": np.ones((3, 2, 16))}, DataError, r"with the 1 channels u, got \(3, 2, 16\)"),
        ({"initial": np.ones((1, 16))}, DataError, r"one sample is initial\[None\]"),
        ({"initial": np.full((3, 1, 16), np.nan)}, DataError, "sample 0, channel 'u', is not finite"),
        ({"initial": "x"}, DataError, "must be an array of numbers"),
        ({"steps": -1}, ConfigError, "steps must be an integer of at least 0"),
        ({"batch_size": 0}, ConfigError, "batch_size must be an integer of at least 1"),
    ],
)
def test_what_cannot_be_asked(operator, change, error, message):
    question = dict(zip(("initial", "parameters"), asked(), strict=True)) | {"steps": 2} | change
    with pytest.raises(error, match=message):
        operator.predict(**question)


def test_parameters_outside_of_those_of_the_training_are_warned_of(operator):
    initial, parameters = asked()
    parameters[1, 1] = 0.9
    with pytest.warns(PotentiaWarning, match=r"parameters of 1 of 3 samples are outside .*\(decay from .* to .*\)"):
        operator.predict(initial, parameters, 1)


def test_a_roll_out_that_leaves_the_numbers_is_warned_of():
    wild, _ = trained(settings(epochs=1))
    wild.network_.scale.data.fill_(1e30)
    with pytest.warns(PotentiaWarning, match=r"roll-outs of 3 of 3 samples leave the numbers"):
        wild.predict(*asked(), 4)


def test_saved_is_loaded(operator, tmp_path):
    operator.save(tmp_path / "waves.op", extra_metadata={"note": "small"})
    loaded = NeuralOperator.load(tmp_path / "waves.op")
    initial, parameters = asked()
    assert np.array_equal(loaded.predict(initial, parameters, 3), operator.predict(initial, parameters, 3))
    assert repr(loaded) == repr(operator)
    assert loaded.network == NETWORK
    assert loaded.metadata["extra_metadata"] == {"note": "small"}
    assert loaded.metadata["seed"] == 3
    assert loaded.metadata["n_steps"] == 3
    assert loaded.fitted().known.space == SPACE
    with pytest.raises(FileFormatError):
        NeuralOperator.load(__file__)


def test_bottleneck_is_that_of_the_network(operator):
    initial, parameters = asked()
    assert operator.bottleneck(initial, parameters).shape == (3, operator.network_.bottleneck_channels, 16)


def test_what_has_learned_nothing_says_so():
    with pytest.raises(NotFittedError, match="this NeuralOperator has learned nothing yet; call `train` first"):
        NeuralOperator().predict(*asked(), 1)
    assert NeuralOperator().metadata is None
    with pytest.raises(ConfigError, match=r"network of a NeuralOperator must be FNOConfig\(...\)"):
        NeuralOperator(3)


def test_double_precision_and_data_without_parameters(tmp_path):
    some = waves(6).fields
    parts = [Samples(some, np.empty((6, 0)), np.arange(6) + k) for k in (0, 10, 20)]
    bare = OperatorData(*parts, space=ParameterSpace(()), channels=("u",), time_step=1.0, name="bare")
    operator, _ = trained(settings(epochs=1, precision="float64"), on=bare)
    assert next(operator.network_.parameters()).dtype == torch.float64
    operator.save(tmp_path / "bare.op")
    loaded = NeuralOperator.load(tmp_path / "bare.op")
    assert same(weights(loaded), weights(operator))
    assert loaded.predict(bare.test.initial, None, 2).shape == (6, 3, 1, 16)


def test_the_network_of_the_guide_is_trained_too():
    fields = np.random.default_rng(0).normal(size=(4, 3, 1, 8, 8))
    parts = [Samples(fields, np.full((4, 2), 0.1), np.arange(4) + 10 * k) for k in range(3)]
    square = OperatorData(*parts, space=SPACE, channels=("u",), time_step=1.0, name="square")
    network = UAFNOConfig(base_channels=4, encoder_levels=1, modes=2, afno_blocks=1)
    operator, out = trained(settings(epochs=1), on=square, network=network)
    assert np.isfinite(out.errors["val_loss"]).all()
    assert operator.bottleneck(parts[0].initial, parts[0].parameters).shape[2:] == (4, 4)
    assert NeuralOperator.from_recipe(operator.recipe()).network == network
