"""Loops that threads share: each item is taken once, whoever asks and however many ask."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numba import njit

from potentia.simd.sharing import share, take


@njit(nogil=True)
def add_one(taken, done):
    """To items, three at a time."""
    begin = take(taken, 3)
    while begin < done.size:
        for k in range(begin, min(done.size, begin + 3)):
            done[k] += 1
        begin = take(taken, 3)


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("items", [0, 1, 3, 100_001])
def test_every_item_is_taken_once(threads, items):
    done = np.zeros(items)
    share(add_one, items, done)
    assert (done == 1).all()


def test_loops_may_be_shared_at_the_same_time(threads):
    done = np.zeros((8, 10_000))
    with ThreadPoolExecutor(8) as callers:
        list(callers.map(lambda row: share(add_one, threads, row), done))
    assert (done == 1).all()
