"""One step of training of the networks on fields beside its floor: its own products, convolutions and transforms alone.

    python benchmarks/operator_layers.py --threads 1 --rounds 20

The floor is what the step itself calls of linear algebra, recorded with shapes and strides, and called again with
nothing in between. Seconds are of the processor, so what else the machine does counts little; on two threads they are
the sum of both. Memory is what is kept for the derivatives.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from timing import Times, alternate
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from potentia.nn import spectral
from potentia.operators.networks.base import FieldNetworkConfig, FieldShape
from potentia.operators.networks.fno import FNOConfig
from potentia.operators.networks.u_afno import UAFNOConfig

LIMIT = 60.0
"""Seconds for the rounds of one case."""
LINEAR = ("mm", "addmm", "bmm", "baddbmm", "convolution", "convolution_backward", "_fft_r2c", "_fft_c2r", "_fft_c2c")
"""What belongs to the floor."""


@dataclass(frozen=True)
class Case:
    """A network and a batch for it."""

    name: str
    config: FieldNetworkConfig
    shape: FieldShape
    samples: int
    points: int


U = {"encoder_levels": 2, "modes": 8, "afno_blocks": 2, "conditioning_width": 32}
CASES = [
    Case("FNO 24/8/4, 32 x 32, B=16", FNOConfig(), FieldShape(2, 2, 4), 16, 32),
    Case("FNO 24/8/4, 64 x 64, B=16", FNOConfig(), FieldShape(2, 2, 4), 16, 64),
    Case("FNO 32/16/4, 256, B=20", FNOConfig(width=32, modes=16), FieldShape(1, 1, 0), 20, 256),
    Case("U-AFNO 8/2/8/2, 32 x 32, B=16", UAFNOConfig(base_channels=8, **U), FieldShape(2, 2, 4), 16, 32),
    Case(
        "the same, one block a level", UAFNOConfig(base_channels=8, residual_blocks=1, **U), FieldShape(2, 2, 4), 16, 32
    ),
    Case("U-AFNO 16/2/8/2, 32 x 32, B=16", UAFNOConfig(base_channels=16, **U), FieldShape(2, 2, 4), 16, 32),
]


class Recorder(TorchDispatchMode):
    """Keeps every call of linear algebra, with arguments of the same shapes, strides and types."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], object]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in LINEAR:
            alike = tree_map(lambda one: _copy(one) if isinstance(one, Tensor) else one, (args, kwargs or {}))
            self.calls.append(lambda: func(*alike[0], **alike[1]))
        return found


def _copy(one: Tensor) -> Tensor:
    """Return a copy with the same strides, also where they are 0."""
    whole = one.detach().untyped_storage().nbytes() // one.element_size()
    flat = one.detach().as_strided((whole,), (1,), 0).clone()
    return flat.as_strided(one.shape, one.stride(), one.storage_offset())


def step_of(case: Case) -> Callable[[], None]:
    """Return forward, loss and backward of one batch."""
    torch.manual_seed(0)
    network = case.config.build(case.shape)
    fields = torch.randn(case.samples, case.shape.n_channels, *(case.points,) * case.shape.n_axes)
    parameters = torch.randn(case.samples, case.shape.n_parameters) if case.shape.n_parameters else None

    def step() -> None:
        network.zero_grad(set_to_none=True)
        (network(fields, parameters) - fields).square().mean().backward()

    return step


def kept(step: Callable[[], None]) -> float:
    """Return what is kept for the derivatives of a step (MB)."""
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return sum(sizes.values()) / 1e6


def spent(work: Callable[[], object]) -> dict[str, float]:
    """Return milliseconds of the processor."""
    begun = time.process_time()
    work()
    return {"": (time.process_time() - begun) * 1e3}


def measure(case: Case, rounds: int) -> dict[str, Times]:
    """Return milliseconds of the step, of its floor, and of the step with fast transforms in place of products."""
    step = step_of(case)
    step()
    with Recorder() as recorder:
        step()

    @torch.no_grad()
    def floor() -> None:
        for call in recorder.calls:
            call()

    def fast() -> None:
        with patch.object(spectral, "MATRIX_MODES", 0):
            step()

    works = {"step": lambda: spent(step), "floor": lambda: spent(floor), "fast": lambda: spent(fast)}
    return alternate(works, rounds, LIMIT)


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--threads", type=int, default=1)
    reader.add_argument("--rounds", type=int, default=20)
    reader.add_argument("--only", default="", help="part of the name of a case")
    given = reader.parse_args()
    torch.set_num_threads(given.threads)
    heads = ("step", "floor", "with FFT")
    print(f"{'ms of processor a step (least, median)':40s}", *(f"{head:>14s}" for head in heads), " ratio     MB")
    for case in CASES:
        if given.only not in case.name:
            continue
        times = measure(case, given.rounds)
        columns = [f"{times[name].least:7.1f}{times[name].median:7.1f}" for name in ("step", "floor", "fast")]
        ratio = times["step"].median / times["floor"].median
        print(f"{case.name:40s}", *columns, f"{ratio:6.2f} {kept(step_of(case)):6.1f}", flush=True)


if __name__ == "__main__":
    main()
