"""What figures of a diagnosis are called: a word for each section, and one for all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["FINAL", "alignment_word", "consistency_word", "diversity_word", "final_verdict", "reconstruction_word"]

SCORES = {"Excellent": 4, "Good": 3, "Strong": 3, "Moderate": 2, "Weak": 1, "Poor": 0}
"""Points of each word."""
FINAL = {
    "EXCELLENT": "L_latent provides strong alignment",
    "GOOD": "L_latent provides meaningful alignment",
    "MODERATE": "L_latent provides some alignment",
    "POOR": "L_latent provides little alignment",
}
"""What the final verdict means."""


def reconstruction_word(error: float) -> str:
    """Return the word for the mean square error of rebuilt features.

    >>> [reconstruction_word(error) for error in (0.05, 0.1, 0.5, 1.0)]
    ['Excellent', 'Good', 'Moderate', 'Poor']
    """
    return _below(error, {0.1: "Excellent", 0.5: "Good", 1.0: "Moderate"})


def diversity_word(utilisation: float) -> str:
    """Return the word for used codes over all codes.

    >>> [diversity_word(part) for part in (0.71, 0.7, 0.31, 0.3)]
    ['Excellent', 'Good', 'Moderate', 'Poor']
    """
    return _above(utilisation, {0.7: "Excellent", 0.5: "Good", 0.3: "Moderate"})


def alignment_word(cosine: float) -> str:
    """Return the word for the mean cosine of projected features and latents.

    >>> [alignment_word(cosine) for cosine in (0.71, 0.7, 0.5, 0.3)]
    ['Strong', 'Moderate', 'Weak', 'Poor']
    """
    return _above(cosine, {0.7: "Strong", 0.5: "Moderate", 0.3: "Weak"})


def consistency_word(variation: float) -> str:
    """Return the word for the coefficient of variation of latent norms over time.

    >>> [consistency_word(variation) for variation in (0.04, 0.05, 0.1, 0.2)]
    ['Excellent', 'Good', 'Moderate', 'Poor']
    """
    return _below(variation, {0.05: "Excellent", 0.1: "Good", 0.2: "Moderate"})


def final_verdict(words: Iterable[str]) -> str:
    """Return the verdict of the mean of the points.

    >>> final_verdict(["Good", "Good", "Moderate", "Good"]), final_verdict(["Excellent", "Excellent", "Strong", "Good"])
    ('GOOD', 'EXCELLENT')
    """
    points = [SCORES[word] for word in words]
    mean = sum(points) / len(points) if points else math.nan
    return {0: "POOR", 1: "MODERATE", 2: "GOOD", 3: "EXCELLENT"}[sum(mean >= limit for limit in (1.5, 2.5, 3.5))]


def _below(value: float, limits: dict[float, str]) -> str:
    return next((word for limit, word in limits.items() if value < limit), "Poor")


def _above(value: float, limits: dict[float, str]) -> str:
    return next((word for limit, word in limits.items() if value > limit), "Poor")
