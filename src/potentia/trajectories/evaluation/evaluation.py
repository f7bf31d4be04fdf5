"""The result of an evaluation: tables first, and from them a summary, figures, files and one page."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from potentia import progress
from potentia.checks import did_you_mean
from potentia.errors import ConfigError
from potentia.evaluate import all_metrics_csv, as_text, nested, summary
from potentia.plots.page import Page
from potentia.plots.style import finish
from potentia.report import Section
from potentia.storage import write_text
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.evaluation.error_bars import CALIBRATION, FORESEEN, error_bars_of
from potentia.trajectories.evaluation.figure_list import FIGURES_OF_ONE, Drawing, figures_of_all, figures_of_one
from potentia.trajectories.evaluation.looks import Looks
from potentia.trajectories.evaluation.table_rows import explained, table_rows
from potentia.trajectories.evaluation_settings import EvaluationSettings

__all__ = ["Evaluation"]


class _Picture(NamedTuple):
    content: bytes
    """Of a PNG file."""
    caption: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Tables of an evaluation by name, and what can be made of them."""

    name: str
    """Of the data."""
    settings: EvaluationSettings
    """What was looked at."""
    scale: ErrorScale
    """Scale of the errors."""
    surrogates: tuple[str, ...]
    """What was evaluated."""
    baselines: tuple[str, ...]
    """What it was compared with."""
    frames: Mapping[str, pd.DataFrame] = field(repr=False)
    """``"metrics"``: ``surrogate``, ``block``, ``metric``, ``value``, ``unit``; and the tables behind the figures."""

    @property
    def metrics(self) -> pd.DataFrame:
        """A row for each metric of each surrogate and baseline."""
        return self.frames["metrics"]

    def metric(self, surrogate: str, block: str, metric: str) -> float:
        """Return one value.

        Raises:
            ConfigError: there is none; the message names the nearest.
        """
        found = self.metrics
        for column, wanted in {"surrogate": surrogate, "block": block, "metric": metric}.items():
            known = list(map(str, found[column].unique()))
            if wanted not in known:
                raise ConfigError(f"there is no {column} {wanted!r} here{did_you_mean(wanted, known)}")
            found = found[found[column] == wanted]
        return float(found["value"].iloc[0])

    def table(self, *, mark: bool = True) -> pd.DataFrame:
        """Return the table for people; the best surrogate of each row stands between asterisks if ``mark``."""
        rows = table_rows(self.scale, self.settings.error_percentile)
        return summary(self.metrics, rows, contenders=self.surrogates, mark=mark)

    def figures(self) -> dict[str, Drawing]:
        """Return each figure, not yet drawn, by its name: ``"<surrogate>/<figure>"``, or ``"<figure>"`` of all."""
        looks = Looks(
            self.surrogates, self.baselines, self.scale, self.settings.log_timesteps, self.settings.error_percentile
        )
        found: dict[str, Drawing] = {}
        for name in self.surrogates:
            found |= {f"{name}/{key}": one for key, one in figures_of_one(self.frames, name, looks).items()}
        if self._compared:
            found |= figures_of_all(self.frames, looks)
        return found

    def figure(self, name: str) -> Figure:
        """Draw one of `figures`.

        Raises:
            KeyError: there is none of this name.
        """
        return self.figures()[name].draw()

    def write(self, directory: str | os.PathLike[str]) -> None:
        """Write everything below ``directory``, each file whole or not at all.

        ``<surrogate>_metrics.json`` of each; ``all_metrics.csv``, ``metrics_table.csv`` and ``metrics_table.txt`` where
        surrogates are compared; ``tables/*.csv``; ``plots/*.png`` and ``plots/<surrogate>/*.png``; ``report.html``.
        """
        root = Path(directory)
        (root / "tables").mkdir(parents=True, exist_ok=True)
        for name in (*self.surrogates, *self.baselines):
            content = json.dumps(nested(self.metrics, name), indent=1, allow_nan=False)
            write_text(root / f"{name.lower()}_metrics.json", content + "\n")
        if self._compared:
            write_text(root / "all_metrics.csv", all_metrics_csv(self.metrics))
            write_text(root / "metrics_table.csv", self.table(mark=False).to_csv(lineterminator="\n"))
            write_text(root / "metrics_table.txt", as_text(self.table()))
        for name, frame in self.frames.items():
            write_text(root / "tables" / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
        drawn = self._write_figures(root / "plots") if self.settings.figures else {}
        self._page(drawn).write(root / "report.html")

    @property
    def _compared(self) -> bool:
        return self.settings.compare and len(self.surrogates) + len(self.baselines) > 1

    def _write_figures(self, root: Path) -> dict[str, _Picture]:
        drawn = {}
        for name, figure in progress.track(self.figures().items(), "figures"):
            path = root / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            finish(figure.draw(), path)
            drawn[name] = _Picture(path.read_bytes(), figure.caption)
        return drawn

    def _page(self, drawn: Mapping[str, _Picture]) -> Page:
        page = Page(f"Surrogates of {self.name}")
        page.section("Summary")
        errors = "of log10 of the states (dex)" if self.scale.log10 else "of the states themselves (linear)"
        page.words(f"All figures are of the held-out part. Errors are real, relative, and where it says so {errors}.")
        if self.baselines:
            page.words(f"For comparison, what costs no training: {', '.join(self.baselines)}.")
        table = self.table()
        page.table(table)
        if len(self.surrogates) > 1:
            page.words("In bold: the best of the surrogates.")
        page.fold("What the rows mean")
        page.table(explained(map(str, table.index)), texts=["meaning"])
        page.unfold()
        shared = [picture for name, picture in drawn.items() if "/" not in name]
        if shared:
            page.section("Comparison")
            for picture in shared:
                page.png(*picture)
        self._error_bars(drawn=bool(drawn)).onto(page)
        for surrogate in self.surrogates:
            own = {name.split("/")[1]: one for name, one in drawn.items() if name.startswith(f"{surrogate}/")}
            own.pop(CALIBRATION, None)  # it stands under “Error bars”
            page.section(surrogate)
            for topic, starts in FIGURES_OF_ONE.items():
                chosen = [picture for name, picture in own.items() if name.startswith(starts)]
                if chosen:
                    page.fold(f"{topic} ({len(chosen)} figure{'s' * (len(chosen) != 1)})")
                for picture in chosen:
                    page.png(*picture)
            page.fold("All metrics")
            metrics = self.metrics[self.metrics["surrogate"] == surrogate]
            names = metrics["block"] + " - " + metrics["metric"]
            page.table(metrics[["value", "unit"]].set_axis(pd.Index(names, name="Metric")))
        return page

    def _error_bars(self, *, drawn: bool) -> Section:
        """Return the section on ensembles, or how to get some."""
        judged = self.metrics[self.metrics["block"] == "UQ"]
        wide = judged.pivot(index="surrogate", columns="metric", values="value").reindex(columns=list(FORESEEN))
        names = [name for name in self.surrogates if name in wide.index]
        known = wide.loc[names].set_axis(list(FORESEEN.values()), axis=1).rename_axis("of")
        return error_bars_of(self.frames, known, names, self.scale.unit, drawn=drawn)
