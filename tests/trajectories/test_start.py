"""A process of a study loads nothing that training does not use: each of these takes a good part of a second."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from processes import environment

UNUSED = ["matplotlib", "pandas", "scipy", "optuna", "ase", "numba", "vesin", "sympy", "distributed", "dask"]


@pytest.mark.slow
def test_a_study_trains_without_what_draws_tabulates_searches_or_compiles(tmp_path):
    script = Path(__file__).with_name("lean_study.py")
    command = [sys.executable, str(script), str(tmp_path), *UNUSED]
    end = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert end.stdout.splitlines() == ["", "False"], end.stderr
