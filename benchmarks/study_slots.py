"""What slots are worth to a study: the same tasks one after the other and at a time, start of processes included.

Each run is a command of its own, `potentia study run`, from its start to its end. Prints the seconds and their ratio.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from machine import cores, describe_machine
from timing import Times, Work, alternate, seconds

from potentia.storage import write_text
from potentia.study import write_yaml
from potentia.trajectories import Study, make_data, write_trajectories

COMMAND = "import sys; from potentia.cli import main; sys.exit(main())"
SURROGATE = "FullyConnected"


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        path = root / "datasets/simple_ode/data.hdf5"
        path.parent.mkdir(parents=True)
        write_trajectories(path, make_data("simple_ode", n_train=64, n_test=8, n_val=8))
        epochs = options.epochs or _epochs(root, options)
        ways = {"one slot": 1, f"{options.slots} slots": options.slots}
        works: dict[str, Work] = {name: partial(_run, root, n, epochs, options) for name, n in ways.items()}
        found = alternate(works, options.rounds, options.limit)
    _tell(found, epochs, options)


def _settings(slots: int, epochs: int, tasks: int, name: str) -> dict[str, object]:
    return {
        "training_id": name,
        "surrogates": [SURROGATE],
        "batch_size": 512,
        "epochs": epochs,
        "devices": ["cpu"] * slots,
        "dataset": {"name": "simple_ode"},
        "uncertainty": {"enabled": tasks > 1, "ensemble_size": tasks},
    }


def _epochs(root: Path, options: argparse.Namespace) -> int:
    """Return how many epochs make a task of about the seconds that are asked for."""
    few = 20
    study = Study.from_config(_settings(1, few, 1, "measured"), root=root)
    study.run()  # what is compiled and loaded on first use is not counted
    study = Study.from_config(_settings(1, few, 1, "again"), root=root)
    return max(round(few * options.seconds / seconds(study.run)), 1)


def _run(root: Path, slots: int, epochs: int, options: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of the command on so many slots."""
    with tempfile.TemporaryDirectory(dir=root) as fresh:
        (Path(fresh) / "datasets").symlink_to(root / "datasets")
        write_yaml(Path(fresh) / "config.yaml", _settings(slots, epochs, options.tasks, "study"))
        command = [sys.executable, "-c", COMMAND, "study", "run", f"{fresh}/config.yaml", "--root", fresh]
        return {"": seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))}


def _tell(found: dict[str, Times], epochs: int, options: argparse.Namespace) -> None:
    serial, parallel = found.values()
    print(
        f"{options.tasks} tasks of {epochs} epochs, {cores()} cores, medians and least of {len(serial.values)} rounds"
    )
    for name, times in found.items():
        print(f"{name:>10}: {times.median:6.1f} s  (least {times.least:.1f} s)")
    print(f"{'ratio':>10}: {parallel.median / serial.median:6.2f}    (least {parallel.least / serial.least:.2f})")
    if options.json is not None:
        content = {"machine": describe_machine(), "epochs": epochs, **{name: t.plain() for name, t in found.items()}}
        write_text(options.json, json.dumps(content, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--tasks", type=int, default=4, help="trainings of a study, two or more")
    parser.add_argument("--slots", type=int, default=2, help="at a time")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each training")
    parser.add_argument("--epochs", type=int, help="of each training, instead of as many as the seconds ask for")
    parser.add_argument("--rounds", type=int, default=3, help="how often both are measured, in turn")
    parser.add_argument("--limit", type=float, default=600.0, help="no more rounds are begun after so many seconds")
    parser.add_argument("--json", type=Path, help="also write all figures and the machine to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
