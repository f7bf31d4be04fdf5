"""Train a potential for water and ice on quantum-mechanical data, look at it, and relax a crystal with it.

Run by `make demo`: about a minute of training on two cores. The data and how it was made are in examples/data.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from potentia import Adam, ANNCalculator, ChebyshevDescriptor, TorchANNPotential, TorchTrainingConfig

DATA = Path(__file__).parent / "data" / "water.xyz"
ATOMIC_ENERGIES = {"H": -10.92345, "O": -135.12946}
"""eV; with them the relaxed molecule is at zero, see examples/data/README.md."""


def main() -> None:
    """Train, report, plot, save, load and relax."""
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)

    descriptor = ChebyshevDescriptor(["H", "O"], rad_order=12, rad_cutoff=5.5, ang_order=4, ang_cutoff=4.0)
    potential = TorchANNPotential({"H": [(24, "tanh"), (24, "tanh")], "O": [(24, "tanh"), (24, "tanh")]}, descriptor)
    config = TorchTrainingConfig(
        iterations=options.epochs,
        method=Adam(mu=0.005, batchsize=16),
        testpercent=10,
        force_weight=0.3,
        stress_weight=0.1,
        use_scheduler=True,
        scheduler_patience=25,
        atomic_energies=ATOMIC_ENERGIES,
        seed=1,
        checkpoint_dir=str(options.output / "checkpoints"),
        checkpoint_interval=0,
    )
    begun = time.perf_counter()
    results = potential.train(structures=DATA, config=config)
    print(f"\nTrained {options.epochs} epochs in {time.perf_counter() - begun:.0f} s, data reading included.\n")
    print(results)

    figures = {
        "loss.png": results.plot_training_summary,
        "parity.png": results.plot_parity,
        "forces.png": results.plot_force_errors,
    }
    for name, plot in figures.items():
        plot(outfile=options.output / name)
    potential.save(options.output / "water.pt")

    reloaded = TorchANNPotential.from_file(options.output / "water.pt")
    _relax(reloaded, options.output)
    print(f"\nPlots, model and relaxed crystal: {options.output}/")


def _relax(potential: TorchANNPotential, output: Path) -> None:
    """Relax atoms and cell of the most strained ice crystal of the data."""
    frames = [atoms for atoms in ase.io.read(DATA, index=":") if atoms.info["config_type"] == "ice"]
    start = max(frames, key=lambda atoms: float(np.abs(atoms.get_stress()).max())).copy()
    start.calc = ANNCalculator(potential)
    before = _describe(start)
    optimizer = BFGS(FrechetCellFilter(start), logfile=None)
    converged = optimizer.run(fmax=0.02, steps=300)
    print(f"\nRelaxing an ice crystal, atoms and cell ({'converged' if converged else 'not converged'}):")
    print(f"  before  {before}\n  after   {_describe(start)}   in {optimizer.nsteps} steps")
    ase.io.write(output / "ice-relaxed.xyz", start)


def _describe(atoms: Atoms) -> str:
    molecules = len(atoms) // 3
    force = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
    stress = float(np.abs(atoms.get_stress()).max()) * 160.21766
    return (
        f"E = {atoms.get_potential_energy() / molecules:.4f} eV and V = {atoms.get_volume() / molecules:.2f} Å³ "
        f"per molecule, max |F| = {force:.3f} eV/Å, max |stress| = {stress:.2f} GPa"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=600, help="epochs of training (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="directory (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
