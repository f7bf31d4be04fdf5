"""What a file of an estimator holds, before it is known which estimator is to open it."""

from __future__ import annotations

import os

from potentia.storage import kind_in
from potentia.train.checkpoint import KIND, load_checkpoint

__all__ = ["kind_of"]


def kind_of(path: str | os.PathLike[str]) -> str:
    """Return the kind of the estimator in a file of `Estimator.save`, or in a checkpoint.

    Raises:
        FileFormatError: the file is truncated, damaged or foreign.
    """
    kind = kind_in(path)
    return str(load_checkpoint(path).extra.get("kind")) if kind == KIND else kind
