"""Reports on trained models of any family: sections of words, tables and figures, as one HTML page or as JSON."""

from potentia.report.about_data import NOT_MEASURED, not_measured, whose_data
from potentia.report.closing import closing_sections
from potentia.report.learning import learning_section, time_section
from potentia.report.model_report import ModelReport
from potentia.report.opening import expected_kind
from potentia.report.origin import origin
from potentia.report.sections import Section
from potentia.report.settings_table import defaults_of, settings_section

__all__ = [
    "NOT_MEASURED",
    "ModelReport",
    "Section",
    "closing_sections",
    "defaults_of",
    "expected_kind",
    "learning_section",
    "not_measured",
    "origin",
    "settings_section",
    "time_section",
    "whose_data",
]
