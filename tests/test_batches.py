"""Laws of batches: each index once, a pure function of the epoch."""

from __future__ import annotations

import numpy as np
import pytest

from potentia.data import in_order, shuffled
from potentia.errors import ConfigError

every_way = pytest.mark.parametrize(
    "way", [lambda n, size: shuffled(n, size, seed=3), in_order], ids=["shuffled", "order"]
)


@every_way
@pytest.mark.parametrize("n", [0, 1, 2, 17, 100])
@pytest.mark.parametrize("size", [1, 2, 16, 17, 99, 100, 120])
def test_each_index_comes_once_in_batches_of_the_size(way, n, size):
    for batches in map(way(n, size), (0, 1, 10**6)):
        assert sorted(i for batch in batches for i in batch) == list(range(n))
        assert [len(batch) for batch in batches] == [min(size, n - start) for start in range(0, n, size)]


@every_way
def test_an_epoch_can_be_drawn_again_in_any_order(way):
    batches = way(20, 6)
    first = [np.concatenate(batches(epoch)).tolist() for epoch in range(4)]
    assert [np.concatenate(way(20, 6)(epoch)).tolist() for epoch in (3, 1)] == [first[3], first[1]]


def test_shuffled_epochs_differ_and_so_do_seeds():
    orders = {tuple(np.concatenate(shuffled(20, 6, seed)(epoch))) for epoch in range(5) for seed in range(5)}
    assert len(orders) == 25


def test_in_order_is_in_order():
    assert [batch.tolist() for batch in in_order(5, 2)(7)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("size", [0, -1, 2.0])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(ConfigError, match="batchsize must be"):
        shuffled(5, size, 0)
    with pytest.raises(ConfigError, match="batchsize must be"):
        in_order(5, size)
