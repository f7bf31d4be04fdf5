"""Files and folders of logs → one data set of windows, from a cache where nothing has changed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from potentia.config import plain
from potentia.dynamics.dataset_cache import cache_key, read_windows, write_windows
from potentia.dynamics.logs import ColumnMap, Log, log_files, map_files, read_logs
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.windows import Rule, Windows, WindowSettings, cut_windows
from potentia.errors import ConfigError, FileFormatError

__all__ = ["load_feature_dataset_group"]

PathLike: TypeAlias = str | os.PathLike[str]


def load_feature_dataset_group(
    paths: PathLike | Sequence[PathLike],
    spec: ModelSpec,
    settings: WindowSettings,
    *,
    columns: ColumnMap | None = None,
    cache: PathLike | None = None,
    refresh: bool = False,
    samples: int | None = None,
    rule: Rule = "head",
    seed: int = 0,
    root: PathLike | None = None,
) -> Windows:
    """Return the windows of all logs in files and folders; each log is a group.

    Args:
        paths: One or several.
        spec: The model whose states and controls are columns of the logs.
        settings: How logs are cut.
        columns: What the columns mean; None for ``columns.yaml`` beside the logs, or for their own names.
        cache: File that keeps the windows. It is used where the contents of all files, the settings and the states of
            the model are what they were, else written again.
        refresh: Whether it is written again in any case.
        samples: Windows that are kept, of all logs together; None for all.
        rule: Which: the first ones, or ones drawn at random.
        seed: Of the draw.
        root: What relative paths start from; None for the working directory.

    Raises:
        FileFormatError: files or folders are missing (all are named), or one cannot be read.
        DataError: logs cannot be used, or no window is left.
        ConfigError: a setting cannot be, or a file is there twice.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given:
        raise ConfigError("there is no file or folder of logs to read")
    sources = _sources(given, Path.cwd() if root is None else Path(root))
    drawn = {"samples": samples, "rule": rule, "seed": seed}
    if cache is None:
        return cut_windows(_logs(sources, columns), spec, settings, samples=samples, rule=rule, seed=seed)
    kept = Path(cache) if root is None else Path(root) / cache
    key = cache_key(_files(sources), spec, settings, {**drawn, "columns": plain(columns)})
    found = read_windows(kept, key)
    if found is None or refresh:
        found = cut_windows(_logs(sources, columns), spec, settings, samples=samples, rule=rule, seed=seed)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_windows(kept, found, key)
    return found


def _sources(given: Sequence[PathLike], root: Path) -> dict[str, Path]:
    """Return the files and folders by the names they were given by."""
    sources = {Path(one).as_posix(): root / one for one in given}
    missing = [str(path) for path in sources.values() if not path.exists()]
    if missing:
        raise FileFormatError(f"no such file or folder: {', '.join(missing)}")
    seen: dict[Path, str] = {}
    for name, source in sources.items():
        for path in log_files(source):
            if path.resolve() in seen:
                raise ConfigError(f"{path} is in {name} and in {seen[path.resolve()]}: name it once")
            seen[path.resolve()] = name
    if len(sources) < len(given):
        raise ConfigError("a file or folder of logs is there twice: name it once")
    return sources


def _logs(sources: dict[str, Path], columns: ColumnMap | None) -> list[Log]:
    """Return all logs; those of a folder are called by it where there are several sources."""
    logs = []
    for name, source in sources.items():
        for log in read_logs(source, columns):
            full = log.name if len(sources) == 1 else name if source.is_file() else f"{name}/{log.name}"
            logs.append(replace(log, name=full))
    return logs


def _files(sources: dict[str, Path]) -> dict[str, Path]:
    """Return each file that decides on the windows by name."""
    found = {}
    for name, source in sources.items():
        top = source if source.is_dir() else source.parent
        for path in [*log_files(source), *map_files(source)]:
            found[f"{name}:{path.relative_to(top).as_posix()}"] = path
    return found
