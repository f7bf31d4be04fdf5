"""Laws of quantisers: nearest codes, levels of what is left, gradients, running means, dead codes, categories."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from operators.behaviours import SMALL
from potentia.operators.tokenizer import TokenizerConfig
from potentia.operators.tokenizer.categories import by_clusters, by_family
from potentia.operators.tokenizer.fsq import FSQ
from potentia.operators.tokenizer.network import TokenizerNetwork
from potentia.operators.tokenizer.principal import PrincipalCode
from potentia.operators.tokenizer.regularisers import orthogonality, topography
from potentia.operators.tokenizer.residual_vq import ResidualVQ, k_means
from potentia.seeding import stream

CATEGORIES = {"a": (0, 2), "b": (1, 3, 4)}


def latents(samples: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, samples, 3, generator=torch.Generator().manual_seed(seed))


def codes(levels: int = 3, size: int = 5, decay: float = 0.9) -> ResidualVQ:
    quantiser = ResidualVQ(2, 3, levels, size, decay, 0.2)
    quantiser.start(latents(), seed=1)
    return quantiser


@pytest.mark.parametrize("kind", [{}, {"quantizer": "fsq", "fsq_values": (8, 8)}])
def test_a_network_begins_with_the_principal_components_of_each_category(kind):
    draws = torch.Generator().manual_seed(0)
    hidden = torch.randn(200, 2, generator=draws)
    parts = [hidden @ torch.randn(2, width, generator=draws) for width in (2, 3)]
    features = torch.cat(parts, 1)[:, [0, 2, 1, 3, 4]]  # rank 2, also of each category
    settings = {"latent_dim": 2, "codes": 8, "levels": 3} | kind
    network = TokenizerNetwork(TokenizerConfig(**settings), CATEGORIES)
    network.start(features, seed=1)
    left = (network(features).reconstruction - features).square().mean() / features.var()
    assert left < 0.12
    assert not network.decoder.bend(torch.randn(5, 4, generator=draws)).any()


def test_rounded_components_have_no_more_bits_than_they_are_given_and_need_no_more_than_they_use():
    draws = torch.Generator().manual_seed(0)
    known = torch.randn(300, 6, generator=draws) * torch.tensor([4.0, 2.0, 1.0, 0.1, 0.1, 0.1]) + 3
    errors = []
    for bits in (0, 3, 6, 12):
        code = PrincipalCode.fit(known, 3, bits, seed=1)
        assert sum(np.log2(len(one)) for one in code.values) <= bits
        errors.append((code.rounded(known) - known).square().mean().item())
    assert errors[0] == pytest.approx(known.var(0, correction=0).mean().item(), rel=1e-5)
    assert errors == sorted(errors, reverse=True)
    sizes = [len(one) for one in code.values]
    assert sizes == sorted(sizes, reverse=True)  # wide components get more
    whole = (code.rebuilt(known) - known).square().mean().item()
    assert whole == pytest.approx(0.005, rel=0.2)  # the three that are left out
    assert whole < errors[-1]
    again = PrincipalCode.from_state(code.to_state())
    assert torch.equal(again.rounded(known), code.rounded(known))


def test_each_level_has_the_code_nearest_to_what_the_ones_before_have_left():
    quantiser, given = codes(), latents(seed=3)
    coded = quantiser(given)
    left = given
    for level in range(3):
        np.testing.assert_allclose(coded.inputs[:, level], left)
        distances = torch.cdist(left, quantiser.codebooks[:, level])
        np.testing.assert_array_equal(coded.tokens[:, level], distances.argmin(-1))
        left = left - coded.codes[:, level]
    np.testing.assert_allclose(coded.straight, coded.codes.sum(1), atol=1e-6)
    errors = coded.distances.mean((0, 2))
    assert (errors[1:] < errors[:-1]).all()


def test_codes_given_level_by_level_are_those_of_the_whole():
    quantiser, given = codes(), latents(seed=3)
    coded = quantiser(given)
    np.testing.assert_array_equal(quantiser.nearest(coded.inputs).tokens, coded.tokens)


def test_the_gradient_of_a_latent_is_that_of_its_codes():
    given = latents(seed=3).requires_grad_()
    slope = latents(seed=4)
    (codes()(given).straight * slope).sum().backward()
    np.testing.assert_allclose(given.grad, slope)


def test_the_commitment_moves_the_encoder_alone_and_no_gradient_moves_codes():
    network = TokenizerNetwork(TokenizerConfig(**SMALL), CATEGORIES)
    network.quantiser.start(network.latents(torch.randn(30, 5, generator=torch.Generator().manual_seed(0))).detach(), 1)
    passed = network(torch.randn(8, 5, generator=torch.Generator().manual_seed(1)))
    passed.coded.commitment.backward()
    moved = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {"encoders"}
    assert {name.split(".")[0] for name, _ in network.named_parameters()} == {"encoders", "decoder"}
    assert not any(buffer.requires_grad for buffer in network.buffers())


def test_codes_are_running_means_of_the_latents_nearest_to_them():
    quantiser, given = codes(levels=1, decay=0.75), latents(seed=3)
    counts, sums = quantiser.counts.clone(), quantiser.sums.clone()
    coded = quantiser(given)
    quantiser.follow(coded)
    for category in range(2):
        for code in range(5):
            members = given[category, coded.tokens[category, 0] == code]
            count = 0.75 * counts[category, 0, code] + 0.25 * len(members)
            total = 0.75 * sums[category, 0, code] + 0.25 * members.sum(0)
            np.testing.assert_allclose(quantiser.codebooks[category, 0, code], total / count, rtol=1e-4)


def test_codes_that_are_hardly_used_move_to_latents_of_the_batch_and_the_others_stay():
    quantiser = codes(levels=1)
    quantiser.counts[1, 0, 2] = 0.01 * quantiser.counts[1, 0].mean()
    before, given = quantiser.codebooks.clone(), latents(seed=3)
    again = codes(levels=1)
    again.load_state_dict(quantiser.state_dict())
    for one in (quantiser, again):
        one.revive(one(given), 7, 1, 2)
    np.testing.assert_array_equal(quantiser.codebooks, again.codebooks)
    changed = (quantiser.codebooks - before).abs().amax(-1) > 1e-4
    assert changed.nonzero().tolist() == [[1, 0, 2]]
    assert (quantiser.codebooks[1, 0, 2] - given[1]).norm(dim=-1).min() < 1e-3


def test_k_means_finds_clusters_that_lie_apart():
    centres = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    points = np.repeat(centres, 10, 0) + 0.01 * np.random.default_rng(0).standard_normal((30, 2))
    found, counts = k_means(points, 3, stream(1, "k"))
    assert counts.tolist() == [10, 10, 10]
    assert np.abs(found[:, None] - centres).sum(-1).min(0).max() < 0.05
    same, counts = k_means(np.ones((2, 2)), 3, stream(1, "k"))
    assert same.tolist() == [[1, 1]] * 3
    assert counts.sum() == 2


def test_fixed_codes_are_all_there_and_each_is_its_own():
    quantiser = FSQ((4, 3))
    assert (quantiser.size, quantiser.levels, quantiser.latent_dim) == (12, 1, 2)
    wide = torch.linspace(-6, 6, 41)
    grid = torch.cartesian_prod(wide, wide)[None]
    coded = quantiser(grid)
    assert sorted(coded.tokens.unique().tolist()) == list(range(12))
    assert coded.codes[..., 0].unique().tolist() == [-1, -0.5, 0, 0.5]
    assert coded.codes[..., 1].unique().tolist() == [-1, 0, 1]
    np.testing.assert_array_equal(quantiser.nearest(coded.codes).tokens, coded.tokens)


def test_fixed_codes_pass_the_gradient_on():
    given = torch.zeros(1, 4, 2, requires_grad=True)
    FSQ((3, 3))(given).straight.sum().backward()
    np.testing.assert_allclose(given.grad, 1.001, rtol=1e-5)


def test_latents_of_categories_that_tell_the_same_are_not_orthogonal():
    one = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    one = torch.linalg.qr(one - one.mean(0))[0]
    assert orthogonality(torch.stack((one, one))).item() == pytest.approx(0.5, abs=1e-4)
    assert orthogonality(one[None]).item() == pytest.approx(0, abs=1e-6)
    apart = torch.linalg.qr(torch.cat((torch.ones(50, 1), one, latents(50)[0, :, :2]), 1))[0][:, 1:]
    assert orthogonality(torch.stack((apart[:, :2], apart[:, 2:]))).item() == pytest.approx(0, abs=1e-4)


def test_codes_with_the_distances_of_features_keep_the_topography():
    features = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    kept = torch.stack((features[:, :3], features[:, 3:])) * 4
    assert topography(features, kept).item() == pytest.approx(0, abs=1e-5)
    assert topography(features, kept.flip(1)).item() > 0.3
    assert topography(features[:2], kept[:, :2]).item() == 0


def test_features_that_go_together_are_one_category():
    draws = np.random.default_rng(0)
    sources = draws.standard_normal((200, 4))
    order = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]
    signs = draws.choice([-1.0, 1.0], len(order))
    values = np.exp(sources[:, order] * signs) + 1e-3 * draws.standard_normal((200, len(order)))
    groups = {tuple(k for k, one in enumerate(order) if one == source) for source in range(4)}
    assert set(by_clusters(values).values()) == groups


def test_small_clusters_join_the_nearest():
    draws = np.random.default_rng(0)
    a, b, c = draws.standard_normal((3, 300))
    alone = a + 1.5 * c
    values = np.stack([a, a, a, b, b, b, c, alone], 1) + 0.01 * draws.standard_normal((300, 8))
    found = by_clusters(values, least_members=3)
    assert sorted(k for one in found.values() for k in one) == list(range(8))
    assert min(map(len, found.values())) >= 3
    assert (3, 4, 5) in found.values()


def test_families_are_categories_in_their_order():
    assert by_family(["x", "y", "x"]) == {"x": (0, 2), "y": (1,)}
