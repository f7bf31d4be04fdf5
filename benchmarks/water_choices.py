"""What cutoffs, orders, networks, forces and members are worth on the water of examples/data.

    python benchmarks/water_choices.py

One thing at a time is changed in one setting; errors are those of whole series of frames that were held out. Then four
seeds of that setting as a committee: how far single members differ, and what their mean is worth. Nothing here passes
or fails.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from machine import describe_machine
from workload import WATER

from potentia import (
    ChebyshevDescriptor,
    Kalman,
    ReferenceEnergies,
    Structure,
    TorchANNPotential,
    TorchCommitteePotential,
    TorchTrainingConfig,
    read_structures,
)
from potentia.errors import PotentiaWarning

MEMBERS = 4
"""Seeds of the committee."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One setting."""

    orders: tuple[int, int] = (10, 4)
    """Radial and angular."""
    cutoffs: tuple[float, float] = (6.0, 5.0)
    """Radial and angular (Å)."""
    nodes: int = 20
    """Nodes of each of two hidden layers."""
    forces: float = 1.0
    """Part of the structures that are trained on their forces, drawn again each epoch; 0 for energies alone."""

    def __str__(self) -> str:
        orders, cutoffs = "/".join(map(str, self.orders)), "/".join(map(str, self.cutoffs))
        return f"{orders} | {cutoffs} | {self.nodes}-{self.nodes} | {self.forces:.0%}"

    def descriptor(self) -> ChebyshevDescriptor:
        """Return the descriptor."""
        return ChebyshevDescriptor(["O", "H"], self.orders[0], self.cutoffs[0], self.orders[1], self.cutoffs[1])

    def arch(self) -> dict[str, list[tuple[int, str]]]:
        """Return the networks."""
        return {name: [(self.nodes, "tanh")] * 2 for name in ("O", "H")}

    def config(self, free: dict[str, float]) -> TorchTrainingConfig:
        """Return the settings of the training."""
        return TorchTrainingConfig(
            iterations=6,
            method=Kalman(batchsize=8),
            force_weight=0.3 if self.forces else 0.0,
            force_fraction=self.forces or 1.0,
            force_resample_num_epochs=1,
            testpercent=20,
            split_by="group",
            group_key="series",
            split_seed=1,
            seed=1,
            atomic_energies=free,
            checkpoint_dir=None,
            show_progress=False,
        )


@dataclass(frozen=True)
class Trained:
    """A potential, and how it did."""

    potential: TorchANNPotential
    seconds: float
    """Of processor time."""
    held_out: list[Structure]
    energy: float
    """RMSE (meV/atom)."""
    force: float
    """RMSE of components (eV/Å)."""


BASE = Choice()
CHOICES = (
    BASE,
    *(replace(BASE, forces=forces) for forces in (0.0, 0.1, 0.3)),
    *(replace(BASE, nodes=nodes) for nodes in (5, 40)),
    *(replace(BASE, orders=orders) for orders in ((4, 1), (16, 6))),
    *(replace(BASE, cutoffs=cutoffs) for cutoffs in ((3.5, 3.0), (8.0, 6.5))),
)


def errors(potential: TorchANNPotential | TorchCommitteePotential, held_out: list[Structure]) -> tuple[float, float]:
    """Return RMSE of energies (meV/atom) and of force components (eV/Å)."""
    answers = potential.predict(held_out, eval_forces=True)
    if isinstance(potential, TorchCommitteePotential):
        energies, forces = [one.energy for one in answers], [one.forces for one in answers]
    else:
        energies, forces = answers.total_energy, answers.forces
    wrong = [(e - s.energy) / s.n_atoms for e, s in zip(energies, held_out, strict=True)]
    off = np.concatenate([(f - s.forces).ravel() for f, s in zip(forces, held_out, strict=True)])
    return 1000 * float(np.sqrt(np.mean(np.square(wrong)))), float(np.sqrt(np.mean(off**2)))


def trained(choice: Choice, structures: list[Structure], free: dict[str, float], seed: int) -> Trained:
    """Train once, and look at what was held out."""
    potential = TorchANNPotential(choice.arch(), choice.descriptor())
    begun = time.process_time()
    results = potential.train(structures, replace(choice.config(free), seed=seed))
    seconds = time.process_time() - begun
    held_out = [structures[k] for k in results.test_indices]
    return Trained(potential, seconds, held_out, *errors(potential, held_out))


def of_settings(structures: list[Structure], free: dict[str, float]) -> None:
    """Print the errors of each setting."""
    print("| orders | cutoffs, Å | networks | forces of | time, s | test, meV/atom | test, eV/Å |")
    print("|---|---|---|---:|---:|---:|---:|")
    for choice in CHOICES:
        one = trained(choice, structures, free, 1)
        print(f"| {choice} | {one.seconds:.0f} | {one.energy:.1f} | {one.force:.3f} |", flush=True)


def of_seeds(structures: list[Structure], free: dict[str, float]) -> None:
    """Print the errors of the first setting by seed, and of the mean of some members."""
    print(f"\nThe first setting, {MEMBERS} seeds, and the mean of two and of all of them:\n")
    files: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, MEMBERS + 1):
            one = trained(BASE, structures, free, seed)
            files.append(f"{folder}/{seed}.pt")
            one.potential.save(files[-1])
            print(f"seed {seed}: {one.seconds:.0f} s, {one.energy:.1f} meV/atom, {one.force:.3f} eV/Å", flush=True)
        for size in (2, MEMBERS):
            energy, force = errors(TorchCommitteePotential.from_files(files[:size]), one.held_out)
            print(f"mean of {size}: {energy:.1f} meV/atom, {force:.3f} eV/Å", flush=True)


def main() -> None:
    """Train and print."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", PotentiaWarning)  # near copies across the split
    structures = read_structures(WATER).structures
    free = ReferenceEnergies.from_regression(structures, fixed_atomic_energies={"O": 0.0}).atomic_energies
    print("# Choices on water\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    print("- Kalman(batchsize=8), 6 epochs, one thread; seconds of processor time of the whole `train`\n")
    few = replace(BASE.config(free), iterations=1, split_by="structure")
    TorchANNPotential(BASE.arch(), BASE.descriptor()).train(structures[:40], few)  # compiles the kernels
    of_settings(structures, free)
    of_seeds(structures, free)


if __name__ == "__main__":
    main()
