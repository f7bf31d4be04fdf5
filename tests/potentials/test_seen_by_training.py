"""What training has seen stays with a potential: its files, checkpoints and further training."""

from __future__ import annotations

import numpy as np
import pytest

from potentia import TorchANNPotential
from potentia.potentials.feature_ranges import FeatureRanges
from potentials import small_data
from potentials.calibrated import HELD_OUT, assert_close, seen_by
from potentials.small_data import DESCRIPTOR

GIVEN = {"mean": np.zeros(DESCRIPTOR.n_features), "std": np.ones(DESCRIPTOR.n_features)}


@pytest.mark.parametrize(
    "settings",
    [{}, {"normalize_features": False}, {"memory_limit": "1kB"}, {"feature_stats": GIVEN}],
    ids=["in memory", "not normalised", "streamed", "given"],
)
def test_the_training_part_is_what_was_seen(settings):
    potential = small_data.fresh()
    out = potential.train(small_data.frames(20), small_data.config(**settings))
    part = [small_data.frames(20)[k] for k in sorted(out.train_indices)]
    assert_close(seen_by(potential), FeatureRanges.of_structures(part, DESCRIPTOR))
    assert potential.extrapolation(part).empty


def test_files_and_checkpoints_keep_what_was_seen(tmp_path):
    potential = small_data.fresh()
    potential.train(small_data.frames(), small_data.config(checkpoint_dir=str(tmp_path / "c"), save_best=False))
    potential.save(tmp_path / "p.pt")
    newest = sorted((tmp_path / "c").iterdir())[-1]
    for path in (tmp_path / "p.pt", newest):
        assert seen_by(TorchANNPotential.load(path)).equals(seen_by(potential))
    resumed = small_data.fresh()
    resumed.train(small_data.frames(), small_data.config(iterations=1), resume_from=newest)
    assert seen_by(resumed).equals(seen_by(potential))


def test_a_training_that_goes_on_has_seen_both():
    potential = small_data.fresh()
    potential.train(small_data.frames(), small_data.config(testpercent=0))
    first = seen_by(potential)
    settings = {"testpercent": 0, "seed": None, "atomic_energies": None}
    potential.train(small_data.frames(), small_data.config(**settings))
    assert seen_by(potential).equals(first)  # the same atoms count once
    potential.train(HELD_OUT[:10], small_data.config(**settings))
    assert_close(seen_by(potential), FeatureRanges.of_structures([*small_data.frames(), *HELD_OUT[:10]], DESCRIPTOR))
    potential.train(HELD_OUT[:10], small_data.config(testpercent=0))  # from new weights
    assert_close(seen_by(potential), FeatureRanges.of_structures(HELD_OUT[:10], DESCRIPTOR))
