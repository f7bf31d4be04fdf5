"""Figures of other programs, as they were measured before this project began, typed in.

Two-core x86-64 machine (not this one, noisy: ratios are meant to the order of their size), 100 structures of TiO2 with
2,105 atoms, batch 32, networks 15-15 tanh, float64, one thread. The set that this benchmark reads has somewhat larger
cells at its beginning; nothing is scaled for that.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AENET_PYTHON", "EPOCH_8_65", "FCC_LIST", "FORTRAN", "PEAK_MEMORY", "SET_ATOMS", "STRUCTURES", "Published"]

STRUCTURES = 100
"""Structures of the set."""
SET_ATOMS = 2105
"""Atoms of the set."""


@dataclass(frozen=True)
class Published:
    """Figures of one program at one setting; None where there is no figure."""

    features: float | None = None
    """Features of the set without derivatives, µs per atom."""
    epoch_energy: float | None = None
    """Seconds per epoch of training on energies, features cached."""
    epoch_force: float | None = None
    """Seconds per epoch of training on energies and forces, as the program does it by default."""
    predict: float | None = None
    """Energies and forces with all that they need, µs per atom."""


EPOCH_8_65 = 51.5
"""Seconds per epoch of aenet-python 0.1 on energies and forces at cutoffs 8.0/6.5 Å, its default path."""
PEAK_MEMORY = 9700.0
"""Peak memory of that training, MB."""
FCC_LIST = 10.0
"""Neighbour list of one fcc atom at 8 Å by aenet-python 0.1, s."""

AENET_PYTHON = {
    "8.0/6.5": Published(features=277_000.0, epoch_energy=0.0055, epoch_force=EPOCH_8_65, predict=304_000.0),
    "6.0/3.5": Published(features=9.2e6 / SET_ATOMS, epoch_energy=0.0055, epoch_force=1.60, predict=4000.0),
}
"""aenet-python 0.1. Its features with local derivatives take 10.8 s at 8.0/6.5 Å, 5.1 ms per atom."""

FORTRAN = {
    "8.0/6.5": Published(features=1.5e6 / SET_ATOMS, epoch_energy=0.175, predict=800.0),
    "6.0/3.5": Published(predict=79.5),
}
"""Fortran ænet 2.0.4: generate.x, one BFGS iteration of train.x (0.14-0.21 s), predict.x. It cannot train on forces."""
