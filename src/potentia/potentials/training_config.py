"""Settings of the training of a potential: one flat dataclass, as users of ænet know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from potentia.checks import choice, integer, number
from potentia.config import plain
from potentia.errors import ConfigError
from potentia.potentials.datasets.memory import bytes_of
from potentia.train import (
    LBFGS,
    SGD,
    Adam,
    AdamW,
    Average,
    Kalman,
    LevenbergMarquardt,
    Plateau,
    Schedule,
    Stepper,
    TrainingMethod,
)
from potentia.train.averages import check_average
from potentia.train.device import require_device_name
from potentia.train.loop_settings import LoopSettings

__all__ = ["TorchTrainingConfig"]

MethodName = Literal["adam", "adamw", "sgd", "lbfgs", "lm", "kalman", "auto"]
"""Names of methods, which settings take for the method with its defaults."""


@dataclass(frozen=True, kw_only=True)
class TorchTrainingConfig(LoopSettings):
    """How to train a `TorchANNPotential`.

    Features and pairs are computed once before the first epoch and kept in memory, as long as they take less than
    ``memory_limit``: then the caches are complete whatever is set for them. Larger data are streamed: features are read
    or made batch by batch, ``num_workers`` threads ahead, and ``cache_…`` says what of them is kept. The numbers are
    the same to the bit in all these cases. What goes along with a training is told of in `LoopSettings`; monitored is
    the validation loss (eV/atom).

    Raises:
        ConfigError: a value cannot be; the message names the field.

    Example:
        >>> config = TorchTrainingConfig(iterations=10, method=Adam(mu=0.01, batchsize=16), force_weight=0.1)
        >>> config.batch_size, config.alpha
        (16, 0.1)
    """

    iterations: int = 100
    """Epochs; after ``resume_from``, additional epochs."""
    method: Annotated[TrainingMethod, MethodName] = None  # type: ignore[assignment]  # it never holds None or a name
    """Optimizer with its batch size; None for `Adam` with its defaults, a name (``"kalman"``, ``"lbfgs"``, …) for
    another with its defaults. ``"auto"`` takes the fastest for networks of this size: `Kalman`, or `Adam` for large
    ones (`TorchTrainingConfig.method_for`)."""
    testpercent: float = 10
    """Part of the structures held out for validation (%)."""
    seed: int | None = None
    """Seed of initial weights, shuffling and force subsets; None draws one. A given seed starts from new weights."""
    split_seed: int | None = None
    """Seed of the split into training and validation; None derives it from ``seed``."""
    split_by: str = "structure"
    """What is held out: single structures, whole groups (``"group"``, see ``group_key``), or stretches of the list
    (``"block"``), so that no frame of a trajectory is tested by the frame before it. Stretches need the structures in
    the order of time; otherwise their order in the input does not matter."""
    split_block: int = 100
    """Structures of a stretch."""
    split_gap: int = 0
    """Structures left out of the training on both sides of a stretch that is held out."""
    group_key: str = "config_type"
    """Entry of `Structure.info` that names the group of a structure, or ``"file"`` or ``"composition"``: for splits,
    weights and tables of errors."""
    group_weights: Mapping[str, float] | None = None
    """Weight in the loss of the structures of a group, times their own; groups that are not named have 1."""
    force_weight: float = 0.0
    """α in the loss (1 - α - β)·RMSE(energy per atom) + α·RMSE(force components) + β·RMSE(virial per atom)."""
    stress_weight: float = 0.0
    """β in the loss. The virial is stress × volume, so that the term has the unit of the energies (eV/atom)."""
    loss: str = "rmse"
    """Measure of each term: ``"rmse"`` as above, ``"mae"``, or ``"huber"`` between them."""
    huber_delta: float = 0.01
    """Where Huber's function goes over from squares to absolute values (eV/atom, eV/Å)."""
    force_rows: int = 8
    """Rows that the forces of a structure are gathered in, for `Kalman` and `LevenbergMarquardt`."""
    force_weight_schedule: Sequence[tuple[int, float]] | None = None
    """Force weight by epoch, ``[(epoch, α), …]`` from 0 on, with straight lines between; None keeps ``force_weight``.
    Validation goes by ``force_weight`` all the time."""
    force_fraction: float = 1.0
    """Part of the structures with forces that is trained on them."""
    sampling_policy: str = "uniform"
    """How structures are drawn into batches: ``"uniform"`` (each once per epoch), ``"energy_weighted"`` (those of
    low energy more often) or ``"error_weighted"`` (those of large errors more often); as many draws per epoch."""
    force_sampling: str = "random"
    """``"random"``: the subset may be drawn again; ``"fixed"``: it never is."""
    force_resample_num_epochs: int = 0
    """Epochs between drawings of the force subset, for ``"random"``; 0 draws once."""
    force_min_structures_per_epoch: int = 1
    """Least size of the force subset."""
    force_scale_unbiased: bool = False
    """Multiply the force term by 1/√(supervised / labelled atoms) of the batch."""
    cache_features: bool = False
    """Keep features of streamed structures."""
    cache_feature_max_entries: int | None = 1024
    """Of so many, for training and validation each; None for all, 0 for none."""
    cache_neighbors: bool = False
    """Keep features and pairs of streamed structures that are trained on forces or stress."""
    cache_neighbor_max_entries: int | None = 512
    """Of so many, for training and validation each; None for all, 0 for none."""
    cache_force_triplets: bool = False
    """The same as ``cache_neighbors``: the kernels need pairs, but no triplets. The larger of both limits holds."""
    cache_force_triplet_max_entries: int | None = 256
    """As ``cache_neighbor_max_entries``."""
    cache_persist_dir: str | None = None
    """Directory where features and pairs are kept for later trainings on the same data; not for streamed data."""
    cache_scope: str = "all"
    """Which part of streamed data is cached: ``"all"``, ``"train"``, ``"val"``."""
    cache_warmup: bool = False
    """Fill the caches of streamed data before the first epoch."""
    memory_mode: str = "gpu"
    """``"cpu"`` and ``"gpu"`` follow ``device`` and the descriptor's; ``"mixed"`` keeps features and pairs on the host
    (the descriptor must be there) and trains on ``device``."""
    memory_limit: str | int | None = None
    """Most memory that features and pairs may take, in bytes or as ``"8GB"``; None for half of what the machine has."""
    max_energy: float | None = None
    """Leave out structures above this energy per atom, relative to free atoms (eV/atom); the split stays the same."""
    max_forces: float | None = None
    """Leave out structures with a force of larger magnitude than this (eV/Å); the split stays the same."""
    save_energies: bool = False
    """Write ``energies.train.0`` and ``energies.test.0`` to ``output_dir`` at the end."""
    save_forces: bool = False
    """Write ``forces.train.0`` and ``forces.test.0`` to ``output_dir`` at the end."""
    output_dir: str = "."
    """Where tables are written that are asked for."""
    timing: bool = False
    """Report forward and backward time of each epoch in `TrainOut.timing`."""
    precision: str = "auto"
    """Of the networks: ``"float32"``, ``"float64"``, or ``"auto"`` for that of the descriptor."""
    device: str | None = None
    """torch device of the training; None for that of the descriptor."""
    atomic_energies: Mapping[str, float] | None = None
    """Energy of the free atom of each species (eV); None takes zeros and warns."""
    normalize_features: bool = True
    """Bring features to mean 0 and standard deviation 1 over the training atoms; constant ones are dropped."""
    normalize_energy: bool = True
    """Shift and scale energies per atom of the training part to [-1, 1]."""
    feature_stats: Mapping[str, NDArray[np.float64]] | None = None
    """``{"mean": …, "std": …}`` [features] instead of those of the training part."""
    E_shift: float | None = None
    """Energy shift (eV/atom) instead of that of the training part."""
    E_scaling: float | None = None
    """Energy scaling (1/eV) instead of that of the training part."""
    num_workers: int = 0
    """Threads that prepare batches of streamed data ahead; 0 prepares each when its turn comes."""
    prefetch_factor: int = 2
    """Batches that each of them may be ahead."""
    persistent_workers: bool = True
    """Keep workers between epochs; False begins each epoch with none prepared."""
    show_progress: bool = True
    """Show a progress bar over epochs."""
    checkpoint_dir: str | None = "checkpoints"
    """Directory of checkpoints; None for no files."""
    checkpoint_interval: int = 1
    """Epochs between checkpoints, of which the last one is followed by one in any case; 0 for none."""
    max_checkpoints: int | None = None
    """Keep the newest so many; None keeps all."""
    save_best: bool = True
    """Keep the model with the lowest validation loss as ``best_model.pt``; needs a validation part."""
    use_scheduler: bool = False
    """Lower the learning rate when the validation loss stands still."""
    scheduler_patience: int = 10
    """Epochs without improvement before that."""
    scheduler_factor: float = 0.5
    """By which factor."""
    scheduler_min_lr: float = 1e-6
    """Never below this rate."""
    schedule: Schedule | None = None
    """Another rule for the learning rate, `Cosine` or `StepDecay`, instead of ``use_scheduler``."""
    average: Average | None = None
    """`ExponentialAverage` or `UniformAverage` of the weights: what is scored, saved and returned."""
    early_stopping: int | None = None
    """End when the validation loss has not fallen for so many epochs; None never does. Needs a validation part."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "method", _method(self.method))
        self._check_loss()
        self._check_loop()
        self._check_schedule()
        self._check_split()
        self._check_data()

    @property
    def batch_size(self) -> int | None:
        """Structures per batch; None for all in one."""
        return self.method.batchsize

    @property
    def alpha(self) -> float:
        """The weight of forces in the loss."""
        return self.force_weight

    @property
    def supervises_gradients(self) -> bool:
        """Whether forces or stress are trained on."""
        return self.force_weight > 0 or self.stress_weight > 0

    def _check_loss(self) -> None:
        number("force_weight", self.force_weight, low=0.0, high=1.0)
        number("stress_weight", self.stress_weight, low=0.0, high=1.0)
        if self.force_weight + self.stress_weight > 1:
            raise ConfigError(
                f"force_weight + stress_weight must be at most 1, got {self.force_weight} + {self.stress_weight}"
            )
        choice("loss", self.loss, ("rmse", "mae", "huber"))
        if number("huber_delta", self.huber_delta) <= 0:
            raise ConfigError(f"huber_delta must be above 0, got {self.huber_delta}")
        integer("force_rows", self.force_rows, low=1)
        number("force_fraction", self.force_fraction, low=0.0, high=1.0)
        choice("sampling_policy", self.sampling_policy, ("uniform", "energy_weighted", "error_weighted"))
        choice("force_sampling", self.force_sampling, ("random", "fixed"))
        integer("force_resample_num_epochs", self.force_resample_num_epochs, low=0)
        integer("force_min_structures_per_epoch", self.force_min_structures_per_epoch, low=0)

    def _check_loop(self) -> None:
        if not isinstance(self.method, TrainingMethod):
            raise ConfigError(
                f"method must be Adam(...), Kalman(...) or another TrainingMethod, or its name, got {self.method!r}"
            )
        integer("iterations", self.iterations, low=0)
        for name in ("seed", "split_seed"):
            if self.__dict__[name] is not None:
                integer(name, self.__dict__[name], low=0)
        for name in ("num_workers", "split_gap"):
            integer(name, self.__dict__[name], low=0)
        integer("prefetch_factor", self.prefetch_factor, low=1)
        choice("precision", self.precision, ("auto", "float32", "float64"))
        choice("memory_mode", self.memory_mode, ("cpu", "gpu", "mixed"))
        bytes_of(self.memory_limit)
        if self.device is not None:
            require_device_name(self.device)
        choice("cache_scope", self.cache_scope, ("all", "train", "val"))

    def _check_schedule(self) -> None:
        _named("scheduler_", Plateau, self.scheduler_patience, self.scheduler_factor, self.scheduler_min_lr)
        if self.use_scheduler and self.schedule is not None:
            raise ConfigError("use_scheduler=True and schedule are two rules for one learning rate: give one of them")
        if self.schedule is not None and not isinstance(self.schedule, Schedule):
            raise ConfigError(
                f"schedule must be Cosine(...), StepDecay(...) or another Schedule, got {self.schedule!r}"
            )
        check_average(self.average)

    def _check_split(self) -> None:
        choice("split_by", self.split_by, ("structure", "group", "block"))
        integer("split_block", self.split_block, low=1)
        for name, weight in (self.group_weights or {}).items():
            number(f"group_weights[{name!r}]", weight, low=0)
        points = self.force_weight_schedule
        if points is None:
            return
        if not points or any(len(point) != 2 for point in points):
            raise ConfigError(f"force_weight_schedule must list pairs (epoch, weight), got {points!r}")
        for epoch, weight in points:
            integer("epoch of force_weight_schedule", epoch, low=0)
            number("weight of force_weight_schedule", weight, low=0.0, high=1.0 - self.stress_weight)
        if any(later[0] <= earlier[0] for earlier, later in pairwise(points)):
            raise ConfigError(f"force_weight_schedule must name epochs in ascending order, got {points!r}")
        if not self.force_weight:
            raise ConfigError("force_weight_schedule needs a force_weight above 0, which validation goes by")

    def _check_data(self) -> None:
        number("testpercent", self.testpercent, low=0, high=100)
        for name in ("max_energy", "max_forces", "E_shift", "E_scaling"):
            if self.__dict__[name] is not None:
                number(name, self.__dict__[name])
        if self.E_scaling is not None and self.E_scaling <= 0:
            raise ConfigError(f"E_scaling must be above 0, got {self.E_scaling}")
        for name in ("cache_feature_max_entries", "cache_neighbor_max_entries", "cache_force_triplet_max_entries"):
            if self.__dict__[name] is not None:
                integer(name, self.__dict__[name], low=0)
        for species, energy in (self.atomic_energies or {}).items():
            number(f"atomic_energies[{species!r}]", energy)
        if self.feature_stats is not None and set(self.feature_stats) != {"mean", "std"}:
            raise ConfigError(f"feature_stats must have the keys 'mean' and 'std', got {sorted(self.feature_stats)}")

    def force_weight_at(self, epoch: int) -> float | None:
        """Return the weight of forces after ``epoch`` completed epochs, None for that of the settings."""
        if self.force_weight_schedule is None:
            return None
        epochs, weights = zip(*self.force_weight_schedule, strict=True)
        return float(np.interp(epoch, epochs, weights))

    def method_for(self, parameters_per_network: int) -> TrainingMethod:
        """Return the method; ``"auto"`` is decided by the weights of the largest network.

        `Kalman` reaches in ten epochs what others need hundreds for, but its time and memory grow with the square of
        the weights of a network. Batches are smaller with forces, which bring more to a batch.
        """
        if not isinstance(self.method, Automatic):
            return self.method
        if parameters_per_network > LARGE:
            return Adam()
        return Kalman(batchsize=8) if self.supervises_gradients else Kalman()

    def plain(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        values = dict(self.__dict__)
        if self.feature_stats is not None:
            values["feature_stats"] = {name: np.asarray(value).tolist() for name, value in self.feature_stats.items()}
        return {name: plain(value, name) for name, value in values.items()}

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that a resumed run must share, as plain values."""
        values = self.plain()
        return {name: values[name] for name in DECISIVE}


@dataclass(frozen=True)
class Automatic(TrainingMethod):
    """Stands for the method that `TorchTrainingConfig.method_for` takes."""

    batchsize: int | None = None
    method_name: ClassVar[str] = "auto"

    def stepper(self, parameters: Sequence[Any]) -> Stepper:
        """Refuse: it must be decided before."""
        raise ConfigError("method='auto' must be decided first: ask `method_for`")


LARGE = 6_000
"""Weights of a network above which `Kalman` is too slow and large (its covariance takes 290 MB then)."""
METHODS: dict[str, type[TrainingMethod]] = {
    method.method_name: method for method in (Adam, AdamW, SGD, LBFGS, LevenbergMarquardt, Kalman, Automatic)
}
"""Methods by name."""


def _method(method: object) -> Any:
    """Return the method that a name stands for."""
    if method is None:
        return Adam()
    return METHODS[choice("method", method, tuple(METHODS))]() if isinstance(method, str) else method


def _named(prefix: str, cls: Callable[..., object], *values: object) -> None:
    """Let ``cls`` check the values; its messages name the settings of here."""
    try:
        cls(*values)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from None


DECISIVE = (
    "method", "testpercent", "split_by", "split_block", "split_gap", "group_key", "group_weights", "force_weight",
    "force_weight_schedule", "stress_weight", "loss", "huber_delta", "force_rows", "sampling_policy", "schedule",
    "average", "early_stopping", "early_stopping_min_delta",
    "force_fraction", "force_sampling",
    "force_resample_num_epochs", "force_min_structures_per_epoch", "force_scale_unbiased", "max_energy", "max_forces",
    "precision", "normalize_features", "normalize_energy", "feature_stats", "E_shift", "E_scaling", "use_scheduler",
    "scheduler_patience", "scheduler_factor", "scheduler_min_lr",
)  # fmt: skip
"""Fields that change what is learned: a checkpoint is resumed with the same ones only."""
