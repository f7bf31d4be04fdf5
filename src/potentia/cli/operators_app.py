"""The commands ``potentia operators …`` and what they take; each hands over to a module that does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["operators"]

operators = typer.Typer(help="Neural operators, and tokens of behaviour.", no_args_is_help=True, rich_markup_mode=None)

Dataset = Annotated[Path, typer.Option(help="HDF5 file of fields over time.")]
Tokenizer = Annotated[Path, typer.Option("--vqvae-path", help="A trained tokenizer: its file, or directory.")]
Checkpoint = Annotated[Path, typer.Option("--noa-checkpoint", help="A trained operator, or a checkpoint of one.")]
Part = Annotated[str, typer.Option(help="Part of the data: train, val, test or extrapolation.")]
TimelineFile = Annotated[Path | None, typer.Option("--figure", help="Draw the tokens of a sample over time there.")]
TimelineSample = Annotated[int, typer.Option("--sample", help="Of --figure: the place of the sample.")]
TimelineEvery = Annotated[int, typer.Option("--every", help="Of --figure: steps from one window to the next.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@operators.command("train")
def train(  # noqa: PLR0913, PLR0917  # one argument for each option
    context: typer.Context,
    dataset: Dataset,
    epochs: Annotated[int, typer.Option(help="Epochs in all.")],
    n_samples: Annotated[int | None, typer.Option(help="Samples to train on; all if left out.")] = None,
    n_realizations: Annotated[int | None, typer.Option(help="Samples of each set of parameters.")] = None,
    timesteps: Annotated[int | None, typer.Option(help="Steps of the samples; all if left out.")] = None,
    batch_size: Annotated[int, typer.Option(help="Samples that are rolled out together.")] = 4,
    accumulate: Annotated[int, typer.Option(help="Batches of one step.")] = 1,
    lr: Annotated[float, typer.Option(help="The highest learning rate.")] = 3e-4,
    lr_schedule: Annotated[str, typer.Option(help="cosine or constant.")] = "cosine",
    warmup_steps: Annotated[int | None, typer.Option(help="500, or a tenth of all steps if these are fewer.")] = None,
    weight_decay: Annotated[float, typer.Option(help="Decay of the weights.")] = 0.01,
    clip_grad: Annotated[float, typer.Option(help="Longest gradient.")] = 1.0,
    bptt_window: Annotated[int, typer.Option(help="Steps that gradients go through.")] = 32,
    bptt_start: Annotated[str, typer.Option(help="Where that window is: random, tail or chunks.")] = "random",
    lambda_ic: Annotated[float, typer.Option(help="Weight of the first steps.")] = 0.3,
    vqvae_path: Annotated[Path | None, typer.Option(help="A trained tokenizer to align with.")] = None,
    lambda_commit: Annotated[float | None, typer.Option(help="Weight of L_commit; 0.5 with a tokenizer.")] = None,
    enable_latent_loss: Annotated[bool, typer.Option("--enable-latent-loss", help="Train with L_latent.")] = False,
    lambda_latent: Annotated[float, typer.Option(help="Its weight.")] = 0.1,
    latent_sample_steps: Annotated[int, typer.Option(help="Its steps; -1 for all.")] = 3,
    network: Annotated[str, typer.Option(help="u_afno or fno.")] = "u_afno",
    base_channels: Annotated[int | None, typer.Option(help="Of u_afno.")] = None,
    encoder_levels: Annotated[int | None, typer.Option(help="Of u_afno.")] = None,
    afno_blocks: Annotated[int | None, typer.Option(help="Of u_afno.")] = None,
    modes: Annotated[int | None, typer.Option(help="Waves that are mixed, of both.")] = None,
    width: Annotated[int | None, typer.Option(help="Channels, of fno.")] = None,
    layers: Annotated[int | None, typer.Option(help="Of fno.")] = None,
    checkpoint_dir: Annotated[Path, typer.Option(help="Directory of all that the run writes.")] = Path(
        "checkpoints/noa"
    ),
    save_every: Annotated[int, typer.Option(help="Steps between checkpoints inside an epoch.")] = 200,
    early_stop_patience: Annotated[int, typer.Option(help="Epochs without improvement.")] = 2,
    resume: Annotated[Path | None, typer.Option(help="A checkpoint to go on from.")] = None,
    allow_changes: Annotated[list[str], typer.Option(help="Setting that may differ from that of the checkpoint.")] = [],  # noqa: B006  # typer reads it, nobody changes it
    init_from: Annotated[Path | None, typer.Option(help="An operator whose weights are the first ones.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, batches and windows.")] = 42,
    device: Annotated[str, typer.Option(help="cpu, cuda …")] = "cpu",
    log_every: Annotated[int, typer.Option(help="Steps between lines; 0 for those of epochs only.")] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell time and memory; train nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train an operator on fields; all that it brings is in --checkpoint-dir."""
    from potentia.cli import operators_train

    operators_train.train(context.params)


@operators.command("tokenizer")
def tokenizer(
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Directory of the tokenizer.")],
    epochs: Annotated[int, typer.Option(help="Epochs at most.")] = 300,
    timesteps: Annotated[int | None, typer.Option(help="Steps of the samples; all if left out.")] = None,
    every: Annotated[
        int | None, typer.Option(help="Take all windows of --timesteps that begin so many steps apart, not the first.")
    ] = None,
    categories: Annotated[str, typer.Option(help="family or cluster.")] = "family",
    seed: Annotated[int, typer.Option(help="Of weights, codes and batches.")] = 42,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell time and memory; train nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a tokenizer on the features of true trajectories, and tell its health on the validation part."""
    from potentia.cli import operators_commands

    operators_commands.tokenizer(dataset, out, epochs, timesteps, every, categories, seed, dry_run, as_json)


@operators.command("tokens")
def tokens(
    dataset: Dataset,
    vqvae_path: Tokenizer,
    out: Annotated[Path, typer.Option(help="CSV file of the tokens.")],
    noa_checkpoint: Annotated[Path | None, typer.Option(help="Take what this operator predicts.")] = None,
    part: Part = "test",
    as_json: AsJson = False,
    figure: TimelineFile = None,
    sample: TimelineSample = 0,
    every: TimelineEvery = 1,
) -> None:
    """Write the tokens of trajectories, true ones or those that an operator predicts."""
    from potentia.cli import operators_commands

    timeline = operators_commands.Timeline(outfile=figure, sample=sample, every=every)
    operators_commands.tokens(dataset, vqvae_path, out, noa_checkpoint, part, as_json, timeline)


@operators.command("validate")
def validate(
    dataset: Dataset,
    vqvae_path: Tokenizer,
    noa_checkpoint: Checkpoint,
    n_samples: Annotated[int, typer.Option(help="Samples at most.")] = 100,
    part: Part = "test",
    as_json: AsJson = False,
    figure: TimelineFile = None,
    sample: TimelineSample = 0,
    every: TimelineEvery = 1,
) -> None:
    """Tell whether predictions behave like the truth. Exit code 1 if they do not."""
    from potentia.cli import operators_commands

    timeline = operators_commands.Timeline(outfile=figure, sample=sample, every=every)
    asked = (dataset, vqvae_path, noa_checkpoint, n_samples, part, as_json, timeline)
    raise typer.Exit(operators_commands.validate(*asked))


@operators.command("diagnose")
def diagnose(
    dataset: Dataset,
    vqvae_path: Tokenizer,
    noa_checkpoint: Checkpoint,
    n_samples: Annotated[int, typer.Option(help="Samples at most.")] = 100,
    timesteps: Annotated[int | None, typer.Option(help="Must be those that the tokenizer was trained on.")] = None,
    part: Part = "test",
    out: Annotated[Path | None, typer.Option(help="Directory of report, figures and figure.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at an operator through a tokenizer, beside baselines."""
    from potentia.cli import operators_commands

    operators_commands.diagnose(dataset, vqvae_path, noa_checkpoint, n_samples, timesteps, part, out, as_json)
