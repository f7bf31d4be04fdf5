"""Of processes that want one function, one compiles it; nobody waits for ever, nor where there are no locks."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock
from numba import njit
from numba.core.errors import TypingError

from potentia.simd import compiling
from potentia.simd.compiling import in_turn

SCRIPT = """
from numba import njit
from numba.core.errors import TypingError
from potentia.simd.compiling import in_turn

@in_turn(njit(cache=True))
def inner(x):
    return x * 2

@in_turn(njit(cache=True))
def outer(x):
    return inner(x) + 1

if __name__ == "__main__":
    assert outer(3) == 7
    print(*(sum(function.stats.cache_misses.values()) for function in (inner, outer)))
"""


def twice(x):
    return 2 * x


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder of its own for what Numba keeps."""
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    return tmp_path


def lock_of(function):
    return FileLock(Path(function.stats.cache_path) / "test_compiling.twice.lock")


def test_who_comes_second_waits_and_loads(kept):
    first, second = in_turn(njit(cache=True))(twice), in_turn(njit(cache=True))(twice)
    assert first(2) == 4
    waiting = threading.Thread(target=second, args=(3,))
    with lock_of(first):
        waiting.start()
        time.sleep(0.1)
        assert not second.signatures
    waiting.join()
    assert second(2) == 4
    assert sum(second.stats.cache_hits.values()) == 1
    assert not second.stats.cache_misses


def test_nobody_waits_for_ever(kept, monkeypatch):
    monkeypatch.setattr(compiling, "WAIT", 0.01)
    function = in_turn(njit(cache=True))(twice)
    with lock_of(function):
        assert function(2) == 4


@pytest.mark.parametrize("error", [OSError, NotImplementedError])
def test_without_locks_each_compiles_for_itself(error, kept, monkeypatch):
    def refuse(lock):
        raise error("no locks here")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert in_turn(njit(cache=True))(twice)(2) == 4


def test_a_function_that_cannot_be_compiled_leaves_its_turn(kept):
    function = in_turn(njit(cache=True))(twice)
    with pytest.raises(TypingError, match="Cannot determine Numba type"):
        function(object)
    with lock_of(function).acquire(timeout=1):
        pass


@pytest.mark.slow
def test_of_several_processes_one_compiles(tmp_path):
    (tmp_path / "functions.py").write_text(SCRIPT)
    started = [
        subprocess.Popen([sys.executable, "functions.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = sorted(one.communicate()[0].split() for one in started)
    assert [one.returncode for one in started] == [0, 0, 0]
    assert told == [["0", "0"], ["0", "0"], ["1", "1"]]
