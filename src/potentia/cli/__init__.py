"""The command ``potentia``: from a file of settings to the estimators; each command imports what it needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from potentia.errors import PotentiaError, TrainingError

__all__ = ["main"]

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
"""Exit codes: the input cannot be used; something that was asked for has failed; interrupted from the keyboard."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; an error is one line on the standard error stream.

    Args:
        arguments: What stands behind ``potentia``; None takes those of the process.
    """
    from potentia.cli.app import app

    try:
        app(args=None if arguments is None else list(arguments), prog_name="potentia")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except TrainingError as error:
        return _told(error, FAILED)
    except (PotentiaError, OSError) as error:
        return _told(error, BAD_INPUT)
    except KeyboardInterrupt:
        return _told("interrupted; the same command goes on", INTERRUPTED)
    return 0


def _told(error: object, code: int) -> int:
    sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
    return code
