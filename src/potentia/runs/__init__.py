"""The directory of one training, the same for all families: settings, provenance, history, model, tables."""

from potentia.runs.directory import RunDirectory
from potentia.runs.provenance import mark_of_files, provenance

__all__ = ["RunDirectory", "mark_of_files", "provenance"]
