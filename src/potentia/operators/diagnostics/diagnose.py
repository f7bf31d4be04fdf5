"""Diagnosis of a trained operator through a tokenizer: the one it was aligned with, or any that knows the truth."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from potentia.checks import choice
from potentia.errors import ConfigError
from potentia.operators.alignment import AlignmentTokenizer, LatentProjector, sampled_steps
from potentia.operators.baselines import baselines_of
from potentia.operators.dataset import OperatorData, Samples
from potentia.operators.diagnostics import sections
from potentia.operators.diagnostics.findings import OPERATOR, Findings
from potentia.operators.diagnostics.report import report
from potentia.operators.estimator import NeuralOperator
from potentia.operators.evaluation import evaluate, parameter_sensitivity
from potentia.operators.systems import FieldSystem
from potentia.operators.validation import Behaviour, behaviour_of, behaviour_samples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Diagnosis", "diagnose"]

STEPS = 10
"""Steps at which features of the operator are projected."""


class Diagnosis(Findings):
    """What `diagnose` returns; print it for the report."""

    def plot(self, outfile: str | os.PathLike[str] | None = None) -> Figure:
        """Draw errors, codes, growth and spectrum, and write the figure if a file is named."""
        from potentia.operators.diagnostics.figure import draw  # matplotlib takes half a second: only who draws pays it

        return draw(self, outfile)

    def __str__(self) -> str:
        return report(self)


def diagnose(
    operator: NeuralOperator,
    tokenizer: AlignmentTokenizer,
    data: OperatorData,
    *,
    part: str = "test",
    n_samples: int | None = 100,
    target: Literal["truth", "prediction"] = "truth",
    system: FieldSystem | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Look at predictions through a tokenizer, and at the errors beside baselines.

    Args:
        operator: A trained one.
        tokenizer: A trained one; its horizon says how many steps are rolled out.
        data: Baselines are fitted to the training part.
        part: Which part is looked at.
        n_samples: The first so many of its samples; None for all.
        target: Whose latents projected features are compared with, as in `Alignment`.
        system: The system that made the data, for the sensitivity to parameters; None leaves that out.
        seed: Of the pairs of section 3 that do not belong together.

    Raises:
        ConfigError: the operator was aligned with a tokenizer of other sizes.
        DataError: the part is missing or too short, or its features are not those of the tokenizer.
    """
    choice("target", target, ("truth", "prediction"))
    samples = behaviour_samples(data, part, n_samples, tokenizer.horizon)
    predicted = operator.predict(samples.initial, samples.parameters, samples.steps)
    true, found = (behaviour_of(tokenizer, fields, data.channels) for fields in (samples.fields, predicted))
    third, fourth = None, None
    if operator.projector_state_ and found.finite.any():
        own = replace(samples.take(found.finite), fields=predicted[found.finite])
        projected = _projected(operator, tokenizer, own)
        latents = _of_samples(true, found) if target == "truth" else found.latents
        third = sections.alignment(projected.mean(1), torch.cat(latents, 1), seed)
        fourth = sections.consistency(projected)
    parts: dict[str, Any] = {part: samples}
    cut = replace(data, **parts)
    return Diagnosis(
        samples=len(samples),
        steps=samples.steps,
        diverged=int((~found.finite).sum()),
        reconstruction=sections.reconstruction(found.error, true.error, tokenizer.categories),
        diversity=sections.diversity(found.tokens, true.tokens, tokenizer.codebook_sizes),
        alignment=third,
        consistency=fourth,
        sensitivity=None if system is None else parameter_sensitivity(operator, cut, system),
        evaluation=evaluate({OPERATOR: operator, **baselines_of(data)}, cut, part=part, groups={}),
    )


def _of_samples(true: Behaviour, found: Behaviour) -> list[Tensor]:
    """Return the true latents of the samples whose predictions are finite."""
    kept = torch.from_numpy(np.flatnonzero(found.finite[true.finite]))
    return [one.cpu()[kept] for one in true.latents]


def _projected(operator: NeuralOperator, tokenizer: AlignmentTokenizer, samples: Samples) -> Tensor:
    """Return projected features at some steps.  [samples, steps, latents]"""
    weights: Mapping[str, Any] = operator.projector_state_
    projector = LatentProjector.of(weights)
    numbers = tokenizer.latent_dim * len(tokenizer.codebook_sizes)
    if projector.outer.out_features != numbers:
        raise ConfigError(
            f"the operator was aligned with a tokenizer of {projector.outer.out_features} latent numbers, this one has "
            f"{numbers}: take the one that it was trained with"
        )
    found = []
    with torch.no_grad():
        for step in sampled_steps(STEPS, samples.steps):
            features = operator.bottleneck(samples.fields[:, step], samples.parameters)
            pooled = torch.from_numpy(features).flatten(2).mean(2).to(projector.inner.weight)
            found.append(projector(pooled).cpu())
    return torch.stack(found, 1)
