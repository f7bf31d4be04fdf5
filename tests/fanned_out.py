"""Tasks that tests send to other processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch

from potentia.ensemble import Member, MemberEnd


def double(k):
    return 2 * k


def fail(text):
    raise ValueError(text)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def who():
    return os.getpid(), torch.get_num_threads()


class Unreadable(Exception):
    """Cannot be sent back from another process."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def fail_oddly():
    raise Unreadable("a", "b")


def member(marks: str, failing: tuple[int, ...], member: Member) -> MemberEnd:
    """Stand for a training: note that it was called, and fail or be interrupted as told by a file."""
    with Path(marks).open("a") as file:
        file.write(f"{member.index}\n")
    if member.index in failing and not Path(f"{marks}.mended").exists():
        if member.seed == 99:
            die()
        if member.seed == 98:
            return MemberEnd({"rmse": 1.0}, interrupted="the time is up")
        raise ValueError(f"member {member.index} is no good")
    member.model_path.write_text(str(member.seed))
    return MemberEnd({"rmse": float(member.seed), "never": float("nan")})
