"""Laws of all commands, found by walking the app: each prints JSON for programs, and each that trains a forecast."""

from __future__ import annotations

import typer
from typer.core import TyperGroup

from potentia.cli import main
from potentia.cli.app import app


def leaves(command, path=()):
    """Yield the words of each command that does something."""
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from leaves(inner, (*path, name))
    else:
        yield path


COMMANDS = list(leaves(typer.main.get_command(app)))


def test_each_command_prints_json_on_demand(capsys):
    assert len(COMMANDS) >= 23
    without = []
    for words in COMMANDS:
        assert main([*words, "--help"]) == 0
        if "--json" not in capsys.readouterr().out:
            without.append(words)
    assert without == []


def test_each_training_tells_before_how_long_it_takes(capsys):
    for words in (
        ("train",),
        ("dynamics", "train"),
        ("operators", "train"),
        ("operators", "tokenizer"),
        ("study", "run"),
    ):
        assert words in COMMANDS
        assert main([*words, "--help"]) == 0
        assert "--dry-run" in capsys.readouterr().out
