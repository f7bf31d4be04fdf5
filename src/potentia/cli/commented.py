"""Settings as a YAML file for people: above each value stands what it means."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import yaml

from potentia.cli.explained import explanations, first_sentence
from potentia.cli.families.base import Look
from potentia.config import arms_of, plain

__all__ = ["commented_yaml"]

WIDTH = 110


def commented_yaml(family: str, look: Look) -> str:
    """Return a file of settings: all that is shown, with its meaning, and what was seen at its head."""
    head = [f"# {line}" for text in look.saw for line in textwrap.wrap(text, WIDTH)]
    body = _block(look.settings, look, "", 0)
    told = "# What is left out has its default; `potentia schema` has all names for editors."
    return "\n".join([*head, told, "", f"family: {family}", *body]) + "\n"


def _block(settings: Any, look: Look, path: str, depth: int) -> Iterator[str]:
    """Write a dataclass field by field; where the field may hold others of a family, its class comes first."""
    told, hints = explanations(type(settings)), get_type_hints(type(settings))
    indent = "  " * depth
    for name in look.shown.get(path, [one.name for one in fields(settings)]):
        where, value = f"{path}.{name}".removeprefix("."), settings.__dict__[name]
        text = look.why.get(where) or _in_yaml(first_sentence(told.get(name, "")))
        if not depth:
            yield ""
        yield from (f"{indent}# {line}" for line in textwrap.wrap(text, WIDTH - len(indent)))
        if is_dataclass(value):
            yield f"{indent}{name}:"
            if arms_of(hints[name]) != [type(value)]:
                yield f"{indent}  class: {type(value).__name__}"
            yield from _block(value, look, where, depth + 1)
        else:
            yield from textwrap.indent(_entry(name, plain(value, where)), indent).splitlines()


def _in_yaml(text: str) -> str:
    return text.replace("``", "").replace("None", "null").replace("True", "true").replace("False", "false")


def _entry(name: str, value: Any) -> str:
    if isinstance(value, Mapping) and value:
        inner = (_entry(key, item) for key, item in value.items())
        return f"{name}:\n" + "\n".join(textwrap.indent(text, "  ") for text in inner)
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return f"{name}: {text.removesuffix('...' + chr(10)).strip()}"
