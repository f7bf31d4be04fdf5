"""What a network costs: parameters, bytes of tensors that live at once, and operations; on any device alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from potentia.evaluate import Metric

__all__ = ["Forward", "compute_metrics"]

BLOCK = "compute"


@dataclass(frozen=True, eq=False)
class Forward:
    """A network with something to call it with."""

    network: nn.Module
    """As it predicts: fitted, and on its device."""
    arguments: tuple[Tensor | None, ...]
    """Scaled initial states [trajectories, quantities], mapped times, and parameters or None, as it takes them."""


def compute_metrics(name: str, forward: Forward) -> list[Metric]:
    """Return the block ``"compute"`` of one surrogate.

    Memory is what lives at once of the tensors that a call makes, without parameters and arguments, counted operation
    by operation: in a forward pass with and without gradients, and in one with its backward pass. Operations are those
    of matrix products, two for a multiplication with its addition.
    """
    network, arguments = forward.network, forward.arguments
    initial = next(argument for argument in arguments if argument is not None)
    parameters = [p for p in network.parameters() if p.requires_grad]
    held = [*network.parameters(), *network.buffers()]

    def call() -> Tensor:
        found: Tensor = network(*arguments)
        return found

    def call_both_ways() -> None:
        torch.autograd.grad(call().square().sum(), parameters, allow_unused=True)

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    with torch.no_grad():
        without = _peak_bytes(call, held)
    flops = float(counter.get_total_flops())
    return [
        Metric(name, BLOCK, "num_trainable_parameters", float(sum(p.numel() for p in parameters))),
        Metric(name, BLOCK, "model_memory", float(sum(p.numel() * p.element_size() for p in held)), "bytes"),
        Metric(name, BLOCK, "forward_memory", _peak_bytes(call, held), "bytes"),
        Metric(name, BLOCK, "backward_memory", _peak_bytes(call_both_ways, held), "bytes"),
        Metric(name, BLOCK, "forward_memory_nograd", without, "bytes"),
        Metric(name, BLOCK, "flops", flops, "FLOP"),
        Metric(name, BLOCK, "flops_per_trajectory", flops / len(initial), "FLOP"),
        Metric(name, BLOCK, "trajectories", float(len(initial))),
    ]


def _peak_bytes(call: Callable[[], object], held: Iterable[Tensor]) -> float:
    with _LiveBytes(held) as live:
        call()
    return float(live.peak)


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of storages that operations have made and that are still in use."""

    def __init__(self, held: Iterable[Tensor]) -> None:
        super().__init__()
        self.peak = 0
        self._known = {_key(tensor) for tensor in held}
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self._known |= {_key(one) for one in tree_leaves((args, kwargs)) if _is_tensor(one)} - self._live.keys()
        found = func(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            if _is_tensor(one) and _key(one) not in self._known:
                storage = one.untyped_storage()
                self._live[_key(one)] = (StorageWeakRef(storage), storage.nbytes())
        self._live = {key: entry for key, entry in self._live.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._live.values()))
        return found


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
