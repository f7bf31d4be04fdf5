"""Many independent tasks, run on any executor: committees, sweeps and studies of every family use it."""

from potentia.study.fan_out import fan_out
from potentia.study.processes import SpawnedProcesses
from potentia.study.tasks import Ended, Task, carry_out, threads_per_task

__all__ = ["Ended", "SpawnedProcesses", "Task", "carry_out", "fan_out", "threads_per_task"]
