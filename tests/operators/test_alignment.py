"""Laws of an alignment: what reaches the operator, what stays as it was, which steps and whose latents count."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from operators import aligned
from potentia.errors import ConfigError, DataError, NotFittedError, PotentiaWarning
from potentia.operators import FNOConfig, NeuralOperator, OperatorTrainingConfig
from potentia.operators.alignment import Alignment, LatentProjector, commitment, sampled_steps
from potentia.operators.alignment_terms import Rolled
from potentia.operators.features import feature_set
from potentia.operators.networks.base import FieldShape
from potentia.operators.normaliser import Normaliser
from potentia.operators.rollout import rollout
from potentia.operators.tokenizer import BehaviorTokenizer
from potentia.seeding import torch_seeded

NETWORK = FNOConfig(width=4, modes=3, layers=1)
STIFF = "pass no gradient on, so L_commit cannot change them"


def rolled(network=None, n=5, grad="all"):
    """Return roll-outs of a small network."""
    with torch_seeded(torch.device("cpu"), 0, "weights"):
        network = network or NETWORK.build(FieldShape(1, 1, aligned.SPACE.width))
    part = aligned.samples(n, 3, 0)
    normaliser = Normaliser.fit(part)
    truth = normaliser.scaled(torch.from_numpy(part.fields))
    seen = torch.from_numpy(aligned.SPACE.embed(part.parameters)).float()
    return Rolled(network, rollout(network, truth[:, 0], seen, aligned.STEPS, grad=grad), truth, seen, normaliser)


def projector_of(alignment, network):
    with torch_seeded(torch.device("cpu"), 1, "projector"):
        return alignment.projector(network)


def trained(alignment, epochs=2, **how):
    operator = NeuralOperator(NETWORK)
    config = OperatorTrainingConfig(epochs=epochs, seed=3, bptt_window=3, lr=1e-2, **how.pop("config", {}))
    with pytest.warns(PotentiaWarning, match=STIFF):
        out = operator.train(aligned.data(), config, alignment=alignment, **how)
    return operator, out


def test_the_commitment_reaches_the_operator_and_not_the_tokenizer():
    one, alignment = rolled(), Alignment(aligned.tokenizer())
    before = aligned.tokenizer().mark()
    alignment.terms(None, one)["commit"].backward()
    for name, parameter in one.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    assert aligned.tokenizer().mark() == before
    assert not any(p.requires_grad for p in aligned.tokenizer().fitted().network.parameters())


def test_the_commitment_is_the_mean_square_distance_to_the_codes():
    tokenizer = aligned.tokenizer()
    latents = tokenizer.encode(tokenizer.normalize(feature_set(aligned.samples(7, 5, 0))))
    by_hand = [(z - q).square().mean() for z, q in zip(latents, tokenizer.quantize(latents).latents, strict=True)]
    assert float(commitment(tokenizer, latents)) == pytest.approx(float(torch.stack(by_hand).mean()))
    on_codes = [q.detach() for q in tokenizer.quantize(latents).latents]
    first = commitment(tokenizer, [on_codes[0], *latents[1:]]) * len(latents)
    assert float(first) == pytest.approx(float(torch.stack(by_hand[1:]).sum()), rel=1e-5)


@pytest.mark.parametrize("target", ["truth", "prediction"])
def test_the_latent_term_is_the_distance_of_projected_features_to_latents_of_the_target(target):
    one = rolled()
    alignment = Alignment(aligned.tokenizer(), lambda_commit=0, lambda_latent=0.5, target=target, hidden=8)
    projector = projector_of(alignment, one.network)
    found = alignment.terms(projector, one)
    assert list(found) == ["latent"]
    tokenizer, fields = aligned.tokenizer(), {"truth": one.truth, "prediction": one.predicted}[target]
    features = feature_set(one.normaliser.unscaled(fields))
    wanted = torch.cat(tokenizer.encode(tokenizer.normalize(features)), 1).detach()
    steps = [
        projector(one.network.intermediate_features(one.predicted[:, t], one.parameters)["bottleneck"].mean(2))
        for t in (1, 4, 6)  # the default of 3 steps out of 6
    ]
    assert float(found["latent"].detach()) == pytest.approx(
        float((sum(steps) / 3 - wanted).detach().square().mean()), rel=1e-5
    )
    found["latent"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in projector.parameters())


def test_which_steps_are_sampled():
    assert sampled_steps(1, 256) == [128]
    assert sampled_steps(3, 256) == [1, 129, 256]
    assert sampled_steps(-1, 4) == sampled_steps(9, 4) == [1, 2, 3, 4]
    assert len(set(sampled_steps(8, 256))) == 8


@pytest.mark.parametrize("steps", [1, -1])
def test_one_step_and_all_steps_work(steps):
    one = rolled(grad="none")
    alignment = Alignment(aligned.tokenizer(), lambda_latent=0.1, latent_sample_steps=steps, hidden=8)
    found = alignment.terms(projector_of(alignment, one.network), one)
    assert set(found) == {"commit", "latent"}
    assert all(math.isfinite(value.detach()) for value in found.values())


def test_a_training_moves_the_projector_and_leaves_the_tokenizer(tmp_path):
    alignment = Alignment(aligned.tokenizer(), lambda_latent=0.5, hidden=8)
    before = aligned.tokenizer().mark()
    operator, out = trained(alignment, config={"checkpoint_dir": str(tmp_path), "save_best": False})
    assert {"train_commit", "train_latent", "val_commit", "val_latent"} <= set(out.errors)
    assert np.isfinite(out.errors.to_numpy()).all()
    assert aligned.tokenizer().mark() == before
    first = NeuralOperator.load(tmp_path / "epoch_1.pt").projector_state_
    last = operator.projector_state_
    for name in ("inner.weight", "norm.weight", "outer.weight"):
        assert not torch.equal(first[name], last[name]), name
    again = LatentProjector.of(last)
    assert all(torch.equal(last[name], weights) for name, weights in again.state_dict().items())


def test_resumed_with_another_alignment_is_refused(tmp_path):
    trained(Alignment(aligned.tokenizer()), 1, config={"checkpoint_dir": str(tmp_path)})
    config = OperatorTrainingConfig(epochs=2, seed=3, bptt_window=3, lr=1e-2)
    with pytest.warns(PotentiaWarning, match=STIFF), pytest.raises(ConfigError, match="lambda_commit"):
        NeuralOperator(NETWORK).train(
            aligned.data(),
            config,
            tmp_path / "epoch_1.pt",
            alignment=Alignment(aligned.tokenizer(), lambda_commit=0.6),
            allow_changes=["config"],
        )


def test_what_has_left_the_numbers_is_nan_and_no_error():
    one = rolled()
    one.predicted.data[0, -1] = math.inf
    found = Alignment(aligned.tokenizer()).terms(None, one)
    assert math.isnan(found["commit"].detach())


def test_what_does_not_fit_the_tokenizer_is_refused_before_training():
    alignment, config = Alignment(aligned.tokenizer()), OperatorTrainingConfig(epochs=1)
    with pytest.raises(
        ConfigError, match=r"trained on trajectories of 6 steps, `train` of waves has 5: train with time"
    ):
        NeuralOperator(NETWORK).train(aligned.data(steps=5), config, alignment=alignment)
    with pytest.raises(NotFittedError, match="this BehaviorTokenizer has learned nothing yet"):
        NeuralOperator(NETWORK).train(aligned.data(), config, alignment=Alignment(BehaviorTokenizer()))
    other = aligned.data()
    object.__setattr__(other, "channels", ("v",))
    with pytest.raises(DataError, match="trained on the channels u, got v"):
        NeuralOperator(NETWORK).train(other, config, alignment=alignment)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lambda_commit": -1}, "lambda_commit must be a finite number of at least 0"),
        ({"latent_sample_steps": 0}, "latent_sample_steps must be at least 1, or -1 for all steps"),
        ({"target": "thruth"}, "did you mean 'truth'"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        Alignment(aligned.tokenizer(), **settings)
