"""Laws of the split: disjoint, complete, decided by the seed; groups stay whole, and gaps are kept."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from potentia.data import holdout, holdout_blocks, holdout_groups
from potentia.errors import ConfigError, DataError, PotentiaWarning


@pytest.mark.parametrize("n", [1, 2, 3, 10, 99, 100, 300])
@pytest.mark.parametrize("percent", [0, 0.5, 1, 100 / 3, 50, 66.6, 99])
def test_the_parts_are_disjoint_and_complete_and_sorted(n, percent):
    for seed in (0, 7, 2**63):
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


# ------------------------------------------------------------------------------------------------- groups and blocks


def best_sum(sizes, wanted):
    """Try all sets of groups but none and all."""
    sums = {sum(chosen) for k in range(1, len(sizes)) for chosen in itertools.combinations(sizes, k)}
    return min(sums, key=lambda total: (abs(total - wanted), total))


@pytest.mark.parametrize("case", range(60))
@pytest.mark.filterwarnings("ignore:.*give no closer size")
def test_groups_stay_whole_and_the_size_is_the_closest(case):
    draw = np.random.default_rng(case)
    groups = [0, 1, *draw.integers(0, draw.integers(1, 10), draw.integers(0, 60)).tolist()]
    percent, seed = draw.uniform(1, 99), int(draw.integers(2**63))
    split = holdout_groups(groups, percent, seed)
    assert sorted([*split.train, *split.test]) == list(range(len(groups)))
    names = np.array(groups)
    assert not set(names[split.train]) & set(names[split.test])
    assert len(split.test) == best_sum([groups.count(g) for g in set(groups)], len(groups) * percent / 100)
    assert all(np.all(np.diff(part) > 0) for part in (split.train, split.test))
    assert len(split.train)


def test_the_seed_decides_between_groups_and_each_has_its_turn():
    groups = np.repeat(list("abcdefghij"), 5).tolist()
    drawn = [holdout_groups(groups, 20, seed).test.tolist() for seed in range(500)]
    assert drawn[1] == holdout_groups(groups, 20, 1).test.tolist() != drawn[2]
    counts = np.bincount(np.concatenate(drawn), minlength=50)[::5]
    assert counts.sum() == 1000
    assert np.all(np.abs(counts - 100) < 50)  # five standard deviations


@pytest.mark.parametrize("seed", range(6))
def test_the_seed_goes_by_the_names_of_groups_whatever_they_are_and_in_whatever_order_they_come(seed):
    names = [("run", 3), "b", 7, frozenset({1})]
    groups = [names[k % 4] for k in range(12)]
    held_out = {groups[k] for k in holdout_groups(groups, 30, seed).test}
    assert held_out == {groups[11 - k] for k in holdout_groups(groups[::-1], 30, seed).test}
    assert len(held_out) == 1


def test_a_size_that_is_far_off_is_told():
    with pytest.warns(
        PotentiaWarning, match="50 samples are held out where 10 were wanted: whole groups give"
    ) as caught:
        split = holdout_groups([0] * 50 + [1] * 50, 10, 1)
    assert Path(caught[0].filename).name == "test_split.py"
    assert len(split.test) == 50


def test_nothing_is_held_out_of_nothing_wanted():
    assert len(holdout_groups(["a", "a"], 0, 1).test) == 0
    assert len(holdout_blocks(10, 0, 1, block=20, gap=3).train) == 10


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.filterwarnings("ignore:.*give no closer size")
def test_blocks_are_whole_and_no_frame_in_training_is_within_the_gap(seed):
    draw = np.random.default_rng(seed)
    n, block, gap = (int(draw.integers(low, high)) for low, high in ((40, 301), (3, 11), (0, 5)))
    percent = draw.uniform(5, 25)
    split = holdout_blocks(n, percent, seed, block=block, gap=gap)
    far = np.abs(split.train[:, None] - split.test).min(axis=1)
    left_out = np.setdiff1d(np.arange(n), [*split.train, *split.test])
    assert far.min() > gap
    assert not gap or not len(left_out) or np.abs(left_out[:, None] - split.test).min(axis=1).max() <= gap
    assert len(left_out) <= 2 * gap * -(-len(split.test) // block) + 2 * gap
    assert abs(len(split.test) - n * percent / 100) <= block
    for number in set(split.test // block):
        assert np.sum(split.test // block == number) == min(block, n - number * block)


def test_without_a_gap_blocks_are_groups():
    split = holdout_blocks(100, 20, 3, block=5)
    assert sorted([*split.train, *split.test]) == list(range(100))
    assert len(split.test) == 20


def test_a_long_trajectory_is_split_in_no_time():
    split = holdout_blocks(100_000, 10, 1, block=100, gap=20)
    assert len(split.test) == 10_000
    assert len(holdout_groups((np.arange(20_000) // 7).tolist(), 10, 1).test) == 286 * 7


@pytest.mark.parametrize(
    ("call", "error", "wanted"),
    [
        (lambda: holdout_groups(["a"] * 3, 10, 0), ConfigError, "all 3 samples are of one group, 'a'.*holdout_blocks"),
        (lambda: holdout_groups(["a", "b"], 100, 0), ConfigError, "testpercent=100 leaves none of 2 samples"),
        (lambda: holdout_groups(["a", None], 10, 0), DataError, r"groups\[1\] is None: name the group of every sample"),
        (lambda: holdout_groups([], 10, 0), DataError, "no samples"),
        (lambda: holdout_blocks(10, 10, 0, block=10), ConfigError, "block=10 makes one block of all 10 frames"),
        (lambda: holdout_blocks(10, 20, 0, block=2, gap=9), ConfigError, "gap=9 .* leaves none of 10 frames"),
        (lambda: holdout_blocks(10, 10, 0, block=0), ConfigError, "block must be an integer of at least 1, got 0"),
        (lambda: holdout_blocks(10, 10, 0, block=2, gap=-1), ConfigError, "gap must be an integer of at least 0"),
        (lambda: holdout_blocks(0, 10, 0, block=2), DataError, "no samples"),
    ],
)
def test_impossible_groups_and_blocks_are_refused(call, error, wanted):
    with pytest.raises(error, match=wanted):
        call()
