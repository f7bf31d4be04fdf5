"""Runs that are small enough to be trained in a blink: logs of a unicycle, and settings."""

from __future__ import annotations

from pathlib import Path

from potentia.dynamics import SimulationSettings, get_model_spec, simulate_logs, write_logs
from potentia.dynamics.run_config import RunConfig


def logs_in(folder: Path, n: int = 3, seconds: float = 3.0, model: str = "unicycle", seed: int = 0) -> Path:
    """Write logs of a model whose parameters are known, and return their folder."""
    spec = get_model_spec(model)
    params = {"k_turn": 1.2, "drag": 0.1} if model == "unicycle" else None
    settings = SimulationSettings(n_logs=n, duration=seconds, dt=0.05, seed=seed)
    write_logs(folder, simulate_logs(spec, params, settings), ".npz")
    return folder


def config(root: Path, **changed: object) -> RunConfig:
    """Return settings of a run on ``root/logs``; without analysis unless it is asked for."""
    given: dict[str, object] = {
        "dataset": ["logs/log-000.npz", "logs/log-001.npz"], "model": "unicycle", "root": str(root), "epochs": 3,
        "batch_size": 32, "lr": 0.01, "horizon": 5, "stride": 2, "model_hidden": [8], "history": 2, "analysis": False,
    }  # fmt: skip
    return RunConfig.from_mapping({**given, **changed})
