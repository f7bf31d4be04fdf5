"""Training methods on the water and ice of examples/data: `make bench-water`.

Trains the same networks by each method, on energies alone and on forces too, and prints time and errors on structures
held out. Nothing here passes or fails.
"""

from __future__ import annotations

import time
import warnings

import torch
from machine import describe_machine
from workload import WATER

from potentia import (
    LBFGS,
    Adam,
    ChebyshevDescriptor,
    Kalman,
    LevenbergMarquardt,
    ReferenceEnergies,
    TorchANNPotential,
    TorchTrainingConfig,
    TrainingMethod,
    read_structures,
)
from potentia.errors import PotentiaWarning
from potentia.train import Cosine

METHODS: tuple[tuple[str, TrainingMethod, TrainingMethod, int, bool], ...] = (
    ("`Adam(mu=0.005, batchsize=16)`", Adam(0.005, 16), Adam(0.005, 16), 200, False),
    ("the same with `Cosine`", Adam(0.005, 16), Adam(0.005, 16), 200, True),
    ("`LBFGS()`", LBFGS(), LBFGS(), 200, False),
    ("`Kalman()`; with forces `batchsize=8`", Kalman(), Kalman(batchsize=8), 10, False),
    ("the same", Kalman(), Kalman(batchsize=8), 30, False),
    ("`LevenbergMarquardt()`", LevenbergMarquardt(), LevenbergMarquardt(), 60, False),
)
"""Name, method for energies, method with forces, epochs, and whether the rate goes down on a cosine."""


def main() -> None:
    """Train and print."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", PotentiaWarning)  # a near copy across the split
    structures = read_structures(WATER).structures
    free = ReferenceEnergies.from_regression(structures, fixed_atomic_energies={"O": 0.0}).atomic_energies
    descriptor = ChebyshevDescriptor(["O", "H"], 10, 6.0, 4, 5.0)
    print("# Training methods on water\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    print("- one thread; seconds of processor time of the whole `train`; force_weight 0.3 where there are forces\n")
    print("| method | epochs | energies: time | test, meV/atom | forces: time | test, meV/atom | test, eV/Å |")
    print("|---|" + "---:|" * 6)
    for name, energies, forces, epochs, cosine in METHODS:
        cells = []
        for method, weight in ((energies, 0.0), (forces, 0.3)):
            config = TorchTrainingConfig(
                iterations=epochs,
                method=method,
                force_weight=weight,
                schedule=Cosine(total_epochs=epochs) if cosine else None,
                testpercent=10,
                seed=1,
                atomic_energies=free,
                checkpoint_dir=None,
                show_progress=False,
            )
            potential = TorchANNPotential({"O": [(20, "tanh")] * 2, "H": [(20, "tanh")] * 2}, descriptor)
            begun = time.process_time()
            last = potential.train(structures, config).errors.iloc[-1]
            cells += [f"{time.process_time() - begun:.0f} s", f"{1000 * last['RMSE_test']:.1f}"]
            cells += [f"{last['RMSE_force_test']:.3f}"] if weight else []
        print(f"| {name} | {epochs} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
