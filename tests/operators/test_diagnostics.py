"""Every verdict is met by figures that deserve it, the report is as its readers know it, sections have known values."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from operators import aligned
from potentia.errors import ConfigError
from potentia.operators import FNOConfig, NeuralOperator, OperatorTrainingConfig, evaluate
from potentia.operators.alignment import Alignment as Terms
from potentia.operators.baselines import Persistence
from potentia.operators.diagnostics import Alignment, Consistency, Diversity, Reconstruction, diagnose, sections
from potentia.operators.diagnostics.diagnose import Diagnosis
from potentia.operators.evaluation import Sensitivity
from potentia.operators.tokenizer import BehaviorTokenizer, TokenizerConfig, TokenizerTrainingConfig

KNOWN = """\
============================================================
L_latent Alignment Diagnostics
============================================================

1. VQ Reconstruction Quality
Total MSE: 0.3245
Per-category reconstruction errors:
  INITIAL     : 0.2134
  SUMMARY     : 0.3891
  TEMPORAL    : 0.3710
➜ Quality Assessment: Good

2. Token Diversity
Overall utilization: 67.3% (1234/1834 codes)
Token entropy: 5.83
➜ Diversity Assessment: Good

3. Alignment Correlation
Cosine similarity: 0.623 ± 0.084
L_latent (MSE): 0.521
➜ Correlation Assessment: Moderate

4. Temporal Consistency
Latent norm: 12.345 ± 0.678
Coefficient of variation: 0.055
➜ Consistency Assessment: Good

Overall Summary
VQ Reconstruction:      Good
Token Diversity:        Good
Alignment Correlation:  Moderate
Temporal Consistency:   Good

➜ Final Verdict: GOOD - L_latent provides meaningful alignment
"""


def findings(error=0.3245, used=1234, cosine=0.623, spread=0.678):
    data = aligned.data(4, 4)
    parts = {"initial": 0.2134, "summary": 0.3891, "temporal": 0.3710}
    return Diagnosis(
        samples=100,
        steps=6,
        diverged=0,
        reconstruction=Reconstruction(error, parts, 0.3),
        diversity=Diversity(used, 1834, 1500, 1300, 5.83, 5.9),
        alignment=Alignment(cosine, 0.084, 0.521, 0.4, 0.2),
        consistency=Consistency(12.345, spread),
        sensitivity=Sensitivity(0.5, 1.0),
        evaluation=evaluate({"operator": Persistence()}, data),
    )


def test_the_report_is_as_its_readers_know_it():
    text = str(findings())
    assert text.startswith(KNOWN)
    assert "ratio 0.500 (1 is right)" in text
    assert "with the latents of other samples: 0.200" in text
    assert "6. Error Growth" in text


@pytest.mark.parametrize(
    ("figures", "words", "verdict"),
    [
        ((0.05, 1500, 0.8, 0.1), ["Excellent", "Excellent", "Strong", "Excellent"], "EXCELLENT"),
        ((0.4, 1000, 0.6, 1.0), ["Good", "Good", "Moderate", "Good"], "GOOD"),
        ((0.9, 600, 0.4, 2.0), ["Moderate", "Moderate", "Weak", "Moderate"], "MODERATE"),
        ((1.0, 500, 0.1, 3.0), ["Poor", "Poor", "Poor", "Poor"], "POOR"),
    ],
)
def test_every_verdict_is_met(figures, words, verdict):
    found = findings(*figures)
    assert list(found.words.values()) == words
    assert found.verdict == verdict
    assert f"➜ Final Verdict: {verdict} - L_latent provides" in str(found)


def test_reconstruction_is_the_mean_of_its_categories_by_hand():
    error = np.array([[1.0, 3.0, 2.0], [1.0, 5.0, 0.0]])
    found = sections.reconstruction(error, np.zeros((2, 3)), {"a": (0,), "b": (1, 2)})
    assert (found.error, found.categories, found.true_error) == (2.0, {"a": 1.0, "b": 2.5}, 0.0)
    assert sections.reconstruction(np.zeros((0, 3)), error, {"a": (0,)}).word == "Poor"


def test_codes_of_different_codebooks_are_not_pooled():
    tokens = np.array([[0, 0], [1, 0], [2, 0], [3, 0]])
    found = sections.diversity(tokens, tokens[:1], [8, 2])
    assert (found.used, found.codes, found.reachable, found.true_used) == (5, 10, 6, 2)
    assert found.entropy == pytest.approx(math.log(4) / 2)
    assert sections.diversity(np.where(tokens == 3, -1, tokens), tokens, [8, 2]).used == 4


def test_a_constant_has_a_high_cosine_for_free():
    draw = torch.Generator().manual_seed(0)
    z = 10 + torch.randn(200, 6, generator=draw)
    found = sections.alignment(z.mean(0).expand_as(z) + 0.1 * torch.randn(200, 6, generator=draw), z)
    assert found.cosine > 0.99
    assert found.shuffled > 0.99
    assert abs(found.centred) < 0.1
    own = sections.alignment(z, z)
    assert (own.cosine, own.error, own.centred) == pytest.approx((1.0, 0.0, 1.0))
    assert own.shuffled < 1


def test_consistency_is_over_time_and_not_over_samples():
    steady = torch.arange(1.0, 5.0).view(4, 1, 1).expand(4, 10, 1)
    assert sections.consistency(steady).variation == 0
    swinging = torch.tensor([1.0, 3.0]).repeat(5).view(1, 10, 1)
    assert sections.consistency(swinging).variation == pytest.approx(0.5)


@pytest.fixture(scope="module")
def operator():
    made = NeuralOperator(FNOConfig(width=4, modes=3, layers=1))
    config = OperatorTrainingConfig(epochs=2, seed=3, lr=1e-2)
    with pytest.warns(match="pass no gradient on"):
        made.train(aligned.data(), config, alignment=Terms(aligned.tokenizer(), lambda_latent=0.5, hidden=8))
    return made


def test_a_trained_operator_is_diagnosed(operator, tmp_path):
    found = diagnose(operator, aligned.tokenizer(), aligned.data(), n_samples=10)
    assert found.samples == 10
    assert len(found.words) == 4
    assert math.isfinite(found.alignment.cosine)
    table = found.evaluation.scores
    assert {"operator", "zero", "mean", "persistence", "linear"} <= set(table.index.get_level_values("predictor"))
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["verdict"] == found.verdict
    assert len(plain["by_step"]) == len(found.evaluation.by_step)
    assert pd.DataFrame(plain["scores"])["rel_l2"].notna().all()
    found.plot(tmp_path / "diagnosis.png")
    assert (tmp_path / "diagnosis.png").stat().st_size > 10_000


def test_without_projector_there_are_two_sections(operator):
    plain = NeuralOperator.from_parts(operator.recipe(), operator.learned())
    plain.fitted().projector.clear()
    found = diagnose(plain, aligned.tokenizer(), aligned.data(), n_samples=4)
    assert list(found.words) == ["VQ Reconstruction", "Token Diversity"]
    assert "trained without lambda_latent" in str(found)


def test_a_tokenizer_of_other_sizes_is_refused(operator):
    other = BehaviorTokenizer(TokenizerConfig(codes=4, levels=1, latent_dim=2, hidden=4, decoder_hidden=4))
    other.train(aligned.features(12), TokenizerTrainingConfig(epochs=1, seed=0))
    with pytest.raises(ConfigError, match="aligned with a tokenizer of 24 latent numbers, this one has 6"):
        diagnose(operator, other, aligned.data())
