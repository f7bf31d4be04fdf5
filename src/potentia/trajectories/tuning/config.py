"""Settings of a search for settings of surrogates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from potentia.checks import did_you_mean, integer, number
from potentia.config import from_dict, to_dict
from potentia.errors import ConfigError
from potentia.trajectories.study_config import number_from, without_none_text
from potentia.trajectories.tuning.space import check_space
from potentia.trajectories.tuning.storage import without_password

__all__ = ["FREE", "TunedSurrogate", "TuningConfig"]

FREE = ("devices", "trials", "storage", "postgres_config", "keep_models", "optuna_logging", "defaults")
"""Keys that may change when a search goes on; its ``defaults`` stay those that it began with."""


@dataclass(frozen=True, kw_only=True)
class TunedSurrogate:
    """One of the surrogates, and what is searched."""

    name: str
    """Name of its class."""
    batch_size: int
    """Of every trial, in its own unit."""
    epochs: int
    """Of every trial that is not ended early."""
    trials: int
    """Trials in all, with those of earlier runs; a fine search sets them itself."""
    optuna_params: Mapping[str, Any]
    """Setting → range or choices, see `potentia.trajectories.tuning.space`; a fine search sets them itself."""
    settings: Mapping[str, Any]
    """Settings of all trials that are not searched."""


@dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """All settings of a search."""

    tuning_id: str
    """Name of its directory in ``tuned/``."""
    dataset: Mapping[str, Any]
    """As for a study; trials are compared on the test part, the held-out part is not looked at."""
    surrogates: tuple[TunedSurrogate, ...]
    """What is searched, one after the other."""
    devices: tuple[str, ...] = ("cpu",)
    """One for each trial at a time."""
    seed: int = 42
    """Of the search, and of every trial with its number."""
    threads: int = 1
    """Threads of each trial."""
    storage: str | Mapping[str, Any] | None = None
    """URL of the database, such as ``"postgresql://user@host/name"``, or a block with ``backend`` and ``path``, see
    `potentia.trajectories.tuning.storage`; None for a SQLite file in the directory. Files have it without password."""
    postgres_config: Mapping[str, Any] | None = None
    """Where the PostgreSQL server is, where ``storage`` has no URL: host, port, user, password, db_name, sslmode."""
    multi_objective: bool = False
    """Whether the time of a prediction is made small beside the error (NSGA-II; else TPE)."""
    population_size: int = 50
    """Of NSGA-II."""
    prune: bool = True
    """Whether trials that go badly are ended early (Hyperband), where there is one objective."""
    time_pruning: bool = True
    """Whether, with two objectives, trials are ended early that would take longer than the mean and one standard
    deviation of the first ones: those are 10, or 10 % of all if that is more."""
    fine: bool = False
    """Whether what is searched is a decade to both sides of each default, instead of ``optuna_params``."""
    keep_models: bool = True
    """Whether the model of each trial that was not ended early is kept in ``models/``."""
    optuna_logging: bool = False
    """Whether Optuna tells of each trial."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Surrogate → settings beside the data that took the place of its defaults when the search began."""
    target_percentile: float = 0.99
    """Quantile of the errors on the test part that is made small (0 to 1)."""
    loss_cap: float = 20.0
    """Larger errors, and trainings that fail for their numbers or for memory, count as this one."""

    def __post_init__(self) -> None:
        integer("seed", self.seed, low=0)
        integer("threads", self.threads, low=1)
        integer("population_size", self.population_size, low=2)
        number("target_percentile", self.target_percentile, low=0, high=1)
        number("loss_cap", self.loss_cap, low=0)
        for name in ("multi_objective", "prune", "time_pruning", "fine", "keep_models", "optuna_logging"):
            if not isinstance(self.__dict__[name], bool):
                raise ConfigError(f"{name} must be true or false, got {self.__dict__[name]!r}")
        names = [one.name for one in self.surrogates]
        if len(set(names)) < len(names):
            raise ConfigError(f"surrogates lists one more than once: {', '.join(names)}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> TuningConfig:
        """Return the settings from the content of a file.

        ``surrogates`` lists blocks with name, batch_size, epochs, trials, optuna_params and settings; ``trials``,
        ``global_optuna_params`` are for those that have none of their own.

        Raises:
            ConfigError: a key is unknown or missing, or a value cannot be.
        """
        mapping = without_none_text(mapping)
        own = [one.name for one in fields(cls)]
        for key in mapping:
            if key not in {*own, "trials", "global_optuna_params"}:
                raise ConfigError(f"there is no setting {key!r}{did_you_mean(key, [*own, 'trials'])}")
        values = {key: value for key, value in mapping.items() if key in own}
        for key in ("target_percentile", "loss_cap"):
            if isinstance(values.get(key), str):
                values[key] = number_from(values[key], key)
        blocks = values.get("surrogates")
        if not isinstance(blocks, list) or not blocks or not all(isinstance(block, Mapping) for block in blocks):
            raise ConfigError("surrogates must list a block with name, batch_size, epochs and optuna_params for each")
        if isinstance(values.get("devices"), str):
            values["devices"] = [values["devices"]]
        shared, trials = mapping.get("global_optuna_params") or {}, mapping.get("trials", 50)
        fine = values.get("fine") is True
        values["surrogates"] = [_surrogate(block, shared, trials, fine) for block in blocks]
        return from_dict(cls, values)

    def to_mapping(self) -> dict[str, Any]:
        """Return all settings, plain, surrogates by name, without passwords."""
        found = {**to_dict(self), "surrogates": {one.name: to_dict(one) for one in self.surrogates}}
        if isinstance(self.storage, str):
            found["storage"] = without_password(self.storage)
        if self.postgres_config is not None:
            found["postgres_config"].pop("password", None)
        return found


def _surrogate(block: Mapping[str, Any], shared: Mapping[str, Any], trials: Any, fine: bool) -> dict[str, Any]:
    name = block.get("name", "?")
    space = check_space(f"optuna_params of {name}", {**shared, **(block.get("optuna_params") or {})})
    if not space and not fine:
        raise ConfigError(f"{name} has no optuna_params: there is nothing to search")
    found = {"trials": trials, "settings": {}, **block, "optuna_params": space}
    for key in ("trials", "batch_size", "epochs"):
        integer(f"{key} of {name}", found.get(key), low=1)
    return found
