"""Structures that committees are calibrated and asked on."""

from __future__ import annotations

import numpy as np

from potentia.potentials.feature_ranges import FeatureRanges
from potentials import small_data

HELD_OUT = [small_data.crystal(k, 2 + k % 3) if k % 2 else small_data.molecule(k, 3 + k % 3) for k in range(100, 160)]


def seen_by(potential):
    return FeatureRanges.from_state(potential.learned()["seen"])


def assert_close(one: FeatureRanges, other: FeatureRanges):
    assert list(one.species) == list(other.species)
    for name, known in one.species.items():
        assert known.count == other.species[name].count
        np.testing.assert_array_equal(known.low, other.species[name].low)
        np.testing.assert_allclose(known.scatter, other.species[name].scatter, rtol=1e-9, atol=1e-12)
