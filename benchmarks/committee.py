"""Error bars of a committee on TiO2: `make bench-committee`.

Trains a committee on some of 7,815 structures, calibrates it on others, and measures on the rest: what share of the
errors the intervals cover, for energies and by species for forces; whether the largest errors are foreseen; what
extrapolating atoms mean; what a selection is worth. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from machine import describe_machine
from workload import CHECKOUT

from potentia import (
    ChebyshevDescriptor,
    Kalman,
    Scaling,
    SplitConformal,
    Structure,
    TorchCommitteeConfig,
    TorchCommitteePotential,
    TorchTrainingConfig,
    read_structures,
)
from potentia.error_bars import ErrorBars
from potentia.errors import PotentiaWarning
from potentia.potentials.committee import TorchCommitteeCalibrateResult
from potentia.seeding import stream
from potentia.storage import write_text

FOLDER = CHECKOUT.parent / "shared" / "data" / "tio2"
FREE = {"Ti": -1604.604515075, "O": -432.503149303}
"""Energies of the free atoms that the published fits go by (eV)."""


def main() -> None:
    """Train, calibrate and print."""
    options = _options()
    if not FOLDER.is_dir():
        sys.exit(f"the data are not here: {FOLDER}")
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", PotentiaWarning)  # near copies: said in the log
    print("# Error bars of a committee\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    print(f"- threads: {options.threads}; {options.members} members, 15-15 tanh, Kalman, {options.epochs} epochs")
    structures = read_structures(FOLDER / "structures.xyz").structures
    order = stream(options.seed, "parts").permutation(len(structures))
    train, held_out = ([structures[k] for k in part] for part in (order[: options.train], order[options.train :]))
    with tempfile.TemporaryDirectory() as folder:
        committee = _trained(train, Path(folder), options)
        found = {}
        for method in (Scaling(), SplitConformal()):
            begun = time.perf_counter()
            result = committee.calibrate(held_out, method=method, seed=options.seed)
            seconds = time.perf_counter() - begun
            found[type(method).__name__] = _told(type(method).__name__, result, seconds)
        if options.figure is not None:
            for quantity in ("energy", "forces"):
                result.plot(quantity, options.figure.with_stem(f"{options.figure.stem}-{quantity}"))
        _extrapolation(committee, held_out[: options.looked_at])
        _selection(committee, train, held_out[: options.looked_at])
    if options.json is not None:
        write_text(options.json, json.dumps(found, indent=1) + "\n")


def _trained(train: list[Structure], folder: Path, options: argparse.Namespace) -> TorchCommitteePotential:
    descriptor = ChebyshevDescriptor(["Ti", "O"], 10, 6.0, 4, 5.0)
    committee = TorchCommitteePotential({name: [(15, "tanh")] * 2 for name in FREE}, descriptor)
    config = TorchTrainingConfig(
        iterations=options.epochs,
        method=Kalman(batchsize=8),
        testpercent=0,
        split_seed=options.seed,
        force_weight=0.3,
        force_fraction=options.force_fraction,
        atomic_energies=FREE,
        checkpoint_dir=None,
        show_progress=False,
    )
    begun = time.perf_counter()
    members = TorchCommitteeConfig(options.members, base_seed=options.seed, output_dir=folder / "committee")
    stats = committee.train(train, config, members).stats
    seconds = time.perf_counter() - begun
    print(f"- {len(train):,} structures, forces of {100 * options.force_fraction:g} %: {seconds:.0f} s", end="; ")
    print(f"training RMSE {1000 * stats['final_RMSE_train']['mean']:.1f} meV/atom\n", flush=True)
    return committee


def _told(name: str, result: TorchCommitteeCalibrateResult, seconds: float) -> dict[str, object]:
    learned, measured = len(result.learned_from), len(result.measured_on)
    print(f"## {name}: learned from {learned:,}, measured on {measured:,} structures ({seconds:.0f} s)\n")
    print("| errors of | group | n | RMSE | covered at 50 % | 68 % | 90 % | 95 % | mean half-width at 90 % |")
    print("|---|---|" + "---:|" * 7)
    bars = [result.energy] + ([] if result.forces is None else [result.forces])
    for one in bars:
        for group, rows in one.coverage.groupby("group", sort=False):
            cells = [f"{100 * row.coverage:.1f} ± {100 * row.error:.1f} %" for row in rows.itertuples()]
            (wide,) = rows[rows["level"] == 0.9]["half_width"]
            rmse = f"{one.RMSE:.4f} {one.unit}" if group == "all" else ""
            print(f"| {one.quantity} | {group} | {rows['n'].iloc[0]:,} | {rmse} | {' | '.join(cells)} | {wide:.4f} |")
    print()
    for one in bars:
        _by_size(one)
    return {one.quantity: one.plain() for one in bars}


def _by_size(one: ErrorBars) -> None:
    print(
        f"{one.quantity}: the worst 1 % of errors are in the most uncertain 10 % at a rate of {100 * one.caught:.0f} %;"
        f" rank correlation {one.rank_correlation:.2f}; miscalibration area {one.miscalibration_area:.3f}"
    )
    spread, error = (
        ", ".join(f"{100 * share:.0f}" for share in table["coverage"]) for table in (one.by_spread, one.by_error)
    )
    print(f"  coverage at 90 % by tenths of the spread, from small to large: {spread} %")
    print(f"  coverage at 90 % by tenths of the error, from small to large: {error} %\n", flush=True)


def _extrapolation(committee: TorchCommitteePotential, structures: list[Structure]) -> None:
    begun = time.perf_counter()
    table = committee.extrapolation(structures)
    seconds = time.perf_counter() - begun
    found = committee.predict(structures, eval_forces=True)
    owner = np.repeat(np.arange(len(structures)), found.n_atoms)
    first = np.searchsorted(owner, np.arange(len(structures)))
    error = np.concatenate([one.forces - s.forces for one, s in zip(found, structures, strict=True)])
    outside = np.zeros(len(owner), dtype=bool)
    outside[first[table["structure"]] + table["atom"]] = True
    far, near = (float(np.sqrt(np.mean(error[part] ** 2))) for part in (outside, ~outside))
    print(f"## Extrapolation: {len(structures):,} structures in {seconds:.1f} s\n")
    print(
        f"{100 * outside.mean():.2f} % of the atoms are outside; their force RMSE is {far:.3f} eV/Å, "
        f"that of the others {near:.3f}\n"
    )


def _selection(committee: TorchCommitteePotential, train: list[Structure], pool: list[Structure]) -> None:
    found = committee.predict(pool)
    error = np.abs(found.energy - [s.energy for s in pool]) / found.n_atoms
    print(
        f"## Selection: mean |error| of the energy, {1000 * error.mean():.1f} meV/atom over {len(pool):,} structures\n"
    )
    for by in ("uncertainty", "distance", "both"):
        begun = time.perf_counter()
        chosen = committee.select(pool, 100, by, known=train)
        seconds = time.perf_counter() - begun
        print(f"- 100 by {by}: {1000 * error[chosen.indices].mean():.1f} meV/atom ({seconds:.1f} s)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=1500, help="structures to train on")
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--force-fraction", type=float, default=0.3, help="part of the structures trained on forces")
    parser.add_argument("--looked-at", type=int, default=2000, help="structures for extrapolation and selection")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--figure", type=Path, help="draw how reliable the intervals are to files named like this one")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
