"""Tables of what surrogates score: one long frame of metrics, and from it files for programs and a table for people."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from potentia.checks import choice

__all__ = [
    "Metric",
    "TableRow",
    "all_metrics_csv",
    "as_text",
    "metric_frame",
    "nested",
    "readable",
    "readable_duration",
    "readable_time",
    "summary",
    "wide",
]

STYLES = ("number", "percent", "integer", "duration", "time", "megabytes", "times")
"""How a value of a table is written."""
_TIME_UNITS = ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (math.inf, 1.0, "s"))


class Metric(NamedTuple):
    """One number that one surrogate scored."""

    surrogate: str
    """Whose it is."""
    block: str
    """What was looked at, for example ``"accuracy"``."""
    metric: str
    """What was measured."""
    value: float
    """NaN where it does not exist."""
    unit: str = ""
    """Unit of the value; empty for a pure number."""


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One row of the table for people."""

    label: str
    """What stands at its head."""
    block: str
    """Block of the metric."""
    metric: str
    """The metric."""
    style: str = "number"
    """``"number"``, ``"percent"`` of a share, ``"integer"``, ``"duration"`` (s) as hh:mm:ss, ``"time"`` (s) in ns to s,
    ``"megabytes"`` of bytes, or ``"times"`` for a factor."""
    spread: str | None = None
    """Metric of the same block that is put behind a ``"time"`` with ±."""
    best: str | None = "low"
    """Which of the values is the best one, ``"low"`` or ``"high"``; None where none is better."""

    def __post_init__(self) -> None:
        choice("style", self.style, STYLES)
        if self.best is not None:
            choice("best", self.best, ("low", "high"))


def metric_frame(metrics: Iterable[Metric]) -> pd.DataFrame:
    """Return one row for each metric: columns ``surrogate``, ``block``, ``metric``, ``value``, ``unit``."""
    return pd.DataFrame(list(metrics), columns=list(Metric._fields)).astype({"value": float})


def wide(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each metric, named ``"block - metric"`` and sorted, and a column for each surrogate.

    What a surrogate has no value of is NaN.
    """
    names = metrics["block"] + " - " + metrics["metric"]
    found = metrics.assign(name=names).pivot(index="name", columns="surrogate", values="value")
    return found.reindex(columns=list(dict.fromkeys(metrics["surrogate"]))).sort_index()


def all_metrics_csv(metrics: pd.DataFrame) -> str:
    """Return all metrics as CSV with the header ``Category,<surrogate>…``; ``N/A`` where there is none."""
    return wide(metrics).to_csv(index_label="Category", float_format="%.8e", na_rep="N/A", lineterminator="\n")


def nested(metrics: pd.DataFrame, surrogate: str) -> dict[str, dict[str, float | None]]:
    """Return the metrics of one surrogate, block → metric → value; None where the value is not finite, for JSON."""
    found: dict[str, dict[str, float | None]] = {}
    for row in metrics[metrics["surrogate"] == surrogate].itertuples(index=False):
        value = float(row.value)  # type: ignore[arg-type]  # a column of numbers
        found.setdefault(str(row.block), {})[str(row.metric)] = value if math.isfinite(value) else None
    return found


def summary(
    metrics: pd.DataFrame, rows: Sequence[TableRow], *, contenders: Collection[str] | None = None, mark: bool = True
) -> pd.DataFrame:
    """Return the table for people: a row for each of ``rows`` that any surrogate has, a column for each surrogate.

    Args:
        metrics: A row for each metric, as `metric_frame` returns them.
        rows: What is to stand in the table, from the top.
        contenders: Surrogates among which the best value is looked for; all if None.
        mark: Whether the best value is put between asterisks, if two or more have one.
    """
    surrogates = list(dict.fromkeys(metrics["surrogate"]))
    keys = zip(metrics["block"], metrics["metric"], metrics["surrogate"], strict=True)
    values = dict(zip(keys, metrics["value"].tolist(), strict=True))
    written = {}
    for row in rows:
        found = {name: _value(values, row, row.metric, name) for name in surrogates}
        if all(math.isnan(value) for value in found.values()):
            continue
        best = _best(found, row, surrogates if contenders is None else contenders) if mark else set()
        cells = {name: _written(value, _value(values, row, row.spread, name), row) for name, value in found.items()}
        written[row.label] = {name: f"* {cell} *" if name in best else cell for name, cell in cells.items()}
    table = pd.DataFrame.from_dict(written, orient="index", columns=pd.Index(surrogates), dtype=str)
    return table.rename_axis(index="Metric")


def as_text(table: pd.DataFrame) -> str:
    """Return a table of words as plain text with aligned columns."""
    cells = table.reset_index().astype(str)
    rows = [list(map(str, cells.columns)), *cells.to_numpy().tolist()]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ["  ".join(_aligned(row, widths)) for row in rows]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def readable(value: float) -> str:
    """Return a number with three significant digits, without zeros that say nothing behind the point.

    >>> readable(200), readable(169.5), readable(0.0123456), readable(1.5), readable(123456), readable(0.00098)
    ('200', '170', '0.0123', '1.5', '1.23e+05', '9.8e-04')
    """
    if math.isnan(value):
        return ""
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    if not 1e-2 <= abs(value) < 9999.5:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def readable_duration(seconds: float) -> str:
    """Return hours, minutes and seconds.

    >>> readable_duration(3661)
    '01:01:01'
    """
    whole = round(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def readable_time(seconds: float, spread: float = math.nan) -> str:
    """Return a time in the unit that fits it, and its spread in the same unit.

    >>> readable_time(1e-7, 2e-7), readable_time(0.25)
    ('100.00 ns ± 200.00 ns', '250.00 ms')
    """
    factor, unit = next((factor, unit) for below, factor, unit in _TIME_UNITS if abs(seconds) < below)
    text = f"{seconds * factor:.2f} {unit}"
    return text if math.isnan(spread) else f"{text} ± {spread * factor:.2f} {unit}"


def _value(values: dict[tuple[str, str, str], float], row: TableRow, metric: str | None, surrogate: str) -> float:
    return math.nan if metric is None else values.get((row.block, metric, surrogate), math.nan)


def _best(found: dict[str, float], row: TableRow, contenders: Collection[str]) -> set[str]:
    known = {name: value for name, value in found.items() if name in contenders and not math.isnan(value)}
    if row.best is None or len(known) < 2:
        return set()
    best = min(known.values()) if row.best == "low" else max(known.values())
    return {name for name, value in known.items() if value == best}


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    rest = zip(row[1:], widths[1:], strict=True)
    return [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in rest)]


def _written(value: float, spread: float, row: TableRow) -> str:
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return {
        "number": lambda: readable(value),
        "percent": lambda: f"{readable(100 * value)} %",
        "integer": lambda: f"{value:.0f}",
        "duration": lambda: readable_duration(value),
        "time": lambda: readable_time(value, spread),
        "megabytes": lambda: readable(value / 1e6),
        "times": lambda: f"{readable(value)} ×",
    }[row.style]()
