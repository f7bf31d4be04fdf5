"""Calibrated error bars: from predicted spreads to intervals that hold a stated share of the errors.

What predicts a spread (a committee, say) is told by held-out residuals how much wider or narrower the errors are. Two
ways, each a recipe with a ``fit`` that returns a `Calibration`:

`Scaling`
    one factor on the spread, errors taken as normal.
`SplitConformal`
    quantiles of the held-out errors themselves: V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random
    World (2005); J. Lei et al., J. Am. Stat. Assoc. 113 (2018) 1094; A. N. Angelopoulos, S. Bates, arXiv:2107.07511.

Both say of new data only what holds for data like those held out: drawn in the same way, and used neither to train nor
to stop the training. The atoms of a structure are alike, so hold out and calibrate on whole structures, and say by
``blocks`` which residuals belong together.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.checks import choice, integer, number, require_finite
from potentia.errors import ConfigError, DataError, warn_user

__all__ = ["Calibration", "ConformalCalibration", "NormalCalibration", "Scaling", "Scores", "SplitConformal"]

OFFSET = 0.5
"""Part of the median spread that is added to each: models that agree by chance, or err together, err nevertheless.
(Five networks on TiO2, intervals at 90 %: for energies narrower by 31 %, for forces by 13 to 20 % than with a tenth of
the median as a lower bound in its place, at equal coverage, and small and large spreads are covered more alike.)"""
SCORES_KEPT = 4000
"""No more scores of a group than about this are kept; between them, the next larger one holds."""


class Calibration(ABC):
    """What was learned from held-out residuals: half-widths of intervals from spreads."""

    @abstractmethod
    def half_width(
        self, spread: ArrayLike | None, level: float, groups: Sequence[str] | NDArray[np.str_] | None = None
    ) -> NDArray[np.float64]:
        """Return d such that prediction ± d shall hold the share ``level`` of the true values, in the residuals' unit.

        Args:
            spread: Predicted spreads, of any shape; None where the calibration knows no spread.
            level: Share that shall be covered, between 0 and 1.
            groups: Group of each entry of the first axis.

        Raises:
            DataError: a spread is negative or not finite.
            ConfigError: the level is not between 0 and 1.
        """

    @abstractmethod
    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON or a file; `from_plain` is the inverse."""

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Calibration:
        """Return the calibration that `to_plain` has written down."""
        kinds: dict[str, type[NormalCalibration | ConformalCalibration]] = {
            "normal": NormalCalibration,
            "conformal": ConformalCalibration,
        }
        return kinds[choice("the method of a calibration", plain.get("method"), tuple(kinds))]._restored(plain)


@final
@dataclass(frozen=True)
class NormalCalibration(Calibration):
    """Errors are normal, with a standard deviation of ``factor`` times the spread and its offset.

    >>> float(NormalCalibration(factor=2.0).half_width(0.1, 0.9).round(3))
    0.329
    """

    factor: float
    """1 leaves spreads as they are."""
    offset: float = 0.0
    """Added to each spread before (the spread's unit)."""

    def half_width(
        self, spread: ArrayLike | None, level: float, groups: Sequence[str] | NDArray[np.str_] | None = None
    ) -> NDArray[np.float64]:
        """Return factor · (spread + offset) · z; the groups make no difference here."""
        from scipy.special import ndtri  # a third of a second, which who predicts no intervals should not pay

        return np.asarray(self.factor * float(ndtri((1 + _level(level)) / 2)) * _widened(spread, self.offset))

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {"method": "normal", "factor": self.factor, "offset": self.offset}

    @classmethod
    def _restored(cls, plain: Mapping[str, Any]) -> NormalCalibration:
        return cls(float(plain["factor"]), float(plain["offset"]))


@final
@dataclass(frozen=True, eq=False)
class Scores:
    """The distribution of some scores, thinned: what is left are some of the sorted ones with their ranks."""

    ranks: NDArray[np.int64]
    """Counted from 1, ascending; the last is ``n``.  [kept]"""
    values: NDArray[np.float64]
    """The scores of these ranks.  [kept]"""
    n: int
    """Number of scores."""
    n_new: int
    """Scores that one more block brings: as many as the largest one has."""

    @classmethod
    def of(cls, scores: NDArray[np.float64], blocks: NDArray[np.int64]) -> Scores:
        """Keep all scores if there are few, else ranks that lie evenly, and ever denser towards the largest."""
        n = len(scores)
        ranks = np.arange(1, n + 1)
        if n > SCORES_KEPT:
            even = np.linspace(1, n, SCORES_KEPT // 2)
            tail = n + 1 - np.geomspace(1, n, SCORES_KEPT // 2)
            ranks = np.unique(np.concatenate((even, tail)).round().astype(np.int64))
        return cls(ranks, np.sort(scores)[ranks - 1], n, int(np.bincount(blocks).max()))

    @property
    def highest_level(self) -> float:
        """Above this level, intervals are infinite: there are too few scores to tell."""
        return self.n / (self.n + self.n_new)

    def quantile(self, level: float) -> float:
        """Return the score of rank ⌈level · (n + n_new)⌉, infinite if there is none.

        With one score to a block this is the rank ⌈level · (n + 1)⌉ of split conformal prediction. It holds for blocks
        too: put the new block to the others. All are exchangeable, so the new one has in expectation the share
        ``level`` of its scores up to that quantile of them all, which is at most this one, as if the new scores were
        all infinite.
        """
        rank = math.ceil(level * (self.n + self.n_new) * (1 - 1e-12))
        return math.inf if rank > self.n else float(self.values[np.searchsorted(self.ranks, rank)])

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {"ranks": self.ranks.tolist(), "values": self.values.tolist(), "n": self.n, "n_new": self.n_new}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Scores:
        """Return the scores that `to_plain` has written down."""
        ranks, values = np.array(plain["ranks"], dtype=np.int64), np.array(plain["values"], dtype=np.float64)
        return cls(ranks, values, int(plain["n"]), int(plain["n_new"]))


@final
@dataclass(frozen=True, eq=False)
class ConformalCalibration(Calibration):
    """Intervals as wide as the held-out errors of that share were, in units of the spread if there is one."""

    pooled: Scores
    """Of all residuals."""
    offset: float | None
    """Added to each spread (the spread's unit); None if the width does not go by the spread."""
    groups: dict[str, Scores] = field(default_factory=dict)
    """Of the groups that have intervals of their own; all others, also unknown ones, have those of all together."""

    @property
    def highest_level(self) -> float:
        """Above this level, intervals of some group are infinite: too little was held out to tell."""
        return min(scores.highest_level for scores in (self.pooled, *self.groups.values()))

    def half_width(
        self, spread: ArrayLike | None, level: float, groups: Sequence[str] | NDArray[np.str_] | None = None
    ) -> NDArray[np.float64]:
        """Return the quantile of the scores times spread + offset; infinite above the `highest_level` of a group."""
        level = _level(level)
        shape: tuple[int, ...] = () if groups is None else (len(groups),)
        width = np.ones(shape if spread is None else np.shape(spread))
        if self.offset is not None:  # an infinite quantile is so for a spread of zero too
            width = np.maximum(_widened(spread, self.offset), np.finfo(np.float64).tiny)
        quantile = np.array(self.pooled.quantile(level))
        if groups is not None:
            names = group_names(groups, width.shape[:1])
            quantile = np.full(len(names), quantile)
            for name, scores in self.groups.items():
                quantile[names == name] = scores.quantile(level)
            quantile = quantile.reshape(-1, *[1] * (width.ndim - 1))
        return np.asarray(width * quantile)

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        groups = {name: scores.to_plain() for name, scores in self.groups.items()}
        return {"method": "conformal", "pooled": self.pooled.to_plain(), "offset": self.offset, "groups": groups}

    @classmethod
    def _restored(cls, plain: Mapping[str, Any]) -> ConformalCalibration:
        groups = {str(name): Scores.from_plain(scores) for name, scores in plain["groups"].items()}
        offset = None if plain["offset"] is None else float(plain["offset"])
        return cls(Scores.from_plain(plain["pooled"]), offset, groups)


@final
@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Calibrate by one factor on the spread, errors taken as normal.

    >>> Scaling(offset=0.0).fit([0.2, -0.2, 0.4, -0.4], [0.1, 0.1, 0.2, 0.2])
    NormalCalibration(factor=2.0, offset=0.0)
    """

    by: str = "likelihood"
    """``"likelihood"``: the factor that makes the residuals most likely, √⟨(r/s)²⟩; ``"rms"``: that of the root mean
    squares of residuals and spreads, √(⟨r²⟩/⟨s²⟩), which goes by the large ones."""
    offset: float = OFFSET
    """Part of the median spread (of those above zero) that is added to each."""

    def __post_init__(self) -> None:
        choice("by", self.by, ("likelihood", "rms"))
        number("offset", self.offset, low=0.0)

    def fit(self, residual: ArrayLike, spread: ArrayLike) -> NormalCalibration:
        """Return the calibration from held-out residuals and their spreads, of one shape or one spread to a row.

        Raises:
            DataError: shapes differ, a value is not finite, or spreads are zero and no offset helps.
        """
        error, width = paired(residual, spread)
        offset = _offset_of(width, self.offset)
        width = width + offset
        squares = (error / width) ** 2 if self.by == "likelihood" else error**2 / np.mean(width**2)
        return NormalCalibration(float(np.sqrt(squares.mean())), offset)


@final
@dataclass(frozen=True, kw_only=True)
class SplitConformal:
    """Calibrate by the quantiles of held-out errors: the share that is covered is right whatever their distribution.

    Right is the mean share over many draws of held-out data: with few of them, a single draw may be off (n that are
    independent: by a standard deviation of √(level · (1 - level) / n)). It is exact if the offset is 0; with another,
    the median of the spreads makes a difference of the order 1/n.

    >>> calibration = SplitConformal().fit([0.1, -0.3, 0.2, 0.4, -0.5, 0.6, 0.9, -0.8, 0.7])  # without spreads
    >>> calibration.half_width(None, 0.9), calibration.half_width(None, 0.5), calibration.highest_level
    (array(0.9), array(0.5), 0.9)
    """

    offset: float = OFFSET
    """Part of the median spread (of those above zero) that is added to each."""
    smallest_group: int = 100
    """Groups of fewer blocks (residuals, where no blocks are named) have the intervals of all together."""

    def __post_init__(self) -> None:
        number("offset", self.offset, low=0.0)
        integer("smallest_group", self.smallest_group, low=1)

    def fit(
        self,
        residual: ArrayLike,
        spread: ArrayLike | None = None,
        *,
        groups: Sequence[str] | NDArray[np.str_] | None = None,
        blocks: Sequence[Any] | NDArray[Any] | None = None,
        levels: Sequence[float] = (0.9,),
    ) -> ConformalCalibration:
        """Return the calibration from held-out residuals, by their sizes relative to the spread.

        Args:
            residual: Held-out errors.  [rows] or [rows, components]
            spread: Predicted spreads, of the same shape or [rows]; None for intervals of one width.
            groups: Group of each row (the species of an atom, say), each to be covered to the same share: Mondrian
                conformal prediction.  [rows]
            blocks: What the rows belong to that are not independent: the structure of an atom.  [rows]
            levels: Shares that will be asked for, between 0 and 1; a calibration serves any other as well.

        Raises:
            DataError: shapes differ, or a value is not finite; the message says where.

        Warns:
            PotentiaWarning: groups are too small for intervals of their own, or too little was held out for a level.
        """
        error, width = paired(residual, spread)
        offset = None if spread is None else _offset_of(width, self.offset)
        scores = np.abs(error) if offset is None else np.abs(error) / (width + offset)
        rows = np.atleast_1d(np.asarray(residual)).shape[:1]
        per_row = len(error) // rows[0]
        number_of = np.repeat(block_numbers(blocks, rows), per_row)  # [residuals]
        pooled = Scores.of(scores, number_of)
        names = np.repeat(group_names(["all"] * rows[0] if groups is None else groups, rows), per_row)
        found = {} if groups is None else self._by_group(scores, names, number_of)
        for level in levels:
            _warn_of_level(_level(level), {"all": pooled, **found})
        return ConformalCalibration(pooled, offset, found)

    def _by_group(
        self, scores: NDArray[np.float64], names: NDArray[np.str_], blocks: NDArray[np.int64]
    ) -> dict[str, Scores]:
        found, small = {}, []
        for name in np.unique(names).tolist():
            here = names == name
            n_blocks = len(np.unique(blocks[here]))
            if n_blocks < self.smallest_group:
                small.append(f"{name} ({n_blocks})")
            else:
                found[name] = Scores.of(scores[here], blocks[here])
        if small:
            warn_user(
                f"too few were held out for intervals of their own: {', '.join(small)}, where smallest_group="
                f"{self.smallest_group} are wanted; they have those of all groups together"
            )
        return found


def paired(residual: ArrayLike, spread: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return residuals and spreads as rows of equal length, checked; ones where there is no spread.

    Raises:
        DataError: there is nothing, shapes differ, a value is not finite or a spread negative.
    """
    error = np.atleast_1d(np.asarray(residual, dtype=np.float64))
    if not error.size:
        raise DataError("there are no residuals: hold structures out to calibrate on")
    require_finite("residual", error)
    if spread is None:
        return error.ravel(), np.ones(error.size)
    width = np.atleast_1d(_spreads(spread))
    if width.shape == error.shape[:1]:
        width = np.broadcast_to(width.reshape(-1, *[1] * (error.ndim - 1)), error.shape)
    if width.shape != error.shape:
        raise DataError(
            f"spread must have the shape of the residuals, {error.shape}, or a value for each row, got {width.shape}"
        )
    return error.ravel(), width.ravel()


def group_names(groups: Sequence[str] | NDArray[np.str_], rows: tuple[int, ...]) -> NDArray[np.str_]:
    """Return the group of each row as an array, or raise `DataError`."""
    names = np.asarray(groups, dtype=np.str_)
    if names.shape != rows:
        raise DataError(f"groups must name each of the {rows[0] if rows else 1} rows, got shape {names.shape}")
    return names


def _level(level: float) -> float:
    value = number("level", level, low=0.0, high=1.0)
    if value in {0.0, 1.0}:
        raise ConfigError(f"level must lie between 0 and 1, like 0.9, got {level!r}")
    return value


def _spreads(spread: ArrayLike) -> NDArray[np.float64]:
    width = np.asarray(spread, dtype=np.float64)
    require_finite("spread", width)
    if (width < 0).any():
        first = tuple(np.argwhere(np.atleast_1d(width) < 0)[0].tolist())
        raise DataError(f"spread must not be negative, got {np.atleast_1d(width)[first]:g} at entry {first}")
    return width


def _widened(spread: ArrayLike | None, offset: float) -> NDArray[np.float64]:
    if spread is None:
        raise DataError("this calibration goes by the spread: give the predicted spreads")
    return _spreads(spread) + offset


def _offset_of(width: NDArray[np.float64], part: float) -> float:
    """Return ``part`` of the median spread."""
    above = width[width > 0]
    if not len(above):
        raise DataError("all spreads are zero: models that always agree tell nothing of errors; leave the spread out")
    offset = part * float(np.median(above))
    if offset == 0 and len(above) < len(width):
        raise DataError(f"spread is zero at entry {int(np.argmin(width))}: choose an offset above 0")
    return offset


def block_numbers(blocks: Sequence[Any] | NDArray[Any] | None, rows: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the number of the block of each row; each row is its own where none are named.  [rows]"""
    if blocks is None:
        return np.arange(rows[0])
    if np.shape(blocks) != rows:
        raise DataError(f"blocks must name one for each of the {rows[0]} rows, got shape {np.shape(blocks)}")
    return np.unique(np.asarray(blocks), return_inverse=True)[1].astype(np.int64)


def _warn_of_level(level: float, known: Mapping[str, Scores]) -> None:
    low = [f"{name} ({scores.highest_level:.3g})" for name, scores in known.items() if level > scores.highest_level]
    if low:
        warn_user(
            f"intervals at the level {level:g} are infinite for {', '.join(low)}: in brackets the highest level that "
            "the held-out data reach. Hold out more structures, or ask for less"
        )
