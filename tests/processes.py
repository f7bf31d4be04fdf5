"""Several processes that train together, started as `torchrun` starts them but faster."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
PATIENCE = 600.0
"""Seconds that a launch may take."""


def environment(**more: str) -> dict[str, str]:
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def together(script: str, *arguments: object, n: int = 2) -> list[subprocess.CompletedProcess]:
    """Run a script in ``n`` processes of one group, and return how each has ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"WORLD_SIZE": str(n), "LOCAL_WORLD_SIZE": str(n), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-W", "error", script, *map(str, arguments)]
    running = [
        subprocess.Popen(
            command,
            env=environment(**group, RANK=str(k), LOCAL_RANK=str(k)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(n)
    ]
    try:
        ends = [(process, *process.communicate(timeout=PATIENCE)) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    return [subprocess.CompletedProcess(command, process.returncode, out, err) for process, out, err in ends]


def torchrun(folder: Path, script: str, *arguments: object, n: int) -> list[str]:
    """Run a script by the real torchrun, and return what each process has printed; its logs go to ``folder``."""
    options = ["--standalone", f"--nproc-per-node={n}", f"--log-dir={folder}", "--redirects=3"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, script, *map(str, arguments)]
    subprocess.run(command, env=environment(), check=True, timeout=PATIENCE)
    return [path.read_text() for path in sorted(folder.glob("*/attempt_0/*/stdout.log"))]


def reports(script: str, *arguments: object, n: int = 2) -> list[dict]:
    """Return what each process has printed last, as JSON."""
    ends = together(script, *arguments, n=n)
    for end in ends:
        assert end.returncode == 0, end.stderr
    return [json.loads(end.stdout.splitlines()[-1]) for end in ends]
