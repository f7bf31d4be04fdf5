"""Si, Ni, Cu and Li of the mlearn benchmark, energies and forces: `make bench-mlearn`.

Y. Zuo et al., J. Phys. Chem. A 124 (2020) 731, with its own split. Prints test errors beside those of the published
potentials. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from curves import Curve, follow
from machine import describe_machine
from workload import CHECKOUT

from potentia import (
    ChebyshevDescriptor,
    Kalman,
    StructureDataset,
    TorchANNPotential,
    TorchTrainingConfig,
    read_structures,
)
from potentia.errors import PotentiaWarning
from potentia.storage import write_text

FOLDER = CHECKOUT.parent / "shared" / "data" / "mlearn"


@dataclass(frozen=True)
class Published:
    """Test errors of published potentials: meV/atom and eV/Å; networks of Behler and Parrinello as RMSE and MAE."""

    network: tuple[float, float, float, float]
    """Energy RMSE and MAE, force RMSE and MAE."""
    gap: tuple[float, float]
    """Energy and force MAE."""
    mtp: tuple[float, float]
    """Energy and force MAE."""


PUBLISHED = {
    "Si": Published((6.934, 5.633, 0.1697, 0.1086), (2.91, 0.07), (2.21, 0.06)),
    "Ni": Published((2.254, 1.518, 0.0670, 0.0302), (0.42, 0.02), (0.48, 0.01)),
    "Cu": Published((1.681, 1.154, 0.0631, 0.0263), (0.46, 0.01), (0.41, 0.01)),
    "Li": Published((0.984, 0.750, 0.0234, 0.0168), (0.49, 0.01), (0.49, 0.01)),
}


def main() -> None:
    """Train a potential of each element, and print."""
    options = _options()
    if not FOLDER.is_dir():
        sys.exit(f"the data are not here: {FOLDER}")
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", PotentiaWarning)  # exact copies across the published split: said in the log
    print("# mlearn\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    print(f"- threads: {options.threads}; Kalman, 20-20 tanh, orders 15/8, cutoffs 7.0/5.5 Å, float64\n")
    print("| | seconds | E RMSE | E MAE | F RMSE | F MAE | network: E RMSE, F RMSE | GAP: E, F MAE | MTP: E, F MAE |")
    print("|---|" + "---:|" * 8)
    curves = [_train(element, options) for element in options.elements]
    if options.json:
        write_text(options.json, json.dumps([curve.plain() for curve in curves], indent=1) + "\n")


def _train(element: str, options: argparse.Namespace) -> Curve:
    begun = time.perf_counter()
    parts = [read_structures(FOLDER / f"{element}_{part}.xyz").structures for part in ("train", "test")]
    free = {element: float(np.mean([s.energy / s.n_atoms for s in parts[0] if s.energy is not None]))}
    descriptor = ChebyshevDescriptor([element], 15, 7.0, 8, 5.5)
    train, test = (StructureDataset(part, descriptor, atomic_energies=free) for part in parts)
    config = TorchTrainingConfig(
        iterations=options.epochs,
        method=Kalman(batchsize=8),
        force_weight=0.3,
        seed=options.seed,
        checkpoint_dir=None,
        show_progress=False,
    )
    potential = TorchANNPotential({element: [(20, "tanh")] * 2}, descriptor)
    curve = follow(element, potential, config, train, test, time.perf_counter() - begun)
    last, known = curve.errors.iloc[-1], PUBLISHED[element]
    own = [1000 * last["RMSE_test"], 1000 * last["MAE_test"], last["RMSE_force_test"], last["MAE_force_test"]]
    others = [
        f"{known.network[0]:.2f}, {known.network[2]:.4f}",
        f"{known.gap[0]:.2f}, {known.gap[1]:.2f}",
        f"{known.mtp[0]:.2f}, {known.mtp[1]:.2f}",
    ]
    cells = [f"{own[0]:.2f}", f"{own[1]:.2f}", f"{own[2]:.4f}", f"{own[3]:.4f}", *others]
    print(f"| {element} | {curve.seconds[-1]:.0f} | {' | '.join(cells)} |", flush=True)
    return curve


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", nargs="+", choices=tuple(PUBLISHED), default=list(PUBLISHED))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
