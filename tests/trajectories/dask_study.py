"""A study whose tasks two processes of a Dask cluster on this machine do, as a script; prints what it found."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from distributed import Client, LocalCluster

from potentia.trajectories import Study
from trajectories.study_data import MODALITIES, root_with, settings

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    local = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        LocalCluster(host="127.0.0.1", local_directory=str(folder / "dask"), **local) as cluster,
        Client(cluster) as client,
    ):
        study = Study.from_config(settings(**MODALITIES, devices=["cpu", "cpu"]), root=root_with(folder))
        result = study.run(executor=client.get_executor())
        workers = client.run(lambda: "potentia.trajectories.study_work" in sys.modules)
    found = {"worked": list(workers.values()), "own": os.getpid(), "done": sorted(result.done)}
    print(json.dumps({**found, "failed": [end.error for end in result.failed]}))  # noqa: T201
