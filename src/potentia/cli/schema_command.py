"""The command ``potentia schema``: what an editor needs to know of files of settings."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from potentia.cli.families import FAMILIES, family
from potentia.cli.json_schema import schema_of
from potentia.cli.outputs import require_new
from potentia.storage import write_text

__all__ = ["schema", "settings_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(name: str | None, out: Path | None, as_json: bool) -> None:
    """Write or print the schema of one family, or that of all."""
    names = FAMILIES if name is None else (name,)
    found = [settings_schema(one) for one in names]
    whole = found[0] if len(found) == 1 else {"anyOf": found}
    text = json.dumps({"$schema": DIALECT, **whole}, indent=1, ensure_ascii=False) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    require_new(out, "-o")
    write_text(out, text)
    if as_json:
        typer.echo(json.dumps({"file": str(out), "families": list(names)}))
        return
    typer.echo(f"{out}: in an editor, `# yaml-language-server: $schema={out}` at the head of the settings names it")


def settings_schema(name: str) -> dict[str, object]:
    """Return the schema of the settings of a family."""
    found = family(name)
    blocks = schema_of(found.settings_class)
    del blocks["properties"]["class"]
    blocks["properties"] = {"family": {"const": found.name, "description": "The family."}, **blocks["properties"]}
    blocks["required"] = ["family", *blocks.get("required", [])]
    return {"title": f"potentia {found.name}", **blocks}
