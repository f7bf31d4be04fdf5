"""Builds of a database that are killed at random moments. Run as a script it prints what was found after each."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from functools import partial
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


def build_for_ever(path: Path, version: int) -> None:
    while True:
        version += 1
        build(path, version)


def state(path: Path) -> dict[str, object]:
    """Read all of the file: it is whole when all entries are there and of one version."""
    with HDF5StructureDataset(None, path, mode="load") as dataset:
        structures = dataset.labels(range(len(dataset)))
        versions = {structure.energy for structure in structures}
        whole = len(structures) == SOURCES * FRAMES and len(versions) == 1
    return {"whole": whole, "version": versions.pop(), "left": len(list(path.parent.iterdir())) - 1}


def main(path: Path, kills: int, seed: int) -> None:
    begun = time.perf_counter()
    build(path, 0)
    duration, draw = time.perf_counter() - begun, random.Random(seed)
    found = []
    for _ in range(kills):
        child = os.fork()
        if not child:
            try:
                build_for_ever(path, int(state(path)["version"]))
            finally:
                os._exit(1)
        time.sleep(draw.uniform(0.2, 3) * duration)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found.append(state(path))
    build(path, -1)
    print(json.dumps({"found": found, "after": state(path)}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
