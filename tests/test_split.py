"""Laws of the split: disjoint, complete, decided by the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potentia.data import holdout
from potentia.errors import ConfigError, DataError


@given(st.integers(1, 300), st.floats(0, 99), st.integers(0, 2**63))
def test_the_parts_are_disjoint_and_complete_and_sorted(n, percent, seed):
    split = holdout(n, percent, seed)
    assert sorted([*split.train, *split.test]) == list(range(n))
    assert len(split.test) == int(n * percent / 100)
    assert all(np.all(np.diff(part) > 0) for part in (split.train, split.test))
    assert split.train.dtype == split.test.dtype == np.int64


def test_the_seed_decides():
    one, same, other = (holdout(100, 10, seed).test.tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_every_sample_is_held_out_as_often_as_any_other():
    counts = sum(np.isin(np.arange(20), holdout(20, 25, seed).test).astype(int) for seed in range(2000))
    assert np.all(np.abs(counts - 500) < 100)  # five standard deviations


@pytest.mark.parametrize(
    ("n", "percent", "error", "wanted"),
    [
        (10, 100, ConfigError, "testpercent=100 leaves none of 10 samples to train on"),
        (10, -1, ConfigError, "testpercent must be a finite number between 0 and 100, got -1"),
        (10, 101, ConfigError, "testpercent must be"),
        (10, float("nan"), ConfigError, "testpercent must be"),
        (0, 10, DataError, "no samples"),
    ],
)
def test_impossible_splits_are_refused(n, percent, error, wanted):
    with pytest.raises(error, match=wanted):
        holdout(n, percent, 0)
