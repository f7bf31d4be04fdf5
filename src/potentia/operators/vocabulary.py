"""Do two tokenizers have words for the same behaviour? Codes are matched by the features of what they stand for.

Experimental. Latents of tokenizers that were trained apart have nothing to do with each other, so codes are compared
through the features, which both share: each code by the mean of the features of the trajectories that have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from potentia.checks import integer
from potentia.errors import DataError
from potentia.operators.features import Features
from potentia.operators.tokenizer import BehaviorTokenizer
from potentia.seeding import stream

__all__ = ["Transfer", "VocabularyAlignment", "align_vocabularies", "matched_codes", "transfer", "words_of"]

Floats = NDArray[np.float64]

QUANTILE = 0.95
"""Pairs are told that are more alike than this part of the pairs of shuffled features."""
RIDGE = 1e-2
"""Of the linear probe, in parts of the mean square of its inputs."""


@dataclass(frozen=True, eq=False)
class VocabularyAlignment:
    """Codes of two domains, matched one to one."""

    similarity: float
    """Mean cosine of matched codes."""
    p: float
    """How often features in a wrong order match as well; below 0.05, the domains share words."""
    z: float
    """How many deviations above the mean of those it is."""
    threshold: float
    """Cosine that 95 % of the pairs of shuffled features stay below."""
    pairs: pd.DataFrame = field(repr=False)
    """Pairs above it, the most alike first: ``code_a``, ``code_b`` (category and number), ``cosine``, and
    ``samples_a``, ``samples_b``, how many trajectories have them."""
    matrix: pd.DataFrame = field(repr=False)
    """Cosine of all codes of A (rows) with all of B."""

    def __str__(self) -> str:
        head = f"mean cosine of matched codes {self.similarity:.3f} (p = {self.p:.3g}, z = {self.z:.2f})"
        return f"{head}; {len(self.pairs)} pairs are above chance ({self.threshold:.3f})\n{self.pairs.to_string()}"


@dataclass(frozen=True)
class Transfer:
    """What labels of A tell of B through matched codes."""

    accuracy: float
    """Of the labels of B, by a linear probe that was fitted to A."""
    chance: float
    """Mean of it with the labels of B shuffled."""
    p: float
    """How often shuffled labels are met as well."""


def align_vocabularies(
    tokenizer_a: BehaviorTokenizer,
    features_a: Features,
    tokenizer_b: BehaviorTokenizer,
    features_b: Features,
    *,
    draws: int = 1000,
    least: int = 3,
    seed: int = 0,
) -> VocabularyAlignment:
    """Match the codes of level 0 of two tokenizers.

    Chance is what comes when the features of B are in a wrong order, the same one for all codes.

    Args:
        tokenizer_a: Of domain A, trained.
        features_a: Of trajectories of A, best held-out ones.
        tokenizer_b: Of domain B.
        features_b: Of trajectories of B.
        draws: Wrong orders.
        least: Codes of fewer trajectories are left out.
        seed: Of the wrong orders.

    Raises:
        DataError: the domains share fewer than 3 features, or one has fewer than 2 codes that are used so often.
    """
    integer("draws", draws, low=19)
    integer("least", least, low=1)
    shared = [name for name in tokenizer_a.feature_names if name in set(tokenizer_b.feature_names)]
    if len(shared) < 3:
        raise DataError(f"the domains share {len(shared)} features, codes need 3 or more to be compared by")
    centroids_a, codes_a = _words("A", tokenizer_a, features_a, shared, least)
    centroids_b, codes_b = _words("B", tokenizer_b, features_b, shared, least)
    return matched_codes(centroids_a, codes_a, centroids_b, codes_b, draws=draws, seed=seed)


def matched_codes(
    centroids_a: Floats, codes_a: pd.Series[int], centroids_b: Floats, codes_b: pd.Series[int], *, draws: int, seed: int
) -> VocabularyAlignment:
    """Match codes by their centroids [codes, features]; ``codes`` are trajectories of each by name."""
    cosines = _cosines(centroids_a, centroids_b)
    rows, columns = linear_sum_assignment(-cosines)
    matched = cosines[rows, columns]
    draw = stream(seed, "wrong orders")
    by_chance = []
    for _ in range(draws):
        other = _cosines(centroids_a, centroids_b[:, draw.permutation(centroids_b.shape[1])])
        by_chance.append(other[linear_sum_assignment(-other)])  # solved anew: the best that chance can do
    means = np.array([one.mean() for one in by_chance])
    threshold = float(np.quantile(np.concatenate(by_chance), QUANTILE))
    pairs = pd.DataFrame(
        {
            "code_a": codes_a.index[rows],
            "code_b": codes_b.index[columns],
            "cosine": matched,
            "samples_a": codes_a.to_numpy()[rows],
            "samples_b": codes_b.to_numpy()[columns],
        }
    )
    spread = float(means.std())
    return VocabularyAlignment(
        similarity=float(matched.mean()),
        p=float((1 + (means >= matched.mean() - 1e-12).sum()) / (1 + draws)),
        z=float((matched.mean() - means.mean()) / spread) if spread else float("nan"),
        threshold=threshold,
        pairs=pairs[matched > threshold].sort_values("cosine", ascending=False, ignore_index=True),
        matrix=pd.DataFrame(cosines, index=codes_a.index, columns=codes_b.index),
    )


def transfer(
    found: VocabularyAlignment,
    words_a: Sequence[Sequence[str]],
    labels_a: ArrayLike,
    words_b: Sequence[Sequence[str]],
    labels_b: ArrayLike,
    *,
    draws: int = 999,
    seed: int = 0,
) -> Transfer:
    """Fit a linear probe to which matched codes trajectories of A have, and ask it for labels of B.

    Args:
        found: The matched codes; only its pairs count.
        words_a: Codes of each trajectory of A, as `BehaviorTokenizer.tokens` and `words_of` give them.
        labels_a: A label of each.  [samples of A]
        words_b: Likewise of B.
        labels_b: Of the same labels.  [samples of B]
        draws: Shuffles of the labels of B.
        seed: Of these.

    Raises:
        DataError: no codes were matched above chance, or numbers of labels and trajectories differ.
    """
    if found.pairs.empty:
        raise DataError("no codes were matched above chance, so there is nothing to carry labels over")
    truth_a, truth_b = np.asarray(labels_a), np.asarray(labels_b)
    for name, words, truth in (("A", words_a, truth_a), ("B", words_b, truth_b)):
        if truth.shape != (len(words),):
            raise DataError(f"{name} has {len(words)} trajectories and labels of shape {truth.shape}")
    names, places = np.unique(truth_a, return_inverse=True)
    x = _indicators(words_a, found.pairs["code_a"].tolist())
    scale = RIDGE * float(np.square(x).mean()) * len(x)
    probe = np.linalg.solve(x.T @ x + scale * np.eye(x.shape[1]), x.T @ np.eye(len(names))[places])
    guess = names[(_indicators(words_b, found.pairs["code_b"].tolist()) @ probe).argmax(1)]
    accuracy = float((guess == truth_b).mean())
    draw = stream(seed, "shuffled labels")
    shuffled = np.array([(guess == truth_b[draw.permutation(len(truth_b))]).mean() for _ in range(draws)])
    return Transfer(accuracy, float(shuffled.mean()), float((1 + (shuffled >= accuracy - 1e-12).sum()) / (1 + draws)))


def words_of(tokenizer: BehaviorTokenizer, features: Features) -> list[tuple[str, ...]]:
    """Return the codes of level 0 of each trajectory by name, such as ``"summary/3"``."""
    tokens = tokenizer.tokens_of(features)
    levels = len(tokenizer.codebook_sizes) // len(tokenizer.categories)
    return [
        tuple(f"{name}/{code}" for name, code in zip(tokenizer.categories, row[::levels].tolist(), strict=True))
        for row in tokens
    ]


def _words(
    domain: str, tokenizer: BehaviorTokenizer, features: Features, shared: Sequence[str], least: int
) -> tuple[Floats, pd.Series[int]]:
    """Return centroids [codes, features] of standardised shared features, and how many trajectories each code has."""
    columns = [tokenizer.feature_names.index(name) for name in shared]
    values = tokenizer.normalize(features)[:, columns].detach().double().cpu().numpy()
    spread = values.std(0)
    standard = (values - values.mean(0)) / np.where(spread > 0, spread, 1.0)
    words = words_of(tokenizer, features)
    counts: dict[str, int] = {}
    for word in (word for row in words for word in row):
        counts[word] = counts.get(word, 0) + 1
    names = sorted(name for name, count in counts.items() if count >= least)
    if len(names) < 2:
        raise DataError(
            f"domain {domain} has {len(names)} codes with {least} trajectories or more: give it more of them"
        )
    has = _indicators(words, names)[:, :-1]  # [samples, codes]
    return (has / has.sum(0)).T @ standard, pd.Series({name: counts[name] for name in names})


def _indicators(words: Sequence[Sequence[str]], names: Sequence[str]) -> Floats:
    """Return 1 where a trajectory has a code, and a column of ones behind them.  [samples, codes + 1]"""
    places = {name: k for k, name in enumerate(names)}
    found = np.zeros((len(words), len(names) + 1))
    found[:, -1] = 1
    for row, own in zip(found, words, strict=True):
        row[[places[word] for word in own if word in places]] = 1
    return found


def _cosines(a: Floats, b: Floats) -> Floats:
    """Return the cosine of each row of ``a`` with each of ``b``."""
    a, b = (one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-12) for one in (a, b))
    found: Floats = a @ b.T
    return found
