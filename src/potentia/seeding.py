"""Named random streams: each draw has its own generator, derived from one seed and the draw's name.

A stream is a pure function of seed and name, for example ``stream(seed, "shuffle", epoch)``. So there is no state of a
generator to carry along or to save, and one more draw in one place changes nothing in another.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["fresh_seed", "stream", "torch_seeded", "torch_stream"]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the NumPy generator of this seed and name; equal arguments give equal draws, on every machine.

    >>> stream(1, "shuffle", 0).permutation(4), stream(1, "shuffle", 1).permutation(4)
    (array([3, 0, 2, 1]), array([3, 2, 0, 1]))
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(_key(seed, names))))


def torch_stream(seed: int, *names: str | int) -> torch.Generator:
    """Return the torch generator of this seed and name (CPU: draw there and move, and every device gets the same)."""
    return torch.Generator().manual_seed(_torch_seed(seed, names))


@contextmanager
def torch_seeded(device: torch.device, seed: int, *names: str | int) -> Iterator[None]:
    """Let code that draws from torch's global generators (initial weights, dropout) draw from a named stream instead.

    The generators of the CPU and of ``device`` are put back as they were on leaving.
    """
    generators = [torch.default_generator]
    if device.type == "cuda":
        torch.cuda.init()
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    before = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(_torch_seed(seed, names))
    try:
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.set_state(state)


def fresh_seed() -> int:
    """Return a new seed from the operating system, in [0, 2**63)."""
    return secrets.randbits(63)


def _key(seed: int, names: tuple[str | int, ...]) -> int:
    """Hash seed and names to 256 bits; JSON keeps ("a", "b") apart from ("ab",) and 1 from "1"."""
    text = json.dumps([int(seed), *(name if isinstance(name, str) else int(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "little")


def _torch_seed(seed: int, names: tuple[str | int, ...]) -> int:
    return _key(seed, names) % 2**63
