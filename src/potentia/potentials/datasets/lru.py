"""A bounded memory of what was used last, for any thread."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

__all__ = ["LRU"]

Value = TypeVar("Value")


class LRU(Generic[Value]):
    """Keeps the values that were used last, ``size`` of them; 0 keeps none, None keeps all.

    >>> squares = LRU[int](2)
    >>> [squares.get(k, lambda k=k: k * k) for k in (1, 2, 1, 3)]
    [1, 4, 1, 9]
    >>> squares.keys()
    [1, 3]
    """

    def __init__(self, size: int | None) -> None:
        self.size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of ``key``, made by ``make`` when it is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()  # outside the lock: reading a file takes its time
        self.put(key, value)
        return value

    def held(self, key: Hashable) -> Value | None:
        """Return the value of ``key`` if it is kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Keep the value of ``key``, and forget what was not used for the longest time."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while self.size is not None and len(self._values) > self.size:
                self._values.popitem(last=False)

    def keys(self) -> list[Hashable]:
        """Return the keys kept, the one used last at the end."""
        with self._lock:
            return list(self._values)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {"size": self.size}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["size"])  # type: ignore[misc]  # a copy in another process begins empty
