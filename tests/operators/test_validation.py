"""Laws of the validation by tokens: the truth passes, what does not behave like it fails, and it is told why."""

from __future__ import annotations

import json

import numpy as np
import pytest

from operators import aligned
from potentia.errors import ConfigError, DataError
from potentia.operators.features import feature_set
from potentia.operators.validation import validate_tokens


def validated(change=None, **how):
    data = aligned.data()
    known = aligned.Known(data.test) if change is None else aligned.Known(data.test, change)
    return validate_tokens(known, aligned.tokenizer(), data, permutations=199, **how)


def test_the_truth_itself_passes_with_ratio_1():
    found = validated()
    assert found.ratio == 1
    assert found.passed
    assert found.nmse == pytest.approx(0, abs=1e-12)
    assert (found.levels["agreement"] == 1).all()
    assert (found.levels["js"] == 0).all()
    assert (found.features["ks"] == 0).all()
    assert found.token_distance == found.feature_distance == 0 < found.chance_distance
    assert found.true_beyond == found.predicted_beyond
    assert (found.features["error"] == found.features["true_error"]).all()
    assert "➜ passed" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["ratio"] == 1


def test_noise_fails():
    found = validated(aligned.noise)
    assert not found.passed
    assert found.ratio > 2
    assert found.nmse > 1
    assert found.levels["p"].iloc[0] > 0.01
    assert found.worst(1)["ks"].iloc[0] > 0.9
    assert "✗ ratio < 2" in str(found)


def test_one_trajectory_for_all_fails_although_it_is_rebuilt_well():
    found = validated(aligned.mean_trajectory)
    assert found.ratio < 2
    assert found.token_distance == pytest.approx(found.chance_distance, rel=1e-5)  # tells nothing of any sample
    assert found.levels["p"].iloc[0] == 1
    assert not found.passed


def test_errors_are_of_rebuilt_features_against_their_own_and_distances_against_the_truth():
    data, tokenizer = aligned.data(), aligned.tokenizer()
    found = validated(aligned.noise)
    z, q = (tokenizer.normalize(feature_set(one)) for one in (data.test.fields, aligned.noise(data.test.fields)))
    x, y = (tokenizer.decode(tokenizer.quantize(tokenizer.encode(one)).latents) for one in (z, q))
    assert found.true_error == pytest.approx((x - z).square().mean().item(), rel=1e-5)
    assert found.predicted_error == pytest.approx((y - q).square().mean().item(), rel=1e-5)
    assert found.feature_distance == pytest.approx((q - z).square().mean().item(), rel=1e-5)
    assert found.token_distance == pytest.approx((y - x).square().mean().item(), rel=1e-5)
    pairs = (y[:, None] - x).square().mean()
    assert found.chance_distance == pytest.approx(pairs.item(), rel=1e-5)
    assert found.predicted_beyond == pytest.approx((q.abs() > 4).double().mean().item())
    assert found.predicted_beyond > found.true_beyond


def test_a_small_error_changes_little():
    found = validated(lambda fields: fields + 1e-4 * aligned.noise(fields))
    assert found.passed
    assert found.levels["agreement"].iloc[0] > 0.8
    assert found.features["w1"].median() < 0.1


def test_one_that_diverges_fails_and_the_others_are_told_of():
    def broken(fields):
        out = fields.copy()
        out[2, -1] = np.inf
        return out

    found = validated(broken)
    assert found.diverged == 1
    assert not found.passed
    assert found.levels["agreement"].tolist() == pytest.approx([23 / 24] * 2)
    gone = validated(lambda fields: np.full_like(fields, np.nan))
    assert gone.diverged == 24
    assert not gone.passed
    assert gone.levels["js"].tolist() == pytest.approx([1, 1])


def test_what_cannot_be_compared_is_refused():
    data, short = aligned.data(), aligned.data(steps=4)
    known = aligned.Known(data.test)
    with pytest.raises(DataError, match="trained on trajectories of 6 steps, `test` of waves has 4"):
        validate_tokens(known, aligned.tokenizer(), short)
    with pytest.raises(DataError, match="no part 'extrapolation'"):
        validate_tokens(known, aligned.tokenizer(), data, part="extrapolation")
    with pytest.raises(ConfigError, match="permutations must be an integer of at least 199"):
        validate_tokens(known, aligned.tokenizer(), data, permutations=9)
