"""Data-parallel training: processes started by `torchrun` share the work on each batch and keep the same weights.

Every process runs the same program on the same data with the same seed. A task computes the part of a batch that
`shared` gives it and adds up sums with `total`, so that all processes see the same loss; steppers add up gradients, and
take the same step. Inside `joined` the functions here are collective: all processes call them, in the same order,
also one whose part is empty. Without other processes each is the identity.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import multiprocessing
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from potentia.errors import ConfigError, PotentiaWarning, TrainingError
from potentia.metrics import ErrorSum
from potentia.train.real import real_view

__all__ = [
    "active",
    "agree",
    "from_first",
    "greatest",
    "joined",
    "rank",
    "require_same",
    "shared",
    "size",
    "stacked",
    "sum_gradients",
    "total",
    "total_errors",
    "totals",
]

_JOINED: ContextVar[bool] = ContextVar("joined", default=False)
_LONGEST = 256
"""Bytes of a text that is sent."""


@contextmanager
def joined() -> Iterator[None]:
    """Work together with the other processes inside, if `torchrun` or the caller's own process group says so.

    The group is made at the first time and lasts as long as the process: gloo between CPUs, and between GPUs NCCL where
    each process has one to itself, else gloo too. ``"cuda"`` without a number then means the process's own GPU. What
    the first process has written inside is there for all on leaving. Children of `multiprocessing` work alone.

    Raises:
        ConfigError: the environment names other processes, but not how to reach them.
    """
    if not _connected():
        yield
        return
    token = _JOINED.set(True)
    try:
        yield
        _reduced(torch.zeros(1))
    finally:
        _JOINED.reset(token)


def active() -> bool:
    """Return whether other processes work along."""
    return _JOINED.get()


def rank() -> int:
    """Return the number of this process, 0 for the only one. The first alone writes files and shows progress."""
    return dist.get_rank() if active() else 0


def size() -> int:
    """Return how many processes there are."""
    return dist.get_world_size() if active() else 1


def shared(indices: Tensor, weights: Tensor) -> Tensor:
    """Return this process's part of ``indices`` [indices] in their order; the parts are about equal in ``weights``.

    They are dealt back and forth, the heaviest first, so the numbers of indices differ by one at most.
    """
    if not active():
        return indices
    place = torch.arange(len(indices))
    turn, seat = place // size(), place % size()
    player = torch.where(turn % 2 == 0, seat, size() - 1 - seat)
    mine = torch.argsort(weights.cpu(), descending=True, stable=True)[player == rank()]
    return indices[mine.sort().values.to(indices.device)]


def total(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; the gradient passes through unchanged.

    So each process gets the gradient of the common loss by way of its own part, and `sum_gradients` adds them up.
    """
    return _Total.apply(tensor) if active() else tensor


def totals(parts: Mapping[str, Tensor], lengths: Mapping[str, int]) -> dict[str, Tensor]:
    """Return the `total` of each named vector, all in one go; a process may lack some, and none has to be anywhere.

    ``lengths`` says of each name that there may be how long its vector is, the same on all processes.
    """
    if not active():
        return dict(parts)
    like = next(iter(parts.values()), torch.zeros(0, dtype=torch.float64))
    vectors = [parts[name] if name in parts else like.new_zeros(length) for name, length in lengths.items()]
    there = like.new_tensor([name in parts for name in lengths])
    *sums, found = total(torch.cat([*vectors, there])).split([*lengths.values(), len(lengths)])
    return {name: one for name, one, n in zip(lengths, sums, found.tolist(), strict=True) if n}


def total_errors(sums: Mapping[str, ErrorSum], names: Sequence[str]) -> dict[str, ErrorSum]:
    """Return the error sums of all processes; ``names`` are all that there may be."""
    if not active():
        return dict(sums)
    parts = {name: torch.tensor([s.absolute, s.squared, s.count], dtype=torch.float64) for name, s in sums.items()}
    whole = {name: one.tolist() for name, one in totals(parts, dict.fromkeys(names, 3)).items()}
    return {name: ErrorSum(absolute, squared, round(count)) for name, (absolute, squared, count) in whole.items()}


@torch.no_grad()
def sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Add up the gradients of all processes; a parameter without one anywhere stays without."""
    if not active():
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    vectors = [real_view(gradient).reshape(-1) for gradient in gradients]
    there = vectors[0].new_tensor([p.grad is not None for p in parameters])
    *sums, found = _reduced(torch.cat([*vectors, there])).split([*(len(vector) for vector in vectors), len(there)])
    for parameter, gradient, one, n in zip(parameters, gradients, sums, found.tolist(), strict=True):
        real_view(gradient).copy_(one.view_as(real_view(gradient)))
        parameter.grad = gradient if n else None


def stacked(rows: Tensor) -> Tensor:
    """Return the rows of all processes in the order of their ranks.  [rows of all, ...]"""
    if not active():
        return rows
    counts = torch.zeros(size(), dtype=torch.int64)
    counts[rank()] = len(rows)
    sizes = _reduced(counts).tolist()
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in sizes]
    if padded.numel():
        dist.all_gather(parts, padded)
    return torch.cat([part[:n] for part, n in zip(parts, sizes, strict=True)])


def greatest(values: Sequence[int]) -> list[int]:
    """Return the greatest of each value over all processes."""
    return _reduced(torch.tensor(values), dist.ReduceOp.MAX).tolist() if active() else list(values)


def from_first(value: int) -> int:
    """Return the integer of the first process."""
    if not active():
        return value
    sent = torch.tensor(value)
    dist.broadcast(sent, 0)
    return int(sent)


def agree(*reasons: str) -> tuple[str, ...]:
    """Return each of ``reasons`` as the first process that has it words it; empty where none has it."""
    if not active():
        return reasons
    asked = torch.tensor([rank() if reason else size() for reason in reasons])
    askers = _reduced(asked, dist.ReduceOp.MIN).tolist()
    return tuple(_worded(reason, k) if k < size() else "" for reason, k in zip(reasons, askers, strict=True))


def require_same(what: str, content: bytes, advice: str) -> None:
    """Raise `TrainingError` on all processes unless ``content`` is the same on all, bit for bit."""
    if not active():
        return
    marks = torch.zeros(size(), dtype=torch.int64)
    marks[rank()] = int.from_bytes(hashlib.sha256(content).digest()[:8], "little", signed=True)
    first, *others = _reduced(marks).tolist()
    different = [str(k) for k, mark in enumerate(others, 1) if mark != first]
    if different:
        raise TrainingError(
            f"{what} differ between the {size()} processes (those of {', '.join(different)} from those of 0): {advice}"
        )


class _Total(torch.autograd.Function):
    """Sum over processes forward, the identity backward."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        """Add up."""
        return _reduced(tensor.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Pass on."""
        return gradient


def _reduced(tensor: Tensor, how: Any = None) -> Tensor:
    dist.all_reduce(tensor, dist.ReduceOp.SUM if how is None else how)
    return tensor


def _worded(reason: str, asker: int) -> str:
    """Send the text of one process to all."""
    text = reason.encode()[:_LONGEST].ljust(_LONGEST)
    sent = torch.tensor(list(text), dtype=torch.uint8)
    dist.broadcast(sent, asker)
    return bytes(sent.tolist()).decode(errors="ignore").rstrip()


def _connected() -> bool:
    """Return whether there is a group of several processes for this training, and make it where it is missing."""
    there = dist.is_available() and dist.is_initialized()
    wanted = dist.get_world_size() if there else int(os.environ.get("WORLD_SIZE", "1"))
    if wanted < 2 or (not there and multiprocessing.parent_process() is not None):
        return False
    if threading.current_thread() is not threading.main_thread():
        text = f"each of the {wanted} processes trains all by itself: this training is not in the main thread"
        warnings.warn(text, PotentiaWarning, stacklevel=4)
        return False
    if not there:
        _make_group(wanted)
    elif dist.get_backend() == "nccl":
        raise ConfigError(
            "the process group has no backend for the CPU: init_process_group('cpu:gloo,cuda:nccl'), or leave it to us"
        )
    return True


def _make_group(wanted: int) -> None:
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE={wanted} speaks of several processes, but {', '.join(missing)} is not set: "
            "start the script with torchrun, or unset WORLD_SIZE to train in one process"
        )
    if not dist.is_available():
        raise ConfigError(f"WORLD_SIZE={wanted}, but this PyTorch was built without torch.distributed")
    dist.init_process_group(_backend(wanted))
    atexit.register(_part)


def _backend(wanted: int) -> str:
    """Return the backend, and make the process's own GPU the current one."""
    if not torch.cuda.is_available():
        return "gloo"
    gpus, here = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", wanted))
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", os.environ["RANK"])) % gpus)
    return "cpu:gloo,cuda:nccl" if here <= gpus and dist.is_nccl_available() else "cpu:gloo,cuda:gloo"


def _part() -> None:
    """Leave the group while the interpreter is whole: its threads may hold tensors that Python has to free."""
    if dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()
