"""The errors of potentia: one root, five kinds, each also an error of Python's own."""

from __future__ import annotations

import sys
import warnings

__all__ = [
    "ConfigError",
    "DataError",
    "FileDamagedError",
    "FileFormatError",
    "NotFittedError",
    "PotentiaError",
    "PotentiaWarning",
    "TrainingError",
    "warn_user",
]

PAGES = "docs/"
"""Where the pages of the documentation lie, from the root of the repository."""


class PotentiaError(Exception):
    """Root of every error that potentia raises on purpose.

    Args:
        text: What was wanted, what came, what to do.
        page: The page of the documentation, with its heading, that tells more where a sentence is not enough.

    >>> print(ConfigError("too many", page="training.md#methods"))
    too many; see docs/training.md#methods
    """

    def __init__(self, text: str = "", *, page: str = "") -> None:
        super().__init__(_with_page(text, page))


class ConfigError(PotentiaError, ValueError):
    """A setting has a value that cannot be: the message names it, what was wanted and what came."""


class DataError(PotentiaError, ValueError):
    """A structure, label or array is unusable: the message names file, frame and atom."""


class FileFormatError(PotentiaError, OSError):
    """A file is truncated, foreign, or of a version this release does not read."""


class FileDamagedError(FileFormatError):
    """A file of this package is not what was written: its checksum says so."""


class NotFittedError(PotentiaError, RuntimeError):
    """A result was asked of an estimator that has learned nothing yet."""


class TrainingError(PotentiaError, RuntimeError):
    """A training cannot go on: the message says where it stands and what to try."""


class PotentiaWarning(UserWarning):
    """Something was done as asked, but is likely not what was meant."""


def warn_user(text: str, *, page: str = "") -> None:
    """Warn with a `PotentiaWarning` that points at the line of the user's that has called into this package.

    ``page`` is what it is to a `PotentiaError`.
    """
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(_with_page(text, page), PotentiaWarning, stacklevel=level)


def _with_page(text: str, page: str) -> str:
    return f"{text}; see {PAGES}{page}" if page else text
