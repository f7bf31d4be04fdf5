"""Checkpoints: a run with the settings and data it belongs to, in one file that cannot be half written."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from potentia.config import differences, plain
from potentia.errors import ConfigError, FileFormatError
from potentia.seeding import fresh_seed
from potentia.storage import flatten, read_file, unflatten, write_file
from potentia.train.run import Run

__all__ = [
    "KIND", "Checkpoint", "checkpoint_of", "go_on", "load_checkpoint", "require_checkpoint_of", "save_checkpoint",
    "seed_of",
]  # fmt: skip

KIND = "checkpoint"
"""Kind of the files, for `potentia.storage.read_file`."""


@dataclass(frozen=True)
class Checkpoint:
    """A run as it was, to be resumed, or to be opened as a model."""

    path: str
    """Where it was read from."""
    settings: dict[str, Any]
    """What the run belongs to: nested plain settings and marks of the data (fingerprint)."""
    run: dict[str, Any]
    """State of the run, see `potentia.train.run.Run.state`; ``run["model"]`` is what to open as a model: the weights
    that were scored, so the averaged ones where weights are averaged. ``run["seed"]`` holds the seed."""
    extra: dict[str, Any]
    """What the caller stored beside it: plain values and tensors, for example the recipe of the model."""

    def resume(self, run: Run, settings: Mapping[str, Any], allow: Collection[str] = ()) -> None:
        """Let ``run`` go on where this checkpoint stands.

        Args:
            run: A run with a model of the same shape; changed in place. It takes over the seed as well, so draw its
                batches from ``run.seed`` afterwards.
            settings: What the run belongs to now.
            allow: Names in ``settings`` that may have changed; the new values hold.

        Raises:
            ConfigError: settings or data have changed beyond what ``allow`` names.
        """
        changed = differences(self.settings, settings, allow)
        if changed:
            names = tuple(line.split(": ", 1)[0] for line in changed)
            listed = "\n  ".join(changed)
            raise ConfigError(
                f"{self.path} belongs to another training; since then changed:\n  {listed}\n"
                f"Put it back, or name what may change among the allowed changes: {names}",
                page="training.md#checkpoints-and-restarts",
            )
        run.load_state(self.run)


def save_checkpoint(
    path: str | os.PathLike[str], run: Run, settings: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> None:
    """Write a checkpoint of ``run``, whole or not at all (see `Checkpoint` for ``settings`` and ``extra``)."""
    skeleton, tensors = flatten({"run": run.state(), "extra": dict(extra or {})})
    write_file(path, KIND, {"settings": plain(settings), "state": skeleton}, tensors)


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint."""
    stored = read_file(path, KIND)
    state = unflatten(stored.settings["state"], stored.tensors)
    return Checkpoint(os.fspath(path), stored.settings["settings"], state["run"], state["extra"])


def require_checkpoint_of(kind: str, extra: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Raise `FileFormatError` unless ``extra``, of the checkpoint at ``path``, names this kind of estimator."""
    if extra.get("kind") != kind:
        raise FileFormatError(f"{path} is a checkpoint of something else, not of a {kind}")


def checkpoint_of(kind: str, resume_from: str | os.PathLike[str] | None) -> Checkpoint | None:
    """Read the checkpoint that a training of this kind of estimator goes on from; None where it begins anew."""
    if resume_from is None:
        return None
    checkpoint = load_checkpoint(resume_from)
    require_checkpoint_of(kind, checkpoint.extra, checkpoint.path)
    return checkpoint


def seed_of(given: int | None, checkpoint: Checkpoint | None) -> int:
    """Return the seed of a training: the one given, else that of the checkpoint, else a new one."""
    if given is not None:
        return given
    return fresh_seed() if checkpoint is None else int(checkpoint.run["seed"])


def go_on(run: Run, checkpoint: Checkpoint | None, settings: Mapping[str, Any], allow: Collection[str]) -> None:
    """Let a run go on where a checkpoint stands, if there is one; unlike `Checkpoint.resume`, it keeps its seed."""
    if checkpoint is not None:
        seed = run.seed
        checkpoint.resume(run, settings, allow)
        run.seed = seed
