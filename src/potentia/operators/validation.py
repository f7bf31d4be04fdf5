"""Whether an operator behaves like the truth: its roll-outs through a tokenizer that was trained on true ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.checks import choice, integer
from potentia.errors import DataError
from potentia.operators.alignment import AlignmentTokenizer
from potentia.operators.baselines import Predictor
from potentia.operators.dataset import PARTS, OperatorData, Samples
from potentia.operators.features import feature_set
from potentia.operators.losses import error_figures, error_sums
from potentia.operators.normaliser import Normaliser
from potentia.operators.tokenizer import Tokenizer
from potentia.operators.tokenizer.scaling import BOUND
from potentia.seeding import stream

__all__ = ["Behaviour", "TokenValidation", "behaviour_of", "behaviour_samples", "rebuilt_error", "validate_tokens"]

RATIO = 2.0
"""Features of predictions must be rebuilt with less than so many times the error of those of the truth."""
SIGNIFICANT = 0.01
"""Pairs must agree more often than shuffled ones do, with a chance of less than this to be luck."""
INITIAL = "initial"
"""The family of features of initial fields, in which a prediction that begins with the true ones cannot be wrong."""
NO_TOKEN = -1
"""Token of a prediction that has left the numbers: it agrees with none."""


@dataclass(frozen=True, eq=False)
class TokenValidation:
    """Figures of predictions beside those of the truth, from the same initial fields and parameters."""

    samples: int
    diverged: int
    """Predictions that have left the numbers; their tokens agree with none, and a single one fails the validation."""
    true_error: float
    """Mean square error of the normalised features of the truth, rebuilt from their codes."""
    predicted_error: float
    """The same of predictions, each against its own features: how well the tokenizer knows what they do, and not
    whether that is right. NaN if all have diverged."""
    token_distance: float
    """Mean square distance between what the tokens of predictions tell (features rebuilt from them) and what those of
    the truth do: whether it is right."""
    chance_distance: float
    """The same between predictions and the truth of any sample."""
    feature_distance: float
    """Mean square distance between the normalised features of predictions and of the truth."""
    true_beyond: float
    """Part of the normalised features of the truth that are more than `BOUND` deviations from the mean."""
    predicted_beyond: float
    """The same of predictions. A tokenizer levels these off; where they are many, the ratio flatters."""
    nmse: float
    """Mean square error of predicted fields in parts of that of the mean of the training part."""
    levels: pd.DataFrame = field(repr=False)
    """Without categories of the initial fields, which are the true ones in any case, by ``level``: ``agreement``, part
    of the tokens that are the true ones; ``by_chance``, the mean of that with
    shuffled samples; ``p``, how often chance is as good; ``js``, Jensen-Shannon divergence of the histograms of true
    and predicted tokens (bits, 0 is equal, 1 is disjoint), the mean over codebooks."""
    features: pd.DataFrame = field(repr=False)
    """By feature: ``ks``, the largest distance of the distributions; ``w1``, Wasserstein's distance in deviations of
    the training part; ``true_error`` and ``error``, mean square errors of rebuilt ones of truth and prediction;
    ``beyond``, part of the predictions that are more than `BOUND` deviations off. The largest ``ks`` come first."""

    @property
    def ratio(self) -> float:
        """Error of predictions over that of the truth, each rebuilt from its own tokens.

        Low alone is no proof: the mean trajectory is rebuilt well.
        """
        return self.predicted_error / self.true_error if self.true_error > 0 else math.nan

    @property
    def checks(self) -> dict[str, bool]:
        """Return what has to hold, and whether it does."""
        return {
            f"ratio < {RATIO:g}": self.ratio < RATIO or self.predicted_error <= self.true_error,
            f"agreement above chance (p < {SIGNIFICANT:g})": float(self.levels["p"].iloc[0]) < SIGNIFICANT,
            "nmse < 1": self.nmse < 1,
            "no prediction diverged": self.diverged == 0,
        }

    @property
    def passed(self) -> bool:
        """Whether all checks hold."""
        return all(self.checks.values())

    def worst(self, count: int = 10) -> pd.DataFrame:
        """Return the features whose distributions differ most."""
        return self.features.head(count)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as plain values."""
        single = {name: value for name, value in self.__dict__.items() if name not in {"levels", "features"}}
        tables = {
            "levels": self.levels.reset_index().to_dict("records"),
            "features": self.features.reset_index().to_dict("records"),
        }
        return {**single, "ratio": self.ratio, "checks": self.checks, "passed": self.passed, **tables}

    def __str__(self) -> str:
        lines = [
            f"{self.samples} samples, {self.diverged} diverged; nmse {self.nmse:.4g}",
            f"features rebuilt with error {self.predicted_error:.4g}, of the truth {self.true_error:.4g}: ratio "
            f"{self.ratio:.3g}",
            f"what tokens tell of predictions is {self.token_distance:.4g} from what they tell of the truth, by chance "
            f"{self.chance_distance:.4g}; the features themselves {self.feature_distance:.4g}",
            f"more than {BOUND:g} deviations from the mean: {self.predicted_beyond:.2%} of the features of "
            f"predictions, {self.true_beyond:.2%} of the truth",
        ]
        for level, row in self.levels.iterrows():
            lines.append(
                f"level {level}: {row['agreement']:.1%} of the tokens agree, by chance {row['by_chance']:.1%} "
                f"(p = {row['p']:.3g}); Jensen-Shannon {row['js']:.3g} bits"
            )
        far = ", ".join(f"{name} {row['ks']:.2f}" for name, row in self.worst(5).iterrows())
        bad = ", ".join(f"{name} {value:.3g}" for name, value in self.features["error"].nlargest(5).items())
        lines += [f"distributions that differ most (KS): {far}", f"rebuilt worst (mean square error): {bad}"]
        lines += [f"{'✓' if holds else '✗'} {name}" for name, holds in self.checks.items()]
        return "\n".join([*lines, "➜ passed" if self.passed else "➜ failed"])


@dataclass(frozen=True, eq=False)
class Behaviour:
    """Trajectories as a tokenizer sees them."""

    normalized: Tensor = field(repr=False)
    """Features of the finite ones.  [finite, features]"""
    latents: list[Tensor] = field(repr=False)
    """[finite, latent_dim] each"""
    tokens: NDArray[np.int64] = field(repr=False)
    """`NO_TOKEN` of those that are not finite.  [samples, entries]"""
    finite: NDArray[np.bool_] = field(repr=False)
    """Which have finite features.  [samples]"""
    rebuilt: Tensor = field(repr=False)
    """Features as the codes tell them.  [finite, features]"""

    @property
    def error(self) -> NDArray[np.float64]:
        """Square error of each feature, rebuilt from the codes.  [finite, features]"""
        found: NDArray[np.float64] = (self.rebuilt - self.normalized).square().double().cpu().numpy()
        return found

    @property
    def beyond(self) -> NDArray[np.bool_]:
        """Which features are more than `BOUND` deviations from the mean.  [finite, features]"""
        found: NDArray[np.bool_] = (self.normalized.abs() > BOUND).cpu().numpy()
        return found


def validate_tokens(
    operator: Predictor,
    tokenizer: AlignmentTokenizer,
    data: OperatorData,
    *,
    part: str = "test",
    n_samples: int | None = 100,
    permutations: int = 999,
    seed: int = 0,
) -> TokenValidation:
    """Compare predicted trajectories with true ones through a tokenizer that was trained on true ones.

    Args:
        operator: Is asked for roll-outs from the true initial fields.
        tokenizer: A trained one; its horizon says how many steps are compared.
        data: Normaliser and deviations are those of the training part.
        part: Which part is compared.
        n_samples: The first so many of its samples; None for all.
        permutations: Shuffled pairings that the agreement is held against, at least 199.
        seed: Of these.

    Raises:
        DataError: the part has fewer than 2 samples or fewer steps than the horizon, or its features are others than
            those that the tokenizer was trained on.
    """
    integer("permutations", permutations, low=199)
    samples = behaviour_samples(data, part, n_samples, tokenizer.horizon)
    predicted = operator.predict(samples.initial, samples.parameters, samples.steps)
    if predicted.shape != samples.fields.shape:
        raise DataError(f"the operator gives fields {predicted.shape} instead of {samples.fields.shape}")
    true, found = (behaviour_of(tokenizer, fields, data.channels) for fields in (samples.fields, predicted))
    own, other = (torch.from_numpy(np.ascontiguousarray(one[:, 1:])) for one in (predicted, samples.fields))
    figures = error_figures(error_sums(own, other, Normaliser.fit(data.train)))
    return TokenValidation(
        samples=len(samples),
        diverged=int((~found.finite).sum()),
        true_error=float(true.error.mean()),
        predicted_error=rebuilt_error(found),
        **_apart(true, found),
        true_beyond=_mean(true.beyond),
        predicted_beyond=_mean(found.beyond),
        nmse=figures["nmse"],
        levels=_levels(tokenizer, true.tokens, found.tokens, permutations, seed),
        features=_distances(tokenizer.feature_names, true, found),
    )


def behaviour_samples(data: OperatorData, part: str, n_samples: int | None, steps: int) -> Samples:
    """Return the first samples of a part with so many steps.

    Raises:
        DataError: there is no such part, or it has fewer than 2 samples or fewer steps.
    """
    choice("part", part, PARTS)
    if part not in data.parts():
        raise DataError(f"{data.name} has no part {part!r}: there are {', '.join(data.parts())}")
    samples = data.parts()[part]
    if samples.steps < steps:
        raise DataError(
            f"the tokenizer was trained on trajectories of {steps} steps, `{part}` of {data.name} has {samples.steps}"
        )
    if n_samples is not None:
        samples = samples.take(slice(0, integer("n_samples", n_samples, low=2)))
    if len(samples) < 2:
        raise DataError(f"`{part}` of {data.name} has {len(samples)} samples, distributions need 2 at least")
    return samples.first_steps(steps)


@torch.no_grad()
def behaviour_of(tokenizer: AlignmentTokenizer, fields: NDArray[np.float32], channels: Sequence[str] = ()) -> Behaviour:
    """Return features, latents, tokens and errors of trajectories [samples, steps + 1, channels, *grid]."""
    finite = np.array([bool(np.isfinite(one).all()) for one in fields])
    entries = len(tokenizer.codebook_sizes)
    tokens = np.full((len(fields), entries), NO_TOKEN, dtype=np.int64)
    if finite.any():
        features = feature_set(np.ascontiguousarray(fields[finite]), tokenizer.families, channels)
        usable = features.values.isfinite().all(1).cpu().numpy()
        finite[np.flatnonzero(finite)[~usable]] = False
        features = features.take(np.flatnonzero(usable))
    if not finite.any():
        width = len(tokenizer.feature_names)
        nothing = torch.zeros(0, tokenizer.latent_dim)
        return Behaviour(torch.zeros(0, width), [nothing] * entries, tokens, finite, torch.zeros(0, width))
    normalized = tokenizer.normalize(features)
    latents = tokenizer.encode(normalized)
    coded = tokenizer.quantize(latents)
    tokens[finite] = coded.tokens.cpu().numpy()
    rebuilt = tokenizer.decode(coded.latents).to(normalized)
    return Behaviour(normalized, latents, tokens, finite, rebuilt)


def rebuilt_error(behaviour: Behaviour) -> float:
    """Return the mean square error of rebuilt features, NaN where there are none."""
    return _mean(behaviour.error)


def _mean(values: NDArray[Any] | Tensor) -> float:
    return float(values.mean()) if len(values) else math.nan


def _apart(true: Behaviour, found: Behaviour) -> dict[str, float]:
    """Return how far predictions are from the truth, by tokens and by features; NaN where all have diverged."""
    kept = torch.from_numpy(np.flatnonzero(found.finite[true.finite]))
    own, other = found.rebuilt.double().cpu(), true.rebuilt.double().cpu()[kept]
    truth = true.normalized.double().cpu()[kept]
    by_chance = (own.square().mean(0) + other.square().mean(0) - 2 * own.mean(0) * other.mean(0)).mean()
    return {
        "token_distance": _mean((own - other).square()),
        "chance_distance": float(by_chance),
        "feature_distance": _mean((found.normalized.double().cpu() - truth).square()),
    }


def _levels(
    tokenizer: Tokenizer, true: NDArray[np.int64], predicted: NDArray[np.int64], permutations: int, seed: int
) -> pd.DataFrame:
    sizes = tokenizer.codebook_sizes
    n_levels = len(sizes) // len(tokenizer.categories)
    telling = _telling(tokenizer)
    draw = stream(seed, "shuffled pairs")
    orders = [draw.permutation(len(true)) for _ in range(permutations)]
    rows = []
    for level in range(n_levels):
        entries = [k * n_levels + level for k in telling]
        own, other = true[:, entries], predicted[:, entries]  # [samples, categories]
        agreement = float((own == other).mean())
        chance = np.array([(own[order] == other).mean() for order in orders])
        as_good = int((chance >= agreement - 1e-12).sum())
        divergences = [_divergence(true[:, k], predicted[:, k], sizes[k]) for k in entries]
        rows.append(
            {
                "agreement": agreement,
                "by_chance": float(chance.mean()),
                "p": (1 + as_good) / (1 + permutations),
                "js": float(np.mean(divergences)),
            }
        )
    return pd.DataFrame(rows, index=pd.RangeIndex(n_levels, name="level"))


def _telling(tokenizer: Tokenizer) -> list[int]:
    """Return the categories that tell of predictions: all that do not look at the initial fields only, which are given.

    Raises:
        DataError: there are none.
    """
    names = tokenizer.feature_names
    found = [
        place
        for place, columns in enumerate(tokenizer.categories.values())
        if not all(names[k].startswith(f"{INITIAL}.") for k in columns)
    ]
    if not found:
        raise DataError("this tokenizer looks at initial fields only, and these are given: take one of all families")
    return found


def _divergence(true: NDArray[np.int64], predicted: NDArray[np.int64], size: int) -> float:
    """Return Jensen and Shannon's divergence of two histograms (bits); predictions without token are a bin more."""
    from scipy import stats  # takes as long as torch: only who compares distributions pays it

    p, q = (np.bincount(np.where(one == NO_TOKEN, size, one), minlength=size + 1) for one in (true, predicted))
    p, q = p / p.sum(), q / q.sum()
    mixed = (p + q) / 2
    return float((stats.entropy(p, mixed, base=2) + stats.entropy(q, mixed, base=2)) / 2)


def _distances(names: Sequence[str], true: Behaviour, predicted: Behaviour) -> pd.DataFrame:
    """Return distances of the distributions of each feature, the largest first; of no data they are the largest."""
    from scipy import stats

    index = pd.Index(names, name="feature")
    if not predicted.finite.any():
        nothing = {"ks": 1.0, "w1": math.inf, "true_error": true.error.mean(0), "error": math.nan, "beyond": math.nan}
        return pd.DataFrame(nothing, index=index)
    a, b = (one.normalized.double().cpu().numpy() for one in (true, predicted))
    columns = range(len(names))
    table = pd.DataFrame(
        {
            "ks": [float(stats.ks_2samp(a[:, k], b[:, k], method="asymp").statistic) for k in columns],
            "w1": [float(stats.wasserstein_distance(a[:, k], b[:, k])) for k in columns],
            "true_error": true.error.mean(0),
            "error": predicted.error.mean(0),
            "beyond": predicted.beyond.mean(0),
        },
        index=index,
    )
    return table.sort_values(["ks", "w1"], ascending=False)
