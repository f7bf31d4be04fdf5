"""Molecular dynamics on one core, `make bench-md`: µs per atom and step, neighbour searches, and the drift of energy.

Prints tables. All is ice, with potentials trained on examples/data: briefly for the speed of ASE's velocity Verlet, in
processor time, and three times longer for the drift. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet
from machine import describe_machine
from workload import WATER, Settings

from potentia import Adam, ANNCalculator, ChebyshevDescriptor, TorchANNPotential, TorchTrainingConfig, read_structures
from potentia.errors import PotentiaWarning
from potentia.potentials.neighbours import find_neighbours

SIZES = (100, 300, 1000, 3000, 10000)
SKINS = (0.0, 0.2, 0.3, 0.5, 0.7, 1.0)
KELVIN = 300.0
STEP = 0.5
"""fs"""
SETTINGS = (Settings(16, 8.0, 4, 6.5), Settings(10, 6.0, 3, 3.5))
FREE = {"H": -10.92345, "O": -135.12946}
"""eV, of the data in examples/data."""


class Timed(ANNCalculator):
    """Adds up the seconds of its own calculations."""

    seconds = 0.0

    def calculate(self, *args, **kwargs):
        begun = time.process_time()
        super().calculate(*args, **kwargs)
        self.seconds += time.process_time() - begun


def main() -> None:
    """Measure and print."""
    options = _options()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", PotentiaWarning)
    print("# Molecular dynamics\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    if not options.no_speed:
        print(f"- one thread, processor time; ice, {KELVIN:.0f} K, velocity Verlet of {STEP} fs\n")
        for settings in SETTINGS:
            _speed(settings, options.work, options.epochs)
    if not options.no_drift:
        _drift(options.picoseconds, options.epochs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=int, default=200_000, help="atoms times steps of each speed figure")
    parser.add_argument("--picoseconds", type=float, default=10.0, help="length of the drift run")
    parser.add_argument("--epochs", type=int, default=600, help="epochs of the training before the drift run")
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--no-drift", action="store_true")
    return parser.parse_args()


def _speed(settings: Settings, work: int, epochs: int) -> None:
    """Tables by number of atoms and by skin."""
    orders = (settings.rad_order, settings.rad_cutoff, settings.ang_order, settings.ang_cutoff)
    potential = _trained(ChebyshevDescriptor(["H", "O"], *orders), 15, epochs // 3)
    cell = _ice()
    cell.calc = potential.calculator()
    _heat(cell, KELVIN)
    _thermostat(cell, KELVIN, 1000)
    count = find_neighbours(cell.positions, cell.cell.array, cell.pbc, settings.rad_cutoff).n_pairs / len(cell)
    print(f"## {settings}, {count:.0f} neighbours within the larger\n")
    print("| atoms | steps | µs per atom and step | of which the calculator | searches | steps per search | K |")
    print("|---:|" + "---:|" * 6)
    for size in SIZES:
        atoms = _repeated(cell, size)
        steps = max(10, work // len(atoms))
        whole, own, rebuilds, kelvin = _run(atoms, Timed(potential), steps)
        often = f"{rebuilds} | {steps / max(rebuilds, 1):.0f}"
        print(f"| {len(atoms):,} | {steps} | {whole:.1f} | {own:.1f} | {often} | {kelvin:.0f} |", flush=True)
    atoms = _repeated(cell, 1000)
    steps = max(10, work // len(atoms))
    print(f"\n| skin (Å), {len(atoms):,} atoms | µs per atom and step | searches in {steps} steps |\n|---:|---:|---:|")
    for skin in SKINS:
        _, own, rebuilds, _ = _run(atoms, Timed(potential, skin=skin), steps)
        print(f"| {skin} | {own:.1f} | {rebuilds} |", flush=True)
    print()


def _repeated(cell: Atoms, size: int) -> Atoms:
    """Repeat the cell along its shortest sides until there are about ``size`` atoms."""
    times = [1, 1, 1]
    while len(cell) * np.prod(times) < 0.8 * size:
        times[int(np.argmin(cell.cell.lengths() * times))] += 1
    return cell.repeat(times)


def _run(atoms: Atoms, calculator: Timed, steps: int) -> tuple[float, float, int, float]:
    """Return µs per atom and step, those of the calculator, neighbour searches and the temperature in the end."""
    atoms = atoms.copy()
    atoms.calc = calculator
    _heat(atoms, KELVIN)
    dynamics = VelocityVerlet(atoms, STEP * units.fs)
    dynamics.run(10)
    calculator.seconds, before, begun = 0.0, calculator.rebuilds, time.process_time()
    dynamics.run(steps)
    whole = time.process_time() - begun
    per = 1e6 / (len(atoms) * steps)
    return whole * per, calculator.seconds * per, calculator.rebuilds - before, atoms.get_temperature()


def _drift(picoseconds: float, epochs: int) -> None:
    """Train on water and ice, and run ice at constant energy."""
    descriptor = ChebyshevDescriptor(["H", "O"], rad_order=12, rad_cutoff=5.5, ang_order=4, ang_cutoff=4.0)
    potential = _trained(descriptor, 24, epochs)
    start = _repeated(_ice(), 200)
    print(f"## Drift of the energy of {len(start)} atoms of ice\n")
    print("150 K, 1 ps of Langevin dynamics before; slope of a line through the total energy.\n")
    print("| step (fs) | ps | drift, eV/atom/ps | fluctuation (rms), eV/atom | searches | K at the end |")
    print("|---:|" + "---:|" * 5)
    for step in (0.25, 0.5):
        atoms = start.copy()
        atoms.calc = potential.calculator()
        _heat(atoms, 150.0)
        _thermostat(atoms, 150.0, 2000)
        print(_drift_row(atoms, step, picoseconds), flush=True)


def _trained(descriptor: ChebyshevDescriptor, nodes: int, epochs: int) -> TorchANNPotential:
    """Return a potential trained on water and ice, forces and stress included."""
    potential = TorchANNPotential({name: [(nodes, "tanh"), (nodes, "tanh")] for name in ("H", "O")}, descriptor)
    config = TorchTrainingConfig(
        iterations=epochs,
        method=Adam(mu=0.005, batchsize=16),
        force_weight=0.3,
        stress_weight=0.1,
        atomic_energies=FREE,
        seed=0,
        checkpoint_dir=None,
        save_best=False,
        show_progress=False,
    )
    potential.train(read_structures(WATER).structures, config)
    return potential


def _ice() -> Atoms:
    """Return the largest crystal of the data."""
    ice = max((s for s in read_structures(WATER).structures if s.pbc.all()), key=lambda s: s.n_atoms)
    return Atoms(ice.species, ice.positions, cell=ice.cell, pbc=True)


def _heat(atoms: Atoms, kelvin: float) -> None:
    """Draw momenta, at rest as a whole."""
    spread = np.sqrt(atoms.get_masses() * units.kB * kelvin)[:, None]
    momenta = spread * np.random.default_rng(0).normal(size=(len(atoms), 3))
    atoms.set_momenta(momenta - momenta.mean(0))


def _thermostat(atoms: Atoms, kelvin: float, steps: int) -> None:
    """Run Langevin dynamics of 0.5 fs."""
    rng = np.random.default_rng(1)
    Langevin(atoms, 0.5 * units.fs, temperature_K=kelvin, friction=0.02 / units.fs, rng=rng, fixcm=False).run(steps)


def _drift_row(atoms: Atoms, step: float, picoseconds: float) -> str:
    times: list[float] = []
    energies: list[float] = []
    dynamics = VelocityVerlet(atoms, step * units.fs)

    def note() -> None:
        times.append(dynamics.get_time() / (1000 * units.fs))
        energies.append(atoms.get_total_energy() / len(atoms))

    dynamics.attach(note, interval=10)
    before = atoms.calc.rebuilds
    dynamics.run(round(1000 * picoseconds / step))
    slope, offset = np.polyfit(times, energies, 1)
    rest = np.std(np.array(energies) - slope * np.array(times) - offset)
    searches = atoms.calc.rebuilds - before
    return f"| {step} | {times[-1]:.1f} | {slope:.1e} | {rest:.1e} | {searches} | {atoms.get_temperature():.0f} |"


if __name__ == "__main__":
    main()
