"""A process that trains loads nothing that only draws, compares or searches: each of these takes a good while."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from processes import environment

UNUSED = {
    "operators": ["matplotlib", "PIL", "optuna", "ase", "dask", "torch._dynamo"],
    "dynamics": ["matplotlib", "PIL", "h5py", "optuna", "ase", "dask", "scipy.stats", "torch._dynamo"],
}


@pytest.mark.slow
@pytest.mark.parametrize("family", UNUSED)
def test_a_training_does_not_load_what_draws_or_searches(family):
    script = Path(__file__).with_name("lean_trainings.py")
    command = [sys.executable, str(script), family, *UNUSED[family]]
    end = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert (end.stdout, end.returncode) == ("", 0), end.stderr


NEVER = ["matplotlib", "PIL", "scipy.stats", "scipy.spatial", "scipy.linalg", "ase.io", "pydantic", "typer", "optuna"]
NEVER += ["dask", "torch._dynamo", "torch.utils.tensorboard"]
AFTER_IMPORT = {
    "potentia.trajectories": [*NEVER, "scipy", "pandas", "numba", "ase", "vesin", "msgpack"],
    "potentia.potentials": [*NEVER, "scipy.special"],
    "potentia.dynamics": [*NEVER, "scipy.special"],
    "potentia.operators": NEVER,
}
"""What is not there when a family was imported, and those above it before."""
IMPORTING = """
import importlib, json, sys
for family, unused in json.loads(sys.argv[1]).items():
    importlib.import_module(family)
    for name in unused:
        if name in sys.modules:
            print(family, "loads", name)
"""


@pytest.mark.slow
def test_a_family_that_is_imported_does_not_load_what_draws_searches_or_reads_foreign_files():
    command = [sys.executable, "-c", IMPORTING, json.dumps(AFTER_IMPORT)]
    end = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert end.stdout.splitlines() == []
