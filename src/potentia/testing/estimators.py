"""Laws of estimators and of settings: what is saved is loaded, what is written down is read again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from potentia.config import from_dict, plain
from potentia.estimator import Estimator
from potentia.testing.comparing import require, require_same

__all__ = ["saved_is_loaded", "settings_go_there_and_back"]

Saved = TypeVar("Saved", bound=Estimator)


def saved_is_loaded(estimator: Saved, ask: Callable[[Saved], Any]) -> None:
    """A trained estimator that was saved and loaded answers the same to the bit, and saved again is the same file.

    Args:
        estimator: A trained one.
        ask: Returns what an estimator answers: arrays, tensors, numbers, in lists and dicts.

    Raises:
        AssertionError: answers, recipe or files differ.

    >>> import numpy as np
    >>> from potentia.trajectories import FullyConnected, FullyConnectedConfig, TrajectoryTrainingConfig, make_data
    >>> data = make_data("simple_ode", n_train=2, n_val=1, n_test=1, times=np.linspace(0, 1, 5))
    >>> surrogate = FullyConnected(FullyConnectedConfig(hidden_size=2, num_hidden_layers=1))
    >>> _ = surrogate.train(data, TrajectoryTrainingConfig(epochs=1, seed=1))
    >>> saved_is_loaded(surrogate, lambda one: one.predict(data.val.initial_states, data.val.times))
    """
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "first", Path(folder) / "second"
        estimator.save(first)
        loaded = type(estimator).load(first)
        loaded.save(second)
        law = "what is loaded answers as what was saved"
        require_same(law, ask(loaded), ask(estimator))
        require("what is loaded has the recipe of what was saved", repr(loaded) == repr(estimator), repr(loaded))
        same = first.read_bytes() == second.read_bytes()
        require("saved again it is the same file", same, "its bytes are others")


def settings_go_there_and_back(settings: Any, base: type | None = None) -> None:
    """Settings written as plain values are read as the same settings, by their class or one that they derive from.

    Raises:
        AssertionError: what is read differs.

    >>> from potentia.train import SGD, TrainingMethod
    >>> settings_go_there_and_back(SGD(lr=0.1, momentum=0.9), TrainingMethod)
    """
    found = from_dict(type(settings) if base is None else base, plain(settings))
    require("settings go to plain values and back", found == settings, f"{found!r} instead of {settings!r}")
