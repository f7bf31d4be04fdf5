"""Settings of the training of a trajectory surrogate: one flat dataclass."""

from __future__ import annotations

from dataclasses import dataclass, fields

from potentia.checks import choice, integer, number
from potentia.errors import ConfigError
from potentia.train import (
    SGD,
    SOAP,
    AdamW,
    Average,
    Cosine,
    Polynomial,
    Schedule,
    ScheduleFreeAdamW,
    ScheduleFreeSGD,
    TrainingMethod,
    Warmup,
)
from potentia.train.averages import check_average
from potentia.train.loop_settings import TrainingSettings
from potentia.train.optimizers import check_clip_norm, check_positive

__all__ = ["OPTIMIZERS", "SCHEDULERS", "TrajectoryTrainingConfig"]

OPTIMIZERS = ("adamw", "sgd", "soap")
SCHEDULERS = ("cosine", "poly", "schedulefree", "constant")
OF_A_SCHEDULER = {"poly_power": ("poly", 0.9), "eta_min": ("cosine", 0.1)}
"""Setting that only one scheduler has → that scheduler, and its value there if none is given."""
POINTS = 4096
"""Points of a batch where no size is given."""
TRAJECTORIES = 64
"""Trajectories of a batch where no size is given."""


@dataclass(frozen=True, kw_only=True)
class TrajectoryTrainingConfig(TrainingSettings):
    """How to train a trajectory surrogate.

    Seed, device, checkpoints, stopping rules and progress are settings too, see `TrainingSettings`.

    Raises:
        ConfigError: a value cannot be; the message names the field.

    Example:
        >>> config = TrajectoryTrainingConfig(epochs=100, batch_size=1024, scheduler="poly", seed=1)
        >>> config.method(points=True).mu, config.schedule().rate(3e-4, {}, 100)
        (0.0003, 0.0)
    """

    batch_size: int | None = None
    """Size of a batch: points (trajectory and time) for networks that take each point on its own, trajectories for
    those that evolve a latent state. None for 4096 points or 64 trajectories, or for that of an optimizer object."""
    learning_rate: float = 3e-4
    """The highest learning rate."""
    regularization_factor: float = 0.0
    """Weight decay: in the gradient for ``"sgd"``, else apart from it whatever the schedule."""
    optimizer: str | TrainingMethod = "adamw"
    """``"adamw"``, ``"sgd"``, ``"soap"`` (`potentia.train.SOAP`, closer fits of smooth data), or an object such as
    ``LBFGS()`` or ``Adam(mu=1e-3, batchsize=1024)``, which has its own rate, decay and batch size."""
    momentum: float | None = None
    """Of ``"sgd"``; None is 0. With ``"schedulefree"`` it says where between the last and the averaged weights the
    gradient is taken; None is 0.9 then."""
    clip_norm: float | None = None
    """A gradient whose norm is larger is shortened to it; None for as it is."""
    scheduler: str | Schedule = "cosine"
    """Rule for the learning rate. ``"cosine"``: down to ``eta_min`` times the rate. ``"poly"``: the rate times
    (1 - e/E)^``poly_power`` after e of E epochs. ``"schedulefree"``: constant, with averaged weights
    (`ScheduleFreeAdamW`, `ScheduleFreeSGD`). ``"constant"``; or an object such as ``Plateau()``."""
    poly_power: float | None = None
    """Power of ``"poly"``, and of no other scheduler; None is 0.9."""
    eta_min: float | None = None
    """``"cosine"``, and no other scheduler, ends at the learning rate times this, in [0, 1]; None is 0.1."""
    warmup_epochs: float | None = None
    """Epochs, or part of one, in which the rate comes up from a tenth. None is none, but a hundredth of all epochs for
    ``"schedulefree"``."""
    average: Average | None = None
    """`ExponentialAverage` or `UniformAverage` of the weights: what is scored, saved and returned."""
    later_starts: float = 0.0
    """Part of what is trained on, in [0, 1], that begins at a later time of its trajectory than the first: more to
    learn from where rates depend on state and parameters alone, and wrong where they depend on the time."""
    loss_function: str = "mse"
    """Measure of residuals in training, of scaled states: ``"mse"`` or ``"smoothl1"``."""
    beta: float = 1.0
    """Where ``"smoothl1"`` goes over from squares to absolute values (scaled states); 0 is the absolute value."""
    precision: str = "float32"
    """Of the network: ``"float32"`` or ``"float64"``."""
    save_best: bool = True
    """Return the weights of the epoch with the lowest ``test_loss`` instead of the last ones; with ``checkpoint_dir``,
    they are kept there as ``best_model.pt`` too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size is not None:
            integer("batch_size", self.batch_size, low=1)
        self._check_optimizer()
        self._check_scheduler()
        number("later_starts", self.later_starts, low=0, high=1)
        choice("loss_function", self.loss_function, ("mse", "smoothl1"))
        number("beta", self.beta, low=0)
        choice("precision", self.precision, ("float32", "float64"))

    def method(self, *, points: bool) -> TrainingMethod:
        """Return the optimizer with its batch size, of points or of trajectories."""
        if isinstance(self.optimizer, TrainingMethod):
            return self.optimizer
        size = self.batch_size or (POINTS if points else TRAJECTORIES)
        rate, decay, clip = self.learning_rate, self.regularization_factor, self.clip_norm
        free = self.scheduler == "schedulefree"
        if self.optimizer == "sgd":
            kind = ScheduleFreeSGD if free else SGD
            momentum = (0.9 if free else 0.0) if self.momentum is None else self.momentum
            return kind(lr=rate, batchsize=size, momentum=momentum, weight_decay=decay, clip_norm=clip)
        if self.optimizer == "soap":
            return SOAP(mu=rate, batchsize=size, weight_decay=decay, clip_norm=clip)
        adam = ScheduleFreeAdamW if free else AdamW
        return adam(mu=rate, batchsize=size, weight_decay=decay, clip_norm=clip)

    def schedule(self) -> Schedule | None:
        """Return the rule for the learning rate, None for a constant one."""
        up = self.warmup_epochs
        match self.scheduler:
            case Schedule():
                return self.scheduler
            case "cosine":
                return Cosine(self.epochs, up or 0.0, final_fraction=self.in_effect("eta_min"))
            case "poly":
                return Polynomial(self.epochs, self.in_effect("poly_power"), up or 0.0)
            case "schedulefree":
                return Warmup(self.epochs / 100 if up is None else up)
        return Warmup(up) if up else None

    def in_effect(self, name: str) -> float:
        """Return ``poly_power`` or ``eta_min``, its default where None is given."""
        given = self.__dict__[name]
        return OF_A_SCHEDULER[name][1] if given is None else float(given)

    def _check_optimizer(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_clip_norm(self.clip_norm)
        number("regularization_factor", self.regularization_factor, low=0)
        if self.momentum is not None:
            number("momentum", self.momentum, low=0, high=1)
            if self.optimizer in OPTIMIZERS and self.optimizer != "sgd":
                raise ConfigError(f"momentum belongs to optimizer='sgd'; {self.optimizer!r} has none")
        if not isinstance(self.optimizer, TrainingMethod):
            choice("optimizer", self.optimizer, OPTIMIZERS)
            return
        own = ("batch_size", "learning_rate", "regularization_factor", "momentum", "clip_norm")
        defaults = {field.name: field.default for field in fields(self)}
        given = [name for name in own if self.__dict__[name] != defaults[name]]
        if given:
            name = type(self.optimizer).__name__
            raise ConfigError(f"optimizer={name}(...) has its own settings: give it {', '.join(given)} there")
        if self.scheduler == "schedulefree":
            raise ConfigError(
                "scheduler='schedulefree' belongs to optimizer='adamw' or 'sgd'; an object of that kind is "
                "ScheduleFreeAdamW(...), with scheduler='constant'"
            )

    def _check_scheduler(self) -> None:
        number("poly_power", self.in_effect("poly_power"), low=0)
        number("eta_min", self.in_effect("eta_min"), low=0, high=1)
        for name, (scheduler, _) in OF_A_SCHEDULER.items():
            if self.__dict__[name] is not None and self.scheduler != scheduler:
                raise ConfigError(f"{name} belongs to scheduler={scheduler!r}; leave it out, got {self.scheduler!r}")
        if self.warmup_epochs is not None:
            number("warmup_epochs", self.warmup_epochs, low=0)
        check_average(self.average)
        if isinstance(self.scheduler, Schedule):
            if self.warmup_epochs is not None:
                raise ConfigError(f"warmup_epochs does not go with scheduler={type(self.scheduler).__name__}(...)")
            return
        choice("scheduler", self.scheduler, SCHEDULERS)
        if self.warmup_epochs is not None and self.warmup_epochs >= self.epochs:
            raise ConfigError(f"warmup_epochs must be less than epochs={self.epochs}, got {self.warmup_epochs}")
        if self.scheduler == "schedulefree" and self.optimizer == "soap":
            raise ConfigError("scheduler='schedulefree' belongs to optimizer='adamw' or 'sgd', got 'soap'")
        if self.scheduler == "schedulefree" and self.average is not None:
            raise ConfigError("scheduler='schedulefree' averages the weights itself: leave out average")
