"""A training of a surrogate as a script, slow enough to be killed: its folder is the argument."""

from __future__ import annotations

import sys
import time

import torch

from potentia.train import Callback, prepared
from trajectories import test_resume


class Slow(Callback):
    def on_batch(self, run):
        time.sleep(0.003)


if __name__ == "__main__":
    torch.set_num_threads(1)
    fit = prepared.fit
    prepared.fit = lambda run, task, batches, epochs, callbacks: fit(run, task, batches, epochs, [*callbacks, Slow()])
    test_resume.train(
        "MultiONet", checkpoint_dir=sys.argv[1], checkpoint_batches=1, epochs=1000, scheduler="schedulefree"
    )
