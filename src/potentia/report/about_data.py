"""What reports of all families say of the data that they were measured on."""

from __future__ import annotations

from potentia.report.sections import Section

__all__ = ["NOT_MEASURED", "not_measured", "whose_data"]

NOT_MEASURED = "Nothing was measured for this report."
"""Headline of a report without data."""


def not_measured() -> Section:
    """Return the section on errors of a report without data."""
    return Section("Errors").says(
        "No data were measured on: none were given (--data), or those named in the settings are gone or have changed. "
        "Errors are only those that the training has written down, see “Learning”."
    )


def whose_data(*, same: bool) -> str:
    """Return the sentence on whether the data are those of the training."""
    if same:
        return "The data are those of the training, by their hash."
    return (
        "The data are not those that the training was given, or not all of them: nothing is known of which of them it "
        "has seen."
    )
