"""The command ``potentia doctor``."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from potentia.cli.doctor import CHECKS

__all__ = ["doctor"]

BROKEN = 1
"""Exit code where something is broken."""


def doctor(as_json: bool) -> int:
    """Look at everything, tell it, and return the exit code."""
    findings = []
    for check in CHECKS:
        for one in check():
            findings.append(one)
            if not as_json:
                typer.echo(str(one))
    broken = sum(one.state == "broken" for one in findings)
    if as_json:
        typer.echo(json.dumps({"broken": broken, "findings": [asdict(one) for one in findings]}))
    else:
        typer.echo(f"{broken} broken" if broken else "nothing is broken")
    return BROKEN if broken else 0
