"""What is worked on: the structures, and the two settings of descriptor and networks that all figures belong to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import published
import torch
from ase.io import iread

from potentia import Adam, ChebyshevDescriptor, Structure, TorchANNPotential, TorchTrainingConfig, read_structures
from potentia.potentials.neighbours import find_neighbours_of

__all__ = ["BATCH", "Settings", "Workload", "load_workload"]

CHECKOUT = Path(__file__).parents[1]
TIO2 = CHECKOUT.parent / "shared" / "data" / "tio2" / "structures.xyz"
WATER = CHECKOUT / "examples" / "data" / "water.xyz"
BATCH = 32
"""Structures per batch, in training and wherever kernels are measured as training uses them."""
HIDDEN = [(15, "tanh"), (15, "tanh")]
"""Hidden layers of every network."""


@dataclass(frozen=True)
class Settings:
    """Orders and cutoffs of the descriptor."""

    rad_order: int
    rad_cutoff: float
    """Å"""
    ang_order: int
    ang_cutoff: float
    """Å"""

    @property
    def cutoffs(self) -> str:
        """The name in `published`."""
        return f"{self.rad_cutoff:.1f}/{self.ang_cutoff:.1f}"

    def __str__(self) -> str:
        return f"orders {self.rad_order}/{self.ang_order}, cutoffs {self.cutoffs} Å"


@dataclass(frozen=True)
class Workload:
    """Structures with the settings to measure them at, the first of which the targets are for."""

    name: str
    source: str
    """Where the structures are from, in words."""
    structures: list[Structure]
    atomic_energies: dict[str, float]
    """eV"""
    settings: tuple[Settings, ...]
    published: bool
    """Whether the figures in `published` are for so many structures of this set."""

    @property
    def species(self) -> list[str]:
        """Chemical species."""
        return list(self.atomic_energies)

    @property
    def n_atoms(self) -> int:
        """Atoms of all structures."""
        return sum(structure.n_atoms for structure in self.structures)

    def pairs_per_atom(self) -> dict[float, float]:
        """Return how many neighbours an atom has on average within each cutoff (Å)."""
        cutoffs = sorted({c for s in self.settings for c in (s.rad_cutoff, s.ang_cutoff)}, reverse=True)
        counts = {c: sum(found.n_pairs for found in find_neighbours_of(self.structures, c)) for c in cutoffs}
        return {cutoff: count / self.n_atoms for cutoff, count in counts.items()}

    def descriptor(self, settings: Settings, dtype: torch.dtype, kernels: str = "auto") -> ChebyshevDescriptor:
        """Return the descriptor of ``settings``."""
        return ChebyshevDescriptor(
            self.species,
            settings.rad_order,
            settings.rad_cutoff,
            settings.ang_order,
            settings.ang_cutoff,
            dtype=dtype,
            kernels=kernels,
        )

    def potential(self, settings: Settings) -> TorchANNPotential:
        """Return an untrained potential in float64."""
        return TorchANNPotential(dict.fromkeys(self.species, HIDDEN), self.descriptor(settings, torch.float64))

    def config(self, epochs: int, force_weight: float) -> TorchTrainingConfig:
        """Return settings of a training on all structures that writes nothing."""
        return TorchTrainingConfig(
            iterations=epochs,
            method=Adam(mu=0.001, batchsize=BATCH),
            testpercent=0,
            force_weight=force_weight,
            atomic_energies=self.atomic_energies,
            seed=1,
            checkpoint_dir=None,
            save_best=False,
            show_progress=False,
            timing=True,
        )


def load_workload(count: int) -> Workload:
    """Return ``count`` structures: the first of TiO2 where that set stands beside the checkout, else of the demo data.

    The demo data begins with small molecules and ends with crystals: it is sampled evenly.
    """
    if TIO2.exists():
        return Workload(
            name="TiO2",
            source=f"the first {count} structures of the TiO2 set",
            structures=read_structures(list(islice(iread(TIO2, index=":"), count))).structures,
            atomic_energies={"Ti": -1604.604515075, "O": -432.503149303},
            settings=(Settings(16, 8.0, 4, 6.5), Settings(10, 6.0, 3, 3.5)),
            published=count == published.STRUCTURES,
        )
    frames = read_structures(WATER).structures
    return Workload(
        name="water",
        source=f"{count} structures of the demo data, examples/data/water.xyz (the TiO2 set is not there)",
        structures=frames[:: max(1, len(frames) // count)][:count],
        atomic_energies={"H": -10.7, "O": -102.6},
        settings=(Settings(16, 6.0, 4, 5.0), Settings(10, 6.0, 3, 3.5)),
        published=False,
    )
