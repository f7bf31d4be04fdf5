"""Tasks of no family, for studies that are killed and run again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

from potentia.storage import write_text
from potentia.study import PlannedTask, task_seed


def tasks(n, **settings):
    return [
        PlannedTask(f"t{k}", {"k": k, **settings}, task_seed(1, k), folder="models", files=(f"t{k}.model",))
        for k in range(n)
    ]


def note(place, text):
    """Append a line in one write, which is whole even where several processes append."""
    with (place.directory.parent / "notes.txt").open("ab", buffering=0) as file:
        file.write(f"{text}\n".encode())


def instant(task, place):
    note(place, f"did {task.name}")
    write_text(place.directory / task.files[0], str(task.seed))
    return {"seed": task.seed, "device": place.device}


def slow(task, place):
    """Take ten steps, each kept in the scratch directory, and then write the model."""
    kept = place.scratch / "steps"
    first = int(kept.read_text()) if kept.exists() else 0
    for step in range(first, 10):
        note(place, f"step {task.name} {step}")
        time.sleep(0.004)
        write_text(kept, str(step + 1))
    write_text(place.directory / task.files[0], f"{task.seed} " * 20000)
    note(place, f"did {task.name}")
    return {"steps": 10}


def failing_once(task, place):
    if task.settings["k"] == 1 and not (place.directory / "mended").exists():
        raise ValueError("k = 1 is no good")
    return instant(task, place)


def drawn(task, place):
    """Let the threads have a say in the bits: a large sum."""
    matrix = torch.randn(300, 300, generator=torch.Generator().manual_seed(task.seed % 2**62))
    total = float((matrix @ matrix).sum())
    write_text(place.directory / task.files[0], f"{total.hex()} {torch.get_num_threads()}")
    return {"total": total, "device": place.device, "process": os.getpid()}


def faithless(task, place):
    return {}


def notes(directory: Path) -> list[str]:
    path = directory / "notes.txt"
    return path.read_text().splitlines() if path.exists() else []
