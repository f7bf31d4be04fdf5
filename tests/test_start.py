"""A process that trains loads nothing that only draws, compares or searches: each of these takes a good while."""

from __future__ import annotations

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


def test_the_package_of_operators_loads_no_statistics():
    script = "import sys, potentia.operators; print(*{'matplotlib', 'scipy.stats'}.intersection(sys.modules))"
    end = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    assert end.stdout.split() == []
