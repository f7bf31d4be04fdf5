"""Laws of matched vocabularies: nothing is found where there is nothing, and what is shared is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from operators import aligned
from potentia.errors import DataError
from potentia.operators.features import feature_set
from potentia.operators.vocabulary import align_vocabularies, matched_codes, transfer, words_of


def drawn(seed, codes=6, features=12):
    return np.random.default_rng(seed).standard_normal((codes, features))


def named(n, letter):
    return pd.Series({f"{letter}/{k}": 5 for k in range(n)})


def test_the_null_is_calibrated():
    p = np.array([
        matched_codes(drawn(k), named(6, "a"), drawn(1000 + k), named(6, "b"), draws=59, seed=k).p for k in range(120)
    ])  # fmt: skip
    assert 0.0 < (p <= 0.1).mean() < 0.2  # three deviations around a tenth
    assert 0.35 < p.mean() < 0.65


def test_the_same_words_in_another_order_are_found():
    order = np.random.default_rng(5).permutation(6)
    noisy = drawn(0)[order] + 0.2 * drawn(1)
    found = matched_codes(drawn(0), named(6, "a"), noisy, named(6, "b"), draws=199, seed=0)
    assert found.p == pytest.approx(1 / 200)
    assert found.z > 3
    assert found.similarity > 0.9
    wanted = {f"a/{one}": f"b/{k}" for k, one in enumerate(order)}
    assert dict(zip(found.pairs["code_a"], found.pairs["code_b"], strict=True)) == wanted
    assert "6 pairs are above chance" in str(found)


def test_a_tokenizer_shares_its_words_with_itself_and_labels_go_over():
    tokenizer = aligned.tokenizer()
    first, second = (feature_set(aligned.samples(64, seed, 0)) for seed in (20, 21))
    found = align_vocabularies(tokenizer, first, tokenizer, second, draws=99)
    assert found.p == 0.01
    assert (found.pairs["code_a"] == found.pairs["code_b"]).mean() > 0.5
    fast = [features.column("temporal.rms.dct0").numpy() > 1.5 for features in (first, second)]
    carried = transfer(found, words_of(tokenizer, first), fast[0], words_of(tokenizer, second), fast[1], draws=199)
    assert carried.accuracy > carried.chance
    assert carried.p < 0.05


def test_what_cannot_be_matched_is_refused():
    tokenizer, features = aligned.tokenizer(), feature_set(aligned.samples(8, 20, 0))
    with pytest.raises(DataError, match="domain A has 0 codes with 50 trajectories or more"):
        align_vocabularies(tokenizer, features, tokenizer, features, least=50)
    found = matched_codes(drawn(0), named(6, "a"), drawn(1), named(6, "b"), draws=19, seed=0)
    nothing = replace(found, pairs=found.pairs[:0])
    with pytest.raises(DataError, match="nothing to carry labels over"):
        transfer(nothing, [], [], [], [])
