"""A diagnosis in words: four sections and a verdict, then what they have to be read beside."""

from __future__ import annotations

from potentia.operators.diagnostics.findings import OPERATOR, Findings
from potentia.operators.diagnostics.sections import Alignment, Consistency
from potentia.operators.diagnostics.verdicts import FINAL
from potentia.words import worded

__all__ = ["report"]

RULE = "=" * 60
SCORES = ["rel_l2", "vrmse", "one_step_vrmse", "valid_time", "error_low", "error_mid", "error_high"]
ABSENT = "not available: the operator was trained without lambda_latent, so it has no projector"


def report(findings: Findings) -> str:
    """Return the report, lines up to the final verdict in a fixed order."""
    first, second = findings.reconstruction, findings.diversity
    sections = [
        [
            "1. VQ Reconstruction Quality",
            f"Total MSE: {first.error:.4f}",
            "Per-category reconstruction errors:",
            *(f"  {name.upper():<12}: {error:.4f}" for name, error in first.categories.items()),
            f"➜ Quality Assessment: {first.word}",
        ],
        [
            "2. Token Diversity",
            f"Overall utilization: {second.utilisation:.1%} ({second.used}/{second.codes} codes)",
            f"Token entropy: {second.entropy:.2f}",
            f"➜ Diversity Assessment: {second.word}",
        ],
        ["3. Alignment Correlation", *_alignment(findings.alignment)],
        ["4. Temporal Consistency", *_consistency(findings.consistency)],
        ["Overall Summary", *(f"{name + ':':<23} {word}" for name, word in findings.words.items())],
        [f"➜ Final Verdict: {findings.verdict} - {FINAL[findings.verdict]}"],
    ]
    head = [RULE, "L_latent Alignment Diagnostics", RULE]
    return "\n\n".join("\n".join(lines) for lines in [head, *sections, _beside(findings), *_ours(findings)])


def _alignment(found: Alignment | None) -> list[str]:
    if found is None:
        return [ABSENT]
    return [
        f"Cosine similarity: {found.cosine:.3f} ± {found.spread:.3f}",
        f"L_latent (MSE): {found.error:.3f}",
        f"➜ Correlation Assessment: {found.word}",
    ]


def _consistency(found: Consistency | None) -> list[str]:
    if found is None:
        return [ABSENT]
    return [
        f"Latent norm: {found.norm:.3f} ± {found.spread:.3f}",
        f"Coefficient of variation: {found.variation:.3f}",
        f"➜ Consistency Assessment: {found.word}",
    ]


def _beside(findings: Findings) -> list[str]:
    """Return what the first sections mean little without."""
    first, second, third = findings.reconstruction, findings.diversity, findings.alignment
    lines = [
        "To be read beside it",
        f"{findings.samples} samples of {findings.steps} steps, {findings.diverged} predictions diverged",
        f"1. Total MSE of the truth: {first.true_error:.4f}",
        f"2. The truth uses {second.true_used} codes, entropy {second.true_entropy:.2f}; so many samples can use no "
        f"more than {second.reachable}",
    ]
    if third is not None:
        lines.append(
            f"3. Cosine similarity without the means: {third.centred:.3f}; with the latents of other samples: "
            f"{third.shuffled:.3f}"
        )
    return lines


def _ours(findings: Findings) -> list[list[str]]:
    """Return the sections that have no word."""
    table = worded(findings.evaluation.scores[SCORES]).xs("all", level="group")
    found = findings.sensitivity
    fifth = ["not available: no system was given"]
    if found is not None:
        fifth = [
            f"Variance over parameters / over time: {found.predicted:.3f}, of the truth {found.truth:.3f}; ratio "
            f"{found.ratio:.3f} (1 is right)"
        ]
    steps = findings.evaluation.by_step.xs((OPERATOR, "all"), level=("predictor", "group"))["rel_l2"]
    shown = {1: steps.iloc[0], (len(steps) + 1) // 2: steps.iloc[(len(steps) + 1) // 2 - 1], len(steps): steps.iloc[-1]}
    growth = ", ".join(f"step {step}: {value:.4g}" for step, value in shown.items())
    return [
        ["5. Parameter Sensitivity", *fifth],
        [
            "6. Error Growth",
            f"Relative L2 error: {growth}",
            table.to_string(float_format=lambda value: f"{value:.4g}"),
        ],
    ]
