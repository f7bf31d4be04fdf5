"""Tables of metrics: what is best, what is missing, and how numbers are written."""

from __future__ import annotations

import io
import math

import pandas as pd
import pytest

from potentia.errors import ConfigError
from potentia.evaluate import (
    Metric,
    TableRow,
    all_metrics_csv,
    as_text,
    metric_frame,
    nested,
    readable,
    readable_duration,
    readable_time,
    summary,
)

METRICS = metric_frame(
    [
        Metric("Good", "accuracy", "error", 169.5),
        Metric("Bad", "accuracy", "error", 200.0),
        Metric("Mean", "accuracy", "error", 1.0),
        Metric("Good", "accuracy", "relative", 1.0),
        Metric("Bad", "UQ", "correlation", 0.5),
        Metric("Good", "UQ", "correlation", 0.25),
        Metric("Good", "timing", "mean", 1e-7, "s"),
        Metric("Good", "timing", "std", 2e-7, "s"),
        Metric("Bad", "timing", "mean", math.nan, "s"),
    ]
)
ROWS = [
    TableRow(label="Error", block="accuracy", metric="error"),
    TableRow(label="Relative", block="accuracy", metric="relative", style="percent"),
    TableRow(label="Correlation", block="UQ", metric="correlation", best="high"),
    TableRow(label="Time", block="timing", metric="mean", style="time", spread="std"),
    TableRow(label="Nobody has it", block="timing", metric="median"),
]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (200, "200"),
        (169.5, "170"),
        (100, "100"),
        (17, "17"),
        (1.5, "1.5"),
        (0.01, "0.01"),
        (0.00999, "9.99e-03"),
        (9999, "9999"),
        (9999.6, "1e+04"),
        (-12.34, "-12.3"),
        (0, "0"),
        (math.inf, "inf"),
        (math.nan, ""),
    ],
)
def test_numbers_have_three_digits_and_keep_their_zeros(value, written):
    assert readable(value) == written


def test_times():
    assert readable_time(1e-7, 2e-7) == "100.00 ns ± 200.00 ns"
    assert readable_time(2e-6, 1e-6) == "2.00 µs ± 1.00 µs"
    assert readable_time(2e-3) == "2.00 ms"
    assert readable_time(75.0) == "75.00 s"
    assert readable_duration(3661) == "01:01:01"
    assert readable_duration(360000) == "100:00:00"


def test_the_best_of_those_that_compete_is_marked_and_what_is_missing_is_blank():
    table = summary(METRICS, ROWS, contenders=("Good", "Bad"))
    assert table.index.tolist() == ["Error", "Relative", "Correlation", "Time"]
    assert table.loc["Error"].tolist() == ["* 170 *", "200", "1"]
    assert table.loc["Relative"].tolist() == ["100 %", "", ""]
    assert table.loc["Correlation"].tolist() == ["0.25", "* 0.5 *", ""]
    assert table.loc["Time"].tolist() == ["100.00 ns ± 200.00 ns", "", ""]
    assert summary(METRICS, ROWS).loc["Error", "Mean"] == "* 1 *"
    assert "*" not in summary(METRICS, ROWS, mark=False).to_string()


def test_the_text_of_a_table_is_aligned():
    lines = as_text(summary(METRICS, ROWS)).splitlines()
    assert lines[0].split() == ["Metric", "Good", "Bad", "Mean"]
    assert len({len(line) for line in lines}) == 1


def test_all_metrics_are_sorted_rows_of_block_and_metric():
    text = all_metrics_csv(METRICS)
    assert text.splitlines()[0] == "Category,Good,Bad,Mean"
    assert text.splitlines()[2] == "accuracy - error,1.69500000e+02,2.00000000e+02,1.00000000e+00"
    table = pd.read_csv(io.StringIO(text), index_col=0)
    assert table.index.tolist() == sorted(table.index)
    assert "timing - mean,1.00000000e-07,N/A,N/A" in text
    assert math.isnan(table.loc["timing - mean", "Bad"])


def test_metrics_of_one_are_nested_by_block_and_fit_json():
    assert nested(METRICS, "Bad") == {
        "accuracy": {"error": 200.0},
        "UQ": {"correlation": 0.5},
        "timing": {"mean": None},
    }


def test_rows_are_checked():
    with pytest.raises(ConfigError, match=r"style must be one of .* got 'percents'; did you mean 'percent'"):
        TableRow(label="", block="", metric="", style="percents")
    with pytest.raises(ConfigError, match="best must be one of 'low', 'high', got 'up'"):
        TableRow(label="", block="", metric="", best="up")
