"""Laws of what a parameter network sees of a window."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from potentia.dynamics import FeatureMap, FeatureSettings, get_model_spec, simulate_dataset
from potentia.errors import ConfigError, DataError

SPEC = get_model_spec("unicycle")

NAMES = {
    "none": (),
    "features": ("f0", "f1"),
    "features+state": ("f0", "f1", "v"),
    "history": ("v", "v[-3]", "psi_dot[-3]", "accel[-3]", "v[-2]", "psi_dot[-2]", "accel[-2]", "v[-1]", "psi_dot[-1]")
    + ("accel[-1]",),
    "features+history": ("f0", "f1", "v", "v[-3]", "psi_dot[-3]", "accel[-3]", "v[-2]", "psi_dot[-2]", "accel[-2]")
    + ("v[-1]", "psi_dot[-1]", "accel[-1]"),
}


@functools.cache
def plain():
    return simulate_dataset(SPEC, windows=30, horizon=4)


@functools.cache
def rich():
    return simulate_dataset(SPEC, windows=30, horizon=4, history=3, features=2)


def fit(data=None, **settings):
    return FeatureMap.fit(rich() if data is None else data, SPEC, FeatureSettings(**settings))


@pytest.mark.parametrize("mode", NAMES)
def test_each_mode_sees_what_it_says_and_no_pose(mode):
    found = fit(mode=mode)
    assert found.names == NAMES[mode]
    assert found.matrix(rich()).shape == (30, len(NAMES[mode])) == (30, found.n_inputs)


def test_every_column_of_the_training_part_has_mean_zero_and_deviation_one():
    rows = fit(mode="features+history").matrix(rich())
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(0), 1, atol=1e-12)


def test_columns_are_where_their_names_say():
    found = fit(mode="features+history")
    raw = dict(zip(found.names, found.raw(rich()).T, strict=True))
    np.testing.assert_array_equal(raw["f1"], rich().features[:, 1])
    np.testing.assert_array_equal(raw["v"], rich().initial_states[:, 3])
    np.testing.assert_array_equal(raw["v[-2]"], rich().history[:, 1, 3])
    np.testing.assert_array_equal(raw["accel[-1]"], rich().history[:, 2, 5])


def test_means_are_those_of_the_training_part_alone():
    found = fit(mode="features", data=rich().take(slice(0, 10)))
    shifted = replace(rich(), features=rich().features + 100)
    np.testing.assert_allclose(found.matrix(shifted), found.matrix(rich()) + 100 * found.slope)


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        (plain, "none"),
        (rich, "features+state"),
        (lambda: replace(rich(), features=None, feature_names=()), "history"),
    ],
)
def test_auto_takes_columns_then_history_then_nothing(data, mode):
    assert fit(data()).settings.mode == mode


def test_a_column_that_is_constant_in_the_training_part_is_zero_everywhere():
    constant = rich().features.copy()
    constant[:, 0] = 1e3
    found = fit(mode="features", data=replace(rich(), features=constant))
    assert (found.matrix(replace(rich(), features=constant + 5))[:, 0] == 0).all()


def test_a_heading_that_is_asked_for_is_seen_as_sine_and_cosine():
    found = fit(mode="features+state", context=("v", "psi"))
    assert found.names == ("f0", "f1", "v", "sin(psi)", "cos(psi)")
    turned = rich().initial_states + np.array([0, 0, 2 * np.pi, 0])
    np.testing.assert_allclose(found.matrix(replace(rich(), initial_states=turned)), found.matrix(rich()), atol=1e-12)


def test_only_the_newest_steps_of_a_longer_history_are_seen():
    short = replace(rich(), history=rich().history[:, 1:])
    np.testing.assert_array_equal(
        fit(mode="history", history=2).matrix(rich()), fit(short, mode="history").matrix(short)
    )


def test_columns_are_found_by_name():
    found = fit(mode="features")
    swapped = replace(rich(), features=rich().features[:, ::-1], feature_names=("f1", "f0"))
    np.testing.assert_array_equal(found.matrix(swapped), found.matrix(rich()))


def test_state_there_and_back():
    found = fit(mode="features+history", context=("v", "psi"))
    again = FeatureMap.from_state(found.to_state())
    assert again.names == found.names
    assert again.settings == found.settings
    np.testing.assert_array_equal(again.matrix(rich()), found.matrix(rich()))


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"mode": "featurs"}, ConfigError, "did you mean 'features'"),
        ({"mode": "features"}, DataError, "needs columns of features, and these windows have none"),
        ({"mode": "history"}, DataError, "needs a history of 1 steps, and these windows have 0"),
        ({"context": ("w",)}, ConfigError, "context: model 'unicycle' has no state 'w'"),
        ({"history": 0}, ConfigError, "history must be an integer"),
    ],
)
def test_what_cannot_be_is_refused(settings, kind, message):
    with pytest.raises(kind, match=message):
        fit(plain(), **settings)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (plain, "lack the feature 'f0' that was trained on; they have none"),
        (lambda: replace(rich(), feature_names=("f0", "g1")), "lack the feature 'f1'"),
        (lambda: replace(rich(), history=rich().history[:, 1:]), "a history of 2 steps, trained were 3"),
    ],
)
def test_windows_that_lack_something_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        fit(mode="features+history").matrix(data())
