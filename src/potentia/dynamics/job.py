"""The training of a network of parameters as a job: windows of logs in, weights, summaries, tables and figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from potentia import runs
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.msgpack_tensors import write_msgpack
from potentia.dynamics.parameter_files import summary_content, write_content, write_parameter_windows
from potentia.dynamics.provenance import told
from potentia.dynamics.results import TrainOut
from potentia.dynamics.run_analysis import Analysis, analyse
from potentia.dynamics.run_config import RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.dynamics.run_inputs import RunInputs, read_inputs
from potentia.errors import ConfigError
from potentia.evaluate import wide
from potentia.train import Callback, Forecast, JsonLines, Recording, WandbLog

__all__ = ["DynamicsJob", "DynamicsTrained", "network_of"]

ERRORS = {"loss": "train/loss", "steps": "horizon"}
"""Errors of batches → their names in the logs."""
COLUMNS = {"train_loss": "train/epoch_loss", "val_loss": "val/loss"}
"""Columns of the history → their names in the logs; others keep theirs."""


@dataclass(frozen=True, eq=False)
class DynamicsTrained(runs.Trained):
    """What the training of a network of parameters has brought."""

    estimator: DynamicsParameterNet
    """With the best weights where windows were held out to choose them by, else with the last."""
    out: TrainOut
    """Errors by epoch."""
    analysis: Mapping[str, Analysis] = field(default_factory=dict)
    """Part → what was found on it; empty where it was left out."""


@dataclass(frozen=True)
class DynamicsJob(runs.Job[DynamicsTrained]):
    """Windows of logs and a network that is to learn them."""

    config: RunConfig
    """Settings; the directory of the run is not theirs to choose."""

    @cached_property
    def inputs(self) -> RunInputs:
        """Model and windows.

        Raises:
            ConfigError: settings do not fit the model.
            DataError: logs are not there or cannot be used.
        """
        inputs = read_inputs(self.config)
        network_of(self.config, inputs)
        return inputs

    def mark(self) -> dict[str, Any]:
        """Return hash and sizes of the windows."""
        return told(self.inputs.parts)

    def seen(self) -> Sequence[str]:
        """Return windows by part, and of each log how many were left out and why."""
        lines: list[str] = []
        for part, windows in self.inputs.parts.items():
            lines.append(f"{part}: {len(windows)} windows of {windows.n_steps} steps")
            lines += self.inputs.counts[part].to_string().splitlines()
        return lines

    def forecast(self) -> Forecast:
        """Measure how long the training would take."""
        config, inputs = self.config, self.inputs
        return network_of(config, inputs).forecast(inputs.training, config.training(None), inputs.validation)

    def train(self, directory: runs.RunDirectory, resume_from: Path | None) -> DynamicsTrained:
        """Train, or go on to as many epochs in all; the directory gets records, weights, parameters and figures."""
        config, inputs, mine = self.config, self.inputs, RunDirectory(directory.path)
        net = network_of(config, inputs)
        out = net.train(
            inputs.training,
            config.training(mine.checkpoints),
            inputs.validation,
            resume_from,
            allow_changes=("epochs",),
            callbacks=_recordings(config, mine, inputs),
        )
        if out.resumable:
            return DynamicsTrained(net, out, None)
        _write_weights(net, mine, chosen=inputs.validation is not None)
        analysis = analyse(config, inputs, net, mine) if config.analysis else {}
        _write_parameters(config, inputs, net, mine, analysis)
        return DynamicsTrained(net, out, _errors(analysis), analysis=analysis)


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


def _errors(analysis: Mapping[str, Analysis]) -> pd.DataFrame | None:
    """Return errors on what the weights were chosen by, else on what was trained on; None without analysis."""
    if not analysis:
        return None
    found = analysis.get("validation", analysis["training"])
    return wide(found.metrics).reset_index().rename_axis(columns=None)


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


def _write_weights(net: DynamicsParameterNet, directory: RunDirectory, *, chosen: bool) -> None:
    """Write the last weights, and where some were chosen by validation the best ones."""
    newest = directory.newest_checkpoint
    last = DynamicsParameterNet.load(newest) if chosen and newest is not None else net
    for which, one in {"last": last, **({"best": net} if chosen else {})}.items():
        write_msgpack(directory.weights(which), one.learned()["model"])


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
