"""Reports on trained models of any family: sections of words, tables and figures, as one HTML page or as JSON."""

from potentia.report.about_data import NOT_MEASURED, not_measured, whose_data
from potentia.report.closing import closing_sections
from potentia.report.error_bars import CAUGHT, CORRELATION, error_bar_section, foreseen, no_error_bars
from potentia.report.learning import learning_section, time_section
from potentia.report.model_report import ModelReport
from potentia.report.opening import expected_kind
from potentia.report.origin import origin
from potentia.report.sections import Section
from potentia.report.settings_table import defaults_of, settings_section

__all__ = [
    "CAUGHT",
    "CORRELATION",
    "NOT_MEASURED",
    "ModelReport",
    "Section",
    "closing_sections",
    "defaults_of",
    "error_bar_section",
    "expected_kind",
    "foreseen",
    "learning_section",
    "no_error_bars",
    "not_measured",
    "origin",
    "settings_section",
    "time_section",
    "whose_data",
]
