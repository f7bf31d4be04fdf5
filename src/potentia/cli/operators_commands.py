"""The commands ``potentia operators tokenizer``, ``tokens``, ``validate`` and ``diagnose``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from potentia.cli.operators_train import load_tokenizer
from potentia.config import from_dict
from potentia.errors import ConfigError
from potentia.operators import diagnostics
from potentia.operators.estimator import NeuralOperator
from potentia.operators.features import feature_set
from potentia.operators.hdf5 import read_operator_data, read_record
from potentia.operators.run_directory import TOKENIZER, RunDirectory
from potentia.operators.tokenizer import BehaviorTokenizer, TokenizerConfig, TokenizerTrainingConfig
from potentia.operators.validation import behaviour_samples, validate_tokens
from potentia.storage import write_text

__all__ = ["diagnose", "tokenizer", "tokens", "validate"]


def tokenizer(dataset: Path, out: Path, epochs: int, timesteps: int | None, categories: str, seed: int) -> None:
    """Train a tokenizer, save it, and tell its health."""
    path = out / TOKENIZER
    if path.exists():
        raise ConfigError(f"{path} is there already: remove it or choose another directory by --out")
    data = read_operator_data(dataset)
    parts = [part if timesteps is None else part.first_steps(timesteps) for part in (data.train, data.val)]
    fitted, held_out = (feature_set(part, channels=data.channels) for part in parts)
    made = BehaviorTokenizer(from_dict(TokenizerConfig, {"categories": categories}))
    told = made.train(fitted, TokenizerTrainingConfig(epochs=epochs, seed=seed), val=held_out)
    out.mkdir(parents=True, exist_ok=True)
    made.save(path)
    typer.echo(f"{told}\n{made.health(held_out)}\n{path}")


def tokens(dataset: Path, vqvae_path: Path, out: Path, noa_checkpoint: Path | None, part: str) -> None:
    """Write a row of tokens for each trajectory."""
    made, data = load_tokenizer(vqvae_path), read_operator_data(dataset)
    samples = behaviour_samples(data, part, None, made.horizon)
    fields: Any = samples.fields
    if noa_checkpoint is not None:
        operator = NeuralOperator.load(noa_checkpoint)
        fields = operator.predict(samples.initial, samples.parameters, samples.steps)
    found = made.tokens(fields, data.channels)
    levels = found.shape[1] // len(made.categories)
    names = [f"{name}.{level}" for name in made.categories for level in range(levels)]
    frame = pd.DataFrame(found, columns=names)
    frame.insert(0, "group", samples.group)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, frame.to_csv(index_label="sample"))
    typer.echo(f"{out}: {len(found)} trajectories, {found.shape[1]} tokens each")


def validate(dataset: Path, vqvae_path: Path, noa_checkpoint: Path, n_samples: int, part: str, as_json: bool) -> int:
    """Tell whether predictions behave like the truth; return the exit code."""
    found = validate_tokens(
        NeuralOperator.load(noa_checkpoint),
        load_tokenizer(vqvae_path),
        read_operator_data(dataset),
        part=part,
        n_samples=n_samples,
    )
    typer.echo(json.dumps(found.to_dict()) if as_json else str(found))
    return 0 if found.passed else 1


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
    typer.echo(json.dumps(found.to_dict()) if as_json else str(found))
    if out is not None:
        RunDirectory(out).write_diagnosis(found)
