"""Diagnosis of trained operators: verdicts on tokens and latents, sensitivity to parameters, growth of errors."""

from potentia.operators.diagnostics.diagnose import Diagnosis, diagnose
from potentia.operators.diagnostics.findings import Findings
from potentia.operators.diagnostics.sections import Alignment, Consistency, Diversity, Reconstruction

__all__ = ["Alignment", "Consistency", "Diagnosis", "Diversity", "Findings", "Reconstruction", "diagnose"]
