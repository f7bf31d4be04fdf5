"""Many independent tasks, run on any executor: committees, sweeps and studies of every family use it."""

from potentia.processes import SpawnedProcesses
from potentia.study.fan_out import fan_out
from potentia.study.plan import Place, PlannedTask, Work, task_seed
from potentia.study.progress import progress
from potentia.study.run import StudyResult, run_study
from potentia.study.snapshot import ON_MISMATCH, SNAPSHOT, settle
from potentia.study.task_list import COMPLETED, TASK_LIST
from potentia.study.tasks import Ended, Task, carry_out, threads_limited, threads_per_task
from potentia.yaml_files import read_yaml, write_yaml, yaml_text

__all__ = [
    "COMPLETED",
    "ON_MISMATCH",
    "SNAPSHOT",
    "TASK_LIST",
    "Ended",
    "Place",
    "PlannedTask",
    "SpawnedProcesses",
    "StudyResult",
    "Task",
    "Work",
    "carry_out",
    "fan_out",
    "progress",
    "read_yaml",
    "run_study",
    "settle",
    "task_seed",
    "threads_limited",
    "threads_per_task",
    "write_yaml",
    "yaml_text",
]
