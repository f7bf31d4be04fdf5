"""Spaces of parameters: bounds, the way back, equal chances, and designs that fill them better than chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from potentia.config import from_dict, plain
from potentia.errors import ConfigError, DataError
from potentia.operators import Boolean, Choice, Continuous, Integer, ParameterSpace
from potentia.operators.make import sobol_design
from potentia.operators.space import Dimension

JUST_BELOW_1 = np.nextafter(1.0, 0.0)
DIMENSIONS = (
    Continuous(name="linear", low=-2.0, high=3.0),
    Continuous(name="log", low=1e-3, high=1e2, log=True),
    Continuous(name="turn", low=0.0, high=np.pi, angle=True),
    Integer(name="whole", low=2, high=5),
    Choice(name="word", options=("a", "b", "c"), weights=(1.0, 2.0, 5.0)),
    Boolean(name="switch"),
)
every_dimension = pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda one: one.name)
SPACE = ParameterSpace(DIMENSIONS)


@every_dimension
def test_the_ends_of_the_unit_interval_give_the_ends_of_the_range(dimension):
    first, last = dimension.values(np.array([0.0, JUST_BELOW_1]))
    low, high = {"word": (0, 2), "switch": (0, 1)}.get(dimension.name) or (dimension.low, dimension.high)
    assert first == low
    assert last == pytest.approx(high, rel=1e-12)
    assert last <= high


@every_dimension
def test_units_of_values_give_the_values_again(dimension):
    values = dimension.values(np.linspace(0, JUST_BELOW_1, 101))
    np.testing.assert_allclose(dimension.values(dimension.units(values)), values, rtol=1e-12)


@every_dimension
def test_what_networks_see_lies_between_minus_one_and_one(dimension):
    seen = dimension.embedded(np.linspace(0, JUST_BELOW_1, 50))
    assert seen.shape == (50, dimension.width)
    assert np.abs(seen).max() <= 1


def test_equal_factors_of_a_logarithmic_parameter_are_equally_likely():
    values = DIMENSIONS[1].values((np.arange(1000) + 0.5) / 1000)
    counts = np.histogram(np.log10(values), bins=5, range=(-3, 2))[0]
    np.testing.assert_array_equal(counts, 200)


def test_all_whole_numbers_are_equally_likely_the_ends_too():
    values = DIMENSIONS[3].values((np.arange(1000) + 0.5) / 1000)
    assert np.unique(values, return_counts=True)[1].tolist() == [250, 250, 250, 250]


def test_choices_come_as_often_as_their_weights():
    values = DIMENSIONS[4].values((np.arange(800) + 0.5) / 800)
    assert np.unique(values, return_counts=True)[1].tolist() == [100, 200, 500]


def test_networks_see_both_ends_of_an_angle_as_one():
    first, last = DIMENSIONS[2].embedded(np.array([0.0, JUST_BELOW_1]))
    np.testing.assert_allclose(first, last, atol=1e-12)


def test_a_space_is_its_columns_and_comes_back_from_plain_settings():
    unit = np.random.default_rng(0).random((20, len(SPACE)))
    values = SPACE.values(unit)
    for k, one in enumerate(DIMENSIONS):
        np.testing.assert_array_equal(values[:, k], one.values(unit[:, k]))
    assert SPACE.embed(values).shape == (20, SPACE.width)
    again = tuple(from_dict(Dimension, plain(one)) for one in DIMENSIONS)
    assert ParameterSpace(again) == SPACE


def test_parameters_by_name():
    given = {one.name: 1.0 for one in DIMENSIONS} | {"linear": [0.5, 0.6]}
    np.testing.assert_array_equal(SPACE.array(given)[:, 0], [0.5, 0.6])
    with pytest.raises(ConfigError, match="missing: linear; unknown: lin"):
        SPACE.array({"lin" if name == "linear" else name: 1.0 for name in SPACE.names})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Continuous(name="a", low=1, high=1), "'a': low must be less than high"),
        (lambda: Continuous(name="a", low=0, high=1, log=True), "log needs low > 0"),
        (lambda: Continuous(name="a", low=1, high=2, log=True, angle=True), "angle cannot be drawn by its logarithm"),
        (lambda: Integer(name="a", low=3, high=2), "low must be less than high"),
        (lambda: Choice(name="a", options=("x", "x")), "two or more different words"),
        (lambda: Choice(name="a", options=("x", "y"), weights=(1.0,)), "weights must be 2 numbers"),
        (lambda: ParameterSpace((Boolean(name="a"), Boolean(name="a"))), "twice there: a"),
    ],
)
def test_impossible_dimensions(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_points_outside_of_the_unit_cube_and_wrong_shapes():
    with pytest.raises(DataError, match=r"must lie in \[0, 1\)"):
        SPACE.values(np.ones((1, len(SPACE))))
    with pytest.raises(DataError, match=r"must have shape \[samples, 6\]"):
        SPACE.values(np.zeros((1, 5)))
    with pytest.raises(DataError, match="'log' of sample 0 is not finite"):
        SPACE.units([[0.0, np.nan, 0, 2, 0, 0]])


# -------------------------------------------------------------------------------------------------------- design


def test_a_design_is_a_function_of_its_seed():
    np.testing.assert_array_equal(sobol_design(SPACE, 5, seed=3), sobol_design(SPACE, 5, seed=3))
    assert not np.array_equal(sobol_design(SPACE, 5, seed=3), sobol_design(SPACE, 5, seed=4))


def test_a_larger_design_begins_with_the_smaller_one():
    np.testing.assert_array_equal(sobol_design(SPACE, 7, seed=3)[:32], sobol_design(SPACE, 5, seed=3))


def test_a_design_fills_the_cube_more_evenly_than_chance():
    designed = sobol_design(SPACE, 8, seed=0)
    drawn = np.random.default_rng(0).random(designed.shape)
    assert qmc.discrepancy(designed) < 0.2 * qmc.discrepancy(drawn)
    assert np.abs(np.corrcoef(designed.T) - np.eye(len(SPACE))).max() < 0.06
    assert designed.min() >= 0
    assert designed.max() < 1
    for column in designed.T:  # one point in each of the 256 strips of every axis
        assert len(np.unique(np.floor(column * 256))) == 256
