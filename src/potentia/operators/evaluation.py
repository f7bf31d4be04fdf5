"""How good predicted fields are: errors over steps and channels, valid time, spectra, sensitivity to parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia import progress
from potentia.checks import choice, integer
from potentia.errors import ConfigError, DataError
from potentia.metrics import ErrorSum, merge
from potentia.operators.baselines import Predictor
from potentia.operators.dataset import PARTS, OperatorData, Samples
from potentia.operators.losses import TINY, error_figures, error_sums, over_spread
from potentia.operators.normaliser import Normaliser
from potentia.operators.systems import FieldSystem
from potentia.words import worded

__all__ = ["BANDS", "Evaluation", "Sensitivity", "alive", "evaluate", "parameter_sensitivity"]

BANDS = {"low": (0.0, 1 / 3), "mid": (1 / 3, 2 / 3), "high": (2 / 3, np.inf)}
"""Ranges of wave numbers, in parts of the largest one along an axis; the mean of a field is in none."""
VALID = 0.5
"""A prediction is valid until its VRMSE is larger."""
ALIVE = 0.02
"""Spread of the last channel in space at the last step above which a pattern lives."""
CHUNK = 64
"""Samples that are looked at together."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Errors of predictors on a held-out part, each behind the initial fields."""

    scores: pd.DataFrame
    """By ``predictor`` and ``group``: `error_figures` over all steps (``mse``, ``nmse``, ``rel_l2``, ``nrmse``,
    ``vrmse``); ``one_step_vrmse``, of one step from each true field; ``valid_time``, mean over samples of the time
    until VRMSE is above 0.5 (the whole time where it never is); ``error_<band>`` and ``energy_<band>``, error and size
    of the waves of `BANDS` in parts of those of the truth; ``sensitivity`` where a system was given."""
    by_step: pd.DataFrame
    """`error_figures` by ``predictor``, ``group`` and ``step``, with the ``time``."""
    by_channel: pd.DataFrame
    """`error_figures` by ``predictor``, ``group`` and ``channel``."""

    def __str__(self) -> str:
        return str(worded(self.scores).to_string(float_format=lambda value: f"{value:.4g}"))


@dataclass(frozen=True)
class Sensitivity:
    """Variance over parameters in parts of the variance over time, of the same initial fields."""

    predicted: float
    truth: float

    @property
    def ratio(self) -> float:
        """Predicted over true: 1 is right, 0 is a prediction that does not look at the parameters."""
        return self.predicted / self.truth if self.truth else float("nan")


def evaluate(
    predictors: Mapping[str, Predictor],
    data: OperatorData,
    *,
    part: str = "test",
    steps: int | None = None,
    system: FieldSystem | None = None,
    groups: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Evaluation:
    """Roll out predictors from the true initial fields of a part, and compare with the true fields.

    Args:
        predictors: By name: operators, `baselines_of` the data, an operator that sees no parameters.
        data: Normalised by the mean and spread of its training part where errors are of normalised fields.
        part: Which part.
        steps: How many; None for all there are.
        system: The system that made the data, for the sensitivity; None leaves it out.
        groups: Name → which samples are in it; beside ``"all"``. None is ``alive`` and ``dead`` for Gray-Scott, whose
            patterns may die, and nothing else for others.

    Raises:
        ConfigError: there are no predictors, or no part has such a name.
        DataError: the data have no such part, a group is empty or of another size, or predictions have another shape.
    """
    choice("part", part, PARTS)
    if part not in data.parts():
        raise DataError(f"{data.name} has no part {part!r}: there are {', '.join(data.parts())}")
    samples = data.parts()[part]
    samples = samples if steps is None else samples.first_steps(integer("steps", steps, low=1))
    if not predictors:
        raise ConfigError("there is nothing to evaluate: give predictors by name")
    normaliser = Normaliser.fit(data.train)
    chosen = {"all": np.ones(len(samples), dtype=bool), **_groups(data, samples, groups)}
    tables: dict[str, list[dict[str, Any]]] = {"scores": [], "step": [], "channel": []}
    for name, predictor in progress.track(predictors.items(), "predictors"):
        predicted = _predicted(name, predictor, samples)
        ratio = {} if system is None else {"sensitivity": parameter_sensitivity(predictor, data, system).ratio}
        for group, which in chosen.items():
            head, part_of_it = {"predictor": name, "group": group}, samples.take(which)
            truth, found = part_of_it.fields[:, 1:], predicted[which, 1:]
            one_step = error_figures(_one_step(predictor, part_of_it, normaliser))["vrmse"]
            row = {**head, **_figures(found, truth, normaliser), "one_step_vrmse": one_step}
            row["valid_time"] = float(valid_steps(found, truth, normaliser).mean()) * data.time_step
            tables["scores"].append({**row, **_spectral(found, truth, normaliser), **ratio})
            for step in range(samples.steps):
                figures = _figures(found[:, [step]], truth[:, [step]], normaliser)
                tables["step"].append({**head, "step": step + 1, "time": (step + 1) * data.time_step, **figures})
            for k, channel in enumerate(data.channels):
                figures = _figures(found[:, :, [k]], truth[:, :, [k]], _channel(normaliser, k))
                tables["channel"].append({**head, "channel": channel, **figures})
    keys = ["predictor", "group"]
    return Evaluation(
        pd.DataFrame(tables["scores"]).set_index(keys),
        pd.DataFrame(tables["step"]).set_index([*keys, "step"]),
        pd.DataFrame(tables["channel"]).set_index([*keys, "channel"]),
    )


def parameter_sensitivity(
    predictor: Predictor, data: OperatorData, system: FieldSystem, *, initial: int = 4, parameters: int = 32
) -> Sensitivity:
    """Roll out the same initial fields with many parameters, by the predictor and by the system itself.

    Args:
        predictor: What is asked.
        data: Initial fields and parameters are those of its test part.
        system: The system that made the data, with its settings.
        initial: Initial fields, at most.
        parameters: Sets of parameters, at most.

    Raises:
        DataError: the system needs seeds, so one set of parameters has many trajectories.
    """
    if system.needs_seeds:
        raise DataError(
            f"{system.name}: with noise or weights of each sample, sensitivity to parameters is not defined"
        )
    test, every = data.test, max(round(data.time_step / system.time_step), 1)
    values = np.unique(test.parameters, axis=0)[: integer("parameters", parameters, low=2)]
    begun = test.initial[: integer("initial", initial, low=1)]
    spread = {"predicted": [0.0, 0.0], "truth": [0.0, 0.0]}
    std = np.sqrt(test.fields.var((0, 1, *range(3, test.fields.ndim))))  # [channels]
    for field in begun:
        same = np.repeat(field[None], len(values), axis=0)
        fields = {
            "predicted": predictor.predict(same, values, test.steps),
            "truth": system.trajectories(torch.from_numpy(same), values, test.steps, every=every).numpy(),
        }
        for key, found in fields.items():
            shown = found[:, 1:].astype(np.float64) / std.reshape(-1, *(1,) * (found.ndim - 3))
            spread[key][0] += float(shown.var(0).mean())
            spread[key][1] += float(shown.var(1).mean())
    ratios = {key: over / time if time > TINY else float("nan") for key, (over, time) in spread.items()}
    return Sensitivity(ratios["predicted"], ratios["truth"])


def alive(samples: Samples) -> NDArray[np.bool_]:
    """Return in which samples the last channel still has a pattern at the last step: Gray-Scott's V.  [samples]"""
    last = samples.fields[:, -1, -1].reshape(len(samples), -1)
    living: NDArray[np.bool_] = last.std(1) > ALIVE
    return living


def valid_steps(
    predicted: NDArray[np.float32], truth: NDArray[np.float32], normaliser: Normaliser
) -> NDArray[np.int64]:
    """Return how many steps of each sample come before its VRMSE, mean over channels, is above 0.5.  [samples]

    Shape of both: [samples, steps, channels, *grid].
    """
    vrmse = [
        over_spread(found.double(), true.double(), normaliser).mean(2) for found, true in _chunks(predicted, truth)
    ]
    return np.asarray(np.cumprod(torch.cat(vrmse).numpy() <= VALID, axis=1).sum(1), dtype=np.int64)


def _groups(
    data: OperatorData, samples: Samples, groups: Mapping[str, NDArray[np.bool_]] | None
) -> dict[str, NDArray[np.bool_]]:
    if groups is None:
        living = alive(samples)
        split = data.system == "gray_scott" and 0 < living.sum() < len(living)
        return {"alive": living, "dead": ~living} if split else {}
    for name, which in groups.items():
        if np.shape(which) != (len(samples),) or not np.any(which):
            raise DataError(f"group {name!r} must be {len(samples)} truth values, not all of them False")
    return {name: np.asarray(which, dtype=bool) for name, which in groups.items()}


def _predicted(name: str, predictor: Predictor, samples: Samples) -> NDArray[np.float32]:
    found = predictor.predict(samples.initial, samples.parameters, samples.steps)
    if found.shape != samples.fields.shape:
        raise DataError(f"predictor {name!r} gives fields {found.shape} instead of {samples.fields.shape}")
    return found


def _one_step(predictor: Predictor, samples: Samples, normaliser: Normaliser) -> dict[str, ErrorSum]:
    """Return the errors of one step from each true field."""
    sums: dict[str, ErrorSum] = {}
    for step in range(samples.steps):
        found = predictor.predict(samples.fields[:, step], samples.parameters, 1)[:, 1:]
        truth = samples.fields[:, step + 1 : step + 2]
        sums = merge(sums, error_sums(torch.from_numpy(found), torch.from_numpy(truth), normaliser))
    return sums


def _figures(predicted: NDArray[np.float32], truth: NDArray[np.float32], normaliser: Normaliser) -> dict[str, float]:
    sums: dict[str, ErrorSum] = {}
    for found, true in _chunks(predicted, truth):
        sums = merge(sums, error_sums(found, true, normaliser))
    return error_figures(sums)


def _spectral(predicted: NDArray[np.float32], truth: NDArray[np.float32], normaliser: Normaliser) -> dict[str, float]:
    """Return error and energy of the waves of each band in parts of those of the truth, of normalised fields."""
    sums = {name: np.zeros(3) for name in BANDS}
    for found, true in _chunks(predicted, truth):
        p, u = (_waves(normaliser.scaled(one.double()), normaliser.n_axes) for one in (found, true))
        number = _wave_numbers(tuple(true.shape[3:]))
        for name, (low, high) in BANDS.items():
            band = (number > low) & (number <= high)
            parts = ((p - u)[..., band], p[..., band], u[..., band])
            sums[name] += [float(part.abs().square().sum()) for part in parts]
    ratios: dict[str, float] = {}
    for name, (error, energy, true_energy) in sums.items():
        whole = true_energy if true_energy else float("nan")
        ratios |= {f"error_{name}": float(np.sqrt(error / whole)), f"energy_{name}": float(energy / whole)}
    return ratios


def _waves(fields: Tensor, n_axes: int) -> Tensor:
    waves: Tensor = torch.fft.fftn(fields, dim=tuple(range(-n_axes, 0)), norm="forward")
    return waves


def _wave_numbers(grid: tuple[int, ...]) -> Tensor:
    """Return the length of each wave vector in parts of the largest one along an axis.  [*grid]"""
    along = [torch.fft.fftfreq(points, dtype=torch.float64) * 2 for points in grid]
    return torch.stack(torch.meshgrid(*along, indexing="ij")).square().sum(0).sqrt()


def _channel(normaliser: Normaliser, k: int) -> Normaliser:
    return Normaliser(normaliser.mean[[k]], normaliser.std[[k]], normaliser.n_axes)


def _chunks(predicted: NDArray[np.float32], truth: NDArray[np.float32]) -> Iterator[tuple[Tensor, Tensor]]:
    for begin in range(0, len(truth), CHUNK):
        part = slice(begin, begin + CHUNK)
        yield torch.from_numpy(np.ascontiguousarray(predicted[part])), torch.from_numpy(truth[part])
