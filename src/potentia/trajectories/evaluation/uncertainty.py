"""How good the error bars of an ensemble are: size, order, calibration, and whether they find the largest errors.

The spread of the members is judged on the held-out part as it is (``"raw"``), times a factor and as conformal
intervals, both of which are fitted on the test part. The first time is left out of the calibration: its state is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from potentia.calibration import Calibration, NormalCalibration, Scaling, SplitConformal
from potentia.coverage import caught, coverage_by_size, coverage_table, miscalibration_area, rank_correlation
from potentia.evaluate import Metric
from potentia.plots.density import binned
from potentia.trajectories.dataset import Trajectories, TrajectoryData
from potentia.trajectories.ensembles import Ensemble, ensemble_of
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.evaluation.summaries import ErrorSummary, pearson, per_time
from potentia.trajectories.evaluation_settings import EvaluationSettings
from potentia.trajectories.predictor import Floats, Predictor

__all__ = ["Uncertainty", "crps", "negative_log_likelihood", "uncertainty"]

BLOCK = "UQ"
WORST = (99, 90)
"""Errors above these percentiles are to be found."""
FLAGGED = (0.0, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of the entries that are flagged."""
PIT_BINS = 20
SMALLEST_ERROR = 1e-12
"""Denominator of the weighted difference, at least."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Metrics and tables of the ensemble of one surrogate; each table has a column ``surrogate``."""

    metrics: list[Metric]
    """Block ``"UQ"``."""
    over_time: pd.DataFrame
    """At each time: mean ``spread``, mean ``error`` of the ensemble, and ``main`` of its first member."""
    coverage: pd.DataFrame
    """Share of the errors within intervals, for ``error_bars`` raw, scaled and conformal, see `coverage_table`."""
    by_size: pd.DataFrame
    """Conformal intervals at 90 % in bins of the spread, see `coverage_by_size`."""
    pit: pd.DataFrame
    """Share of the truths in equal parts of what was predicted: ``error_bars``, ``low``, ``high``, ``share``."""
    catastrophic: pd.DataFrame
    """Of the errors above ``percentile``, the ``recall`` when the share ``flagged`` is, of ``random`` and of ``oracle``
    flags, and the mean error that is left when the flagged ones are put right."""
    density: pd.DataFrame
    """Counts of entries by spread (x) and error (y), see `binned`."""
    example: pd.DataFrame
    """The trajectory whose mean error is the median one: ``time``, ``quantity``, ``truth``, ``mean``, ``spread``."""


def uncertainty(
    name: str,
    members: Sequence[Predictor],
    data: TrajectoryData,
    scale: ErrorScale,
    settings: EvaluationSettings,
) -> Uncertainty:
    """Judge the error bars of an ensemble on the held-out part; what is fitted, is on the test part.

    Raises:
        DataError: there are less than two members, they always agree, or one predicts what is not finite.
    """
    found, main = ensemble_of(name, members, data.val, scale)
    fitted = _calibrations(*ensemble_of(name, members, data.test, scale)[0].foretold())
    residual, spread = found.foretold()
    tables = {
        "over_time": _over_time(found, main, data.val, settings),
        "coverage": _coverage(residual, spread, fitted, settings),
        "by_size": coverage_by_size(residual, spread, fitted["conformal"]),
        "pit": _pit(residual, spread, fitted),
        "catastrophic": _catastrophic(found),
        "density": binned(found.spread, found.errors),
        "example": _example(found, data.val),
    }
    for table in tables.values():
        table.insert(0, "surrogate", name)
    metrics = [*_size_metrics(name, found, main, scale), *_calibration_metrics(name, residual, spread, fitted, scale)]
    recalls = tables["catastrophic"]
    for row in recalls[recalls["flagged"].isin((0.05, 0.1))].to_dict("records"):
        label = f"recall of the worst {100 - int(row['percentile'])} % (flagged {100 * float(row['flagged']):g} %)"
        metrics.append(Metric(name, BLOCK, label, float(row["recall"])))
    metrics.append(Metric(name, BLOCK, "ensemble_size", float(len(members))))
    metrics.append(Metric(name, BLOCK, "highest level (conformal)", len(data.test) / (len(data.test) + 1)))
    return Uncertainty(metrics, **tables)


def negative_log_likelihood(residual: Floats, spread: Floats) -> float:
    """Return the mean of −ln p for normal distributions of these spreads; infinite where one of them is zero."""
    if (spread == 0).any():
        return math.inf
    return float(np.mean(0.5 * (residual / spread) ** 2 + np.log(spread) + 0.5 * math.log(2 * math.pi)))


def crps(residual: Floats, spread: Floats) -> float:
    """Return the mean continuous ranked probability score of normal distributions (unit of the residuals).

    T. Gneiting, A. E. Raftery, J. Am. Stat. Assoc. 102 (2007) 359; without spread it is the mean absolute error.
    """
    z = np.divide(residual, spread, out=np.zeros_like(residual), where=spread > 0)
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    score = spread * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi))
    return float(np.mean(np.where(spread > 0, score, np.abs(residual))))


def _calibrations(residual: Floats, spread: Floats) -> dict[str, Calibration]:
    scaled = Scaling().fit(residual, spread)
    return {
        "raw": NormalCalibration(1.0),
        "scaled": scaled,
        "conformal": SplitConformal().fit(residual, spread, levels=()),
    }


def _normal_spread(spread: Floats, calibration: Calibration) -> Floats:
    """Standard deviations of the normal distributions that a calibration makes of spreads."""
    one = float(ndtr(1.0) - ndtr(-1.0))  # level of an interval of one standard deviation
    return calibration.half_width(spread, one)


def _size_metrics(name: str, found: Ensemble, main: Floats, scale: ErrorScale) -> list[Metric]:
    errors, spread, suffix = found.errors, found.spread, scale.suffix
    whole = ErrorSummary.of(errors, 99.0)
    weighted = (spread - errors) / np.maximum(errors, SMALLEST_ERROR)
    dimensional = {
        f"average_uncertainty{suffix}": float(spread.mean()),
        f"root_mean_squared_error{suffix}": whole.rmse,
        f"mean_absolute_error{suffix}": whole.mean,
        f"median_absolute_error{suffix}": whole.median,
        f"percentile_absolute_error{suffix}": whole.percentile,
        f"main_mean_absolute_error{suffix}": float(np.abs(main - found.truth).mean()),
    }
    return [
        *(Metric(name, BLOCK, metric, value, scale.unit) for metric, value in dimensional.items()),
        Metric(name, BLOCK, f"correlation_metrics{suffix}", pearson(errors, spread)),
        Metric(name, BLOCK, "rank_correlation", rank_correlation(errors, spread)),
        Metric(name, BLOCK, f"weighted_diff{suffix}", float(weighted.mean())),
        Metric(name, BLOCK, f"median_weighted_diff{suffix}", float(np.median(weighted))),
    ]


def _calibration_metrics(
    name: str, residual: Floats, spread: Floats, fitted: dict[str, Calibration], scale: ErrorScale
) -> list[Metric]:
    metrics = []
    for kind in ("raw", "scaled"):
        width = _normal_spread(spread, fitted[kind])
        metrics += [
            Metric(name, BLOCK, f"negative_log_likelihood ({kind})", negative_log_likelihood(residual, width)),
            Metric(name, BLOCK, f"CRPS ({kind})", crps(residual, width), scale.unit),
        ]
    for kind, calibration in fitted.items():
        area = miscalibration_area(residual, spread, calibration)
        metrics.append(Metric(name, BLOCK, f"miscalibration_area ({kind})", area))
        covered = float(np.mean(np.abs(residual) <= calibration.half_width(spread, 0.9)))
        metrics.append(Metric(name, BLOCK, f"coverage at 90 % ({kind})", covered))
    return metrics


def _coverage(
    residual: Floats, spread: Floats, fitted: dict[str, Calibration], settings: EvaluationSettings
) -> pd.DataFrame:
    tables = {kind: coverage_table(residual, spread, one, settings.levels) for kind, one in fitted.items()}
    return pd.concat(tables, names=["error_bars"]).reset_index(level="error_bars").reset_index(drop=True)


def _pit(residual: Floats, spread: Floats, fitted: dict[str, Calibration]) -> pd.DataFrame:
    edges = np.linspace(0, 1, PIT_BINS + 1)
    tables = []
    for kind in ("raw", "scaled"):
        width = _normal_spread(spread, fitted[kind])
        z = np.divide(-residual, width, out=np.sign(-residual) * np.inf, where=width > 0)
        shares = np.histogram(ndtr(np.nan_to_num(z, nan=0.0)), edges)[0] / residual.size
        tables.append(pd.DataFrame({"error_bars": kind, "low": edges[:-1], "high": edges[1:], "share": shares}))
    return pd.concat(tables, ignore_index=True)


def _over_time(found: Ensemble, main: Floats, part: Trajectories, settings: EvaluationSettings) -> pd.DataFrame:
    table = per_time(found.errors, part.times, settings.error_percentile)[["step", "time"]]
    table["spread"] = found.spread.mean(axis=(0, 2))
    table["error"] = found.errors.mean(axis=(0, 2))
    table["main"] = np.abs(main - found.truth).mean(axis=(0, 2))
    return table


def _catastrophic(found: Ensemble) -> pd.DataFrame:
    error, spread = found.errors.ravel(), found.spread.ravel()
    by_spread, by_error = (np.cumsum(error[np.argsort(-values, kind="stable")]) for values in (spread, error))
    rows = []
    for percentile in WORST:
        worst = 1 - percentile / 100
        for share in FLAGGED:
            n = math.ceil(share * len(error) * (1 - 1e-12))
            right, best = (float(sums[n - 1]) if n else 0.0 for sums in (by_spread, by_error))
            rows.append(
                {
                    "percentile": percentile,
                    "flagged": share,
                    "recall": caught(error, spread, worst, share) if share else 0.0,
                    "random": share,
                    "oracle": min(1.0, share / worst),
                    "MAE_left": (float(error.sum()) - right) / len(error),
                    "MAE_left_random": (1 - share) * float(error.mean()),
                    "MAE_left_oracle": (float(error.sum()) - best) / len(error),
                }
            )
    return pd.DataFrame(rows)


def _example(found: Ensemble, part: Trajectories) -> pd.DataFrame:
    each = found.errors.mean(axis=(1, 2))  # [trajectories]
    n = int(np.argsort(each, kind="stable")[len(each) // 2])
    times, quantities = len(part.times), part.n_quantities
    return pd.DataFrame(
        {
            "trajectory": n,
            "time": np.repeat(part.times, quantities),
            "quantity": list(part.labels) * times,
            "truth": found.truth[n].ravel(),
            "mean": found.mean[n].ravel(),
            "spread": found.spread[n].ravel(),
        }
    )
