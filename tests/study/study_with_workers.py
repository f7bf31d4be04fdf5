"""A study on three slots, as a script: the parent to be killed together with its workers, or one of those alone."""

from __future__ import annotations

import sys
from pathlib import Path

from potentia.study import run_study
from study import fakes

if __name__ == "__main__":
    sys.exit(0 if run_study(Path(sys.argv[1]), fakes.tasks(12), fakes.slow, devices=["cpu"] * 3).complete else 1)
