"""Laws of named random streams."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch

from potentia.seeding import fresh_seed, stream, torch_seeded, torch_stream

CPU = torch.device("cpu")
NAMES = [(), ("a",), ("b",), ("a", "b"), ("ab",), ("a", 1), ("a", "1"), ("a", 2), ("1a",), (1, "a"), ("é",)]


def draws(seed, *names):
    return stream(seed, *names).integers(2**62, size=4).tolist()


def torch_draws(seed, *names):
    return torch.randint(2**62, (4,), generator=torch_stream(seed, *names)).tolist()


@pytest.mark.parametrize("draw", [draws, torch_draws])
def test_equal_names_give_equal_draws(draw):
    assert draw(3, "shuffle", 7) == draw(3, "shuffle", 7) == draw(np.int64(3), "shuffle", np.int64(7))


@pytest.mark.parametrize("draw", [draws, torch_draws])
def test_different_seeds_and_names_give_different_draws(draw):
    seen = [tuple(draw(seed, *names)) for seed in (0, 1, -1, 2**63) for names in NAMES]
    assert len(set(seen)) == len(seen)


def test_known_draws_stay():
    assert stream(1, "split").permutation(6).tolist() == [4, 2, 3, 1, 0, 5]


def test_streams_are_independent():
    streams = np.array([stream(0, "noise", k).normal(size=4000) for k in range(6)])
    for one, other in itertools.combinations(streams, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.08  # five standard deviations


def test_drawing_leaves_the_globals_alone():
    def globals_():
        return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()  # noqa: NPY002

    before = globals_()
    stream(1, "a").normal()
    torch.rand(3, generator=torch_stream(1, "a"))
    fresh_seed()
    with torch_seeded(CPU, 1, "a"):
        torch.rand(3)
    assert globals_() == before


def test_code_that_draws_from_the_globals_draws_from_the_stream():
    def draw(*names):
        with torch_seeded(CPU, *names):
            return torch.rand(4).tolist()

    assert draw(1, "weights") == draw(1, "weights")
    assert draw(1, "weights") != draw(1, "dropout")


def test_the_globals_are_put_back_after_an_error():
    @torch_seeded(CPU, 1)
    def fail():
        raise ZeroDivisionError(torch.rand(3))

    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.equal(torch.get_rng_state(), before)


def test_fresh_seeds_differ_and_are_in_range():
    seeds = {fresh_seed() for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < 2**63 for seed in seeds)
