"""Members of a committee: where each is kept, and the record of its training."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from potentia.errors import FileFormatError
from potentia.storage import load_json, write_text

__all__ = ["COMPLETED", "FAILED", "INTERRUPTED", "PLANNED", "Member", "MemberEnd", "MemberResult"]

PLANNED, INTERRUPTED, COMPLETED, FAILED = "planned", "interrupted", "completed", "failed"
"""What the status of a member may be."""
SUMMARY = "summary.json"
PATHS = ("member_dir", "model_path", "history_json_path", "history_csv_path", "summary_path", "checkpoint_dir")


@dataclass(frozen=True)
class Member:
    """A member that is to be trained."""

    index: int
    """Which one, from 0."""
    seed: int
    """Of its weights, its batches and all other draws."""
    split_seed: int
    """Of the split, which all share."""
    device: str
    """Where it is trained."""
    directory: Path
    """Where its files go."""
    checkpoints: bool = True
    """Whether it writes checkpoints."""

    @property
    def model_path(self) -> Path:
        """File of the trained model."""
        return self.directory / "model.pt"

    @property
    def history_json_path(self) -> Path:
        """File of the history, for programs."""
        return self.directory / "history.json"

    @property
    def history_csv_path(self) -> Path:
        """File of the history, as a table."""
        return self.directory / "history.csv"

    @property
    def checkpoint_dir(self) -> Path | None:
        """Directory of its checkpoints; None if it writes none."""
        return self.directory / "checkpoints" if self.checkpoints else None


@dataclass(frozen=True)
class MemberEnd:
    """What the training of a member has brought, beside its files."""

    metrics: Mapping[str, float]
    """Final errors and the like by name; NaN where there are none."""
    interrupted: str = ""
    """Why it waits to be resumed; empty if it is complete."""


@dataclass(frozen=True)
class MemberResult:
    """Record of the training of one member."""

    member_index: int
    seed: int
    split_seed: int
    device: str
    member_dir: Path
    status: str
    """``"completed"``, ``"failed"``, ``"interrupted"`` (it can be resumed) or ``"planned"`` (not begun)."""
    model_path: Path
    history_json_path: Path
    history_csv_path: Path
    summary_path: Path
    checkpoint_dir: Path | None
    metrics: dict[str, float] = field(default_factory=dict)
    """Final errors and the like by name; NaN where there are none."""
    error: str | None = None
    """Why it failed or was interrupted."""
    traceback: str | None = None
    """Where in the code it failed."""

    @classmethod
    def of(cls, member: Member, status: str, **more: Any) -> Self:
        """Return the record of a member."""
        return cls(
            member_index=member.index,
            seed=member.seed,
            split_seed=member.split_seed,
            device=member.device,
            member_dir=member.directory,
            status=status,
            model_path=member.model_path,
            history_json_path=member.history_json_path,
            history_csv_path=member.history_csv_path,
            summary_path=member.directory / SUMMARY,
            checkpoint_dir=member.checkpoint_dir,
            **more,
        )

    @property
    def stats(self) -> dict[str, float]:
        """The metrics."""
        return dict(self.metrics)

    def to_metadata(self, relative_to: Path | None = None) -> dict[str, Any]:
        """Return the record as plain values, not finite ones as None, paths as text relative to a directory."""
        values = {name: value for name, value in vars(self).items() if name in type(self).__dataclass_fields__}
        for name in PATHS:
            path = values[name]
            relative = path if path is None or relative_to is None else path.relative_to(relative_to)
            values[name] = None if relative is None else relative.as_posix()
        values["metrics"] = {name: value if math.isfinite(value) else None for name, value in self.metrics.items()}
        return values

    @classmethod
    def from_metadata(cls, values: Mapping[str, Any], relative_to: Path) -> Self:
        """Return the record that `to_metadata` has written.

        Raises:
            FileFormatError: it is none.
        """
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        try:
            known |= {name: None if values[name] is None else relative_to / values[name] for name in PATHS}
            known["metrics"] = {name: math.nan if v is None else v for name, v in values["metrics"].items()}
            return cls(**known)
        except (KeyError, TypeError, AttributeError) as error:
            raise FileFormatError(f"{relative_to} holds no whole record of a member: {error}") from None

    def write(self, directory: Path) -> None:
        """Write ``summary.json``, its paths relative to the ``directory`` of the committee."""
        self.summary_path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.summary_path, json.dumps(self.to_metadata(directory), indent=2, allow_nan=False) + "\n")

    @classmethod
    def read(cls, directory: Path, member: Member) -> Self | None:
        """Read ``summary.json`` of a member in the committee's ``directory``; None if there is none.

        Raises:
            FileFormatError: it cannot be read.
        """
        path = member.directory / SUMMARY
        if not path.is_file():
            return None
        return cls.from_metadata(load_json(path), directory)
