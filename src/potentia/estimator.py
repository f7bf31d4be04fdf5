"""What every estimator of potentia shares: a recipe until it is trained, one file, one repr."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from torch import nn

from potentia.errors import NotFittedError
from potentia.storage import flatten, read_file, unflatten, write_file
from potentia.train.checkpoint import KIND as CHECKPOINT
from potentia.train.checkpoint import require_checkpoint_of
from potentia.train.device import usable_device

__all__ = ["Estimator", "FittedEstimator", "NetworkEstimator"]


class _Fitted(Protocol):
    """What a training has found."""

    @property
    def record(self) -> dict[str, Any]:
        """How it was trained."""


class _FittedNetwork(_Fitted, Protocol):
    """What the training of one network has found."""

    @property
    def network(self) -> nn.Module:
        """The trained network."""


Learned = TypeVar("Learned", bound=_Fitted)
LearnedNetwork = TypeVar("LearnedNetwork", bound=_FittedNetwork)


class Estimator(ABC):
    """Base of the estimators: constructed from plain settings, trained, saved and loaded the same way.

    A subclass names its ``kind`` of file and says how its recipe and what it has learned are written and read. A
    checkpoint carries the same two, so it can be opened as a model too.
    """

    kind: ClassVar[str]
    """Kind of the files, for `potentia.storage`."""

    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain values."""

    @abstractmethod
    def is_trained(self) -> bool:
        """Whether there is something to predict with."""

    @abstractmethod
    def learned(self) -> dict[str, Any]:
        """Return all that training has found, as nested plain values and tensors."""

    @classmethod
    @abstractmethod
    def from_parts(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        """Build a trained estimator from `recipe` and `learned`."""

    def save(self, path: str | os.PathLike[str], extra_metadata: Mapping[str, Any] | None = None) -> None:
        """Write the trained estimator to one file (safetensors with a JSON header), whole or not at all.

        Raises:
            NotFittedError: there is nothing to save yet.
        """
        self.require_trained()
        skeleton, tensors = flatten(self.learned())
        settings = {"recipe": self.recipe(), "learned": skeleton, "extra_metadata": dict(extra_metadata or {})}
        write_file(path, self.kind, settings, tensors)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an estimator from a file of `save`, or the model from a checkpoint of its training.

        Raises:
            FileFormatError: the file is truncated, foreign, or of another kind.
        """
        return cls.from_parts(*cls.parts_in(path))

    @classmethod
    def parts_in(cls, path: str | os.PathLike[str]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Read recipe and learned, the arguments of `from_parts`, from a file of `save` or a checkpoint.

        Notes that the user saved with it are in the record, as ``extra_metadata``.

        Raises:
            FileFormatError: the file is truncated, foreign, or of another kind.
        """
        stored = read_file(path, cls.kind, CHECKPOINT)
        if stored.kind == CHECKPOINT:
            state = unflatten(stored.settings["state"], stored.tensors)
            extra = state["extra"]
            require_checkpoint_of(cls.kind, extra, path)
            cls.require_readable(extra["recipe"], path)
            return extra["recipe"], {**extra["learned"], "model": state["run"]["model"]}
        cls.require_readable(stored.settings["recipe"], path)
        learned = unflatten(stored.settings["learned"], stored.tensors)
        notes = stored.settings["extra_metadata"]
        if notes:
            learned["record"] = {**learned.get("record", {}), "extra_metadata": notes}
        return stored.settings["recipe"], learned

    @classmethod
    def require_readable(cls, recipe: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
        """Raise `FileFormatError` unless what the recipe of a file names is known here; some name what users add."""
        return

    def require_trained(self) -> None:
        """Raise `NotFittedError` unless `is_trained`."""
        if not self.is_trained():
            text = f"this {type(self).__name__} has learned nothing yet; call `train` first"
            raise NotFittedError(text, page="index.md#ten-minutes")

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.recipe().items())
        return f"{type(self).__name__}({arguments})"


class FittedEstimator(Estimator, Generic[Learned]):
    """An estimator that keeps all it has learned in one record, ``fitted_``."""

    fitted_: Learned | None
    """None before training."""

    @property
    def metadata(self) -> dict[str, Any] | None:
        """How it was trained: settings, seed, data, epochs, duration (s), history; None before training."""
        return None if self.fitted_ is None else self.fitted_.record

    def is_trained(self) -> bool:
        """Whether there is something to predict with."""
        return self.fitted_ is not None

    def fitted(self) -> Learned:
        """Return what was learned, or raise `NotFittedError`."""
        self.require_trained()
        assert self.fitted_ is not None
        return self.fitted_


class NetworkEstimator(FittedEstimator[LearnedNetwork]):
    """An estimator whose record holds one network, on the CPU after `load` and on any device after `to`."""

    def to(self, device: str) -> Self:
        """Return the same trained estimator on another device."""
        moved = self.from_parts(self.recipe(), self.learned())
        moved.fitted().network.to(usable_device(device))
        return moved
