"""TiO2, energies of 7,815 structures: `make bench-tio2`.

Trains the networks of two published fits on their own splits, and prints test errors against time from the beginning of
reading on, for each training method. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
import warnings
from pathlib import Path

import torch
from curves import Curve, draw, follow
from machine import describe_machine
from workload import CHECKOUT

from potentia import (
    LBFGS,
    SGD,
    Adam,
    AdamW,
    CachedStructureDataset,
    ChebyshevDescriptor,
    Kalman,
    LevenbergMarquardt,
    Structure,
    StructureDataset,
    TorchANNPotential,
    TorchTrainingConfig,
    TrainingMethod,
    read_structures,
)
from potentia.errors import PotentiaWarning
from potentia.potentials.datasets.memory import peak_memory
from potentia.storage import write_text
from potentia.train import Cosine

FOLDER = CHECKOUT.parent / "shared" / "data" / "tio2"
FREE = {"Ti": -1604.604515075, "O": -432.503149303}
"""Energies of the free atoms that the published fits go by (eV)."""
METHODS: dict[str, TrainingMethod] = {
    "Kalman": Kalman(),
    "LevenbergMarquardt": LevenbergMarquardt(),
    "LBFGS": LBFGS(),
    "Adam, cosine": Adam(mu=0.005),
    "AdamW, cosine": AdamW(mu=0.005, weight_decay=1e-4),
    "SGD, cosine": SGD(lr=0.05, momentum=0.9),
}
SMALL = {"MAE_test": 2.88e-3, "RMSE_test": 5.22e-3}
"""Test errors of the published 15-15 fit (eV/atom): 53,512 s on 4 processes."""
LARGE = {"MAE_test": 2.20e-3, "RMSE_test": 4.97e-3}
"""Test errors of the published 40-40 fit (eV/atom): 5 h 12 min on 24 processes."""
MARKS = (15, 20, 30, 45, 60)


def main() -> None:
    """Train, print, and write what was asked for."""
    options = _options()
    if not FOLDER.is_dir():
        sys.exit(f"the data are not here: {FOLDER}")
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", PotentiaWarning)  # near copies across the published split: said in the log
    print("# TiO2\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    print(f"- threads: {options.threads}\n")
    begun = time.perf_counter()
    structures = read_structures(FOLDER / "structures.xyz").structures
    read = time.perf_counter() - begun
    print(f"reading {len(structures):,} structures: {read:.1f} s")
    curves = _small(structures, read, options)
    large = [] if options.without_large else [_large(structures, read, options)]
    print(f"\npeak memory {peak_memory() / 1e6:,.0f} MB")
    if options.figure:
        lines = {"published 15-15, 53,512 s on 4 processes": SMALL["MAE_test"]}
        draw(curves, "MAE_test", 1000, "test MAE (meV/atom)", lines, options.figure)
    if options.json:
        write_text(options.json, json.dumps([curve.plain() for curve in (*curves, *large)], indent=1) + "\n")


def _small(structures: list[Structure], read: float, options: argparse.Namespace) -> list[Curve]:
    """Networks of 15-15 nodes, energies alone, each method for the same time."""
    descriptor = ChebyshevDescriptor(["Ti", "O"], 16, 8.0, 4, 6.5)
    begun = time.perf_counter()
    train, test = (
        CachedStructureDataset(part, descriptor, atomic_energies=FREE, show_progress=False)
        for part in _parts(structures, "15-15")
    )
    before = read + time.perf_counter() - begun
    print(f"features of {len(train):,} + {len(test):,} structures: {before - read:.1f} s\n")
    print("## 15-15 tanh, orders 16/4, cutoffs 8.0/6.5 Å, energies: test MAE / RMSE (meV/atom) after so many seconds\n")
    print("| method | " + " | ".join(f"{mark} s" for mark in MARKS) + " | end | 2.88 / 5.22 reached | s per epoch |")
    print("|---|" + "---:|" * (len(MARKS) + 3))
    curves = []
    for name in options.methods:
        curve = _follow(name, METHODS[name], 15, descriptor, train, test, before, options.seconds)
        curves.append(curve)
        cells = [_both(curve.at(mark)) for mark in MARKS] + [_both(curve.errors.iloc[-1])]
        reached, epoch = curve.first_below(**SMALL), curve.out.timing["epoch_time"].median()
        print(f"| {name} | {' | '.join(cells)} | {_seconds(reached)} | {epoch:.3g} |", flush=True)
    return curves


def _large(structures: list[Structure], read: float, options: argparse.Namespace) -> Curve:
    """Networks of 40-40 nodes, energies of all and forces of a tenth of the structures."""
    descriptor = ChebyshevDescriptor(["Ti", "O"], 16, 8.0, 4, 6.5)
    train, test = (StructureDataset(part, descriptor, atomic_energies=FREE) for part in _parts(structures, "40-40"))
    forces = {"force_weight": 0.1, "force_fraction": 0.1} if options.forces else {}
    curve = _follow(
        "Kalman",
        Kalman(),
        40,
        descriptor,
        train,
        test,
        read,
        options.large_seconds,
        epochs=options.large_epochs,
        **forces,
    )
    what = "energies, and forces of a tenth" if forces else "energies"
    print(f"\n## 40-40 tanh, orders 16/4, cutoffs 8.0/6.5 Å, {what}, {len(train):,} + {len(test):,} structures\n")
    print("| seconds | test MAE / RMSE (meV/atom) | test force RMSE (eV/Å) |\n|---:|---:|---:|")
    for seconds, (_, row) in zip(curve.seconds, curve.errors.iterrows(), strict=True):
        print(f"| {seconds:.0f} | {_both(row)} | {row['RMSE_force_test']:.3f} |")
    print(f"\n2.20 / 4.97 reached after {_seconds(curve.first_below(**LARGE))}")
    return curve


def _follow(  # all that a training differs in
    name: str,
    method: TrainingMethod,
    nodes: int,
    descriptor: ChebyshevDescriptor,
    train: StructureDataset,
    test: StructureDataset,
    before: float,
    seconds: float,
    *,
    epochs: int = 10**6,
    **more: float,
) -> Curve:
    def config(**changes: object) -> TorchTrainingConfig:
        fixed = {"checkpoint_dir": None, "show_progress": False, "seed": 1, "method": method}
        return TorchTrainingConfig(**{"iterations": epochs, **fixed, **more, **changes})

    def potential() -> TorchANNPotential:
        return TorchANNPotential({species: [(nodes, "tanh")] * 2 for species in FREE}, descriptor)

    left = max(seconds - before, 1.0)
    if name.endswith("cosine"):  # as many epochs as there is time for
        forecast = potential().forecast(train_dataset=train, test_dataset=test, config=config())
        planned = max(int(left / forecast.seconds_per_epoch), 2)
        settings = config(iterations=planned, schedule=Cosine(total_epochs=planned))
    else:
        settings = config(max_time=left)
    return follow(name, potential(), settings, train, test, before)


def _parts(structures: list[Structure], split: str) -> tuple[list[Structure], list[Structure]]:
    """Return the training and the test part of a published fit."""
    with (FOLDER / f"split_{split}.tsv").open() as file:
        part_of = {row["src"]: row["split"] for row in csv.DictReader(file, delimiter="\t")}
    train, test = ([s for s in structures if part_of.get(s.info["src"]) == part] for part in ("train", "test"))
    return train, test


def _both(row: object) -> str:
    return "–" if row is None else f"{1000 * row['MAE_test']:.2f} / {1000 * row['RMSE_test']:.2f}"  # type: ignore[index]


def _seconds(seconds: float) -> str:
    return "no" if seconds == float("inf") else f"{seconds:.0f} s"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each method on the 15-15 network")
    parser.add_argument("--large-seconds", type=float, default=600.0, help="for the 40-40 network")
    parser.add_argument("--large-epochs", type=int, default=20, help="no more of them for the 40-40 network")
    parser.add_argument(
        "--forces", action=argparse.BooleanOptionalAction, default=True, help="of a tenth, 40-40 network"
    )
    parser.add_argument("--without-large", action="store_true", help="leave out the 40-40 network")
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--figure", type=Path, help="draw the errors against time to this file")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
