"""Options that take several values behind one name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperCommand

__all__ = ["ManyValues"]


class ManyValues(TyperCommand):
    """A command whose options may take several values behind one name: ``--dataset a b`` is two of them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the name of an option before each further value."""
        many = {name for param in self.params if getattr(param, "multiple", False) for name in param.opts}
        return super().parse_args(ctx, list(_repeated(args, many)))


def _repeated(args: Sequence[str], many: set[str]) -> Iterator[str]:
    current, taken = "", False
    for token in args:
        if token.startswith("--"):
            name, equals, _ = token.partition("=")
            current, taken = (name if name in many else ""), bool(equals)
        elif current and taken:
            yield current
        else:
            taken = True
        yield token
