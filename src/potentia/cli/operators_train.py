"""The command ``potentia operators train``: its options are the settings of a run, by the names of the guide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from potentia.cli.families.one_file import OneFile
from potentia.cli.families.operators import FAMILY
from potentia.cli.families.operators_jobs import AloneJob
from potentia.cli.families.operators_settings import (
    AlignmentSettings,
    FirstWeights,
    LineSettings,
    OperatorSettings,
)
from potentia.cli.train_command import Training
from potentia.errors import ConfigError
from potentia.operators.checkpoints import resumed_lines
from potentia.operators.networks.base import FieldNetworkConfig
from potentia.operators.networks.fno import FNOConfig
from potentia.operators.networks.u_afno import UAFNOConfig
from potentia.operators.run_directory import RunDirectory
from potentia.operators.training_config import OperatorTrainingConfig

__all__ = ["settings_of", "train"]

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
    """Train as the options say, as ``potentia train`` does by a file."""
    settings, checkpoint = settings_of(asked), asked["resume"]
    job = FAMILY.job(settings)
    assert isinstance(job, AloneJob)
    job = replace(job, allow_changes=tuple(asked["allow_changes"]))
    training = Training(FAMILY, settings, job, as_json=asked["as_json"])
    if asked["dry_run"]:
        training.forecast()
        return
    folder = asked["checkpoint_dir"]
    if checkpoint is None:
        training.begin(lambda: RunDirectory.given(folder))
        return
    directory = RunDirectory(Path(folder).absolute())
    if checkpoint.resolve().parent != directory.path.resolve():
        directory = RunDirectory.given(folder)  # the run of another directory is left alone
    typer.echo("\n".join(resumed_lines(checkpoint)), err=True)
    training.go_on_from(directory, checkpoint)


def settings_of(asked: Mapping[str, Any]) -> OperatorSettings:
    """Return the settings of a run, those that a file has, from options.

    Raises:
        ConfigError: an option is of another network, or does nothing.
    """
    if asked["resume"] is not None and asked["init_from"] is not None:
        raise ConfigError("--resume goes on with all of a run, --init-from begins a new one: give one of them")
    return OperatorSettings(
        data=OneFile(file=str(asked["dataset"])),
        network=_network(asked),
        training=OperatorTrainingConfig(**{name: asked[name] for name in TRAINING}),
        alignment=_alignment(asked),
        start=None if asked["init_from"] is None else FirstWeights(init_from=str(asked["init_from"])),
        lines=LineSettings(every=asked["log_every"]),
    ).at(Path.cwd())


def _network(asked: Mapping[str, Any]) -> FieldNetworkConfig:
    if asked["network"] not in NETWORKS:
        raise ConfigError(f"--network must be one of {', '.join(NETWORKS)}, got {asked['network']!r}")
    kind, known = NETWORKS[asked["network"]]
    given = {name: asked[name] for name in OWN if asked[name] is not None}
    for name in given:
        if name not in known:
            raise ConfigError(f"--{name.replace('_', '-')} is no option of the network {asked['network']!r}")
    return kind(**given)


def _alignment(asked: Mapping[str, Any]) -> AlignmentSettings | None:
    if asked["vqvae_path"] is None:
        if asked["enable_latent_loss"] or asked["lambda_commit"] is not None:
            raise ConfigError("--lambda-commit and --enable-latent-loss need a tokenizer: give --vqvae-path")
        return None
    return AlignmentSettings(
        tokenizer=str(asked["vqvae_path"]),
        lambda_commit=0.5 if asked["lambda_commit"] is None else asked["lambda_commit"],
        lambda_latent=asked["lambda_latent"] if asked["enable_latent_loss"] else 0.0,
        latent_sample_steps=asked["latent_sample_steps"],
    )
