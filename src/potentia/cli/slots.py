"""What the processes of slots need is loaded while the command itself still loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from potentia import processes
from potentia.cli.settings_file import read_settings

__all__ = ["load_ahead"]


def load_ahead(config: Path, overrides: Sequence[str]) -> None:
    """Begin with it where a study has more than one slot; see `potentia.processes.load_ahead`."""
    devices = read_settings(config, overrides).get("devices")
    if isinstance(devices, list) and len(devices) > 1:
        processes.load_ahead("potentia.trajectories.study_work")
