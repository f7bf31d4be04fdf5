"""Trainings that are killed at random moments, as a script: each in a folder of its own, named by its number.

The script itself uses no kernel, so that what it forks can start their threads.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from potentia.train import newest_checkpoint
from potentials.runs import train
from potentials.small_data import GRADIENTS

SETTINGS = {"checkpoint_batches": 1, "save_best": False, **GRADIENTS}


def main(path: Path, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    for k in range(kills):
        child = os.fork()
        if not child:
            try:
                train(checkpoint_dir=path / str(k), iterations=10**6, **SETTINGS)
            finally:
                os._exit(1)
        while newest_checkpoint(path / str(k)) is None:
            if os.waitpid(child, os.WNOHANG)[0]:
                sys.exit("a training ended before it could be killed")
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
