"""One training run from logs to figures: what the command line does, as one call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.msgpack_tensors import write_msgpack
from potentia.dynamics.parameter_files import summary_content, write_content, write_parameter_windows
from potentia.dynamics.provenance import told
from potentia.dynamics.results import TrainOut
from potentia.dynamics.run_analysis import Analysis, analyse
from potentia.dynamics.run_config import RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.dynamics.run_inputs import RunInputs, read_inputs
from potentia.errors import ConfigError, DataError, warn_user
from potentia.runs import provenance
from potentia.train import Callback, Forecast, JsonLines, Recording, WandbLog, newest_checkpoint
from potentia.train.history import export

__all__ = ["RunResult", "forecast_run", "network_of", "run_training"]

ERRORS = {"loss": "train/loss", "steps": "horizon"}
"""Errors of batches → their names in the logs."""
COLUMNS = {"train_loss": "train/epoch_loss", "val_loss": "val/loss"}
"""Columns of the history → their names in the logs; others keep theirs."""


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run has brought, besides its files."""

    directory: RunDirectory
    """Where they are."""
    net: DynamicsParameterNet = field(repr=False)
    """The trained network: with the best weights where windows were held out to choose them by, else with the last."""
    out: TrainOut
    """Errors by epoch."""
    analysis: Mapping[str, Analysis] = field(default_factory=dict, repr=False)
    """Part → what was found on it; empty where it was left out."""

    @property
    def metrics(self) -> dict[str, pd.DataFrame]:
        """Part → table of errors, beside those of baselines."""
        return {part: found.metrics for part, found in self.analysis.items()}


def run_training(config: RunConfig, resume: str | os.PathLike[str] | None = None) -> RunResult:
    """Train, and leave all that belongs to it in a directory of its own.

    A run that was paused (``max_time``, SIGTERM) or killed goes on by ``resume`` and equals the unbroken one bit for
    bit; its logs and tables too.

    Args:
        config: Settings.
        resume: Directory of a run that is to go on, to ``config.epochs`` in all.

    Raises:
        ConfigError: a setting cannot be; other settings than those of the run that is to go on.
        DataError: logs cannot be used, or are others than those of the run that is to go on.
        TrainingError: the training cannot go on.
    """
    begun = None if resume is None else RunDirectory.existing(resume)
    if begun is not None:
        config.require_same_training(RunConfig.from_mapping(begun.read_settings()), str(begun.path))
    inputs = read_inputs(config)
    net = network_of(config, inputs)
    if begun is not None:
        _require_same_data(begun, inputs)
    directory = _directory(config, inputs) if begun is None else begun
    settings = {**config.plain(), "root": str(Path(config.root).absolute())}
    write_content(directory.provenance, provenance(config.seed, told(inputs.parts)))
    write_content(directory.settings, settings)  # last: what has it is a run that can be resumed
    out = net.train(
        inputs.training,
        config.training(directory.checkpoints),
        inputs.validation,
        newest_checkpoint(directory.checkpoints),
        allow_changes=("epochs",),
        callbacks=_recordings(config, directory, inputs),
    )
    _write_history(out, directory)
    if out.resumable:
        warn_user(f"paused: {out.ended}; go on by resuming {directory.path}")
        return RunResult(directory, net, out)
    _write_weights(net, directory, chosen=inputs.validation is not None)
    analysis = analyse(config, inputs, net, directory) if config.analysis else {}
    _write_parameters(config, inputs, net, directory, analysis)
    return RunResult(directory, net, out, analysis)


def forecast_run(config: RunConfig) -> tuple[RunInputs, Forecast]:
    """Return what would be trained on, and how long it would take; nothing is written."""
    inputs = read_inputs(config)
    return inputs, network_of(config, inputs).forecast(inputs.training, config.training(None), inputs.validation)


def network_of(config: RunConfig, inputs: RunInputs) -> DynamicsParameterNet:
    """Return the network before its training.

    Raises:
        ConfigError: settings do not fit the model, or what is known of a parameter contradicts its bounds.
    """
    net = DynamicsParameterNet(
        inputs.spec,
        hidden=config.model_hidden,
        features=config.features_seen(),
        bounds=config.bounds,
        fix=config.fix,
        gauge=config.gauge,
        integration=config.integration,
        substeps=config.substeps,
    )
    for one in net.spec_.parameters:
        mean, (low, high) = config.prior.get(one.name, (one.values, 0.0))[0], one.bounds
        if (mean < low).any() or (mean > high).any():
            raise ConfigError(
                f"prior: mean of {one.name!r} is {mean}, beyond its bounds {low.min():g} and {high.max():g}: correct "
                "it, or give other `bounds`"
            )
    return net


def _directory(config: RunConfig, inputs: RunInputs) -> RunDirectory:
    if config.run_dir is not None:
        return RunDirectory.given(Path(config.root) / config.run_dir)
    mode = None if config.feature_mode == "auto" else config.feature_mode
    return RunDirectory.of_model(config.root, inputs.spec.name, mode)


def _require_same_data(directory: RunDirectory, inputs: RunInputs) -> None:
    """Raise `DataError` unless the windows are those that a run was begun with."""
    before = directory.data()
    for part in (*before, *inputs.parts):
        now = inputs.parts.get(part)
        if part not in before or now is None or before[part] != now.mark():
            raise DataError(
                f"{directory.path} was begun with other {part} windows: put its logs back as they were, or begin a new "
                "run"
            )


def _recordings(config: RunConfig, directory: RunDirectory, inputs: RunInputs) -> list[Callback]:
    """Return the logs that records of batches and epochs go to."""
    lines = JsonLines(directory.metrics)
    logs: list[Callback] = [Recording(lines, COLUMNS, every_batches=config.log_every, errors=ERRORS)]
    if config.wandb_project is not None:
        service = WandbLog(
            config.wandb_project,
            directory.path.name,
            config.plain(),
            by_step=("train/loss", "learning_rate", "horizon"),
            by_epoch=("val/loss", "train/epoch_loss"),
            summary={"curriculum": config.curriculum, "windows": len(inputs.training)},
            directory=directory.path,
        )
        logs.append(Recording(service, COLUMNS, every_batches=config.log_every, errors=ERRORS))
    return logs


def _write_history(out: TrainOut, directory: RunDirectory) -> None:
    export(out.history, directory.loss_history)
    if out.history:  # paused inside the first epoch, there is nothing to draw
        out.plot_training_errors(directory.loss_figure)


def _write_weights(net: DynamicsParameterNet, directory: RunDirectory, *, chosen: bool) -> None:
    """Write the last weights, and where some were chosen by validation the best ones."""
    newest = newest_checkpoint(directory.checkpoints)
    last = DynamicsParameterNet.load(newest) if chosen and newest is not None else net
    for which, one in {"last": last, **({"best": net} if chosen else {})}.items():
        one.save(directory.weights(which, ".safetensors"))
        write_msgpack(directory.weights(which, ".msgpack"), one.learned()["model"])


def _write_parameters(
    config: RunConfig,
    inputs: RunInputs,
    net: DynamicsParameterNet,
    directory: RunDirectory,
    analysis: Mapping[str, Analysis],
) -> None:
    """Write what the network predicts: of each window of each part, and a summary over those of the training."""
    output = directory.parameters if config.output is None else Path(config.root) / config.output
    output.parent.mkdir(parents=True, exist_ok=True)
    for part, windows in inputs.parts.items():
        write_parameter_windows(directory.windows(part), net.predict_params(windows))
    summary = net.summarize(inputs.training, config.summary_chunk_size)
    found = analysis["training"].identifiability.identifiable if "training" in analysis else None
    write_content(output, summary_content(summary, found, flat=config.flat_json))
    if inputs.validation is not None:
        write_content(directory.best_parameters, summary_content(summary, found, flat=False))
