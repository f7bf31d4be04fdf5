"""Draws the layers that pyproject.toml holds the code to into docs/design.md and docs/layers.md.

Names and order are those of the contracts; what stands beside a name is the first line of its module.

    python scripts/draw_layers.py            # after a module or a layer has come or gone
    python scripts/draw_layers.py --check    # exit code 1 where a page is not up to date
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DESIGN, LAYERS = ROOT / "docs/design.md", ROOT / "docs/layers.md"
BEGIN, END = "<!-- drawn by scripts/draw_layers.py -->", "<!-- end of what is drawn -->"
WIDTH = 118
"""Characters of a line of a picture."""
HEAD = f"""\
{BEGIN}

# Layers

An upper module may import from those below it. Those that a bracket holds together do not know each other. `make check`
holds the code to these pictures; the [design](design.md#layers) has that of the whole package.
"""


def contracts() -> list[dict[str, Any]]:
    """Return the contracts, that of the package first."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: list[dict[str, Any]] = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return found


def first_line(package: str, module: str) -> str | None:
    """Return the first line of a module without its full stop; None where there is no such module."""
    place = ROOT.joinpath("src", *package.split("."), module)
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            return told.split("\n", 1)[0].removesuffix(".").replace("``", "").replace("`", "")
    return None


def layers_of(contract: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what each module says of itself, layer by layer, from the uppermost down."""
    (package,) = contract["containers"]
    found = []
    for layer in contract["layers"]:
        names = [name.strip().strip("()") for name in layer.split("|")]
        told = {name: line for name in names if (line := first_line(package, name)) is not None}
        if told:
            found.append(told)
    return found


def picture(contract: Mapping[str, Any]) -> str:
    """Return the layers of a contract as a block of text."""
    layers = layers_of(contract)
    column = 4 + max(len(name) for layer in layers for name in layer)
    lines: list[str] = []
    for layer in layers:
        for number, (name, told) in enumerate(layer.items()):
            lines += _rows(name, told, column, *_bracket(number, len(layer)))
    return "\n".join(["```text", *lines, "```"])


def _bracket(number: int, count: int) -> tuple[str, str]:
    """Return what holds a module to its neighbours: beside its name, and beside what follows of its text."""
    if count == 1:
        return " ", " "
    if number == count - 1:
        return "└", " "
    return ("┌" if number == 0 else "│"), "│"


def _rows(name: str, told: str, column: int, beside: str, below: str) -> Iterator[str]:
    for number, part in enumerate(textwrap.wrap(told, WIDTH - column)):
        left = f"{beside} {name}" if number == 0 else below
        yield f"{left:<{column}}{part}"


def pages() -> dict[Path, str]:
    """Return both pages as they should be."""
    whole, *inner = contracts()
    text = DESIGN.read_text(encoding="utf-8")
    drawn = re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n\n{picture(whole)}\n\n{END}", text, flags=re.DOTALL)
    parts = [f"## {contract['containers'][0]}\n\n{picture(contract)}\n" for contract in inner]
    return {DESIGN: drawn, LAYERS: "\n".join([HEAD, *parts])}


def main() -> int:
    """Write both pages, or say which is not up to date."""
    old = {path: text for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in old.items():
        if "--check" in sys.argv[1:]:
            sys.stdout.write(f"{path.relative_to(ROOT)} is not up to date: python scripts/draw_layers.py\n")
        else:
            path.write_text(text, encoding="utf-8")
    return 1 if old and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
