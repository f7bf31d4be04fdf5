"""Laws of a study: every task is done once and whole, whatever is killed, and what failed is done by the next run."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import processes
from potentia.errors import ConfigError
from potentia.study import COMPLETED, TASK_LIST, PlannedTask, SpawnedProcesses, read_yaml, run_study, task_seed
from potentia.study.claims import anyone_at_work, claimed
from study import fakes

HERE = Path(__file__).parent
HANGS = 600
"""Seconds after which processes hang: load alone must not make them take so long."""


def listed(directory):
    return json.loads((directory / TASK_LIST).read_text())["tasks"]


def require_whole(directory, n):
    """Every task was done once, its files are whole, and nothing is left over."""
    did = [line for line in fakes.notes(directory) if line.startswith("did")]
    assert (directory / COMPLETED).read_text() == f"{n} of {n} tasks completed\n"
    assert not (directory / TASK_LIST).exists()
    for task in fakes.tasks(n):
        assert (directory / "models" / task.files[0]).read_text() == f"{task.seed} " * 20000
        assert read_yaml(directory / "models" / f"{task.name}.yaml")["mark"] == task.mark()
    assert not list(directory.rglob("*.unfinished"))
    assert not list(directory.rglob("*.tmp"))
    return did


def test_all_are_done_in_order_and_then_there_is_nothing_to_do(tmp_path):
    result = run_study(tmp_path, fakes.tasks(3), fakes.instant)
    assert fakes.notes(tmp_path) == ["did t0", "did t1", "did t2"]
    assert str(result) == "3 of 3 tasks completed, 3 of them now"
    assert (tmp_path / COMPLETED).read_text() == "3 of 3 tasks completed\n"
    record = read_yaml(tmp_path / "models/t1.yaml")
    assert record["settings"] == {"k": 1}
    assert record["result"] == {"seed": task_seed(1, 1), "device": "cpu"}
    again = run_study(tmp_path, fakes.tasks(3), fakes.instant)
    assert (again.before, again.done, again.complete) == (("t0", "t1", "t2"), (), True)
    assert len(fakes.notes(tmp_path)) == 3


def test_what_fails_stays_in_the_list_with_its_traceback_and_the_next_run_does_it(tmp_path):
    result = run_study(tmp_path, fakes.tasks(3), fakes.failing_once)
    assert not result.complete
    assert str(result) == "2 of 3 tasks completed, 2 of them now, 1 failed"
    (entry,) = listed(tmp_path)
    assert (entry["name"], entry["error"]) == ("t1", "ValueError: k = 1 is no good")
    assert "in failing_once" in entry["traceback"]
    assert not (tmp_path / COMPLETED).exists()
    (tmp_path / "models/mended").touch()
    assert run_study(tmp_path, fakes.tasks(3), fakes.failing_once).done == ("t1",)
    assert (tmp_path / COMPLETED).read_text() == "3 of 3 tasks completed\n"


def test_a_model_that_was_removed_is_made_again_and_one_without_record_is_not_accepted(tmp_path):
    run_study(tmp_path, fakes.tasks(3), fakes.instant)
    (tmp_path / "models/t0.model").unlink()
    (tmp_path / "models/t2.yaml").unlink()
    (tmp_path / "models/t2.model").write_text("half")
    assert run_study(tmp_path, fakes.tasks(3), fakes.instant).done == ("t0", "t2")
    assert (tmp_path / "models/t2.model").read_text() == str(task_seed(1, 2))


def test_what_a_kill_between_record_and_end_has_left_is_removed(tmp_path):
    run_study(tmp_path, fakes.tasks(1), fakes.instant)
    (tmp_path / "models/t0.unfinished").mkdir()
    assert run_study(tmp_path, fakes.tasks(1), fakes.instant).done == ()
    assert not (tmp_path / "models/t0.unfinished").exists()


def test_a_task_without_its_files_is_not_done(tmp_path):
    (end,) = run_study(tmp_path, fakes.tasks(1), fakes.faithless).failed
    assert "has ended without its file t0.model" in end.error


def test_a_record_of_other_settings_is_refused(tmp_path):
    run_study(tmp_path, fakes.tasks(2), fakes.instant)
    with pytest.raises(ConfigError, match=r"t0.yaml is of a task of the same name with other settings"):
        run_study(tmp_path, fakes.tasks(2, other=1), fakes.instant)


def test_names_seeds_and_devices_are_checked(tmp_path):
    one = PlannedTask("a", {}, 1)
    with pytest.raises(ConfigError, match="names of their own, but a is given"):
        run_study(tmp_path, [one, PlannedTask("a", {}, 2)], fakes.instant)
    with pytest.raises(ConfigError, match="seeds of their own, but these share one: a, b"):
        run_study(tmp_path, [one, PlannedTask("b", {}, 1)], fakes.instant)
    with pytest.raises(ConfigError, match="devices must name one device"):
        run_study(tmp_path, [one], fakes.instant, devices=())
    with pytest.raises(ConfigError, match="no name for files"):
        PlannedTask("../a", {}, 1)


def test_each_slot_gives_its_device_and_two_runs_at_a_time_do_each_task_once(tmp_path):
    with ThreadPoolExecutor(4) as executor, ThreadPoolExecutor(2) as runs:
        both = [
            runs.submit(run_study, tmp_path, fakes.tasks(24), fakes.instant, devices=["cpu", "meta"], executor=executor)
            for _ in range(2)
        ]
        assert all(run.result().complete for run in both)
    assert sorted(fakes.notes(tmp_path)) == sorted(f"did t{k}" for k in range(24))
    assert {read_yaml(path)["device"] for path in tmp_path.glob("models/*.yaml")} == {"cpu", "meta"}
    assert not (tmp_path / TASK_LIST).exists()


def test_a_claim_is_of_one_and_is_seen(tmp_path):
    with claimed(tmp_path, "a", wait=False) as ours:
        assert ours
        assert anyone_at_work(tmp_path) == ["a"]
        with claimed(tmp_path, "a", wait=False) as also:
            assert not also
    assert anyone_at_work(tmp_path) == []


def kill_and_finish(path, kills, seed):
    subprocess.run(
        [sys.executable, str(HERE / "killed_study.py"), str(path), str(kills), str(seed)],
        env=processes.environment(),
        check=True,
        timeout=processes.PATIENCE,
    )
    run_study(path, fakes.tasks(6), fakes.slow)
    did = require_whole(path, 6)
    assert {line.split()[1] for line in did} == {f"t{k}" for k in range(6)}
    steps = [line for line in fakes.notes(path) if line.startswith("step")]
    assert len(set(steps)) == 60
    assert len(steps) <= 60 + kills  # each kill costs one step at most: the rest was kept
    assert len(did) <= 6 + kills


@pytest.mark.slow
def test_killed_three_times_it_goes_on_where_it_was(tmp_path):
    kill_and_finish(tmp_path, 3, seed=1)


@pytest.mark.slow
def test_killed_twenty_times_it_goes_on_where_it_was(tmp_path):
    kill_and_finish(tmp_path, 20, seed=2)


def children(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def descendants(pid):
    """Return the processes that it has begun, and those that these have: workers are forks of one of them."""
    own = children(pid)
    return own + [further for child in own for further in descendants(child)]


def alive(pid):
    path = Path(f"/proc/{pid}/stat")
    try:
        return path.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def killed(pid):
    """Kill a process, and return whether it was still there."""
    try:
        processes.os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def wait_until(reached):
    """Wait for it and not for a time: on a busy machine a process that loads modules sees late that it is alone."""
    patience = time.monotonic() + HANGS
    while not reached() and time.monotonic() < patience:
        time.sleep(0.01)
    return reached()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_workers_and_parent_are_killed_twenty_times(tmp_path):
    draw = random.Random(3)
    command = [sys.executable, str(HERE / "study_with_workers.py"), str(tmp_path)]
    kills = 0
    while kills < 20:
        count = len(fakes.notes(tmp_path))
        parent = subprocess.Popen(command, env=processes.environment(), stderr=subprocess.DEVNULL)
        assert wait_until(lambda: len(fakes.notes(tmp_path)) > count or parent.poll() is not None)  # noqa: B023
        time.sleep(draw.uniform(0, 0.1))
        workers = descendants(parent.pid)
        if draw.random() < 0.5 and workers:
            for worker in draw.sample(workers, draw.randint(1, len(workers))):
                kills += killed(worker)
        if draw.random() < 0.7:
            parent.kill()
            kills += 1
            parent.wait()
            assert wait_until(lambda: not any(alive(worker) for worker in workers))  # noqa: B023  nobody is left behind
        parent.wait(timeout=HANGS)
        if (tmp_path / COMPLETED).exists():
            require_whole(tmp_path, 12)
            for path in tmp_path.glob("models/*.yaml"):
                path.unlink()
            (tmp_path / "models/t0.model").unlink(missing_ok=True)
    subprocess.run(command, env=processes.environment(), check=True, timeout=HANGS)
    require_whole(tmp_path, 12)


@pytest.mark.slow
def test_four_workers_do_two_dozen_instant_tasks_forty_times(tmp_path):
    with SpawnedProcesses(4) as executor:
        for k in range(40):
            path = tmp_path / str(k)
            result = run_study(path, fakes.tasks(24), fakes.instant, devices=["cpu"] * 4, executor=executor)
            assert len(result.done) == 24
            assert sorted(fakes.notes(path)) == sorted(f"did t{k}" for k in range(24))
            assert (path / COMPLETED).read_text() == "24 of 24 tasks completed\n"


@pytest.mark.slow
def test_one_slot_and_four_give_the_same_bits(tmp_path):
    run_study(tmp_path / "one", fakes.tasks(8), fakes.drawn)
    run_study(tmp_path / "four", fakes.tasks(8), fakes.drawn, devices=["cpu"] * 4)
    one, four = ([(tmp_path / n / f"models/t{k}.model").read_text() for k in range(8)] for n in ("one", "four"))
    assert one == four
    assert all(text.endswith(" 1") for text in one)
