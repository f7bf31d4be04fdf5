"""The training and the test part of a data set, drawn once from the seed; samples that belong together stay so.

`holdout` draws sample by sample. Where neighbours in the input are nearly the same sample, as in molecular dynamics, a
test part drawn so holds near copies of the training part and its error says little of new structures:
`holdout_groups` keeps whole trajectories on one side, `holdout_blocks` stretches of a single one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentia.checks import integer, number
from potentia.errors import ConfigError, DataError, warn_user
from potentia.seeding import stream

__all__ = ["Split", "holdout", "holdout_blocks", "holdout_groups"]

FAR_OFF = 1.5
"""A test part larger or smaller than wanted by this factor is warned of."""


@dataclass(frozen=True, eq=False)
class Split:
    """Indices of the two parts: disjoint; together complete, except for the gaps of blocks; drawn here, ascending."""

    train: NDArray[np.int64]
    """Indices of the training part, [train samples]."""
    test: NDArray[np.int64]
    """Indices of the held-out part, [test samples]."""


def holdout(n: int, percent: float, seed: int) -> Split:
    """Hold ``int(n * percent / 100)`` of ``n`` samples out of training; 0 percent holds out none.

    Raises:
        DataError: there are no samples.
        ConfigError: nothing would be left to train on, or ``percent`` is not between 0 and 100.

    >>> holdout(10, 20, seed=1).test
    array([2, 4])
    """
    held_out = int(_wanted(n, percent))
    order = stream(seed, "split").permutation(n)
    return Split(train=np.sort(order[held_out:]), test=np.sort(order[:held_out]))


def holdout_groups(groups: Sequence[Hashable], percent: float, seed: int) -> Split:
    """Hold whole groups out of training: no group has samples on both sides.

    Of all sets of groups that leave one to train on, those are taken whose size is closest to ``percent`` of the
    samples (the smaller of two that are equally close); among them the seed decides. It acts on the groups in the order
    of their names, so the samples may come in any order. 0 percent holds out none.

    Args:
        groups: Name of the trajectory, composition or calculation that each sample belongs to.  [samples]
        percent: Part of the samples to hold out (%).
        seed: Decides between groups.

    Raises:
        DataError: there are no samples, or a sample has no group.
        ConfigError: there is one group only, nothing would be left to train on, or ``percent`` is not between 0 and
            100.

    Warns:
        PotentiaWarning: groups are so large that the size is far from what was wanted.

    >>> holdout_groups(["a", "a", "b", "b", "b", "c"], 20, seed=1).test
    array([5])
    """
    missing = [k for k, group in enumerate(groups) if group is None]
    if missing:
        raise DataError(f"groups[{missing[0]}] is None: name the group of every sample ({len(missing)} have none)")
    wanted = _wanted(len(groups), percent)
    number_of = {group: k for k, group in enumerate(sorted(dict.fromkeys(groups), key=repr))}
    if wanted == 0:
        return _split(np.zeros(len(groups), dtype=np.bool_))
    if len(number_of) == 1:
        raise ConfigError(
            f"all {len(groups)} samples are of one group, {groups[0]!r}, which cannot be on both sides: "
            "use holdout_blocks for a single trajectory"
        )
    member = np.array([number_of[group] for group in groups])  # [samples]
    chosen = _closest(np.bincount(member), wanted, stream(seed, "split groups"))
    held_out = chosen[member]
    _warn_if_far_off(int(held_out.sum()), wanted, "whole groups")
    return _split(held_out)


def holdout_blocks(n: int, percent: float, seed: int, *, block: int, gap: int = 0) -> Split:
    """Hold stretches of one trajectory out of training, and leave out frames beside them that are too much alike.

    The frames are cut into blocks that follow each other (the last may be shorter); of all sets of blocks one is held
    out whose size is closest to ``percent``, as in `holdout_groups`. Frames up to ``gap`` steps away from a frame held
    out are in neither part. Choose ``gap`` as long as the trajectory remembers (a period of its slowest vibration or
    more: some 100 fs), and ``block`` many times longer.

    Args:
        n: Number of frames, which must come in the order of time.
        percent: Part of the frames to hold out (%).
        seed: Decides between blocks.
        block: Frames in a block.
        gap: Frames left out on either side of a block.

    Raises:
        DataError: there are no frames.
        ConfigError: there is one block only, or nothing would be left to train on.

    Warns:
        PotentiaWarning: blocks are so large that the size is far from what was wanted.

    >>> split = holdout_blocks(12, 30, seed=1, block=4, gap=2)
    >>> split.train, split.test
    (array([0, 1, 2, 3, 4, 5]), array([ 8,  9, 10, 11]))
    """
    wanted = _wanted(n, percent)
    sizes = np.bincount(np.arange(n) // integer("block", block, low=1))
    reach = integer("gap", gap, low=0)
    if wanted == 0:
        return _split(np.zeros(n, dtype=np.bool_))
    if len(sizes) == 1:
        raise ConfigError(f"block={block} makes one block of all {n} frames: choose a smaller one")
    chosen = _closest(sizes, wanted, stream(seed, "split blocks"))
    held_out = np.repeat(chosen, sizes)  # [frames]
    _warn_if_far_off(int(held_out.sum()), wanted, f"blocks of {block} frames")
    test = np.flatnonzero(held_out)
    behind = np.searchsorted(test, np.arange(n))  # the first frame held out that is not before
    beside = np.stack([test[np.maximum(behind - 1, 0)], test[np.minimum(behind, len(test) - 1)]])  # [2, frames]
    train = np.flatnonzero(np.abs(beside - np.arange(n)).min(axis=0) > reach)
    if not len(train):
        raise ConfigError(f"gap={gap} beside each block of {block} leaves none of {n} frames to train on: lower it")
    return Split(train=train, test=test)


def _wanted(n: int, percent: float) -> float:
    """Return how many of ``n`` samples ``percent`` are."""
    if integer("number of samples", n, low=0) == 0:
        raise DataError("there is nothing to split: the data set has no samples")
    wanted = n * number("testpercent", percent, low=0, high=100) / 100
    if int(wanted) == n:
        raise ConfigError(f"testpercent={percent} leaves none of {n} samples to train on: choose less than 100")
    return wanted


def _closest(sizes: NDArray[np.int64], wanted: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which parts add up closest to ``wanted``, not none and not all of them.

    All sums that the first parts of a random order can reach are kept as the bits of one integer, so the way back from
    the best sum is known: n_parts × wanted bits.
    """
    order = rng.permutation(len(sizes))
    limit = int(min(2 * wanted + int(sizes.min()) + 1, sizes.sum() - 1))  # the smallest part alone, or closer than it
    mask = (1 << (limit + 1)) - 1
    reached = [1]  # nothing: the sum 0
    for size in sizes[order].tolist():
        reached.append((reached[-1] | reached[-1] << size) & mask)
    sums = [total for total, bit in enumerate(reversed(f"{reached[-1]:b}")) if bit == "1" and total]
    left = min(sums, key=lambda total: (abs(total - wanted), total))
    chosen = np.zeros(len(sizes), dtype=np.bool_)
    for place in range(len(sizes) - 1, -1, -1):
        if not reached[place] >> left & 1:
            chosen[order[place]] = True
            left -= int(sizes[order[place]])
    return chosen


def _warn_if_far_off(got: int, wanted: float, of: str) -> None:
    if not 1 / FAR_OFF <= got / max(wanted, 1.0) <= FAR_OFF:
        warn_user(f"{got} samples are held out where {wanted:.4g} were wanted: {of} give no closer size")


def _split(held_out: NDArray[np.bool_]) -> Split:
    return Split(train=np.flatnonzero(~held_out), test=np.flatnonzero(held_out))
