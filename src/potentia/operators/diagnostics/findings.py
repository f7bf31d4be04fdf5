"""All that a diagnosis has found, and its verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from potentia.operators.diagnostics.sections import Alignment, Consistency, Diversity, Reconstruction
from potentia.operators.diagnostics.verdicts import final_verdict
from potentia.operators.evaluation import Evaluation, Sensitivity

__all__ = ["OPERATOR", "Findings"]

OPERATOR = "operator"
"""Name of the operator in the tables of `Findings.evaluation`; the other names are those of baselines."""


@dataclass(frozen=True, eq=False)
class Findings:
    """Figures of an operator on a held-out part, through a tokenizer that was trained on true trajectories."""

    samples: int
    steps: int
    diverged: int
    """Predictions that have left the numbers; sections 1 to 4 are of the others."""
    reconstruction: Reconstruction
    """1. How well the features of predictions are rebuilt."""
    diversity: Diversity
    """2. How many codes they use."""
    alignment: Alignment | None
    """3. How near features of the operator are to latents; None where it was trained without ``lambda_latent``."""
    consistency: Consistency | None
    """4. How steady these features are over time; None likewise."""
    sensitivity: Sensitivity | None
    """5. How much predictions depend on the parameters, beside the truth; None where no system was given."""
    evaluation: Evaluation = field(repr=False)
    """6. Errors over the steps, valid time and spectra, beside baselines."""

    @property
    def words(self) -> dict[str, str]:
        """Return the verdict of each of the sections 1 to 4 that there are."""
        found = {"VQ Reconstruction": self.reconstruction.word, "Token Diversity": self.diversity.word}
        if self.alignment is not None:
            found["Alignment Correlation"] = self.alignment.word
        if self.consistency is not None:
            found["Temporal Consistency"] = self.consistency.word
        return found

    @property
    def verdict(self) -> str:
        """Return the verdict of all of them: EXCELLENT, GOOD, MODERATE or POOR."""
        return final_verdict(self.words.values())

    def to_dict(self) -> dict[str, Any]:
        """Return all figures and words as plain values."""
        plain: dict[str, Any] = {"samples": self.samples, "steps": self.steps, "diverged": self.diverged}
        plain["reconstruction"] = {**asdict(self.reconstruction), "word": self.reconstruction.word}
        plain["diversity"] = {
            **asdict(self.diversity),
            "utilisation": self.diversity.utilisation,
            "word": self.diversity.word,
        }
        if self.alignment is not None:
            plain["alignment"] = {**asdict(self.alignment), "word": self.alignment.word}
        if self.consistency is not None:
            one = self.consistency
            plain["consistency"] = {**asdict(one), "variation": one.variation, "word": one.word}
        if self.sensitivity is not None:
            plain["sensitivity"] = {**asdict(self.sensitivity), "ratio": self.sensitivity.ratio}
        plain["scores"] = self.evaluation.scores.reset_index().to_dict("records")
        plain["by_step"] = self.evaluation.by_step.reset_index().to_dict("records")
        return {**plain, "words": self.words, "verdict": self.verdict}
