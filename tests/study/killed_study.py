"""A study whose process is killed at random moments, as a script, until it is done; forks, so that it is fast."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from potentia.study import run_study
from study import fakes


def main(path: Path, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(kills):
        child = os.fork()
        if not child:
            try:
                run_study(path, fakes.tasks(6), fakes.slow)
            finally:
                os._exit(1)
        time.sleep(draw.uniform(0.02, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
