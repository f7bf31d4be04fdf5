"""Laws of fanning out: every task ends in one record, and no task takes another one with it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch

import fanned_out
from potentia.errors import ConfigError, TrainingError
from potentia.study import SpawnedProcesses, Task, fan_out, threads_per_task

PROCESSES = pytest.param("processes", marks=pytest.mark.slow)


def tasks(n):
    return [Task(f"{k}", partial(fanned_out.double, k)) for k in range(n)]


@pytest.fixture(scope="module")
def processes():
    with SpawnedProcesses(2) as executor:
        yield executor


@pytest.mark.parametrize("kind", ["here", "threads", PROCESSES])
def test_each_task_ends_once(kind, request):
    executor = request.getfixturevalue("processes") if kind == "processes" else None
    executor = ThreadPoolExecutor(3) if kind == "threads" else executor
    ends = list(fan_out(tasks(7), executor))
    assert {end.name: end.result for end in ends} == {f"{k}": 2 * k for k in range(7)}
    assert all(end.error is None for end in ends)


def test_one_after_the_other_is_in_order_and_only_as_far_as_one_listens():
    done = []
    ends = fan_out([Task(f"{k}", partial(done.append, k)) for k in range(5)])
    next(ends)
    next(ends)
    assert done == [0, 1]


@pytest.mark.parametrize("kind", ["here", PROCESSES])
def test_a_task_that_fails_is_a_record_and_the_others_go_on(kind, request):
    given = [*tasks(2), Task("bad", partial(fanned_out.fail, "no good")), Task("odd", fanned_out.fail_oddly)]
    ends = {end.name: end for end in fan_out(given, None if kind == "here" else request.getfixturevalue("processes"))}
    assert ends["1"].result == 2
    assert ends["bad"].error == "ValueError: no good"
    assert "raise ValueError(text)" in ends["bad"].traceback
    assert ends["odd"].error == "Unreadable: a b"


@pytest.mark.slow
def test_a_process_that_is_killed_takes_no_other_task_with_it(processes):
    given = [
        *tasks(3),
        Task("dead", fanned_out.die),
        *[Task(f"late {k}", partial(fanned_out.double, k)) for k in (1, 2)],
    ]
    ends = {end.name: end for end in fan_out(given, processes)}
    assert [ends[name].result for name in ("0", "1", "2", "late 1", "late 2")] == [0, 2, 4, 2, 4]
    assert ends["dead"].error.startswith(f"{TrainingError.__name__}: its process has died")


@pytest.mark.slow
def test_what_cannot_be_sent_is_a_record(processes):
    ends = {end.name: end for end in fan_out([Task("local", lambda: 1), *tasks(1)], processes)}
    assert "pickle" in ends["local"].error
    assert ends["0"].result == 0


@pytest.mark.slow
def test_a_task_uses_its_threads_and_the_process_gets_its_own_back(processes):
    before = torch.get_num_threads()
    (here,) = fan_out([Task("here", fanned_out.who, threads=before + 1)])
    assert here.result == (os.getpid(), before + 1)
    assert torch.get_num_threads() == before
    (there,) = fan_out([Task("there", fanned_out.who, threads=1)], processes)
    assert there.result[0] != os.getpid()
    assert there.result[1] == 1


def test_names_differ():
    with pytest.raises(ConfigError, match="names of their own, but a is given"):
        fan_out([Task("a", fanned_out.who), Task("a", fanned_out.who)])


def test_threads_are_shared_and_never_none():
    assert threads_per_task(1) >= threads_per_task(2) >= threads_per_task(10**6) == 1
