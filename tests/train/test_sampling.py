"""Drawing by errors: exact weights, scores epoch by epoch, and draws in proportion to the weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from potentia.data import drawn
from potentia.train import ErrorScores, weights_by_error
from train import toy


@pytest.mark.parametrize(
    ("scores", "weights"),
    [
        ([4, 1], [1.6, 0.4]),
        ([0, 0, 0], [1, 1, 1]),
        ([math.nan, -1], [1, 1]),
        ([2, math.nan, -3, math.inf], [4, 2e-12, 2e-12, 2e-12]),
        ([7], [1]),
    ],
)
def test_weights_go_by_scores_and_have_mean_1(scores, weights):
    found = weights_by_error(np.array(scores, dtype=np.float64))
    np.testing.assert_allclose(found, weights, rtol=1e-10)
    assert found.mean() == pytest.approx(1)


def test_draws_are_in_proportion_to_the_weights():
    weights = np.array([1.0, 2.0, 3.0, 0.5, 3.5, 0.0])
    draw = drawn(lambda: weights, 4, seed=3)
    counts = sum(np.bincount(np.concatenate(draw(epoch)), minlength=6) for epoch in range(5000))
    expected = counts.sum() * weights / weights.sum()
    assert counts.sum() == 30_000
    assert counts[5] == 0
    assert ((counts - expected)[:5] ** 2 / expected[:5]).sum() < chi2(4).ppf(0.999)


def test_as_many_are_drawn_as_there_are_in_batches_of_the_size():
    draw = drawn(lambda: np.ones(10), 4, seed=1)
    assert [len(batch) for batch in draw(0)] == [4, 4, 2]
    assert np.concatenate(draw(0)).tolist() == np.concatenate(draw(0)).tolist() != np.concatenate(draw(1)).tolist()
    assert drawn(lambda: np.ones(0), 4, seed=1)(0) == []


def batch_of(run, scores, samples, errors):
    run.scores = None if samples is None else (torch.tensor(samples), torch.tensor(errors))
    scores.on_batch(run)


def test_a_score_is_the_mean_error_of_the_last_epoch_that_drew_the_sample():
    run, scores = toy.new_run(), ErrorScores(4)
    assert scores.scores(run).tolist() == [1, 1, 1, 1]
    batch_of(run, scores, [0, 2, 0], [0.5, 3.0, 1.5])
    batch_of(run, scores, None, None)  # a batch that was left out
    batch_of(run, scores, [0], [4.0])
    assert scores.scores(run).tolist() == [1, 1, 1, 1]
    scores.on_epoch(run)
    assert scores.scores(run).tolist() == [2, 1, 3, 1]
    batch_of(run, scores, [3, 2], [0.25, 0.0])
    scores.on_epoch(run)
    assert scores.scores(run).tolist() == [2, 1, 0, 0.25]
    scores.on_epoch(run)
    assert scores.scores(run).tolist() == [2, 1, 0, 0.25]


def test_scores_are_kept_in_an_order_that_outlives_the_numbers():
    """The samples a, b, c were numbers 0, 1, 2, and are 1, 2, 0 in the run that goes on."""
    run, scores = toy.new_run(), ErrorScores(3)
    batch_of(run, scores, [0, 1, 2], [1.0, 2.0, 3.0])
    scores.on_epoch(run)
    renumbered = ErrorScores(3, np.array([1, 2, 0]))
    assert renumbered.scores(run).tolist() == [3, 1, 2]
    batch_of(run, renumbered, [1], [7.0])
    renumbered.on_epoch(run)
    assert scores.scores(run).tolist() == [7, 2, 3]


def test_half_an_epoch_is_carried_along_by_the_run():
    run, scores = toy.new_run(), ErrorScores(2)
    batch_of(run, scores, [0, 1], [1.0, 2.0])
    other = toy.new_run()
    other.load_state(run.state())
    for one in (run, other):
        batch_of(one, ErrorScores(2), [0], [2.0])
        ErrorScores(2).on_epoch(one)
        assert scores.scores(one).tolist() == [1.5, 2.0]
