"""Why equations cannot be compiled: told to whoever asks, while torch goes on with them."""

from __future__ import annotations

__all__ = ["NotCompilableError"]


class NotCompilableError(Exception):
    """The equations do something that compiled roll-outs do not know; the message says what."""
