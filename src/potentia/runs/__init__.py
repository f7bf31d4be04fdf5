"""The directory of one training, the same for all families: settings, provenance, history, model, tables."""

from potentia.runs.directory import RunDirectory
from potentia.runs.job import Job, Trained, carry_out, require_same_data, require_same_settings
from potentia.runs.provenance import mark_of_files, provenance

__all__ = [
    "Job",
    "RunDirectory",
    "Trained",
    "carry_out",
    "mark_of_files",
    "provenance",
    "require_same_data",
    "require_same_settings",
]
