"""Laws of calibrated error bars: they cover what they say, in any unit and any order, and tell their limits."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import betabinom

from potentia.calibration import Calibration, NormalCalibration, Scaling, SplitConformal
from potentia.coverage import caught, coverage_by_size, coverage_table, miscalibration_area, rank_correlation
from potentia.errors import ConfigError, DataError, PotentiaWarning

RNG = np.random.default_rng(0)


def drawn(n, seed=0, per_row=()):
    """Heavy-tailed errors whose size a spread foresees in part."""
    rng = np.random.default_rng(seed)
    spread = rng.gamma(2.0, size=(n, *per_row))
    return spread * rng.standard_t(3, size=(n, *per_row)) + 0.2 * rng.normal(size=(n, *per_row)), spread


METHODS = [Scaling(), Scaling(by="rms"), SplitConformal()]
every_method = pytest.mark.parametrize("method", METHODS, ids=repr)

# ------------------------------------------------------------------------------------------------- the law of coverage


@pytest.mark.parametrize("with_spread", [True, False])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_conformal_coverage_is_exact_in_expectation_and_distributed_as_theory_says(level, with_spread):
    n, new, draws = 59, 50, 1500
    method = SplitConformal(offset=0.0)
    rank = math.ceil(level * (n + 1))
    covered = []
    for draw in range(draws):
        residual, spread = drawn(n + new, draw)
        known, asked = (spread[:n], spread[n:]) if with_spread else (None, None)
        calibration = method.fit(residual[:n], known, levels=())
        covered.append(int(np.sum(np.abs(residual[n:]) <= calibration.half_width(asked, level))))
    law = betabinom(new, rank, n + 1 - rank)
    assert abs(np.mean(covered) - law.mean()) < 4 * law.std() / math.sqrt(draws)
    assert np.std(covered) == pytest.approx(law.std(), rel=0.1)
    assert law.mean() / new == pytest.approx(rank / (n + 1))


def test_blocks_of_any_size_and_dependence_are_covered_at_least_to_the_level():
    """Structures with atoms that err alike; the large ones err more."""
    rng = np.random.default_rng(1)

    def structures(count):
        sizes = rng.choice([1, 4, 30], size=count, p=[0.4, 0.4, 0.2])
        owner = np.repeat(np.arange(count), sizes)
        scale = np.exp(rng.normal(size=count)) * np.sqrt(sizes)
        return scale[owner] * (1 + 0.1 * rng.normal(size=len(owner))), owner

    pooled, naive, total = 0, 0, 0
    for _ in range(400):
        residual, owner = structures(40)
        fresh, _ = structures(10)
        width = SplitConformal().fit(residual, blocks=owner, levels=()).half_width(None, 0.8)
        short = SplitConformal().fit(residual, levels=()).half_width(None, 0.8)
        pooled += np.sum(np.abs(fresh) <= width)
        naive += np.sum(np.abs(fresh) <= short)
        total += len(fresh)
    assert pooled / total > 0.8
    assert naive / total < 0.79


def test_each_group_is_covered_where_all_together_would_miss_one():
    rng = np.random.default_rng(2)
    species = np.where(rng.random(20_000) < 0.3, "Ti", "O")
    residual = rng.normal(size=(20_000, 3)) * np.where(species == "Ti", 3.0, 1.0)[:, None]
    half = slice(None, 10_000), slice(10_000, None)
    fitted = {
        "together": SplitConformal().fit(residual[half[0]]),
        "apart": SplitConformal().fit(residual[half[0]], groups=species[half[0]]),
    }
    tables = {
        name: coverage_table(residual[half[1]], None, calibration, (0.9,), species[half[1]]).set_index("group")
        for name, calibration in fitted.items()
    }
    assert tables["together"].loc["Ti", "coverage"] < 0.8
    np.testing.assert_allclose(tables["apart"]["coverage"], 0.9, atol=0.02)
    assert tables["apart"]["n"].to_dict() == {
        "all": 30_000,
        **{name: 3 * int(np.sum(species[half[1]] == name)) for name in ("O", "Ti")},
    }


def test_normal_errors_need_the_factor_of_their_spread():
    rng = np.random.default_rng(3)
    spread = rng.uniform(0.5, 2.0, 40_000)
    residual = 2.5 * spread * rng.normal(size=40_000)
    for by in ("likelihood", "rms"):
        calibration = Scaling(by=by, offset=0.0).fit(residual, spread)
        assert calibration.factor == pytest.approx(2.5, rel=0.02)
        assert miscalibration_area(residual, spread, calibration) < 0.01
    assert miscalibration_area(residual, spread, NormalCalibration(1.0)) > 0.2


def test_known_answers():
    assert float(NormalCalibration(2.0).half_width(1.0, 0.95)) == pytest.approx(2 * 1.959964, rel=1e-6)
    assert Scaling(by="rms", offset=0.0).fit([3.0, -4.0], [1.0, 7.0]).factor == pytest.approx(math.sqrt(25 / 50))
    assert Scaling(offset=0.5).fit([1.5, -4.5], [1.0, 1.0]) == NormalCalibration(math.sqrt((1 + 9) / 2), 0.5)
    nine = SplitConformal().fit(np.arange(1.0, 10.0))
    assert [float(nine.half_width(None, level)) for level in (0.05, 0.1, 0.11, 0.85, 0.9)] == [1, 1, 2, 9, 9]


# ------------------------------------------------------------------------------------------------------- invariances


@every_method
@pytest.mark.parametrize("factor", [1e-6, 1e3])
def test_the_unit_makes_no_difference(method, factor):
    residual, spread = drawn(300)
    one = method.fit(residual, spread).half_width(spread, 0.9)
    other = method.fit(factor * residual, factor * spread).half_width(factor * spread, 0.9)
    np.testing.assert_allclose(other, factor * one, rtol=1e-12)


def test_a_spread_in_another_unit_gives_the_same_conformal_intervals():
    residual, spread = drawn(300)
    one = SplitConformal().fit(residual, spread).half_width(spread, 0.9)
    other = SplitConformal().fit(residual, 50 * spread).half_width(50 * spread, 0.9)
    np.testing.assert_allclose(other, one, rtol=1e-12)


@every_method
def test_the_order_makes_no_difference(method):
    residual, spread = drawn(300)
    order = RNG.permutation(300)
    one, other = method.fit(residual, spread), method.fit(residual[order], spread[order])
    np.testing.assert_allclose(other.half_width(spread, 0.9), one.half_width(spread, 0.9), rtol=1e-12)
    assert caught(residual, spread) == caught(residual[order], spread[order])


@every_method
def test_components_of_a_row_may_share_a_spread(method):
    residual, spread = drawn(100, per_row=(3,))
    shared = spread[:, 0]
    one = method.fit(residual, shared)
    other = method.fit(residual, np.repeat(shared[:, None], 3, axis=1))
    np.testing.assert_allclose(one.half_width(shared, 0.9), other.half_width(shared, 0.9), rtol=1e-12)
    table = coverage_table(residual, shared, one, (0.9,))
    assert table["n"].tolist() == [300]


def test_wider_levels_are_wider_and_many_scores_are_thinned_to_few_without_loss():
    residual, spread = drawn(200_000)
    calibration = SplitConformal().fit(residual, spread)
    assert len(calibration.pooled.values) < 4200
    ratio = np.sort(np.abs(residual) / (spread + calibration.offset))
    for level in (0.01, 0.5, 0.9, 0.99, 0.9999):
        width = float(calibration.half_width(0.0, level)) / calibration.offset
        rank = math.ceil(level * 200_001)
        assert width >= ratio[rank - 1]
        assert width <= ratio[min(rank + int(0.001 * 200_000), int(rank + 0.1 * (200_000 - rank)) + 1)]


@pytest.mark.parametrize("grouped", [True, False])
@every_method
def test_a_calibration_survives_json(method, grouped):
    residual, spread = drawn(400)
    groups = np.where(np.arange(400) % 3, "O", "Ti")
    conformal = isinstance(method, SplitConformal)
    calibration = method.fit(residual, spread, groups=groups) if grouped and conformal else method.fit(residual, spread)
    again = Calibration.from_plain(json.loads(json.dumps(calibration.to_plain(), allow_nan=False)))
    for level in (0.3, 0.9, 0.997):
        np.testing.assert_array_equal(
            again.half_width(spread, level, groups), calibration.half_width(spread, level, groups)
        )


# ---------------------------------------------------------------------------------------------------------- limits


def test_too_few_for_a_level_is_infinite_and_said():
    with pytest.warns(PotentiaWarning, match=r"level 0.9 are infinite for all \(0.889\).*Hold out more"):
        calibration = SplitConformal().fit(np.ones(8))
    assert calibration.half_width(None, 0.9) == math.inf
    assert calibration.half_width(None, 8 / 9) == 1
    assert calibration.highest_level == pytest.approx(8 / 9)
    bare = SplitConformal(offset=0.0).fit(np.ones(8), np.ones(8), levels=())
    assert bare.half_width([0.0, 2.0], 0.9).tolist() == [math.inf, math.inf]
    table = coverage_table(np.ones(5), np.ones(5), bare, (0.5, 0.9))
    assert table["half_width"].tolist() == [1, math.inf]
    assert table["coverage"].tolist() == [1, 1]


def test_one_structure_alone_tells_half_at_most():
    with pytest.warns(PotentiaWarning, match=r"infinite for all \(0.5\)"):
        SplitConformal().fit(np.ones(1000), blocks=["a"] * 1000)


def test_groups_that_are_too_small_are_named_and_take_the_intervals_of_all():
    residual, spread = drawn(400)
    groups = np.array(["O"] * 390 + ["N"] * 10)
    with pytest.warns(PotentiaWarning, match=r"of their own: N \(10\), where smallest_group=100"):
        calibration = SplitConformal().fit(residual, spread, groups=groups)
    together = SplitConformal().fit(residual, spread)
    for name in ("N", "never seen"):
        assert calibration.half_width([1.0], 0.9, [name]) == together.half_width([1.0], 0.9)
    assert sorted(calibration.groups) == ["O"]


def test_small_is_counted_in_blocks():
    residual, spread = drawn(400)
    with pytest.warns(PotentiaWarning, match=r"O \(40\)"):
        SplitConformal().fit(residual, spread, groups=["O"] * 400, blocks=np.arange(400) // 10)


def test_spreads_that_are_zero_here_and_there_have_a_width_still():
    residual, spread = drawn(300)
    spread[::7] = 0.0
    for method in METHODS:
        width = method.fit(residual, spread).half_width(spread, 0.9)
        assert (width > 0).all()
        assert np.isfinite(width).all()
    with pytest.raises(DataError, match=r"spread is zero at entry 0: choose an offset above 0"):
        SplitConformal(offset=0.0).fit(residual, spread)


@every_method
def test_spreads_that_are_all_zero_are_refused_and_all_equal_ones_make_equal_intervals(method):
    residual, _ = drawn(300)
    with pytest.raises(DataError, match="all spreads are zero: models that always agree"):
        method.fit(residual, np.zeros(300))
    width = method.fit(residual, np.full(300, 0.7)).half_width([0.7, 0.7], 0.9)
    assert width[0] == width[1] > 0
    if isinstance(method, SplitConformal):
        assert width[0] == pytest.approx(float(method.fit(residual).half_width(None, 0.9)))


def test_errors_that_are_all_zero_make_intervals_of_no_width():
    assert SplitConformal().fit(np.zeros(30), np.ones(30)).half_width(1.0, 0.9) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, math.nan], [1.0, 1.0]), r"`residual` is not finite at entry \(1,\)"),
        (([1.0, 1.0, 2.0], [1.0, 1.0, math.inf]), r"`spread` is not finite at entry \(2,\)"),
        (([[1.0] * 3, [1.0, math.nan, 1.0]], [1.0, 1.0]), r"`residual` is not finite at atom 1"),
        (([1.0, 1.0], [1.0, -1.0]), r"spread must not be negative, got -1 at entry \(1,\)"),
        (([1.0, 1.0], [1.0, 1.0, 1.0]), r"shape of the residuals, \(2,\), or a value for each row, got \(3,\)"),
        (([], []), r"there are no residuals: hold structures out"),
    ],
)
@every_method
def test_what_cannot_be_is_refused_with_its_place(method, arguments, message):
    with pytest.raises(DataError, match=message):
        method.fit(*arguments)


def test_settings_and_labels_are_checked():
    with pytest.raises(ConfigError, match=r"by must be one of .* did you mean 'likelihood'"):
        Scaling(by="likelyhood")
    with pytest.raises(ConfigError, match=r"offset must be .* at least 0.0"):
        SplitConformal(offset=-1.0)
    with pytest.raises(DataError, match=r"groups must name each of the 2 rows, got shape \(1,\)"):
        SplitConformal().fit([1.0, 2.0], groups=["O"])
    with pytest.raises(DataError, match=r"blocks must name one for each of the 2 rows, got shape \(1,\)"):
        SplitConformal().fit([1.0, 2.0], blocks=["O"])
    with pytest.raises(DataError, match=r"blocks must name one for each of the 2 rows"):
        coverage_table([1.0, 2.0], None, SplitConformal().fit(np.ones(20)), blocks=[1])
    fitted = SplitConformal().fit(np.ones(20), np.ones(20))
    with pytest.raises(ConfigError, match=r"level must lie between 0 and 1, like 0.9, got 1"):
        fitted.half_width(1.0, 1.0)
    with pytest.raises(DataError, match="goes by the spread: give the predicted spreads"):
        fitted.half_width(None, 0.9)
    with pytest.raises(ConfigError, match="did you mean 'conformal'"):
        Calibration.from_plain({"method": "conformel"})


# ---------------------------------------------------------------------------------------------------------- reports


def test_large_errors_are_caught_by_a_spread_that_knows_them_and_by_chance_by_one_that_does_not():
    residual = RNG.normal(size=10_000)
    assert caught(residual, np.abs(residual)) == 1.0
    assert caught(residual, -np.abs(residual) + 10) == 0.0
    assert caught(residual, np.ones(10_000), most_uncertain=0.2) == pytest.approx(0.2)
    assert rank_correlation(residual, residual**2) == pytest.approx(1)
    assert rank_correlation(-residual, 10 - np.abs(residual)) == pytest.approx(-1)
    assert math.isnan(rank_correlation(residual, np.ones(10_000)))


def test_caught_is_a_count_done_by_hand():
    residual = [9.0, -8.0, 1.0, 0.5, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0]
    spread = [5.0, 0.1, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert caught(residual, spread, worst=0.2, most_uncertain=0.2) == 0.5
    assert caught(residual, spread, worst=0.1, most_uncertain=0.2) == 1.0
    assert caught(residual, spread, worst=0.2, most_uncertain=0.3) == 1.0


def test_standard_errors_know_that_rows_of_a_block_are_alike():
    owner = np.repeat(np.arange(200), 50)
    residual = RNG.normal(size=200)[owner]
    calibration = NormalCalibration(1.0)
    naive = coverage_table(residual, np.ones(10_000), calibration, (0.5,))
    honest = coverage_table(residual, np.ones(10_000), calibration, (0.5,), blocks=owner)
    assert honest["error"][0] == pytest.approx(naive["error"][0] * math.sqrt(50), rel=0.02)
    assert naive["error"][0] == pytest.approx(0.005, rel=0.05)


def test_bins_of_size_hold_all_and_show_where_bars_are_too_narrow():
    spread = RNG.gamma(2.0, size=5000)
    residual = (1 + spread) * RNG.normal(size=5000)  # errors do not vanish where the spread does
    table = coverage_by_size(residual, spread, SplitConformal(offset=0.0).fit(residual, spread), bins=5)
    assert table["n"].tolist() == [1000] * 5
    assert (table["n"] @ table["coverage"]) / 5000 == pytest.approx(0.9, abs=1e-3)
    assert (table["low"][1:].to_numpy() > table["high"][:-1].to_numpy()).all()
    assert table["coverage"].is_monotonic_increasing
    assert table["coverage"][0] < 0.8
    assert table["half_width"][0] < table["needed"][0]
    assert table["half_width"][4] > table["needed"][4]
    by_error = coverage_by_size(residual, spread, NormalCalibration(1.0), bins=4, by="error")
    assert by_error["coverage"].is_monotonic_decreasing
    assert len(coverage_by_size(residual, np.ones(5000), NormalCalibration(1.0))) == 1
