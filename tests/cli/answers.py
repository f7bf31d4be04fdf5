"""What commands answer."""

from __future__ import annotations

import json

from potentia.cli import main


def told(capsys, *command):
    """Return the JSON of a command."""
    capsys.readouterr()
    code = main([*map(str, command), "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)
