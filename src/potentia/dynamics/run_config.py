"""Settings of one training run from logs to figures: the same names in Python, in YAML and on the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

from potentia.checks import choice, integer, number
from potentia.config import from_dict, to_dict
from potentia.dynamics.features import MODES, FeatureSettings
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.dynamics.windows import WindowSettings
from potentia.errors import ConfigError

__all__ = ["RunConfig"]

FREE = frozenset({
    "epochs", "max_time", "device", "dataset_cache", "val_dataset_cache", "refresh_cache", "summary_chunk_size",
    "output", "flat_json", "analysis", "constant_fit", "analysis_scenarios", "analysis_horizon", "wandb_project",
    "log_every", "checkpoint_interval", "progress",
})  # fmt: skip
"""Settings that may be others when a run goes on."""
LOGS = {"train": "dataset", "validation": "val_dataset"}
"""What the block ``data`` of a file of settings calls the logs → the field."""
PLACES = ("root", "run_dir")
"""Fields that say where, which no file of settings has: paths in it begin at its own folder."""
FILES = ("dataset_cache", "val_dataset_cache", "output")
"""Fields with the path of a file."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What to train on what, and what to write.

    Raises:
        ConfigError: a value cannot be; the message names the field.

    Example:
        >>> config = RunConfig(dataset=("logs",), model="unicycle", dt_hundredths=5, curriculum="8:500,16:1000,full")
        >>> config.windows().step, config.stages
        (0.05, ((500, 8), (1000, 16)))
    """

    dataset: tuple[str, ...] = ()
    """Folders or files of logs to train on; relative ones below the root."""
    val_dataset: tuple[str, ...] = ()
    """Folders or files of logs to choose the best weights by."""
    model: str = "singletrack"
    """Name of the model of dynamics; `potentia dynamics models` lists them."""
    root: str = "."
    """Directory with results/, and of relative paths."""
    epochs: int = 200
    """Epochs in all."""
    batch_size: int = 256
    """Windows of a batch."""
    lr: float = 1e-3
    """Learning rate at the begin."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW."""
    clip_norm: float | None = 1.0
    """Gradients with a larger norm are shortened to it."""
    scheduler: str = "plateau"
    """Rule for the learning rate: plateau, cosine or constant."""
    lr_patience: int = 10
    """Epochs without improvement that are put up with before the learning rate is reduced."""
    lr_factor: float = 0.5
    """The learning rate is multiplied by this."""
    min_lr: float = 1e-5
    """The learning rate is not reduced below this."""
    early_stopping: int | None = None
    """End when the monitored loss has not fallen for so many epochs."""
    max_time: str | None = None
    """Pause after this time, such as 90s or 1h30m; go on by --resume."""
    loss: Literal["scaled", "scaled-huber", "scaled-mse", "yaw-l1"] = "scaled"
    """What is made small: scaled, scaled-huber, scaled-mse or yaw-l1."""
    curriculum: str = ""
    """Stages STEPS:BATCHES in which windows are cut, such as 8:500,16:1000,full."""
    curriculum_batches: int = 0
    """The same with one stage: so many batches are cut."""
    curriculum_timesteps: int | None = None
    """Steps of the windows in these batches."""
    seed: int = 0
    """Seed of weights, batches and choices of windows."""
    device: str = "cpu"
    """Device of the training, as torch has it."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of the training: float32 or float64."""
    dt: float | str | None = None
    """Length of a step (s); log for the rows as they are; the step of the logs if left out."""
    dt_hundredths: int | None = None
    """Length of a step in hundredths of a second, instead of dt."""
    horizon: int = 20
    """Steps of a window."""
    stride: int = 1
    """Steps from the begin of a window to that of the next."""
    history: int = 0
    """Steps before a window that a network may see."""
    min_speed: float | None = None
    """Windows in which the speed is lower are left out (m/s); that of the model if left out."""
    max_gap: float = 1.5
    """Rows that are farther apart than so many steps have a gap between them, which no window crosses."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Windows in which a column leaves this range are left out: KEY=LOW,HIGH."""
    check_units: bool = True
    """Leave out logs whose numbers look like degrees or km/h."""
    features: tuple[str, ...] = ()
    """Columns of the logs that a network sees besides; * for all that are neither state nor control."""
    samples: int | None = None
    """No more windows to train on than this."""
    val_samples: int | None = None
    """No more windows to choose by than this."""
    sample_rule: Literal["head", "random"] = "head"
    """Which ones: head or random."""
    dataset_cache: str | None = None
    """File that keeps the windows to train on; made again when logs or settings change."""
    val_dataset_cache: str | None = None
    """File that keeps the windows to choose by."""
    refresh_cache: bool = False
    """Make these files again in any case."""
    feature_mode: str = "auto"
    """What the network sees: auto, none, features, features+state, history or features+history."""
    model_hidden: tuple[int, ...] = (128, 128)
    """Widths of the layers of the network."""
    dynamics_hidden_size: int | None = None
    """Width of the layer inside mlp-dynamics; other models have none."""
    substeps: int | Literal["auto"] = "auto"
    """Steps of the solver inside a step of the data, or auto."""
    integration: Literal["rk4", "euler", "rk4-clamped"] = "rk4"
    """Solver: rk4, euler or rk4-clamped."""
    fix: Mapping[str, float] = field(default_factory=dict)
    """Parameters that are known: KEY=VALUE."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Other bounds of parameters: KEY=LOW,HIGH."""
    prior: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """What is known of parameters before: KEY=MEAN,DEVIATION."""
    gauge: Literal["fix", "free"] = "fix"
    """Whether parameters that no data can tell apart are held at their defaults: fix or free."""
    polish: bool = False
    """Gauss-Newton steps after the training: constants to their exact minimum, or the last bias of a network."""
    summary_chunk_size: int = 4096
    """Windows at a time when predictions are summarised: memory, not numbers."""
    output: str | None = None
    """File of the predicted parameters; pct_predicted_params.json in the directory of the run if left out."""
    flat_json: bool = False
    """Write only the mean of each parameter to that file."""
    analysis: bool = True
    """Tables of errors, identifiability and figures after the training."""
    constant_fit: bool = True
    """Compare with constant parameters fitted to some of the windows."""
    analysis_scenarios: int = 6
    """Windows that are drawn of each part."""
    analysis_horizon: int | None = None
    """Steps of these windows; as those of the training if left out."""
    wandb_project: str | None = None
    """Project of Weights & Biases that records go to."""
    log_every: int = 1
    """Batches between records; 0 for epochs only."""
    checkpoint_interval: int = 1
    """Epochs between checkpoints."""
    run_dir: str | None = None
    """Directory of the run, new or empty; results/MODEL/run_DATE-TIME below the root if left out."""
    progress: bool = False
    """Show a progress bar."""

    def __post_init__(self) -> None:
        if integer("summary_chunk_size", self.summary_chunk_size) <= 0:
            raise ConfigError("--summary-chunk-size must be positive.")
        for name in ("samples", "val_samples", "dynamics_hidden_size", "analysis_horizon"):
            if self.__dict__[name] is not None:
                integer(name, self.__dict__[name], low=1)
        integer("analysis_scenarios", self.analysis_scenarios, low=1)
        integer("log_every", self.log_every, low=0)
        integer("checkpoint_interval", self.checkpoint_interval, low=1)
        for name in ("lr", "min_lr", "weight_decay"):
            if number(name, self.__dict__[name], low=0) == 0 and name == "lr":
                raise ConfigError(f"lr must be greater than 0, got {self.lr}")
        for nodes in self.model_hidden:
            integer("model_hidden", nodes, low=1)
        for key, value in self.fix.items():
            number(f"fix: {key}", value)
        choice("dtype", self.dtype, ("float32", "float64"))
        choice("feature_mode", self.feature_mode, MODES)
        choice("sample_rule", self.sample_rule, ("head", "random"))
        choice("gauge", self.gauge, ("fix", "free"))
        if self.substeps != "auto":
            integer("substeps", self.substeps, low=1)
        self._check_parts()

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Build them from plain values; names may have ``-`` for ``_``, as on the command line.

        Raises:
            ConfigError: a name is unknown, or a value cannot be.
        """
        return from_dict(cls, {name.replace("-", "_"): value for name, value in settings.items()})

    def plain(self) -> dict[str, Any]:
        """Return plain values that `from_mapping` takes."""
        return to_dict(self)

    def rooted(self) -> Self:
        """Return them with absolute paths, so that no root is needed."""
        changed: dict[str, Any] = {name: self.__dict__[name] and self._absolute(self.__dict__[name]) for name in FILES}
        for name in LOGS.values():
            changed[name] = tuple(map(self._absolute, self.__dict__[name]))
        return replace(self, **changed, root=".")

    def blocks(self) -> dict[str, Any]:
        """Return what the file of settings of a run holds: ``family``, ``data`` and ``training``."""
        fields = self.plain()
        data = {part: fields.pop(name) for part, name in LOGS.items()}
        training = {name: value for name, value in fields.items() if name not in PLACES}
        return {"family": "dynamics", "data": data, "training": training}

    @classmethod
    def from_blocks(cls, blocks: Mapping[str, Any]) -> Self:
        """Build them from what `blocks` has returned."""
        logs = {name: blocks["data"].get(part, ()) for part, name in LOGS.items()}
        return from_dict(cls, {**blocks.get("training", {}), **logs})

    @property
    def stages(self) -> tuple[tuple[int, int], ...]:
        """Batches and steps of each stage of the curriculum.

        Raises:
            ConfigError: it cannot be read.
        """
        parts = [part.strip() for part in self.curriculum.split(",")] if self.curriculum else []
        if parts and parts[-1] == "full":
            parts = parts[:-1]
        stages = [part.partition(":") for part in parts]
        if not all(steps.strip().isdecimal() and batches.strip().isdecimal() for steps, _, batches in stages):
            raise ConfigError(
                f"curriculum must be STEPS:BATCHES,...,full such as 8:500,16:1000,full, got {self.curriculum!r}"
            )
        return tuple((int(batches), int(steps)) for steps, _, batches in stages)

    def windows(self) -> WindowSettings:
        """Return how logs are cut."""
        return WindowSettings(
            horizon=self.horizon,
            stride=self.stride,
            dt=self.dt,  # type: ignore[arg-type]  # it checks
            dt_hundredths=self.dt_hundredths,
            history=self.history,
            min_speed=self.min_speed,
            max_gap=self.max_gap,
            ranges=self.ranges,
            features="*" if self.features == ("*",) else self.features,
            check_units=self.check_units,
        )

    def features_seen(self) -> FeatureSettings:
        """Return what the network sees."""
        return FeatureSettings(mode=self.feature_mode)  # type: ignore[arg-type]  # it checks

    def training(self, checkpoints: Path | None) -> DynamicsTrainingConfig:
        """Return the settings of the training; ``checkpoints`` is where these go."""
        return DynamicsTrainingConfig(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.lr,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            scheduler=self.scheduler,
            lr_patience=self.lr_patience,
            lr_factor=self.lr_factor,
            min_lr=self.min_lr,
            curriculum=self.stages,
            curriculum_batches=self.curriculum_batches,
            curriculum_timesteps=self.curriculum_timesteps,
            loss=self.loss,
            prior=self.prior,
            seed=self.seed,
            device=self.device,
            precision=self.dtype,
            polish="gauss-newton" if self.polish else "off",
            save_best=bool(self.val_dataset),
            checkpoint_dir=None if checkpoints is None else str(checkpoints),
            checkpoint_interval=self.checkpoint_interval,
            early_stopping=self.early_stopping,
            max_time=self.max_time,
            show_progress=self.progress,
        )

    def _absolute(self, path: str) -> str:
        return os.path.normpath(Path(self.root).absolute() / Path(path).expanduser())

    def _check_parts(self) -> None:
        self.windows()
        self.features_seen()
        self.training(None)
