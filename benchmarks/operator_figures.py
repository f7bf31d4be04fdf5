"""Figures and a film of each problem, drawn from operators that a benchmark has kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from operator_problems import PROBLEMS, data_of

from potentia.operators import NeuralOperator, baselines_of, evaluate
from potentia.operators.evaluation import alive
from potentia.operators.figures import Film, animate, error_growth, field_rows, profiles, space_time, spectra

__all__ = ["draw_figures"]


def draw_figures(problem: str, folder: Path, growth: Mapping[str, list[list[float]]]) -> None:
    """Draw a sample that ends with a pattern as each model of seed 1 sees it, spectra, and how errors grow.

    Args:
        problem: Its name.
        folder: With the operators; figures are written beside them.
        growth: Model → errors over the steps of each seed.
    """
    data = data_of(problem)
    test, predicted = data.test, {}
    for model in PROBLEMS[problem].plans:
        path = folder / f"{problem}-{model.replace(' ', '-')}-1.potentia"
        if path.is_file():
            predicted[model] = NeuralOperator.load(path).predict(test.initial, test.parameters, test.steps)
    sample = int(np.flatnonzero(alive(test))[0])
    for model, fields in predicted.items():
        film = Film.of(data, test, sample, fields[sample].astype(np.float64))
        name = f"{problem}-{model.replace(' ', '-')}"
        if film.truth.ndim == 4:
            field_rows(film, title=f"{problem}: {model}", outfile=folder / f"{name}.png")
        else:
            space_time(film, title=f"{problem}: {model}", outfile=folder / f"{name}.png")
            profiles(film, outfile=folder / f"{name}-profiles.png")
        animate(film, folder / f"{name}.gif", title=f"{problem}: {model}")
    spectra(
        test.fields,
        predicted,
        channels=data.channels,
        time_step=data.time_step,
        outfile=folder / f"{problem}-spectra.png",
    )
    errors = evaluate(baselines_of(data), data).by_step["vrmse"].sort_index()
    group = "alive" if "alive" in errors.index.get_level_values("group") else "all"
    base = {str(name): errors.xs((name, group)) for name in errors.index.get_level_values("predictor").unique()}
    error_growth(growth, base, measure="VRMSE", time_step=data.time_step, outfile=folder / f"{problem}-growth.png")
