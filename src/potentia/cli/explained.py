"""What stands under each field of a dataclass in its source: the one place where settings are explained."""

from __future__ import annotations

import ast
import inspect
import textwrap

__all__ = ["explanations", "first_sentence"]


def explanations(settings: type) -> dict[str, str]:
    """Return the text under each field, those of its bases included; a class explains a field better than its base."""
    found: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        if cls.__module__.partition(".")[0] != "builtins" and "__annotations__" in vars(cls):
            found |= _own(cls)
    return found


def first_sentence(text: str) -> str:
    """Return a text up to the first full stop that ends a sentence.

    >>> first_sentence("Weight decay, e.g. 0.01. None for none.")
    'Weight decay, e.g. 0.01'
    """
    begin = 0
    while (end := text.find(". ", begin)) >= 0:
        if text[end + 2].isupper() and not text[:end].endswith(".") and not text[:end].endswith("e.g"):
            return text[:end]
        begin = end + 1
    return text if text.endswith("..") else text.removesuffix(".")


def _own(settings: type) -> dict[str, str]:
    try:
        source = inspect.getsource(settings)
    except (OSError, TypeError):  # settings that are made of a constructor have none
        return {}
    tree = ast.parse(textwrap.dedent(source))
    assert isinstance(tree.body[0], ast.ClassDef)
    found = {}
    for entry, below in zip(tree.body[0].body, tree.body[0].body[1:], strict=False):
        match entry, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found
