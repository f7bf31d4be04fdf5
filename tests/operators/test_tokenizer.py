"""Laws of the tokenizer: what it is trained on, how it resumes, what it refuses, and what any tokenizer does."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from operators.behaviours import SMALL, features, trained, waves
from potentia.errors import ConfigError, DataError, FileFormatError, NotFittedError, PotentiaWarning
from potentia.operators.dataset import Samples
from potentia.operators.features import feature_set
from potentia.operators.tokenizer import (
    BehaviorTokenizer,
    Quantised,
    Tokenizer,
    TokenizerConfig,
    TokenizerTrainingConfig,
)
from potentia.operators.tokenizer.task import FollowingCodes, TokenizerTask
from potentia.train import Adam, Callback, Run
from potentia.train.engine import take_step

DATA = features()
PAIR = np.array([3, 8])
HELD_OUT = features(30, seed=1)
KINDS = {
    "vq": {},
    "fsq": {"quantizer": "fsq", "fsq_values": (5, 4)},
    "clusters": {"categories": "cluster", "orthogonality": 0.1, "topography": 0.1},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def tokenizer() -> BehaviorTokenizer:
    return trained(DATA, epochs=30)


class Rounding:
    """The smallest tokenizer: one category, one level, whole numbers from −4 to 4."""

    latent_dim, codebook_sizes, feature_version, horizon = 2, [81], "2", 8
    feature_names = ("summary.energy_growth", "summary.energy_ratio")
    categories = {"all": (0, 1)}

    def normalize(self, given):
        return torch.stack([given.column(name) for name in self.feature_names], 1)

    def encode(self, normalized):
        return [normalized.clamp(-4, 4)]

    def quantize(self, latents):
        codes = latents[0].detach().round()
        info = {"commitment": (latents[0] - codes).square().mean()}
        return Quantised(
            [latents[0] + (codes - latents[0]).detach()], (codes @ torch.tensor([1.0, 9.0]) + 40).long()[:, None], info
        )

    def decode(self, latents):
        return latents[0]


def commitment_of(tokenizer: Tokenizer, fields: torch.Tensor) -> torch.Tensor:
    return tokenizer.quantize(tokenizer.encode(tokenizer.normalize(feature_set(fields)))).info["commitment"]


@pytest.mark.parametrize("which", ["rounding", *KINDS])
def test_any_tokenizer_has_latents_codes_and_gradients_for_each_entry(which):
    one: Tokenizer = Rounding() if which == "rounding" else trained(DATA, epochs=1, **KINDS[which])
    normalized = one.normalize(HELD_OUT)
    assert normalized.shape == (30, len(one.feature_names))
    assert sorted(k for columns in one.categories.values() for k in columns) == list(range(len(one.feature_names)))
    latents = one.encode(normalized)
    assert [tuple(each.shape) for each in latents] == [(30, one.latent_dim)] * len(one.codebook_sizes)
    found = one.quantize(latents)
    assert found.tokens.dtype == torch.int64
    assert found.tokens.shape == (30, len(one.codebook_sizes))
    assert (found.tokens >= 0).all()
    assert (found.tokens < torch.tensor(one.codebook_sizes)).all()
    assert one.decode(found.latents).shape == normalized.shape
    fields = waves(4, seed=2).requires_grad_()
    commitment_of(one, fields).backward()
    assert fields.grad.isfinite().all()
    assert fields.grad.any()


@every_kind
def test_the_protocol_and_the_network_rebuild_the_same_and_pass_the_same_gradient_on(kind):
    one = trained(DATA, epochs=2, **KINDS[kind])
    network = one.fitted().network
    gradients = []
    for rebuild in (lambda x: one.decode(one.quantize(one.encode(x)).latents), lambda x: network(x).reconstruction):
        x = one.normalize(HELD_OUT).requires_grad_()
        rebuilt = rebuild(x)
        rebuilt.square().sum().backward()
        gradients.append((rebuilt.detach().numpy(), x.grad.numpy()))
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_entries_are_ordered_by_category_and_then_by_level(tokenizer):
    entries = tokenizer.encode(tokenizer.normalize(HELD_OUT))
    codes = tokenizer.quantize(entries).latents
    for category in range(3):
        first, second = entries[2 * category], entries[2 * category + 1]
        np.testing.assert_allclose(second, first - codes[2 * category], atol=1e-6)


def test_training_learns_and_uses_its_codes():
    one = BehaviorTokenizer(TokenizerConfig(**SMALL))
    out = one.train(DATA, TokenizerTrainingConfig(epochs=30, batch_size=16, seed=1), val=HELD_OUT)
    health = one.health(HELD_OUT)
    assert out.stats["min_val_loss"] == pytest.approx(health.mse, rel=1e-4)
    assert out.errors["val_used"].iloc[out.kept_epoch - 1] == pytest.approx(health.utilisation)
    assert out.stats["min_val_loss"] < 0.95 * out.errors["val_loss"].iloc[0]
    assert health.utilisation > 0.5
    assert one.metadata["epochs"] == 30
    assert "validation part" in str(out)
    assert out.plot_training_errors().axes


def test_categories_are_families_and_constant_features_are_left_out(tokenizer):
    assert list(tokenizer.categories) == ["initial", "summary", "temporal"]
    assert "temporal.mean.dct0" in tokenizer.left_out  # rounding
    assert not set(tokenizer.left_out) & set(tokenizer.feature_names)
    assert len(tokenizer.left_out) + len(tokenizer.feature_names) == len(DATA.names)
    for name, columns in tokenizer.categories.items():
        assert {tokenizer.feature_names[k].split(".")[0] for k in columns} == {name}


def test_statistics_are_those_of_the_training_part_and_do_not_depend_on_the_batch(tokenizer):
    one = BehaviorTokenizer(TokenizerConfig(**SMALL))
    one.train(DATA, TokenizerTrainingConfig(epochs=1, seed=1), val=HELD_OUT)
    normalized = one.normalize(DATA)
    near = (normalized.abs() <= 4).all(0)  # others are levelled off
    assert near.sum() > 20
    np.testing.assert_allclose(normalized[:, near].mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(normalized[:, near].std(0, correction=0), 1, rtol=1e-3)
    np.testing.assert_allclose(one.normalize(DATA.take(np.array([3]))), normalized[[3]])
    whole, part = (
        one.decode(one.quantize(one.encode(one.normalize(given))).latents) for given in (DATA, DATA.take(PAIR))
    )  # tokens may differ: two codes of a level may be one and the same
    np.testing.assert_allclose(part, whole[PAIR], atol=1e-3)


def test_heavy_tails_are_normalised_after_a_logarithm(tokenizer):
    name = "summary.step_change_max"
    column = DATA.columns[DATA.names.index(name)]
    assert column.heavy
    scaling = tokenizer.fitted().scaling
    place = scaling.names.index(name)
    shown = torch.log1p(DATA.column(name).double())
    expected = (shown - scaling.mean[place]) / scaling.std[place]
    np.testing.assert_allclose(tokenizer.normalize(DATA)[:, place], expected, rtol=1e-4, atol=1e-5)


def test_samples_of_one_set_of_parameters_are_on_one_side_of_the_split():
    group = np.repeat(np.arange(12), 5)
    one = BehaviorTokenizer(TokenizerConfig(**SMALL))
    out = one.train(replace(DATA, group=group), TokenizerTrainingConfig(epochs=1, seed=1, val_percent=25))
    assert out.n_train_samples == 45


def test_tokens_of_fields_samples_and_features_are_the_same(tokenizer):
    fields = waves(30, seed=1)
    tokens = tokenizer.tokens_of(HELD_OUT)
    assert tokens.dtype == np.int64
    np.testing.assert_array_equal(tokenizer.tokens(fields), tokens)
    samples = Samples(fields.numpy(), np.zeros((30, 1)), np.arange(30))
    np.testing.assert_array_equal(tokenizer.tokens(samples), tokens)


def test_a_seed_decides_and_global_generators_are_left_alone():
    before = torch.get_rng_state()
    first, second = trained(DATA), trained(DATA)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.mark() == second.mark()
    other = BehaviorTokenizer(TokenizerConfig(**SMALL))
    other.train(DATA, TokenizerTrainingConfig(epochs=1, seed=2))
    assert other.mark() != first.mark()


def test_a_batch_that_is_left_out_does_not_move_the_codes(tokenizer):
    network = tokenizer.fitted().network
    data = tokenizer.normalize(DATA)
    model = copy.deepcopy(network).requires_grad_(True)
    task = TokenizerTask(data.clone(), data, tokenizer.config)
    task.train[7] = np.inf
    run = Run(model, Adam(), seed=1, batches=2)
    for batch, moved in ((np.arange(5, 10), False), (np.arange(5), True)):
        before = model.quantiser.codebooks.clone()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PotentiaWarning)
            take_step(run, task, batch)
        FollowingCodes(task, every=1).on_batch(run)
        assert torch.equal(model.quantiser.codebooks, before) is not moved


class StopAt(Callback):
    """Interrupts after so many batches in all."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_batch(self, run):
        self.left -= 1
        if self.left == 0:
            run.interrupted = "for a test"


@every_kind
def test_an_interrupted_training_goes_on_as_if_nothing_had_been(kind, tmp_path):
    config = {"epochs": 5, "batch_size": 16, "seed": 1}
    whole = BehaviorTokenizer(TokenizerConfig(**(SMALL | KINDS[kind])))
    expected = whole.train(DATA, TokenizerTrainingConfig(**config))
    saving = TokenizerTrainingConfig(**config, checkpoint_dir=str(tmp_path), checkpoint_interval=0)
    part = BehaviorTokenizer(TokenizerConfig(**(SMALL | KINDS[kind])))
    assert part.train(DATA, saving, callbacks=[StopAt(10)]).resumable
    (path,) = tmp_path.glob("checkpoint*batch*.pt")
    resumed = BehaviorTokenizer(TokenizerConfig(**(SMALL | KINDS[kind])))
    out = resumed.train(DATA, saving, resume_from=path)
    assert out.errors.equals(expected.errors)
    assert resumed.mark() == whole.mark()
    assert BehaviorTokenizer.load(path).tokens_of(DATA).shape == (60, len(whole.codebook_sizes))
    with pytest.raises(ConfigError, match=r"since then changed:\n  data\.mark"):
        resumed.train(HELD_OUT, saving, resume_from=path)


@every_kind
def test_a_saved_tokenizer_is_the_same(kind, tmp_path):
    one = trained(DATA, epochs=2, **KINDS[kind])
    one.save(tmp_path / "tokenizer.pt", {"note": "waves"})
    loaded = BehaviorTokenizer.load(tmp_path / "tokenizer.pt")
    np.testing.assert_array_equal(loaded.tokens_of(HELD_OUT), one.tokens_of(HELD_OUT))
    assert loaded.mark() == one.mark()
    assert repr(loaded) == repr(one)
    assert loaded.metadata["extra_metadata"] == {"note": "waves"}
    assert str(loaded.health(HELD_OUT)) == str(one.health(HELD_OUT))


def test_health_tells_what_is_rebuilt_and_how_much_of_the_codes_is_used(tokenizer):
    health = tokenizer.health(HELD_OUT)
    x = tokenizer.normalize(HELD_OUT).double()
    rebuilt = tokenizer.decode(tokenizer.quantize(tokenizer.encode(x)).latents).double()
    assert health.mse == pytest.approx((x - rebuilt).square().mean().item(), rel=1e-5)
    name = "summary.energy_growth"
    k = tokenizer.feature_names.index(name)
    r2 = 1 - (x - rebuilt).square()[:, k].mean() / x[:, k].var(correction=0)
    assert health.r2[name] == pytest.approx(r2.item(), rel=1e-5)
    tokens = tokenizer.tokens_of(HELD_OUT)
    for entry, (_, row) in enumerate(health.codebooks.iterrows()):
        p = np.unique(tokens[:, entry], return_counts=True)[1] / 30
        assert row["used"] == len(p)
        assert row["perplexity"] == pytest.approx(np.exp(-(p * np.log(p)).sum()))
        assert row["reachable"] == row["codes"] == 6
    assert health.bits == pytest.approx(6 * np.log2(6))
    assert 0 < health.entropy <= health.bits
    assert health.pca_mse < health.rounded_pca_mse
    columns = list(tokenizer.categories["summary"])
    nmse = (x - rebuilt).square()[:, columns].mean() / x[:, columns].var(0, correction=0).mean()
    assert health.nmse["summary"] == pytest.approx(nmse.item(), rel=1e-5)
    assert list(health.worst(3).index) == list(health.r2.sort_values().index[:3])
    assert "of the codes are used, so many samples can use 100%" in str(health)


def test_features_far_from_those_of_the_training_level_off_and_are_counted(tokenizer):
    k = tokenizer.feature_names.index("summary.energy_growth")
    place = HELD_OUT.names.index("summary.energy_growth")
    scaling = tokenizer.fitted().scaling
    deviations = torch.tensor([-1000.0, -4.0, 0.0, 3.0, 4.0, 5.0, 6.0, 1000.0], dtype=torch.float64)
    values = HELD_OUT.take(np.arange(8)).values.clone().double()
    values[:, place] = deviations * scaling.std[k] + scaling.mean[k]
    given = replace(HELD_OUT, values=values.requires_grad_())
    found = tokenizer.normalize(given)[:, k]
    np.testing.assert_allclose(found.detach(), [-5.996, -4, 0, 3, 4, 4 + 2 / 3, 5, 5.996], atol=1e-3)
    (slope,) = torch.autograd.grad(found.sum(), values)
    assert (slope[:, place] > 0).all()
    health = tokenizer.health(replace(HELD_OUT, values=values.detach()))
    normalized = tokenizer.normalize(replace(HELD_OUT, values=values.detach()))
    assert health.beyond == pytest.approx((normalized.abs() > 4).double().mean().item())
    assert health.beyond > 0
    assert "levelled off, more than 4 deviations" in str(health)


def test_few_samples_cannot_use_all_codes(tokenizer):
    health = tokenizer.health(HELD_OUT.take(np.arange(3)))
    assert health.reachable == 0.5
    assert health.utilisation <= 0.5
    with pytest.raises(DataError, match="2 samples at least, got 1"):
        tokenizer.health(HELD_OUT.take(np.arange(1)))


def test_other_features_than_those_of_the_training_are_refused(tokenizer):
    with pytest.raises(DataError, match="features of version 0, the tokenizer was trained on version 2"):
        tokenizer.normalize(replace(HELD_OUT, version="0"))
    with pytest.raises(DataError, match="trajectories of 8 steps, these features are of 9"):
        tokenizer.tokens(waves(3, steps=9))
    with pytest.raises(DataError, match=r"missing: none; unknown: temporal.corr_mean.dct0"):
        tokenizer.tokens(waves(3, channels=2))
    with pytest.raises(DataError, match=r"missing: initial.cluster_count.* and 9 more"):
        tokenizer.normalize(feature_set(waves(3), ["summary", "temporal"]))
    with pytest.raises(DataError, match=r"must have shape \[samples, \d+\], got \(3, 2\)"):
        tokenizer.encode(torch.zeros(3, 2))
    with pytest.raises(DataError, match=r"there must be 6 latents of shape \[samples, 4\]"):
        tokenizer.decode([torch.zeros(3, 4)])
    values = HELD_OUT.values.clone()
    values[4, 0] = np.nan
    with pytest.raises(DataError, match=r"initial\.cluster_count of sample 4 is nan"):
        tokenizer.normalize(replace(HELD_OUT, values=values))
    named = BehaviorTokenizer(TokenizerConfig(**SMALL))
    named.train(feature_set(waves(20), channels=["u"]), TokenizerTrainingConfig(epochs=1, seed=1))
    with pytest.raises(DataError, match="trained on the channels u, got v"):
        named.tokens(waves(3), channels=["v"])


def test_what_cannot_be_trained_on_is_refused():
    one = BehaviorTokenizer(TokenizerConfig(**SMALL))
    with pytest.raises(NotFittedError, match="call `train` first"):
        one.tokens(waves(3))
    architecture = tuple(replace(column, family="architecture") for column in DATA.columns)
    with pytest.raises(DataError, match="tell parameters and no behaviour: leave that family out"):
        one.train(replace(DATA, columns=architecture))
    still = feature_set(waves(1).repeat(8, 1, 1, 1))
    with pytest.raises(DataError, match="are the same for all"):
        one.train(still, val=still)
    with pytest.raises(DataError, match="10 % of 5 samples are none: give features of a validation part"):
        one.train(DATA.take(np.arange(5)))
    with pytest.raises(FileFormatError):
        BehaviorTokenizer.load(__file__)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"quantizer": "vqq"}, "did you mean 'vq'"),
        ({"codes": 1}, "codes must be an integer of at least 2"),
        ({"decay": 1.0}, "decay must be between 0 and 1"),
        ({"least_clusters": 4, "most_clusters": 3}, "most_clusters must be an integer of at least 4"),
        ({"fsq_values": ()}, "fsq_values must name"),
        ({"fsq_values": (3, 1)}, "each of fsq_values"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        TokenizerConfig(**changed)


def test_training_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="learning_rate must be greater than 0"):
        TokenizerTrainingConfig(learning_rate=0.0)
    with pytest.raises(ConfigError, match="val_percent must be between 0 and 100"):
        TokenizerTrainingConfig(val_percent=0)
    with pytest.raises(ConfigError, match="scheduler must be Cosine"):
        TokenizerTrainingConfig(scheduler="cosine")
