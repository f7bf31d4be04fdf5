"""The settings of a training as a table, in which those that somebody has chosen stand out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from potentia.config import plain
from potentia.report.sections import Section

__all__ = ["defaults_of", "settings_section"]

TEXTS = ("value", "default")
"""Columns that are read."""
_NONE = object()


def defaults_of(settings: type) -> dict[str, Any]:
    """Return the defaults of a dataclass as plain values; fields that must be given are left out."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    return plain(found)  # type: ignore[no-any-return]  # of a mapping a mapping


def settings_section(
    training: Mapping[str, Any], training_defaults: Mapping[str, Any], recipe: Mapping[str, Any]
) -> Section:
    """Return the section on settings: what differs from the defaults in view, all of them behind a fold.

    Args:
        training: Settings of the training as plain values.
        training_defaults: Their defaults, without those that must be given.
        recipe: Settings of the model as plain values.
    """
    section = Section("Settings").table("Model", _frame(dict(_flat(recipe))), texts=TEXTS)
    if not training:
        return section.says("No settings of a training came with this model.")
    given, defaults = dict(_flat(training)), dict(_flat(training_defaults))
    chosen = [defaults.get(name, _NONE) != value for name, value in given.items()]
    frame = _frame(given)
    frame["default"] = [_written(defaults[name]) if name in defaults else "" for name in given]
    frame["chosen"] = chosen
    differing = frame[frame["chosen"]].drop(columns="chosen")
    bold = differing.assign(value="* " + differing["value"] + " *")
    section.table("Training: what differs from the defaults", differing, shown=bold, texts=TEXTS)
    shown = frame.assign(value=[f"* {v} *" if c else v for v, c in zip(frame["value"], chosen, strict=True)])
    return section.table(
        f"All {len(frame)} settings of the training",
        frame,
        shown=shown.drop(columns="chosen"),
        folded=True,
        texts=TEXTS,
    )


def _frame(values: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({"value": [_written(v) for v in values.values()]}, index=pd.Index(list(values), name="setting"))


def _flat(values: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all values of nested settings by their paths."""
    for name, value in values.items():
        path = f"{group}.{name}" if group else str(name)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, path)
        else:
            yield path, value


def _written(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list() | tuple():
            return (
                ", ".join(f"({_written(v)})" if isinstance(v, list | tuple) else _written(v) for v in value) or "none"
            )
        case Mapping():
            return "none"
    return str(value)
