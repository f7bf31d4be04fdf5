"""Which features share a latent: those of a family, or those that go together in the training part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["by_clusters", "by_family"]


def by_family(families: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the columns of each family.

    >>> by_family(["initial", "summary", "initial"])
    {'initial': (0, 2), 'summary': (1,)}
    """
    names = dict.fromkeys(families)
    return {name: tuple(k for k, family in enumerate(families) if family == name) for name in names}


def by_clusters(
    values: NDArray[np.float64], least: int = 3, most: int = 15, least_members: int = 3
) -> dict[str, tuple[int, ...]]:
    """Return clusters of columns by average linkage on 1 − |Spearman's correlation|, in the order of first members.

    Of all numbers of clusters in ``least`` … ``most`` the one with the best silhouette is taken; then clusters with
    fewer than ``least_members`` are merged into the one that they are nearest to on average.

    Args:
        values: Features that vary.  [samples, features]
        least: Fewest clusters.
        most: Most clusters.
        least_members: What is smaller is merged.
    """
    from scipy.cluster import hierarchy  # takes as long as torch: only who clusters pays it
    from scipy.spatial.distance import squareform

    n = values.shape[1]
    if n <= least:
        return {"cluster_0": tuple(range(n))}
    distances = _distances(values)
    tree = hierarchy.average(squareform(distances, checks=False))
    cuts = {k: hierarchy.fcluster(tree, k, criterion="maxclust") for k in range(least, min(most, n - 1) + 1)}
    best = max(cuts.values(), key=lambda labels: _silhouette(distances, labels))
    members = [np.flatnonzero(best == label) for label in np.unique(best)]
    merged = sorted(_merged(members, distances, least_members), key=lambda one: int(one.min()))
    return {f"cluster_{k}": tuple(sorted(one.tolist())) for k, one in enumerate(merged)}


def _distances(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 − |Spearman's correlation| between columns.  [features, features]"""
    from scipy import stats

    ranks = stats.rankdata(values, axis=0)
    found: NDArray[np.float64] = 1 - np.abs(np.corrcoef(ranks, rowvar=False))
    np.fill_diagonal(found, 0.0)
    return np.maximum(found, 0.0)


def _silhouette(distances: NDArray[np.float64], labels: NDArray[np.int32]) -> float:
    """Return the mean silhouette (Rousseeuw 1987); a member alone in its cluster counts 0."""
    names = np.unique(labels)
    if len(names) < 2:
        return -1.0
    inside = labels[:, None] == names  # [features, clusters]
    sums, sizes = distances @ inside, inside.sum(0)
    own = np.searchsorted(names, labels)
    rows = np.arange(len(labels))
    a = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    others = np.where(inside, np.inf, sums / sizes)
    b = others.min(1)
    scores = np.where(sizes[own] > 1, (b - a) / np.maximum(np.maximum(a, b), 1e-12), 0.0)
    return float(scores.mean())


def _merged(members: list[NDArray[np.int64]], distances: NDArray[np.float64], least: int) -> list[NDArray[np.int64]]:
    """Return clusters of at least ``least`` members each, or one of all."""
    while len(members) > 1:
        small = min(range(len(members)), key=lambda k: len(members[k]))
        if len(members[small]) >= least:
            break
        one = members.pop(small)
        near = min(range(len(members)), key=lambda k: float(distances[np.ix_(one, members[k])].mean()))
        members[near] = np.concatenate((members[near], one))
    return members
