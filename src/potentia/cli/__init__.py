"""The command ``potentia``: from a file of settings to the estimators; each command imports what it needs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from potentia import progress
from potentia.errors import PotentiaError, PotentiaWarning, TrainingError

__all__ = ["main"]

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
"""Exit codes: the input cannot be used; something that was asked for has failed; interrupted from the keyboard."""
GOES_ON = "interrupted; the same command goes on, a training with --resume and its directory"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; errors and warnings are one line each on the standard error stream.

    Args:
        arguments: What stands behind ``potentia``; None takes those of the process.
    """
    from potentia.cli.app import app

    try:
        with _warnings_in_a_line(), progress.watched():
            app(args=None if arguments is None else list(arguments), prog_name="potentia")
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer ends a command with it that was interrupted, and says nothing
            return _told(GOES_ON, INTERRUPTED)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except TrainingError as error:
        return _told(error, FAILED)
    except PotentiaError as error:
        return _told(error, BAD_INPUT)
    except OSError as error:
        named = error.filename is not None and error.strerror is not None
        return _told(f"{error.filename}: {error.strerror}" if named else error, BAD_INPUT)
    except KeyboardInterrupt:
        return _told(GOES_ON, INTERRUPTED)
    return 0


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Write warnings of this package as errors are: whoever reads them has written no line of Python."""
    usual = warnings.formatwarning

    def formatted(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> str:
        if issubclass(category, PotentiaWarning):
            return f"warning: {' '.join(str(message).split())}\n"
        return usual(message, category, *where, **more)

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _told(error: object, code: int) -> int:
    sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
    return code
