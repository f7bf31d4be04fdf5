"""From a function of tensors to a graph: it runs once, on one row, and each operation of torch is written down.

Tensors have no leading axes then, so what stands for one is an array of nodes of its shape, and changes of shape are
those of NumPy. Views are written down as copies, which holds because operations that change a tensor are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from potentia.dynamics.compiled.graph import Graph, Node
from potentia.dynamics.compiled.operations import OPERATIONS
from potentia.dynamics.compiled.refusals import NotCompilableError

__all__ = ["Nodes", "trace"]

Nodes: TypeAlias = NDArray[Any]
"""Nodes of a graph, of the shape of a tensor."""
DECOMPOSED = torch._decomp.decomposition_table


def trace(
    graph: Graph, function: Callable[..., Tensor], arguments: Sequence[Tensor], nodes: Sequence[Nodes]
) -> NDArray[Any]:
    """Return the nodes of what a function returns.

    Args:
        graph: Grows.
        function: Of tensors.
        arguments: Any numbers, of the right shapes.
        nodes: What each argument stands for.

    Raises:
        NotCompilableError: the function does something that has no place in a graph.
    """
    recorder = _Recorder(graph)
    for argument, given in zip(arguments, nodes, strict=True):
        recorder.keep(argument, given)
    with torch.no_grad(), recorder:
        result = function(*arguments)
    if not isinstance(result, Tensor):
        raise NotCompilableError(f"it returns {type(result).__name__}, not a tensor")
    return recorder.nodes_of(result)


class _Recorder(TorchDispatchMode):
    """Sees every operation of torch while the function runs."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether to go without torch's compiler, whose import alone takes seconds."""
        return False

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.kept: dict[int, Nodes] = {}
        self.alive: list[Tensor] = []  # a tensor that is gone would give its id to another

    def keep(self, tensor: Tensor, nodes: Nodes) -> None:
        self.kept[id(tensor)] = nodes
        self.alive.append(tensor)

    def nodes_of(self, given: Tensor | float | bool) -> Nodes:
        """Return the nodes of a tensor, of constants where it stands for none."""
        if isinstance(given, Tensor) and id(given) in self.kept:
            return self.kept[id(given)]
        if isinstance(given, Tensor) and given.requires_grad:
            raise NotCompilableError("it uses a tensor that learns and is no parameter")
        values = given.tolist() if isinstance(given, Tensor) else given
        shape = tuple(given.shape) if isinstance(given, Tensor) else ()
        found = np.empty(shape, dtype=object)
        for place, value in zip(np.ndindex(shape), np.asarray(values, dtype=object).reshape(-1), strict=True):
            found[place] = self.graph.number(value)
        return found

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation, and write it down."""
        options = dict(kwargs or {})
        if func._schema.is_mutable:
            raise NotCompilableError(f"{func} changes a tensor: write what makes a new one")
        tensors = [one for one in torch.utils._pytree.tree_leaves((args, options)) if isinstance(one, Tensor)]
        if not any(id(one) in self.kept for one in tensors):
            if any(one.requires_grad for one in tensors):
                raise NotCompilableError("it uses a tensor that learns and is no parameter")
            return func(*args, **options)  # of constants
        name = func.overloadpacket.__name__
        if name == "_local_scalar_dense":
            raise NotCompilableError("it decides by the number in a tensor: write torch.where")
        if name not in OPERATIONS:
            if func in DECOMPOSED:
                with self:
                    return DECOMPOSED[func](*args, **options)
            raise NotCompilableError(f"{name} is not known to it")
        result = func(*args, **options)
        nodes = OPERATIONS[name](self, *args, **options)
        results = result if isinstance(result, (tuple, list)) else (result,)
        for one, given in zip(results, nodes if isinstance(result, (tuple, list)) else (nodes,), strict=True):
            if tuple(one.shape) != np.shape(given):
                raise NotCompilableError(f"{name} with these arguments is not known to it")
            self.keep(one, np.asarray(given, dtype=object))
        return result

    def map(self, operation: Callable[..., Node], *given: Any) -> Nodes:
        """Return an operation on each number, shapes as NumPy spreads them."""
        arrays = np.broadcast_arrays(*(self.nodes_of(one) for one in given))
        found = np.empty(arrays[0].shape, dtype=object)
        for place in np.ndindex(found.shape):
            found[place] = operation(*(array[place] for array in arrays))
        return found
