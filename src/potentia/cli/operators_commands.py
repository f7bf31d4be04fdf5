"""The commands ``potentia operators tokenizer``, ``tokens``, ``validate`` and ``diagnose``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from potentia.cli.families.operators_settings import load_tokenizer
from potentia.cli.outputs import require_new
from potentia.cli.tables import finite
from potentia.cli.train_command import figures
from potentia.config import from_dict
from potentia.errors import ConfigError
from potentia.operators import diagnostics
from potentia.operators.dataset import OperatorData, Samples
from potentia.operators.estimator import NeuralOperator
from potentia.operators.features import feature_set, windows
from potentia.operators.hdf5 import read_operator_data, read_record
from potentia.operators.run_directory import TOKENIZER, RunDirectory
from potentia.operators.timeline import token_timelines
from potentia.operators.tokenizer import (
    BehaviorTokenizer,
    TokenizerConfig,
    TokenizerHealth,
    TokenizerTrainingConfig,
)
from potentia.operators.validation import behaviour_samples, validate_tokens
from potentia.storage import write_text

__all__ = ["Timeline", "diagnose", "tokenizer", "tokens", "validate"]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A figure of tokens over time that is asked for."""

    outfile: Path | None
    """Where to write it; None for none."""
    sample: int
    """Place in the part."""
    every: int
    """Steps from the beginning of one window to that of the next."""

    def require_new(self) -> None:
        """Refuse a file that is there already."""
        if self.outfile is not None:
            require_new(self.outfile, "--figure")


def tokenizer(
    dataset: Path,
    out: Path,
    epochs: int,
    timesteps: int | None,
    every: int | None,
    categories: str,
    seed: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train a tokenizer, save it, and tell its health; or only tell how long it would take."""
    path = out / TOKENIZER
    if not dry_run:
        require_new(path, "--out")
    data = read_operator_data(dataset)
    parts = [_steps_of(part, timesteps, every) for part in (data.train, data.val)]
    fitted, held_out = (feature_set(part, channels=data.channels) for part in parts)
    made = BehaviorTokenizer(from_dict(TokenizerConfig, {"categories": categories}))
    settings = TokenizerTrainingConfig(epochs=epochs, seed=seed)
    if dry_run:
        expected = made.forecast(fitted, settings, val=held_out)
        sizes = {"train": len(fitted), "validation": len(held_out), "features": len(fitted.columns)}
        text = f"{', '.join(f'{name} {size}' for name, size in sizes.items())}\n{expected}"
        typer.echo(json.dumps({"data": sizes, **figures(expected)}) if as_json else text)
        return
    told = made.train(fitted, settings, val=held_out)
    out.mkdir(parents=True, exist_ok=True)
    made.save(path)
    health = made.health(held_out)
    if as_json:
        content = {"tokenizer": str(path), "epochs": len(told.history), "horizon": made.horizon}
        typer.echo(json.dumps({**content, "errors": finite(told.stats), "health": _figures(health)}))
    else:
        typer.echo(f"{told}\n{health}\n{path}")


def _figures(health: TokenizerHealth) -> dict[str, Any]:
    """Return all figures but those of single features and codebooks."""
    numbers = {
        "mse": health.mse, "rounded_pca_mse": health.rounded_pca_mse, "unquantised_mse": health.unquantised_mse,
        "pca_mse": health.pca_mse, "utilisation": health.utilisation, "reachable": health.reachable,
        "entropy": health.entropy, "bits": health.bits, "levelled_off": health.beyond,
    }  # fmt: skip
    return {"samples": health.samples, **finite(numbers), "nmse": finite(dict(health.nmse))}


def _steps_of(part: Samples, timesteps: int | None, every: int | None) -> Samples:
    """Return a part with its first steps, or all windows of so many."""
    if every is None:
        return part if timesteps is None else part.first_steps(timesteps)
    if timesteps is None:
        raise ConfigError("--every is between windows of --timesteps steps: give that, too")
    return windows(part, timesteps, every)


def tokens(
    dataset: Path,
    vqvae_path: Path,
    out: Path,
    noa_checkpoint: Path | None,
    part: str,
    as_json: bool,
    timeline: Timeline,
) -> None:
    """Write a row of tokens for each trajectory."""
    require_new(out, "--out")
    timeline.require_new()
    made, data = load_tokenizer(vqvae_path), read_operator_data(dataset)
    operator = None if noa_checkpoint is None else NeuralOperator.load(noa_checkpoint)
    samples = behaviour_samples(data, part, None, made.horizon)
    fields: Any = samples.fields
    if operator is not None:
        fields = operator.predict(samples.initial, samples.parameters, samples.steps)
    found = made.tokens(fields, data.channels)
    levels = found.shape[1] // len(made.categories)
    names = [f"{name}.{level}" for name in made.categories for level in range(levels)]
    frame = pd.DataFrame(found, columns=names)
    frame.insert(0, "group", samples.group)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, frame.to_csv(index_label="sample"))
    _draw_timeline(timeline, made, data, part, operator)
    if as_json:
        figure = None if timeline.outfile is None else str(timeline.outfile)
        told = {"file": str(out), "trajectories": len(found), "tokens": names, "figure": figure}
        typer.echo(json.dumps({**told, "part": part, "predicted": operator is not None}))
    else:
        typer.echo(f"{out}: {len(found)} trajectories, {found.shape[1]} tokens each")


def validate(
    dataset: Path,
    vqvae_path: Path,
    noa_checkpoint: Path,
    n_samples: int,
    part: str,
    as_json: bool,
    timeline: Timeline,
) -> int:
    """Tell whether predictions behave like the truth; return the exit code."""
    timeline.require_new()
    operator, made = NeuralOperator.load(noa_checkpoint), load_tokenizer(vqvae_path)
    data = read_operator_data(dataset)
    found = validate_tokens(operator, made, data, part=part, n_samples=n_samples)
    _draw_timeline(timeline, made, data, part, operator)
    figure = None if timeline.outfile is None else str(timeline.outfile)
    typer.echo(json.dumps({**found.to_dict(), "figure": figure}) if as_json else str(found))
    return 0 if found.passed else 1


def _draw_timeline(
    asked: Timeline, made: BehaviorTokenizer, data: OperatorData, part: str, operator: NeuralOperator | None
) -> None:
    """Draw the tokens of one sample over all of its steps, with those of what is predicted for it below."""
    if asked.outfile is None:
        return
    samples = data.parts()[part]
    if not 0 <= asked.sample < len(samples):
        raise ConfigError(f"--sample must be one of 0 to {len(samples) - 1} of `{part}`, got {asked.sample}")
    one = samples.take([asked.sample])
    fields = None if operator is None else operator.predict(one.initial, one.parameters, one.steps)
    found = token_timelines(made, one, fields, channels=data.channels, every=asked.every)
    title = f"{part}, sample {asked.sample}: tokens"
    found.plot(time_step=data.time_step, title=title, outfile=asked.outfile)


def diagnose(
    dataset: Path,
    vqvae_path: Path,
    noa_checkpoint: Path,
    n_samples: int,
    timesteps: int | None,
    part: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Tell what a tokenizer sees of an operator, and write it where that is asked for."""
    made = load_tokenizer(vqvae_path)
    if timesteps is not None and timesteps != made.horizon:
        raise ConfigError(f"--timesteps must be {made.horizon}, which the tokenizer was trained on, got {timesteps}")
    record = read_record(dataset)
    data, run = record.data(), record.run
    system = None if run is None else run.build()
    found = diagnostics.diagnose(
        NeuralOperator.load(noa_checkpoint),
        made,
        data,
        part=part,
        n_samples=n_samples,
        system=None if system is None or system.needs_seeds else system,
    )
    if out is not None:
        RunDirectory(out).write_diagnosis(found)
    directory = None if out is None else str(out)
    typer.echo(json.dumps({**found.to_dict(), "directory": directory}) if as_json else str(found))
