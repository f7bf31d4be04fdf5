"""What a study trains beside the main model: on other data, with other batches or other seeds, one class for each."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from potentia.checks import integer, number
from potentia.errors import ConfigError
from potentia.trajectories.dataset import TrajectoryData

__all__ = [
    "MAIN",
    "MODALITIES",
    "BatchScaling",
    "Extrapolation",
    "Interpolation",
    "Modality",
    "Sparse",
    "Uncertainty",
    "Variant",
    "part_of",
]

Value = TypeVar("Value", int, float)


@dataclass(frozen=True)
class Variant:
    """One of the models of a surrogate."""

    mode: str
    """What kind it is, as in names of files."""
    metric: str
    """Which of its kind, as in names of files; empty for the main model."""
    value: float | None
    """The same as a number, for the axes of figures; None for the main model."""
    batch_size: int
    """Size of its batches."""

    @property
    def suffix(self) -> str:
        """Behind the surrogate in names of files, such as ``"interpolation_2"``."""
        return f"{self.mode}_{self.metric}" if self.metric else self.mode


MAIN = "main"
"""Mode of the model that all others are compared with."""


@dataclass(frozen=True, kw_only=True)
class Modality(ABC, Generic[Value]):
    """Models that differ from the main one in one number; each is evaluated on the whole held-out part.

    The parts to train on and to select by are cut alike. The held-out part and the horizon of the data are never cut,
    so all models share one map of time.
    """

    key: ClassVar[str]
    """Its block in the settings of a study."""
    mode: ClassVar[str]
    """What it is called in names of files."""
    list_key: ClassVar[str]
    """The setting with its values."""

    enabled: bool = False
    """Whether its models are trained."""

    def __post_init__(self) -> None:
        """Check the values."""
        values = self.values()
        if self.enabled and not values:
            raise ConfigError(f"{self.key} is enabled but {self.key}.{self.list_key} lists nothing")
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ConfigError(f"{self.key}.{self.list_key} lists {', '.join(map(str, twice))} more than once")

    @abstractmethod
    def values(self) -> Sequence[Value]:
        """Return what its models differ in, one value for each."""

    def variants(self, batch_size: int) -> list[Variant]:
        """Return its models in the order of its values; none where it is not enabled.

        Args:
            batch_size: Of the main model.
        """
        if not self.enabled:
            return []
        return [Variant(self.mode, str(value), value, batch_size) for value in self.values()]

    @classmethod
    def cut(cls, data: TrajectoryData, value: Any) -> TrajectoryData:
        """Return what the model of ``value`` is trained on."""
        return data

    def check(self, data: TrajectoryData) -> None:
        """Raise `ConfigError` if a value leaves nothing of the data to train on or to select by."""

    def require_within(self, trained: Any) -> None:
        """Raise `ConfigError` unless all models were ``trained``, the same modality of the study that trained."""
        if not self.enabled:
            return
        missing = [value for value in self.values() if not trained.enabled or value not in trained.values()]
        if missing:
            raise ConfigError(
                f"{self.key}.{self.list_key} asks for {', '.join(map(str, missing))}, which the study has not trained; "
                "evaluate what it has, or train the others under another training_id"
            )


@dataclass(frozen=True, kw_only=True)
class Interpolation(Modality[int]):
    """Every k-th time step."""

    key: ClassVar[str] = "interpolation"
    mode: ClassVar[str] = "interpolation"
    list_key: ClassVar[str] = "intervals"

    intervals: tuple[int, ...] = ()
    """Each k keeps the time steps 0, k, 2k …"""

    def values(self) -> Sequence[int]:
        """Return the intervals."""
        return _integers(self.key, self.list_key, self.intervals, low=1)

    @classmethod
    def cut(cls, data: TrajectoryData, value: Any) -> TrajectoryData:
        """Return the data at every ``value``-th time step."""
        steps = slice(None, None, value)
        return data.with_splits(data.train.at_steps(steps), data.test.at_steps(steps))

    def check(self, data: TrajectoryData) -> None:
        """Raise `ConfigError` unless at least two time steps are left."""
        n = len(data.train.times)
        for value in self.values():
            if value > n - 1:
                raise ConfigError(f"interpolation.intervals: {value} leaves one of the {n} time steps of {data.name}")


@dataclass(frozen=True, kw_only=True)
class Extrapolation(Modality[int]):
    """The first time steps."""

    key: ClassVar[str] = "extrapolation"
    mode: ClassVar[str] = "extrapolation"
    list_key: ClassVar[str] = "cutoffs"

    cutoffs: tuple[int, ...] = ()
    """Each c keeps the first c time steps."""

    def values(self) -> Sequence[int]:
        """Return the cutoffs."""
        return _integers(self.key, self.list_key, self.cutoffs, low=2)

    @classmethod
    def cut(cls, data: TrajectoryData, value: Any) -> TrajectoryData:
        """Return the data at the first ``value`` time steps."""
        steps = slice(None, value)
        return data.with_splits(data.train.at_steps(steps), data.test.at_steps(steps))

    def check(self, data: TrajectoryData) -> None:
        """Raise `ConfigError` unless there are as many time steps."""
        n = len(data.train.times)
        for value in self.values():
            if value > n:
                raise ConfigError(f"extrapolation.cutoffs: {value} is beyond the {n} time steps of {data.name}")


@dataclass(frozen=True, kw_only=True)
class Sparse(Modality[int]):
    """Every k-th trajectory."""

    key: ClassVar[str] = "sparse"
    mode: ClassVar[str] = "sparse"
    list_key: ClassVar[str] = "factors"

    factors: tuple[int, ...] = ()
    """Each k keeps the trajectories 0, k, 2k …"""

    def values(self) -> Sequence[int]:
        """Return the factors."""
        return _integers(self.key, self.list_key, self.factors, low=1)

    @classmethod
    def cut(cls, data: TrajectoryData, value: Any) -> TrajectoryData:
        """Return every ``value``-th trajectory."""
        return _thinned(data, value)

    def check(self, data: TrajectoryData) -> None:
        """Raise `ConfigError` where a factor is larger than the number of trajectories."""
        for value in self.values():
            if value > len(data.train):
                raise ConfigError(
                    f"sparse.factors: {value} is more than the {len(data.train)} trajectories to train on"
                )


@dataclass(frozen=True, kw_only=True)
class BatchScaling(Modality[float]):
    """Other sizes of the batches."""

    key: ClassVar[str] = "batch_scaling"
    mode: ClassVar[str] = "batchsize"
    list_key: ClassVar[str] = "sizes"

    sizes: tuple[float | int | str, ...] = ()
    """Factors on the size of the main model, such as 2, 0.5 or ``"1/4"``; the result is rounded down."""

    def values(self) -> Sequence[float]:
        """Return the factors as numbers."""
        return [_factor(size) for size in self.sizes]

    def variants(self, batch_size: int) -> list[Variant]:
        """Return its models, called by the sizes that result.

        Raises:
            ConfigError: a batch would be empty, or two factors give the same size.
        """
        if not self.enabled:
            return []
        sizes = [int(batch_size * factor) for factor in self.values()]
        for factor, size in zip(self.sizes, sizes, strict=True):
            if size < 1:
                raise ConfigError(f"batch_scaling.sizes: {factor} of a batch size of {batch_size} leaves no batch")
            if sizes.count(size) > 1:
                raise ConfigError(
                    f"batch_scaling.sizes: {factor} and another factor of a batch size of {batch_size} both give {size}"
                )
        return [Variant(self.mode, str(size), size, size) for size in sizes]


@dataclass(frozen=True, kw_only=True)
class Uncertainty(Modality[int]):
    """The same model from other seeds: an ensemble, whose first member is the main model."""

    key: ClassVar[str] = "uncertainty"
    mode: ClassVar[str] = "UQ"
    list_key: ClassVar[str] = "ensemble_size"

    ensemble_size: int = 1
    """Members, the main model among them."""

    def values(self) -> Sequence[int]:
        """Return the numbers of the members without the main model."""
        integer("uncertainty.ensemble_size", self.ensemble_size, low=2 if self.enabled else 1)
        return list(range(1, self.ensemble_size))


MODALITIES: tuple[type[Modality[Any]], ...] = (Interpolation, Extrapolation, Sparse, Uncertainty, BatchScaling)
"""In the order of the tasks."""


def part_of(data: TrajectoryData, subset_factor: int, mode: str, value: float | None) -> TrajectoryData:
    """Return what a model is trained on.

    Args:
        data: The whole data.
        subset_factor: Every so many-th trajectory is taken for all models.
        mode: Of the variant.
        value: Of the variant.
    """
    part = _thinned(data, subset_factor)
    return part if mode == MAIN else {kind.mode: kind for kind in MODALITIES}[mode].cut(part, value)


def _thinned(data: TrajectoryData, factor: int) -> TrajectoryData:
    which = slice(None, None, factor)
    return data.with_splits(data.train.take(which), data.test.take(which))


def _integers(key: str, name: str, values: Sequence[Any], low: int) -> list[int]:
    return [integer(f"{key}.{name}", value, low=low) for value in values]


def _factor(value: float | str) -> float:
    """Return a factor from a number or text such as ``"1/4"`` or ``"3.14"``."""
    name = "batch_scaling.sizes"
    if isinstance(value, str):
        part = re.fullmatch(r"\s*([0-9.eE+-]+)\s*(?:/\s*([0-9.eE+-]+)\s*)?", value)
        try:
            value = float(part[1]) / float(part[2] or 1) if part else float(value)
        except (ValueError, ZeroDivisionError):
            raise ConfigError(f"{name} must be numbers or fractions such as '1/4', got {value!r}") from None
    if number(name, value, low=0) == 0:
        raise ConfigError(f"{name} must be greater than 0, got {value!r}")
    return float(value)
