"""The command ``potentia init``: a look at data, and a file of settings to begin with."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import typer

from potentia.cli.commented import commented_yaml
from potentia.cli.families import family, family_of_data
from potentia.cli.families.files import expanded
from potentia.cli.outputs import require_new
from potentia.storage import write_text

__all__ = ["init"]


def init(data: Sequence[str], out: Path, name: str | None, members: int | None, as_json: bool) -> None:
    """Write settings for these data, and tell what was seen; a file that is there is never replaced."""
    require_new(out, "-o")
    files = expanded(data)
    found = family_of_data(files) if name is None else family(name)
    folder = out.resolve().parent
    look = found.look(files, [os.path.relpath(Path(one).expanduser(), folder) for one in data])
    if members is not None:
        look = found.as_committee(look, members)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(out, commented_yaml(found.name, look))
    if as_json:
        typer.echo(
            json.dumps({"file": str(out), "family": found.name, "saw": look.saw, "settings": look.settings.plain()})
        )
        return
    typer.echo("\n".join(look.saw))
    typer.echo(f"{out}: settings of {found.name}; read it, then: potentia train {out}")
