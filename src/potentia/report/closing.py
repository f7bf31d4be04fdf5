"""How reports on networks end: error bars, learning, times, settings, origin, in this order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from potentia.report.learning import Curves, learning_section, time_section
from potentia.report.origin import origin
from potentia.report.sections import Section
from potentia.report.settings_table import defaults_of, settings_section

__all__ = ["closing_sections"]


def closing_sections(
    out: Curves,
    record: Mapping[str, Any],
    *,
    bars: Section | None,
    unit: str = "",
    meant: Mapping[str, str] | None = None,
    times: Mapping[str, float],
    settings: type,
    recipe: Mapping[str, Any],
    path: Path,
    data: Mapping[str, Any],
) -> list[Section]:
    """Return the last sections of a report on an estimator.

    Args:
        out: The history of the training.
        record: How it was trained, as the estimator keeps it.
        bars: On its error bars; None where they have been spoken of already.
        unit: Of the errors in the history.
        meant: What names of metrics mean in the history, see `potentia.words.in_words`.
        times: What a prediction takes, in words → s.
        settings: Class of the settings of a training.
        recipe: Settings of the estimator.
        path: File of the model.
        data: What the family knows of the data besides.
    """
    return [
        *([] if bars is None else [bars]),
        learning_section(out, unit, meant),
        time_section(out.history, times),
        settings_section(record["training_config"], defaults_of(settings), recipe),
        origin(path, record, data),
    ]
