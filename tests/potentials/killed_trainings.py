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

CHECKPOINTS = 20
"""A training is killed soon after one of its first so many checkpoints, however fast the machine is."""


def main(path: Path, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    for k in range(kills):
        child = os.fork()
        if not child:
            try:
                train(checkpoint_dir=path / str(k), iterations=10**6, **SETTINGS)
            finally:
                os._exit(1)
        seen, wanted = set(), draw.randint(1, CHECKPOINTS)
        while len(seen) < wanted:
            if os.waitpid(child, os.WNOHANG)[0]:
                sys.exit("a training ended before it could be killed")
            newest = newest_checkpoint(path / str(k))
            seen |= set() if newest is None else {newest.name}
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
