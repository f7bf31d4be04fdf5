"""Runs of committees that commands have made, and what commands answer."""

from __future__ import annotations

import json
from types import SimpleNamespace

from potentia.cli import main


def told(capsys, *command):
    """Return the JSON of a command."""
    capsys.readouterr()
    code = main([*map(str, command), "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def committee_of_three(folder, data, short):
    """Return settings that `init` has written for three members, and a calibrated run of them."""
    settings = folder / "settings.yaml"
    assert main(["init", str(data), "-o", str(settings), "--members", "3"]) == 0
    assert main(["train", str(settings), *short, "--run-dir", str(folder / "run")]) == 0
    return SimpleNamespace(folder=folder, settings=settings, path=folder / "run", data=data)
