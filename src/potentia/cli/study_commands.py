"""The commands ``potentia study run``, ``evaluate`` and ``report``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from textwrap import shorten

import typer

from potentia import progress
from potentia.cli.outputs import require_place
from potentia.cli.settings_file import naming, read_study_settings
from potentia.cli.tables import records
from potentia.study import Ended
from potentia.train import time_in_words
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.study import Study

__all__ = ["at_a_time", "evaluate", "forecast", "report", "run"]


def run(config: Path, root: Path, on_mismatch: str, as_json: bool, overrides: Sequence[str]) -> int:
    """Train what is missing; return the exit code."""
    study = _study(config, root, overrides)
    talks = study.config.verbose and not as_json
    if talks:
        typer.echo(_described(study.data))
    result = study.run(on_mismatch=on_mismatch, on_end=_tell if talks else None)
    if as_json:
        failed = [{"task": end.name, "error": end.error} for end in result.failed]
        content = {"directory": str(result.directory), "before": result.before, "done": result.done, "failed": failed}
        typer.echo(json.dumps(content))
    else:
        typer.echo(f"{result.directory}: {result}")
    for end in result.failed:
        typer.echo(f"error: {end.name} failed: {' '.join(str(end.error).split())}", err=True)
    return 0 if result.complete else 1


def forecast(config: Path, root: Path, as_json: bool, overrides: Sequence[str]) -> None:
    """List the tasks, with the time and memory that they are likely to need."""
    study = _study(config, root, overrides)
    table = study.forecast()
    slots, seconds = len(study.config.devices), float(table["seconds"].sum())
    memory = int(table["memory_bytes"].nlargest(slots).sum())
    whole = {"slots": slots, "seconds": seconds, "seconds_with_slots": seconds / slots, "memory_bytes": memory}
    if as_json:
        typer.echo(json.dumps({"tasks": json.loads(table.to_json(orient="records")), **whole}))
        return
    table["GiB"] = table.pop("memory_bytes") / 2**30
    typer.echo(table.to_string(index=False, float_format="{:.3g}".format))
    typer.echo(f"{len(table)} tasks: {at_a_time(seconds, slots, memory)}")


def at_a_time(seconds: float, slots: int, memory: int) -> str:
    """Return how long tasks take one after the other, and with as many at a time as there are slots.

    Args:
        seconds: Of all of them, one after the other (s).
        slots: How many run at a time.
        memory: Of so many of them (bytes).
    """
    whole = f"about {time_in_words(seconds)}" + (" one after the other" if slots > 1 else "")
    share = f", {time_in_words(seconds / slots)} at {slots} at a time" if slots > 1 else ", one at a time"
    return f"{whole}{share}, {memory / 2**30:.2g} GiB of memory"


def evaluate(config: Path, root: Path, as_json: bool, overrides: Sequence[str]) -> None:
    """Measure what was trained, and write it."""
    study = _study(config, root, overrides)
    page = study.results / "report.html"
    require_place(page, "--root")
    found = study.evaluate()
    found.write(study.results)
    if as_json:
        typer.echo(json.dumps({"page": str(page), "metrics": records(found.metrics)}))
        return
    typer.echo(found.table().to_string())
    typer.echo(f"more in {page}")


def report(config: Path, root: Path, as_json: bool, overrides: Sequence[str]) -> None:
    """Tell how far a study is, and what was found."""
    study = _study(config, root, overrides)
    table = study.progress()
    if as_json:
        typer.echo(table.to_json(orient="records"))
        return
    table["error"] = [shorten(error, 120) for error in table["error"]]  # all of it is in the list of tasks
    typer.echo(table.to_string(index=False, na_rep=""))
    done = int((table["status"] == "done").sum())
    typer.echo(f"{done} of {len(table)} tasks are done")
    summary, page = study.results / "metrics_table.txt", study.results / "report.html"
    if page.is_file() and page.stat().st_mtime < _last_done(table.get("date", ())):
        typer.echo(f"{page} is older than the models: evaluate again")
        return
    if summary.is_file():
        typer.echo(summary.read_text(encoding="utf-8"))
    if page.is_file():
        typer.echo(f"evaluated in {page}")


def _study(config: Path, root: Path, overrides: Sequence[str]) -> Study:
    settings = read_study_settings(config, overrides)
    with naming(config):
        return Study.from_config(settings, root=root)


def _last_done(dates: Iterable[object]) -> float:
    """Return when the last task was done, in seconds as files have them; 0 if none is."""
    return max((datetime.fromisoformat(date).timestamp() for date in dates if isinstance(date, str)), default=0.0)


def _tell(end: Ended[bool]) -> None:
    progress.say(f"{end.name}: {end.error or 'done'}")


def _described(data: TrajectoryData) -> str:
    parts = f"{len(data.train)} + {len(data.test)} + {len(data.val)}"
    parameters = f", {data.train.n_parameters} parameters" if data.train.n_parameters else ""
    return (
        f"{data.name}: {parts} trajectories to train on, to select by and held out, {len(data.train.times)} times, "
        f"{data.train.n_quantities} quantities{parameters}"
    )
