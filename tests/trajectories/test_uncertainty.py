"""Ensembles: spread, intervals, scores and flags, against known answers."""

from __future__ import annotations

import numpy as np
import pytest

from potentia.errors import DataError
from potentia.trajectories.evaluation import EvaluationSettings, uncertainty
from potentia.trajectories.evaluation.uncertainty import crps, negative_log_likelihood
from trajectories.known_flows import Flow, Noisy, data
from trajectories.scales import DEFAULTS, DEX, by_name


def members(n=5):
    return [Noisy(k) for k in range(n)]


def test_size_and_order_of_the_spread():
    known = data()
    found = uncertainty("noisy", members(3), known, DEX, DEFAULTS)
    said = np.log10([one.predict(known.val.initial_states, known.val.times) for one in members(3)])
    spread = said.std(axis=0, ddof=1)
    error = np.abs(said.mean(axis=0) - np.log10(known.val.states))
    metrics = by_name(found.metrics)
    assert metrics["average_uncertainty_log"] == pytest.approx(spread.mean())
    assert metrics["mean_absolute_error_log"] == pytest.approx(error.mean())
    assert metrics["percentile_absolute_error_log"] == pytest.approx(np.percentile(error, 99))
    assert metrics["correlation_metrics_log"] == pytest.approx(np.corrcoef(error.ravel(), spread.ravel())[0, 1])
    weighted = (spread - error) / np.maximum(error, 1e-12)
    assert metrics["weighted_diff_log"] == pytest.approx(weighted.mean())
    assert found.over_time["spread"].to_numpy() == pytest.approx(spread.mean(axis=(0, 2)))


def test_scaled_and_conformal_intervals_hold_what_they_say_on_new_trajectories():
    known = data(train=3, test=200, val=200)
    found = uncertainty("noisy", members(), known, DEX, EvaluationSettings(levels=(0.5, 0.9)))
    metrics = by_name(found.metrics)
    assert metrics["coverage at 90 % (conformal)"] == pytest.approx(0.9, abs=0.03)
    assert metrics["miscalibration_area (conformal)"] < 0.03 < metrics["miscalibration_area (raw)"]
    assert metrics["negative_log_likelihood (scaled)"] < metrics["negative_log_likelihood (raw)"]
    assert set(found.coverage["error_bars"]) == {"raw", "scaled", "conformal"}
    assert found.pit.groupby("error_bars")["share"].sum().to_numpy() == pytest.approx([1, 1])


def test_likelihood_and_ranked_score_of_normal_errors():
    residual = np.random.default_rng(0).normal(size=200_000)
    ones = np.ones_like(residual)
    assert negative_log_likelihood(residual, ones) == pytest.approx(0.5 * np.log(2 * np.pi * np.e), abs=0.01)
    assert crps(residual, ones) == pytest.approx(1 / np.sqrt(np.pi), abs=0.01)
    assert crps(residual, 0 * ones) == pytest.approx(np.abs(residual).mean())
    assert crps(residual, 2 * ones) > crps(residual, ones) < crps(residual, 0.5 * ones)


def test_flags_find_the_largest_errors_between_random_and_oracle():
    table = uncertainty("noisy", members(), data(), DEX, DEFAULTS).catastrophic
    assert table["percentile"].unique().tolist() == [99, 90]
    assert (table["random"] == table["flagged"]).all()
    assert (table["recall"] <= table["oracle"] + 1e-9).all()
    assert table.query("percentile == 90 and flagged == 0.05")["oracle"].item() == pytest.approx(0.5)
    assert table.query("flagged == 0")["recall"].tolist() == [0, 0]
    assert (table["MAE_left_oracle"] <= table["MAE_left"] + 1e-12).all()


@pytest.mark.parametrize(
    ("ensemble", "message"),
    [
        ([Flow()], "the ensemble of flow must have two members or more, got 1"),
        ([Flow(), Flow()], "all spreads are zero"),
        ([Flow(), Flow(factor=np.nan)], "member 1 of flow predicts no finite A of trajectory 0 at step 0"),
    ],
)
def test_ensembles_that_say_nothing_are_refused(ensemble, message):
    with pytest.raises(DataError, match=message):
        uncertainty("flow", ensemble, data(), DEX, DEFAULTS)
