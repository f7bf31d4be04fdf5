"""What is in a file, before an estimator reads it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from potentia.errors import FileFormatError
from potentia.runs.models import kind_of

__all__ = ["expected_kind"]


def expected_kind(path: Path, kinds: Collection[str]) -> str:
    """Return which of ``kinds`` the estimator in a file is of; a checkpoint is of the kind that was trained.

    Raises:
        FileFormatError: there is no such file, it is damaged, or of another kind.
    """
    if not path.is_file():
        raise FileFormatError(f"no such file: {path}")
    kind = kind_of(path)
    if kind not in kinds:
        raise FileFormatError(f"{path} is of a {kind}, not of a {' or '.join(kinds)}")
    return kind
