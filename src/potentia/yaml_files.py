"""YAML files: numbers as YAML 1.2 has them, no key twice, written whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from potentia.config import plain
from potentia.errors import FileFormatError
from potentia.files import write_text

__all__ = ["read_yaml", "write_yaml", "yaml_text"]


class _Loader(yaml.SafeLoader):
    """Plain values only; ``1e-25`` is a number, which YAML 1.1 takes for text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping; a key that is there twice is an error."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for k, key in enumerate(keys):
            if key in keys[:k]:
                place = node.value[k][0].start_mark
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} is there twice", problem_mark=place)
        return super().construct_mapping(node, deep)


_EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


def read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a file that holds a mapping with keys of text.

    Raises:
        FileFormatError: it holds none, or is no YAML.
    """
    try:
        found = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise FileFormatError(f"{path} is no YAML that can be read: {_problem(error)}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} is no YAML that can be read: {error}") from None
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise FileFormatError(f"{path} holds no settings: it must be a YAML mapping of names to values")
    return dict(found)


def _problem(error: yaml.MarkedYAMLError) -> str:
    """Return what is wrong, and where: lines are counted from 1."""
    place = error.problem_mark or error.context_mark
    where = "" if place is None else f"line {place.line + 1}, column {place.column + 1}: "
    return f"{where}{error.problem or error.context}"


def yaml_text(content: Mapping[str, Any]) -> str:
    """Return plain values as YAML, in their order."""
    return yaml.safe_dump(plain(content), sort_keys=False, allow_unicode=True, width=120)


def write_yaml(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write plain values, whole or not at all."""
    write_text(path, yaml_text(content))
