"""Lines that tell how the training of an operator goes; they are no result, so they go to the standard error stream."""

from __future__ import annotations

import time
from collections.abc import Mapping

import typer

from potentia.train import Callback, Run

__all__ = ["Lines"]


class Lines(Callback):
    """Tells how a training goes: a line every so many steps, and two after each epoch."""

    def __init__(self, epochs: int, every: int) -> None:
        self.epochs = epochs
        self.every = every
        self._told: dict[str, tuple[float, int]] = {}
        self._when = time.perf_counter()
        self._batch = 0

    def on_begin(self, run: Run) -> None:
        """Begin to count time."""
        self._restart(run)

    def on_batch(self, run: Run) -> None:
        """Tell the means over the steps since the last line."""
        if run.batch == 1:
            _tell(f"Epoch {run.epoch + 1}/{self.epochs}")
        if not self.every or run.batch % self.every:
            return
        found = {}
        for name, one in run.sums.items():
            absolute, count = self._told.get(name, (0.0, 0))
            if one.count > count:
                found[name] = (one.absolute - absolute) / (one.count - count)
        seconds = (time.perf_counter() - self._when) / max(run.batch - self._batch, 1)
        _tell(f"  [{run.batch}/{run.batches}] {_shown(found)} lr={run.learning_rate:.2e} {seconds:.2g}s/b")
        self._restart(run)

    def on_epoch(self, run: Run) -> None:
        """Tell the means over the epoch."""
        row = run.history[-1]
        parts = {
            part: {name.removeprefix(f"{part}_"): value for name, value in row.items() if name.startswith(f"{part}_")}
            for part in ("train", "val")
        }
        parts["val"].pop("rel_l2", None)
        skipped = f", {row['skipped']:.0f} steps skipped" if row.get("skipped", 0.0) > 0 else ""
        _tell(f"  Train: {_shown(parts['train'], 'total')} [{row['epoch_time']:.1f}s{skipped}]")
        _tell(f"  Val:   {_shown(parts['val'], 'total')}")
        self._restart(run)

    def _restart(self, run: Run) -> None:
        self._told = {name: (one.absolute, one.count) for name, one in run.sums.items()}
        self._when, self._batch = time.perf_counter(), run.batch


def _shown(values: Mapping[str, float], total: str = "loss") -> str:
    named = {total if name == "loss" else name: value for name, value in values.items()}
    return " ".join(f"{name}={value:.4g}" for name, value in named.items())


def _tell(line: str) -> None:
    typer.echo(line, err=True)
