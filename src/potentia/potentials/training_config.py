"""Settings of the training of a potential: one flat dataclass, as users of ænet know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentia.checks import choice, integer, number
from potentia.config import plain
from potentia.errors import ConfigError
from potentia.train import Adam, TrainingMethod

__all__ = ["TorchTrainingConfig"]

LATER = {
    "sampling_policy": "non-uniform sampling",
    "cache_feature_max_entries": "bounded caches",
    "cache_neighbor_max_entries": "bounded caches",
    "cache_force_triplet_max_entries": "bounded caches",
    "cache_persist_dir": "caches on disk",
    "cache_scope": "caches of one part of the data",
    "num_workers": "data loading in worker processes",
    "prefetch_factor": "data loading in worker processes",
    "save_energies": "tables of energies on disk",
    "save_forces": "tables of forces on disk",
}
"""Settings that this release knows but cannot do, with what they are for; only their defaults are accepted."""


@dataclass(frozen=True, kw_only=True)
class TorchTrainingConfig:
    """How to train a `TorchANNPotential`.

    Features and neighbours are computed once before the first epoch and kept in memory. ``cache_features``,
    ``cache_neighbors``, ``cache_force_triplets`` and ``cache_warmup`` ask for just that and are always granted: numbers
    and speed are the same with and without them.

    Raises:
        ConfigError: a value cannot be; the message names the field.
        NotImplementedError: a setting is valid but not part of this release.

    Example:
        >>> config = TorchTrainingConfig(iterations=10, method=Adam(mu=0.01, batchsize=16), force_weight=0.1)
        >>> config.batch_size, config.alpha
        (16, 0.1)
    """

    iterations: int = 100
    """Epochs; after ``resume_from``, additional epochs."""
    method: TrainingMethod = None  # type: ignore[assignment]  # the settings never hold None
    """Optimizer with its batch size; None for `Adam` with its defaults."""
    testpercent: float = 10
    """Part of the structures held out for validation (%)."""
    seed: int | None = None
    """Seed of initial weights, shuffling and force subsets; None draws one. A given seed starts from new weights."""
    split_seed: int | None = None
    """Seed of the split into training and validation; None derives it from ``seed``."""
    force_weight: float = 0.0
    """α in the loss (1 - α - β)·RMSE(energy per atom) + α·RMSE(force components) + β·RMSE(virial per atom)."""
    stress_weight: float = 0.0
    """β in the loss. The virial is stress × volume, so that the term has the unit of the energies (eV/atom)."""
    loss: str = "rmse"
    """Measure of each term: ``"rmse"`` as above, ``"mae"``, or ``"huber"`` between them."""
    huber_delta: float = 0.01
    """Where Huber's function goes over from squares to absolute values (eV/atom, eV/Å)."""
    force_rows: int = 4
    """Rows that the forces of a structure are gathered in, for `Kalman` and `LevenbergMarquardt`."""
    force_fraction: float = 1.0
    """Part of the structures with forces that is trained on them."""
    sampling_policy: str = "uniform"
    """How structures are drawn into batches."""
    force_sampling: str = "random"
    """``"random"``: the subset may be drawn again; ``"fixed"``: it never is."""
    force_resample_num_epochs: int = 0
    """Epochs between drawings of the force subset, for ``"random"``; 0 draws once."""
    force_min_structures_per_epoch: int = 1
    """Least size of the force subset."""
    force_scale_unbiased: bool = False
    """Multiply the force term by 1/√(supervised / labelled atoms) of the batch."""
    cache_features: bool = False
    """Always granted, see above."""
    cache_feature_max_entries: int | None = 1024
    """For bounded caches."""
    cache_neighbors: bool = False
    """Always granted, see above."""
    cache_neighbor_max_entries: int | None = 512
    """For bounded caches."""
    cache_force_triplets: bool = False
    """Always granted: the kernels need no triplets."""
    cache_force_triplet_max_entries: int | None = 256
    """For bounded caches."""
    cache_persist_dir: str | None = None
    """Directory of caches on disk."""
    cache_scope: str = "all"
    """Which part is cached: ``"all"``, ``"train"``, ``"val"``."""
    cache_warmup: bool = False
    """Always granted, see above."""
    memory_mode: str = "gpu"
    """``"cpu"`` or ``"gpu"``: follow ``device``; ``"mixed"`` is not part of this release."""
    max_energy: float | None = None
    """Leave out structures above this energy per atom, relative to free atoms (eV/atom); the split stays the same."""
    max_forces: float | None = None
    """Leave out structures with a force of larger magnitude than this (eV/Å); the split stays the same."""
    save_energies: bool = False
    """Write energy tables."""
    save_forces: bool = False
    """Write force tables."""
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
    """Worker processes for data."""
    prefetch_factor: int = 2
    """Batches a worker prepares ahead."""
    persistent_workers: bool = True
    """Keep workers between epochs."""
    show_progress: bool = True
    """Show a progress bar over epochs."""
    show_batch_progress: bool = False
    """Show a progress bar over the batches of each epoch."""
    checkpoint_dir: str | None = "checkpoints"
    """Directory of checkpoints; None for no files."""
    checkpoint_interval: int = 1
    """Epochs between checkpoints; 0 for none."""
    checkpoint_batches: int = 0
    """Batches between checkpoints inside an epoch; 0 for none."""
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

    def __post_init__(self) -> None:
        if self.method is None:
            object.__setattr__(self, "method", Adam())
        self._check_loss()
        self._check_loop()
        self._check_data()
        self._refuse_later()

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
            raise ConfigError(f"method must be Adam(...), SGD(...) or another TrainingMethod, got {self.method!r}")
        integer("iterations", self.iterations, low=0)
        for name in ("seed", "split_seed"):
            if self.__dict__[name] is not None:
                integer(name, self.__dict__[name], low=0)
        for name in ("checkpoint_interval", "checkpoint_batches", "scheduler_patience", "num_workers"):
            integer(name, self.__dict__[name], low=0)
        integer("prefetch_factor", self.prefetch_factor, low=1)
        if self.max_checkpoints is not None:
            integer("max_checkpoints", self.max_checkpoints, low=1)
        number("scheduler_factor", self.scheduler_factor, low=0.0, high=1.0)
        number("scheduler_min_lr", self.scheduler_min_lr, low=0.0)
        choice("precision", self.precision, ("auto", "float32", "float64"))
        choice("memory_mode", self.memory_mode, ("cpu", "gpu", "mixed"))
        choice("cache_scope", self.cache_scope, ("all", "train", "val"))

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

    def _refuse_later(self) -> None:
        if self.memory_mode == "mixed":
            raise NotImplementedError("memory_mode='mixed' is reserved for a future real mixed-memory execution mode")
        defaults = {f.name: f.default for f in fields(self)}
        for name, purpose in LATER.items():
            if self.__dict__[name] != defaults[name]:
                raise NotImplementedError(
                    f"{name}={self.__dict__[name]!r} is for {purpose}, which is not in this release: leave {name} out"
                )

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


DECISIVE = (
    "method", "testpercent", "force_weight", "stress_weight", "loss", "huber_delta", "force_rows",
    "force_fraction", "force_sampling",
    "force_resample_num_epochs", "force_min_structures_per_epoch", "force_scale_unbiased", "max_energy", "max_forces",
    "precision", "normalize_features", "normalize_energy", "feature_stats", "E_shift", "E_scaling", "use_scheduler",
    "scheduler_patience", "scheduler_factor", "scheduler_min_lr",
)  # fmt: skip
"""Fields that change what is learned: a checkpoint is resumed with the same ones only."""
