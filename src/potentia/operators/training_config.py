"""Settings of the training of a neural operator: one flat dataclass."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from potentia.checks import choice, integer, number
from potentia.config import plain
from potentia.errors import ConfigError
from potentia.operators.losses import LossSettings
from potentia.operators.truncation import Truncation
from potentia.train import AdamW, Average, Cosine, Schedule, Warmup
from potentia.train.averages import check_average
from potentia.train.device import DTYPES, require_device_name
from potentia.train.loop_settings import LoopSettings
from potentia.train.optimizers import check_positive

__all__ = ["OperatorTrainingConfig"]

WARMUP = 500
"""Steps in which the learning rate comes up, where the training is long enough."""


@dataclass(frozen=True, kw_only=True)
class OperatorTrainingConfig:
    """How to train a neural operator. A step is one change of the weights.

    Raises:
        ConfigError: a value cannot be; the message names the field.

    Example:
        >>> config = OperatorTrainingConfig(epochs=10, warmup_steps=500)
        >>> rate = config.schedule(225).rate
        >>> [f"{rate(config.lr, {}, step / 225):.3g}" for step in (0, 250, 500, 2250)]
        ['3e-05', '0.000165', '0.0003', '0']
    """

    epochs: int
    """Epochs in all, with those before a checkpoint that is resumed."""
    batch_size: int = 4
    """Samples that are rolled out together."""
    accumulate: int = 1
    """So many batches make one step: the mean of their gradients counts. It needs no more memory than one of them."""
    n_samples: int | None = None
    """Samples of the training part that are used, the first ones; None for all."""
    n_realizations: int | None = None
    """Samples of each set of parameters that are used; None for all."""
    timesteps: int | None = None
    """Steps of the samples that are used, the first ones; None for all."""
    lr: float = 3e-4
    """The highest learning rate."""
    lr_schedule: Literal["cosine", "constant"] = "cosine"
    """Behind the warm-up: ``"cosine"`` down to 0 at the last step, or ``"constant"``."""
    warmup_steps: int | None = None
    """Steps in which the rate comes up from a tenth. None for 500, or a tenth of all steps if these are fewer."""
    weight_decay: float = 0.01
    """Each step makes the weights smaller by this part times the rate; biases, scales and norms, and what makes scales
    and shifts of the parameters, are left alone."""
    clip_grad: float | None = 1.0
    """A gradient whose norm is larger is shortened to it; None for as it is."""
    bptt_window: int = 32
    """Steps that gradients go through; where there are fewer, all of them."""
    bptt_start: Literal["random", "tail", "chunks"] = "random"
    """Where this window is: anywhere, at the end, or one after the other over all steps, see `Truncation`."""
    teacher_start: float = 0.5
    """Probability that a window begins from the true field, when the training begins; else from a warm-up."""
    teacher_end: float = 0.0
    """That probability at the end; in between it changes evenly, see `Truncation`."""
    checkpoint_steps: bool = False
    """Compute each step of a window again for its gradient: far less memory, for a third more time."""
    lambda_traj: float = 1.0
    """Weight of the loss of the window."""
    lambda_ic: float = 0.3
    """Weight of the loss of the first steps from the true initial field."""
    ic_window: int = 4
    """So many steps these are."""
    relative_loss: bool = False
    """Divide the squared error of a sample by its own mean square: small fields count as much as large ones."""
    step_growth: float = 1.0
    """Weight of a step of a window in parts of that of the step before: below 1, early steps count more."""
    seed: int | None = None
    """Seed of initial weights, order of the batches and windows; None draws one, which `TrainOut.seed` tells."""
    average: Average | None = None
    """`ExponentialAverage` or `UniformAverage` of the weights: what is scored, saved and returned."""
    device: str = "cpu"
    """torch device of the training."""
    precision: Literal["float32", "float64"] = "float32"
    """Of the network."""
    save_best: bool = True
    """Return the weights of the epoch with the lowest ``val_loss`` instead of the last ones; with ``checkpoint_dir``,
    they are kept there as ``best_model.pt`` too."""
    early_stop_patience: int | None = None
    """End when ``val_loss`` has not fallen for so many epochs; None never does."""
    early_stop_min_delta: float = 0.0
    """Less than this is no fall."""
    max_bad_fraction: float = 0.1
    """The training stops with an error where more than this part of its steps, of 50 or more, were not finite."""
    checkpoint_dir: str | None = None
    """Directory of checkpoints: ``epoch_1.pt``, ``step_200.pt`` …; None for no files."""
    save_every: int = 200
    """Steps between checkpoints inside an epoch; 0 for none. After each epoch there is one in any case."""
    keep_steps: int | None = 3
    """Keep the newest so many of them; None keeps all."""
    strict_resume: bool = False
    """Refuse to go on from an old checkpoint that does not hold all that is trained, instead of warning of it."""
    max_time: float | str | None = None
    """Pause after this time (s, or ``"2h"``, ``"1h30m"``) with a checkpoint to resume from."""
    stop_on_signal: bool = True
    """Pause with a checkpoint when SIGTERM comes, as queues send it before they end a job."""
    show_progress: bool = False
    """Show a progress bar over epochs."""
    show_batch_progress: bool = False
    """Show a progress bar over the steps of each epoch."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            integer(name, self.__dict__[name], low=1)
        for name in ("n_samples", "n_realizations", "timesteps"):
            if self.__dict__[name] is not None:
                integer(name, self.__dict__[name], low=1)
        check_positive("lr", self.lr)
        if self.clip_grad is not None:
            check_positive("clip_grad", self.clip_grad)
        number("weight_decay", self.weight_decay, low=0)
        number("max_bad_fraction", self.max_bad_fraction, low=0, high=1)
        if self.seed is not None:
            integer("seed", self.seed, low=0)
        if self.warmup_steps is not None:
            integer("warmup_steps", self.warmup_steps, low=0)
        choice("lr_schedule", self.lr_schedule, ("cosine", "constant"))
        choice("precision", self.precision, tuple(DTYPES))
        self._check_losses()
        check_average(self.average)
        require_device_name(self.device)
        integer("save_every", self.save_every, low=0)
        if self.keep_steps is not None:
            integer("keep_steps", self.keep_steps, low=1)
        if self.early_stop_patience is not None:
            integer("early_stop_patience", self.early_stop_patience, low=1)
        number("early_stop_min_delta", self.early_stop_min_delta, low=0)
        self.loop()

    def method(self) -> AdamW:
        """Return the optimizer; its batch is that of one step."""
        size = self.batch_size * self.accumulate
        return AdamW(mu=self.lr, batchsize=size, weight_decay=self.weight_decay, clip_norm=self.clip_grad)

    def schedule(self, steps: int) -> Schedule | None:
        """Return the rule for the learning rate in epochs of so many steps, None for a constant one.

        Raises:
            ConfigError: the warm-up would not end before the training.
        """
        total = self.epochs * steps
        up = min(WARMUP, total // 10) if self.warmup_steps is None else self.warmup_steps
        if up >= total:
            raise ConfigError(
                f"warmup_steps must be less than all steps, {self.epochs} epochs of {steps} = {total}, got {up}"
            )
        if self.lr_schedule == "cosine":
            return Cosine(self.epochs, up / steps)
        return Warmup(up / steps) if up else None

    def truncation(self) -> Truncation:
        """Return which steps a batch learns from."""
        return Truncation(
            window=self.bptt_window,
            start=self.bptt_start,
            teacher_start=self.teacher_start,
            teacher_end=self.teacher_end,
        )

    def losses(self) -> LossSettings:
        """Return how errors become a loss."""
        return LossSettings(
            relative=self.relative_loss,
            growth=self.step_growth,
            ic_window=self.ic_window,
            lambda_traj=self.lambda_traj,
            lambda_ic=self.lambda_ic,
        )

    def loop(self) -> LoopSettings:
        """Return what goes along with the training, by the names of all families."""
        return LoopSettings(
            save_best=self.save_best,
            checkpoint_dir=self.checkpoint_dir,
            checkpoint_interval=1,
            checkpoint_batches=self.save_every,
            max_checkpoints=self.keep_steps,
            early_stopping=self.early_stop_patience,
            early_stopping_min_delta=self.early_stop_min_delta,
            max_time=self.max_time,
            stop_on_signal=self.stop_on_signal,
            show_progress=self.show_progress,
            show_batch_progress=self.show_batch_progress,
        )

    def plain(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return {field.name: plain(self.__dict__[field.name], field.name) for field in fields(self)}

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that a resumed run must share, as plain values."""
        return {name: value for name, value in self.plain().items() if name not in FREE}

    def _check_losses(self) -> None:
        integer("bptt_window", self.bptt_window, low=1)
        choice("bptt_start", self.bptt_start, ("random", "tail", "chunks"))
        if not isinstance(self.relative_loss, bool):
            raise ConfigError(f"relative_loss must be True or False, got {self.relative_loss!r}")
        if number("step_growth", self.step_growth, low=0) == 0:
            raise ConfigError("step_growth must be greater than 0: at 0, all steps but the first would not count")
        self.truncation()
        self.losses()


FREE = frozenset({
    "seed", "device", "checkpoint_steps", "save_best", "max_bad_fraction", "checkpoint_dir", "save_every", "keep_steps",
    "strict_resume", "max_time", "stop_on_signal", "show_progress", "show_batch_progress",
})  # fmt: skip
"""Fields that do not change what is learned: a run may be resumed with others."""
