"""Settings of the training of a parameter network: one flat dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from potentia.checks import choice, integer, number
from potentia.errors import ConfigError
from potentia.train import AdamW, Average, Cosine, Plateau, Schedule, TrainingMethod
from potentia.train.averages import check_average
from potentia.train.loop_settings import FREE, TrainingSettings
from potentia.train.optimizers import check_clip_norm, check_positive

__all__ = ["DynamicsTrainingConfig"]

LOSSES = ("scaled", "scaled-huber", "scaled-mse", "yaw-l1")
SCHEDULERS = ("plateau", "cosine", "constant")


@dataclass(frozen=True, kw_only=True)
class DynamicsTrainingConfig(TrainingSettings):
    """How to train a network of parameters through the simulation.

    Seed, device, checkpoints, stopping rules and progress are settings too, see `TrainingSettings`.

    Raises:
        ConfigError: a value cannot be; the message names the field.

    Example:
        >>> config = DynamicsTrainingConfig(curriculum=((500, 8), (1000, 16)))
        >>> [config.steps_at(batch, 50) for batch in (0, 499, 500, 1499, 1500)]
        [8, 8, 16, 16, 50]
    """

    free: ClassVar[frozenset[str]] = FREE | {"max_diverged"}

    epochs: int = 200
    """Epochs in all, with those before a checkpoint that is resumed."""
    batch_size: int = 256
    """Windows of a batch; the last one may be smaller."""
    learning_rate: float = 1e-3
    """The highest learning rate."""
    weight_decay: float = 1e-4
    """Of AdamW: each step pulls the weights to zero, and so the parameters to their defaults, by this part times the
    learning rate."""
    clip_norm: float | None = 1.0
    """A gradient whose norm is larger is shortened to it; None for as it is."""
    optimizer: TrainingMethod | None = None
    """None for AdamW with the values above; an object such as ``LBFGS()``, which has its own rate, decay and batch
    size."""
    scheduler: str | Schedule = "plateau"
    """Rule for the learning rate: ``"plateau"`` reduces it where the monitored loss no longer falls, ``"cosine"``
    brings it down to ``min_lr``, ``"constant"``; or an object."""
    lr_patience: int = 10
    """Of ``"plateau"``: epochs without improvement that are put up with."""
    lr_factor: float = 0.5
    """Of ``"plateau"``: the learning rate is multiplied by this."""
    min_lr: float = 1e-5
    """The learning rate is not reduced below this."""
    average: Average | None = None
    """`ExponentialAverage` or `UniformAverage` of the weights: what is scored, saved and returned."""
    curriculum: tuple[tuple[int, int], ...] = ()
    """Stages, each a number of batches and the steps that windows are cut to meanwhile; whole windows after the last
    one."""
    curriculum_batches: int = 0
    """The same with one stage: so many batches are cut; 0 for none."""
    curriculum_timesteps: int | None = None
    """Steps of the windows in these batches."""
    loss: Literal["scaled", "scaled-huber", "scaled-mse", "yaw-l1"] = "scaled"
    """What is made small: ``"scaled"`` is the mean over windows, steps and states of the absolute errors, each state in
    its own unit, which is the usual change of that state over a window of the training part; ``"scaled-huber"`` and
    ``"scaled-mse"`` grow with the squares of small and of all errors. ``"yaw-l1"`` is the sum of the absolute errors of
    all states in their SI units over a window."""
    state_weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of states in a scaled loss by name; 1 where none is given, 0 leaves the state out."""
    prior: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """What is known of parameters before: name → mean and standard deviation. It counts as much as one window more
    whose loss is half the square of the deviation from that mean, so data outweigh it."""
    polish: Literal["off", "gauss-newton"] = "off"
    """``"gauss-newton"`` lets steps of second order follow, with the same prior: of a network that sees nothing, a fit
    by least squares (`fit_constant`) from the constants that were learned to the last digit; of others, steps of the
    last bias, which all windows share, to where the loss of the training windows is lowest near it."""
    precision: Literal["float32", "float64"] = "float32"
    """Of network and simulation in training."""
    compiled: bool = True
    """Whether roll-outs on the CPU, also those of the trained network, are machine code where the model allows it."""
    save_best: bool = True
    """Return the weights of the epoch with the lowest monitored loss instead of the last ones; with ``checkpoint_dir``,
    they are kept there as ``best_model.pt`` too. Monitored is ``val_loss``, or without validation windows the
    ``train_loss`` of the epochs whose windows were not cut."""
    max_diverged: float = 0.05
    """The training stops where more than this part of an epoch's windows could not be simulated."""

    def __post_init__(self) -> None:
        super().__post_init__()
        integer("batch_size", self.batch_size, low=1)
        choice("loss", self.loss, LOSSES)
        choice("polish", self.polish, ("off", "gauss-newton"))
        if not isinstance(self.compiled, bool):
            raise ConfigError(f"compiled must be True or False, got {self.compiled!r}")
        choice("precision", self.precision, ("float32", "float64"))
        number("max_diverged", self.max_diverged, low=0, high=1)
        self._check_optimizer()
        self._check_curriculum()
        self._check_loss()

    def method(self) -> TrainingMethod:
        """Return the optimizer with its batch size."""
        if self.optimizer is not None:
            return self.optimizer
        return AdamW(
            mu=self.learning_rate,
            batchsize=self.batch_size,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
        )

    def schedule(self) -> Schedule | None:
        """Return the rule for the learning rate, None for a constant one."""
        match self.scheduler:
            case Schedule():
                return self.scheduler
            case "plateau":
                return Plateau(self.lr_patience, self.lr_factor, min(self.min_lr, self.learning_rate))
            case "cosine":
                return Cosine(self.epochs, 0.0, final_fraction=min(self.min_lr / self.learning_rate, 1.0))
        return None

    @property
    def stages(self) -> tuple[tuple[int, int], ...]:
        """Batches and steps of each stage of the curriculum."""
        if not self.curriculum_batches:
            return self.curriculum
        assert self.curriculum_timesteps is not None
        return ((self.curriculum_batches, self.curriculum_timesteps),)

    def steps_at(self, batch: int, n_steps: int) -> int:
        """Return the steps of the windows in this batch, counted from the first one of the training.

        Args:
            batch: 0 for the first.
            n_steps: Steps of whole windows.
        """
        for batches, steps in self.stages:
            if batch < batches:
                return min(steps, n_steps)
            batch -= batches
        return n_steps

    def _check_optimizer(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_clip_norm(self.clip_norm)
        number("weight_decay", self.weight_decay, low=0)
        number("min_lr", self.min_lr, low=0)
        if not isinstance(self.scheduler, Schedule):
            choice("scheduler", self.scheduler, SCHEDULERS)
            Plateau(self.lr_patience, self.lr_factor, self.min_lr)  # names what cannot be
        check_average(self.average)
        if self.optimizer is None:
            return
        if not isinstance(self.optimizer, TrainingMethod):
            raise ConfigError(f"optimizer must be an object such as AdamW(...) or None, got {self.optimizer!r}")
        own = ("batch_size", "learning_rate", "weight_decay", "clip_norm")
        given = [name for name in own if self.__dict__[name] != type(self).__dict__[name]]
        if given:
            kind = type(self.optimizer).__name__
            raise ConfigError(f"optimizer={kind}(...) has its own settings: give it {', '.join(given)} there")

    def _check_curriculum(self) -> None:
        object.__setattr__(self, "curriculum", tuple(tuple(stage) for stage in self.curriculum))
        for stage in self.curriculum:
            if len(stage) != 2:
                raise ConfigError(f"curriculum: a stage must be (batches, steps), got {stage!r}")
            integer("curriculum: batches", stage[0], low=1)
            integer("curriculum: steps", stage[1], low=1)
        integer("curriculum_batches", self.curriculum_batches, low=0)
        if self.curriculum_timesteps is not None:
            integer("curriculum_timesteps", self.curriculum_timesteps, low=1)
        if bool(self.curriculum_batches) != (self.curriculum_timesteps is not None):
            raise ConfigError("curriculum_batches and curriculum_timesteps belong together: give both, or none")
        if self.curriculum and self.curriculum_batches:
            raise ConfigError("curriculum says what curriculum_batches and curriculum_timesteps say: leave these out")

    def _check_loss(self) -> None:
        for name, weight in self.state_weights.items():
            number(f"state_weights: {name}", weight, low=0)
        if self.state_weights and self.loss == "yaw-l1":
            raise ConfigError("state_weights belong to a scaled loss: 'yaw-l1' has none")
        for name, known in self.prior.items():
            if len(known) != 2:
                raise ConfigError(f"prior: {name} must have (mean, standard deviation), got {known!r}")
            number(f"prior: mean of {name}", known[0])
            if not number(f"prior: standard deviation of {name}", known[1]) > 0:
                raise ConfigError(f"prior: standard deviation of {name} must be greater than 0, got {known[1]!r}")
