"""The command ``potentia operators train``: options become settings, and the training tells how it goes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from potentia.config import to_dict
from potentia.errors import ConfigError
from potentia.operators.advice import advise
from potentia.operators.alignment import Alignment
from potentia.operators.checkpoints import resumed_lines
from potentia.operators.estimator import NeuralOperator
from potentia.operators.hdf5 import read_operator_data
from potentia.operators.networks.base import FieldNetworkConfig
from potentia.operators.networks.fno import FNOConfig
from potentia.operators.networks.u_afno import UAFNOConfig
from potentia.operators.run_directory import TOKENIZER, RunDirectory
from potentia.operators.tokenizer import BehaviorTokenizer
from potentia.operators.training_config import OperatorTrainingConfig
from potentia.train import Callback, Run

__all__ = ["Lines", "load_tokenizer", "train"]

NETWORKS: dict[str, tuple[type[FieldNetworkConfig], tuple[str, ...]]] = {
    "u_afno": (UAFNOConfig, ("base_channels", "encoder_levels", "modes", "afno_blocks")),
    "fno": (FNOConfig, ("width", "modes", "layers")),
}
"""Networks by name, with the options that are theirs."""
OWN = ("base_channels", "encoder_levels", "afno_blocks", "modes", "width", "layers")
TRAINING = (
    "epochs", "n_samples", "n_realizations", "timesteps", "batch_size", "accumulate", "lr", "lr_schedule",
    "warmup_steps", "weight_decay", "clip_grad", "bptt_window", "bptt_start", "lambda_ic", "save_every",
    "early_stop_patience", "seed", "device",
)  # fmt: skip
"""Options that are fields of `OperatorTrainingConfig`."""


def train(asked: Mapping[str, Any]) -> None:
    """Train as the options say."""
    data = read_operator_data(asked["dataset"])
    operator = NeuralOperator(_network(asked))
    alignment = _alignment(asked)
    resume, folder = asked["resume"], asked["checkpoint_dir"]
    config = OperatorTrainingConfig(**{name: asked[name] for name in TRAINING}, checkpoint_dir=str(folder))
    directory = RunDirectory(Path(folder)) if resume is not None else RunDirectory.unused(folder)
    directory.write_settings({
        "dataset": str(asked["dataset"]),
        "network": {"name": asked["network"], **to_dict(operator.network)},
        "training": config.plain(),
        "alignment": None if alignment is None else alignment.describe(),
    })  # fmt: skip
    if resume is not None:
        typer.echo("\n".join(resumed_lines(resume)))
    lines = Lines(config.epochs, asked["log_every"])
    out = operator.train(
        data,
        config,
        resume,
        init_from=asked["init_from"],
        allow_changes=asked["allow_changes"],
        alignment=alignment,
        callbacks=[lines],
    )
    directory.write_training(operator, out)
    typer.echo(f"{out}\n{directory.model}")
    for one in advise(out, config, alignment):
        typer.echo(str(one))


def load_tokenizer(path: Path) -> BehaviorTokenizer:
    """Read a tokenizer from its file or its directory."""
    return BehaviorTokenizer.load(path / TOKENIZER if path.is_dir() else path)


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
            typer.echo(f"Epoch {run.epoch + 1}/{self.epochs}")
        if not self.every or run.batch % self.every:
            return
        found = {}
        for name, one in run.sums.items():
            absolute, count = self._told.get(name, (0.0, 0))
            if one.count > count:
                found[name] = (one.absolute - absolute) / (one.count - count)
        seconds = (time.perf_counter() - self._when) / max(run.batch - self._batch, 1)
        typer.echo(f"  [{run.batch}/{run.batches}] {_shown(found)} lr={run.learning_rate:.2e} {seconds:.2g}s/b")
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
        typer.echo(f"  Train: {_shown(parts['train'], 'total')} [{row['epoch_time']:.1f}s{skipped}]")
        typer.echo(f"  Val:   {_shown(parts['val'], 'total')}")
        self._restart(run)

    def _restart(self, run: Run) -> None:
        self._told = {name: (one.absolute, one.count) for name, one in run.sums.items()}
        self._when, self._batch = time.perf_counter(), run.batch


def _shown(values: Mapping[str, float], total: str = "loss") -> str:
    named = {total if name == "loss" else name: value for name, value in values.items()}
    return " ".join(f"{name}={value:.4g}" for name, value in named.items())


def _network(asked: Mapping[str, Any]) -> FieldNetworkConfig:
    if asked["network"] not in NETWORKS:
        raise ConfigError(f"--network must be one of {', '.join(NETWORKS)}, got {asked['network']!r}")
    kind, known = NETWORKS[asked["network"]]
    given = {name: asked[name] for name in OWN if asked[name] is not None}
    for name in given:
        if name not in known:
            raise ConfigError(f"--{name.replace('_', '-')} is no option of the network {asked['network']!r}")
    return kind(**given)


def _alignment(asked: Mapping[str, Any]) -> Alignment | None:
    if asked["vqvae_path"] is None:
        if asked["enable_latent_loss"] or asked["lambda_commit"] is not None:
            raise ConfigError("--lambda-commit and --enable-latent-loss need a tokenizer: give --vqvae-path")
        return None
    return Alignment(
        load_tokenizer(asked["vqvae_path"]),
        lambda_commit=0.5 if asked["lambda_commit"] is None else asked["lambda_commit"],
        lambda_latent=asked["lambda_latent"] if asked["enable_latent_loss"] else 0.0,
        latent_sample_steps=asked["latent_sample_steps"],
    )
