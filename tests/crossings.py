"""Cases that cross several choices: each value of each choice is fast once, all other combinations are slow tests."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest


def crossed(*choices: Sequence[Any]) -> list[Any]:
    """Return all combinations, one value of each choice, for `pytest.mark.parametrize`."""
    few = {tuple(k % len(choice) for choice in choices) for k in range(max(map(len, choices)))}
    places = itertools.product(*(range(len(choice)) for choice in choices))
    return [
        pytest.param(
            *(choice[k] for choice, k in zip(choices, place, strict=True)),
            marks=() if place in few else pytest.mark.slow,
        )
        for place in places
    ]
