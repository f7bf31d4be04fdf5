"""A committee trained by two processes of a Dask cluster on this machine, as a script; prints what it found."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from distributed import Client, LocalCluster

from potentia import TorchCommitteeConfig, TorchCommitteePotential
from potentials import small_data

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    local = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        LocalCluster(host="127.0.0.1", local_directory=str(folder / "dask"), **local) as cluster,
        Client(cluster) as client,
    ):
        workers = sorted(client.run(os.getpid).values())
        committee = TorchCommitteePotential(small_data.fresh().arch, small_data.DESCRIPTOR)
        settings = TorchCommitteeConfig(3, base_seed=1, threads_per_member=1, output_dir=folder / "run")
        config = small_data.config(seed=None, split_seed=7, checkpoint_dir="x", save_best=False)
        result = committee.train(small_data.frames(20), config, settings, executor=client.get_executor())
    found = {"workers": workers, "own": os.getpid(), "mode": result.execution_mode}
    print(json.dumps(found))  # noqa: T201
