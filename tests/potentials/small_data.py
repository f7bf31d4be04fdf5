"""Small crystals and molecules labelled by a Morse potential, and potentials trained on them in a blink.

Run as a script it trains for a long time and writes checkpoints, to be killed.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import sys
from dataclasses import replace

import numpy as np
import torch

from potentia import Adam, ChebyshevDescriptor, Structure, TorchANNPotential, TorchTrainingConfig

SPECIES = ("Ti", "O")
FREE = {"Ti": -5.0, "O": -3.0}
"""Energies of the free atoms (eV)."""
CUTOFF = 3.8
DESCRIPTOR = ChebyshevDescriptor(SPECIES, 4, CUTOFF, 2, 3.4)
TIMES = ["epoch_time", "forward_time", "backward_time"]

_BOND = {"TiTi": (0.5, 2.2), "TiO": (0.9, 1.8), "OO": (0.4, 2.0)}
"""Depth (eV) and length (Å) of each bond."""
_SLOPE = 1.4
_FAR = 3.6
_GRID = np.array(list(itertools.product((0.1, 0.6), repeat=3)))


def morse(structure: Structure) -> Structure:
    """Label a structure: energy, forces, and stress where it repeats in three directions."""
    x, n = structure.positions, structure.n_atoms
    cell = np.zeros((3, 3)) if structure.cell is None else structure.cell
    spread = np.linalg.norm(np.ptp(x, axis=0))
    inverse = np.zeros((3, 3))
    inverse[:, structure.pbc] = np.linalg.pinv(cell[structure.pbc])
    reach = np.where(structure.pbc, np.ceil((_FAR + spread) * np.linalg.norm(inverse, axis=0)), 0).astype(int)
    images = np.array(list(itertools.product(*(range(-k, k + 1) for k in reach)))) @ cell
    vector = x[None, :, None] + images - x[:, None, None]  # [centres, neighbours, images, 3]
    r = np.linalg.norm(vector, axis=-1)
    near = (r > 1e-8) & (r < _FAR)
    r = np.where(near, r, _FAR)
    bonds = [[_BOND.get(a + b) or _BOND[b + a] for b in structure.species] for a in structure.species]
    depth, length = np.moveaxis(np.array(bonds), -1, 0)[..., None]
    swing = np.exp(-_SLOPE * (r - length))
    well, slope = depth * (swing**2 - 2 * swing), -2 * _SLOPE * depth * (swing**2 - swing)
    fade, fall = (1 - (r / _FAR) ** 2) ** 3, -6 * r / _FAR**2 * (1 - (r / _FAR) ** 2) ** 2
    along = vector * ((slope * fade + well * fall) / r)[..., None]  # dV/dr of each pair
    energy = sum(FREE[name] for name in structure.species) + 0.5 * float((well * fade).sum())
    strain = 0.5 * np.einsum("ijka,ijkb->ab", along, vector)
    stress = strain / abs(np.linalg.det(cell)) if all(structure.pbc) else None
    return replace(structure, energy=energy, forces=along.reshape(n, -1, 3).sum(1), stress=stress)


def crystal(seed: int = 0, n: int = 4, species=SPECIES, pbc=(True, True, True), length: float = 3.6) -> Structure:
    """Return a skewed, rotated cell with atoms anywhere in space."""
    rng = np.random.default_rng(seed)
    cell = length * (np.eye(3) + 0.1 * rng.normal(size=(3, 3)))
    shift = rng.integers(-2, 3, (n, 3)) * np.array(pbc)
    fractional = _GRID[[0, 3, 5, 6, 1, 2, 4, 7][:n]] + 0.04 * rng.uniform(-1, 1, (n, 3)) + shift
    names = [species[k % len(species)] for k in range(n)]
    points = (fractional @ cell).round(6)  # the same bits on every machine, and so the same split
    return morse(Structure(points, names, cell=cell, pbc=pbc, name=f"crystal {seed}"))


def molecule(seed: int = 1, n: int = 5, species=SPECIES) -> Structure:
    rng = np.random.default_rng(seed)
    points = 3.8 * _GRID[:n] + 0.12 * rng.normal(size=(n, 3))
    return morse(Structure(points, [species[k % len(species)] for k in range(n)], name=f"molecule {seed}"))


@functools.cache
def frames(n: int = 10, species=SPECIES) -> list[Structure]:
    """Return crystals and molecules in turn, of several sizes."""
    return [crystal(k, 2 + k % 3, species) if k % 2 == 0 else molecule(k, 3 + k % 3, species) for k in range(n)]


def without(structure: Structure, *labels: str) -> Structure:
    return replace(structure, **dict.fromkeys(labels))


def config(**changes) -> TorchTrainingConfig:
    """Return settings for a short training that writes and shows nothing."""
    settings = {
        "iterations": 2,
        "method": Adam(mu=0.01, batchsize=4),
        "testpercent": 20,
        "seed": 1,
        "atomic_energies": FREE,
        "checkpoint_dir": None,
        "show_progress": False,
    }
    return TorchTrainingConfig(**(settings | changes))


GRADIENTS = {"force_weight": 0.3, "stress_weight": 0.2}


def fresh(activation: str = "tanh", descriptor: ChebyshevDescriptor = DESCRIPTOR) -> TorchANNPotential:
    return TorchANNPotential({name: [(6, activation), (5, activation)] for name in descriptor.species}, descriptor)


@functools.cache
def trained(activation: str = "tanh", species=SPECIES) -> TorchANNPotential:
    """Return a potential that has seen two epochs; it is shared, so do not train it further."""
    potential = fresh(activation, ChebyshevDescriptor(species, 4, CUTOFF, 2, 3.4))
    free = {name: FREE[name] for name in species}
    potential.train(frames(10, species), config(atomic_energies=free, **GRADIENTS))
    return potential


def weights(potential: TorchANNPotential) -> dict[str, bytes]:
    """Return all that a potential has learned, bit for bit."""
    return {name: tensor.numpy().tobytes() for name, tensor in potential.learned()["model"].items()}


def fill_free_memory_with_nan():
    """Leave NaN in freed blocks of all small sizes, which the next scratch arrays are made of."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    blocks = [(libc.malloc(size), size) for size in range(16, 8192, 16) for _ in range(8)]
    for block, size in blocks:
        ctypes.memset(block, 0xFF, size)
    for block, _ in blocks:
        libc.free(block)


if __name__ == "__main__":
    torch.set_num_threads(1)
    endless = config(iterations=10**6, checkpoint_dir=sys.argv[1], checkpoint_batches=1, save_best=False, **GRADIENTS)
    fresh().train(frames(), endless)
