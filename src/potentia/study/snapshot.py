"""The settings of a study beside its results, and what happens when it is run again with others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from potentia.checks import choice
from potentia.config import differences, plain
from potentia.errors import ConfigError
from potentia.storage import remove_leftovers
from potentia.study.claims import anyone_at_work
from potentia.yaml_files import read_yaml, write_yaml

__all__ = ["ON_MISMATCH", "SNAPSHOT", "settle"]

SNAPSHOT = "config.yaml"
"""Name of the file with the settings, all of them, that the results are of."""
ON_MISMATCH = ("error", "resume", "restart")
"""What `settle` can do with other settings than those of the results."""


def settle(
    directory: Path,
    config: Mapping[str, Any],
    on_mismatch: str = "error",
    free: Collection[str] = (),
    beside: Sequence[Path] = (),
) -> dict[str, Any]:
    """Return the settings that hold in ``directory``, and see to it that its snapshot has them.

    Args:
        directory: The study's; made where there is none.
        config: The settings, plain and resolved: defaults filled in.
        on_mismatch: When the directory holds results of other settings: ``"error"`` refuses and lists what differs;
            ``"resume"`` goes on with the old settings; ``"restart"`` begins anew, after the whole old directory was
            renamed to the same name with ``.old-1``, ``.old-2`` … appended: nothing is deleted.
        free: Names of settings that do not decide results; the new ones hold, whatever they were.
        beside: Other directories with what was made of the results; a restart renames them in the same way.

    Raises:
        ConfigError: the settings differ and ``on_mismatch`` is ``"error"``, or a restart is asked for while processes
            are at work in the directory.
    """
    choice("on_mismatch", on_mismatch, ON_MISMATCH)
    new: dict[str, Any] = plain(config)
    path = directory / SNAPSHOT
    remove_leftovers(path)
    changed: list[str] = []
    if path.is_file():
        old = read_yaml(path)
        changed = differences(old, new, free)
        if changed and on_mismatch == "error":
            raise ConfigError(
                f"{directory} holds results of other settings; since then changed:\n  " + "\n  ".join(changed) + "\n"
                "Put that back, choose another name for the study, or say on_mismatch='resume' (go on with the old "
                "settings) or 'restart' (set the old results aside and begin anew)",
                page="studies.md#going-on",
            )
        if changed and on_mismatch == "resume":
            return {**old, **{name: new[name] for name in free if name in new}}
    if changed:
        _set_aside(directory, beside)
    directory.mkdir(parents=True, exist_ok=True)
    write_yaml(path, new)
    return new


def _set_aside(directory: Path, beside: Sequence[Path]) -> None:
    """Rename the directories, all with the next number that is free."""
    busy = anyone_at_work(directory)
    if busy:
        raise ConfigError(
            f"{directory} cannot be set aside: processes are at work on {', '.join(busy)}; end them first"
        )
    there = [path for path in (*beside, directory) if path.exists()]  # the snapshot goes last: a kill before is made up
    k = 1
    while any(_old(path, k).exists() for path in (*beside, directory)):
        k += 1
    for path in there:
        path.rename(_old(path, k))


def _old(path: Path, k: int) -> Path:
    return path.with_name(f"{path.name}.old-{k}")
