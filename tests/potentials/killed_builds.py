"""Builds of a database that are killed at random moments, as a script.

The script itself opens no file of HDF5 and uses no kernel, so that what it forks has no lock of it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from potentia import HDF5StructureDataset, SourceRecord, Structure

SOURCES, FRAMES = 8, 12


def frames(energy: float, source: int) -> list[Structure]:
    points = np.random.default_rng(source).normal(size=(40, 3)) * 9
    return [Structure(points + k, ["H"] * 40, energy=energy, forces=points) for k in range(FRAMES)]


def build(path: Path, version: int) -> None:
    records = [SourceRecord(f"source {k}", partial(frames, float(version), k)) for k in range(SOURCES)]
    HDF5StructureDataset(None, path, records, mode="build").build_database(show_progress=False)


def build_for_ever(path: Path) -> None:
    for version in count():
        build(path, version)


def state(path: Path) -> dict[str, object]:
    """Read all of a file: it is whole when all entries are there and of one version."""
    with HDF5StructureDataset(None, path, mode="load") as dataset:
        structures = dataset.labels(range(len(dataset)))
    versions = {structure.energy for structure in structures}
    whole = len(structures) == SOURCES * FRAMES and len(versions) == 1
    return {"whole": whole, "version": versions.pop()}


def place(path: Path) -> int | None:
    """Return what tells a file from the one that takes its place."""
    return path.stat().st_ino if path.exists() else None


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill builds of one file; after each, keep what stands there as ``k.h5`` and how many other files are there."""
    path, draw = folder / "build" / "a.h5", random.Random(seed)
    path.parent.mkdir()
    left = []
    for k in range(kills):
        before, wanted = place(path), draw.randint(1, 4)
        child = os.fork()
        if not child:
            try:
                build_for_ever(path)
            finally:
                os._exit(1)
        while wanted:
            now = place(path)
            wanted, before = wanted - (now != before), now
            if os.waitpid(child, os.WNOHANG)[0]:
                sys.exit("the builds ended before they could be killed")
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.link(path, folder / f"{k}.h5")
        left.append(len(list(path.parent.iterdir())) - 1)
    print(json.dumps(left))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
