"""Settings of a study: which surrogates are trained on which data, in which variants, and what is evaluated."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from potentia.checks import did_you_mean, integer
from potentia.config import from_dict, to_dict
from potentia.errors import ConfigError
from potentia.train.device import require_device_name
from potentia.trajectories.evaluation_settings import EvaluationSettings
from potentia.trajectories.modalities import MAIN, MODALITIES, Modality, Variant
from potentia.trajectories.networks.base import NetworkConfig
from potentia.trajectories.scaling import Preprocessing
from potentia.trajectories.surrogates import SURROGATES
from potentia.trajectories.training_config import TrajectoryTrainingConfig

__all__ = ["FREE", "DatasetConfig", "StudyConfig", "SurrogatePlan", "number_from", "without_none_text"]

_OF_THE_STUDY = {
    "epochs": "epochs",
    "batch_size": "batch_size",
    "seed": "seed",
    "device": "devices",
    "save_best": "checkpoint",
    "checkpoint_dir": "--root",
    "stop_on_signal": "its process, which ends, and goes on from checkpoints when it runs again",
    "show_progress": "verbose",
    "show_batch_progress": "verbose",
}
"""Settings of a training that the study decides, and by what."""
_OF_THE_DATA = ("log10", "tolerance", "log_timesteps")
"""Settings of an evaluation that follow from ``dataset``."""
_EVALUATION = tuple(field.name for field in fields(EvaluationSettings) if field.name not in _OF_THE_DATA)

FREE = ("devices", "verbose", *_EVALUATION)
"""Keys that do not decide what is trained."""


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """The data and what is done to them before training."""

    name: str
    """Name of a directory in ``datasets/`` whatever its case, or path of a file or a directory with ``data.hdf5``."""
    preprocessing: Preprocessing
    """Transforms of states, parameters and times."""
    subset_factor: int = 1
    """Every so many-th trajectory is trained on and selected by; the held-out part stays whole."""
    use_optimal_params: bool = True
    """Whether ``surrogate_configs.yaml`` beside the data, where there is one, takes the place of defaults."""
    mark: str | None = None
    """Hash that the content of the data must have; None for any. The snapshot of a study has it."""

    def __post_init__(self) -> None:
        integer("dataset.subset_factor", self.subset_factor, low=1)
        _flag("dataset.use_optimal_params", self.use_optimal_params)

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> DatasetConfig:
        """Return the settings from the block ``dataset``."""
        transforms = {field.name for field in fields(Preprocessing)}
        own = {field.name for field in fields(cls)} - {"preprocessing"}
        _refuse_unknown("dataset", mapping, sorted([*own, *transforms]))
        if not isinstance(mapping.get("name"), str):
            raise ConfigError("dataset.name must say which data are meant, a directory in datasets/ or a path")
        values = {key: value for key, value in mapping.items() if key in transforms}
        preprocessing = from_dict(Preprocessing, _numbers_of(Preprocessing, values, "dataset"))
        return cls(preprocessing=preprocessing, **{key: value for key, value in mapping.items() if key in own})

    def to_mapping(self) -> dict[str, Any]:
        """Return the block ``dataset``."""
        own = {key: value for key, value in to_dict(self).items() if key != "preprocessing"}
        return {"name": own.pop("name"), **to_dict(self.preprocessing), **own}


@dataclass(frozen=True, kw_only=True)
class SurrogatePlan:
    """One of the surrogates, with all of its settings."""

    name: str
    """Name of its class."""
    network: NetworkConfig
    """Of its network."""
    training: TrajectoryTrainingConfig
    """Of the training of its main model, but for what each task sets: seed, device and directories."""

    @property
    def batch_size(self) -> int:
        """Size of the batches of its main model, in its own unit (points or trajectories)."""
        size = self.training.batch_size
        assert size is not None  # a study always says it
        return size

    def settings(self) -> dict[str, Any]:
        """Return its entry of ``surrogate_configs``: all settings, plain, that the study does not set elsewhere."""
        own = {key: value for key, value in to_dict(self.training).items() if key not in _OF_THE_STUDY}
        return {**to_dict(self.network), **own}


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """All settings of a study, resolved."""

    training_id: str
    """Name of its directory in ``trained/`` and ``results/``."""
    surrogates: tuple[SurrogatePlan, ...]
    """What is trained, in this order."""
    dataset: DatasetConfig
    """On what."""
    devices: tuple[str, ...]
    """One for each task at a time; the same device twice is two tasks at a time on it."""
    seed: int = 42
    """Of all tasks: each has its own seed, derived from this one, its surrogate, mode and metric."""
    threads: int = 1
    """Threads of each task."""
    verbose: bool = False
    """Whether the commands describe the data and name each task when it ends."""
    checkpoint: bool = False
    """Whether the weights of the epoch with the lowest test loss are kept, instead of the last ones."""
    modalities: tuple[Modality[Any], ...] = ()
    """What is trained beside the main models, in the order of the tasks."""
    evaluation: EvaluationSettings
    """What is looked at afterwards."""

    @classmethod
    def from_mapping(
        cls, mapping: Mapping[str, Any], optimal: Mapping[str, Mapping[str, Any]] | None = None
    ) -> StudyConfig:
        """Return the settings from the content of a file.

        Args:
            mapping: Keys as the documentation lists them; the text ``"None"`` is None.
            optimal: Settings of surrogates that take the place of defaults, by name; what the file says goes before.

        Raises:
            ConfigError: a key or surrogate is unknown, is missing, is there twice or has a value that cannot be.
        """
        given = without_none_text(mapping)
        blocks = {modality.key: modality for modality in MODALITIES}
        own = [field.name for field in fields(cls) if field.name not in {"modalities", "evaluation"}]
        _refuse_unknown("", given, [*own, "batch_size", "epochs", "surrogate_configs", *blocks, *_EVALUATION])
        for key in ("training_id", "surrogates", "batch_size", "epochs", "devices", "dataset"):
            if given.get(key) is None:
                raise ConfigError(f"the settings of a study need the key {key!r}")
        if not isinstance(given["training_id"], str) or not re.fullmatch(r"[\w+-][\w.+-]*", given["training_id"]):
            raise ConfigError(
                f"training_id must be text that can name a directory (quoted if it is a number), got "
                f"{given['training_id']!r}"
            )
        dataset = DatasetConfig.of(_block("dataset", given["dataset"]))
        checkpoint, verbose = (_flag(key, given.get(key, False)) for key in ("checkpoint", "verbose"))
        return cls(
            training_id=given["training_id"],
            surrogates=_plans(given, checkpoint, optimal or {}),
            dataset=dataset,
            devices=_devices(given["devices"]),
            seed=integer("seed", given.get("seed", 42), low=0),
            threads=integer("threads", given.get("threads", 1), low=1),
            verbose=verbose,
            checkpoint=checkpoint,
            modalities=tuple(_modality(kind, _block(key, given.get(key) or {})) for key, kind in blocks.items()),
            evaluation=_evaluation(given, dataset),
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return all settings as the content of a file; `from_mapping` is the inverse."""
        looks = to_dict(self.evaluation)
        return {
            "training_id": self.training_id,
            "surrogates": [plan.name for plan in self.surrogates],
            "batch_size": [plan.training.batch_size for plan in self.surrogates],
            "epochs": [plan.training.epochs for plan in self.surrogates],
            "devices": list(self.devices),
            "seed": self.seed,
            "threads": self.threads,
            "verbose": self.verbose,
            "checkpoint": self.checkpoint,
            "dataset": self.dataset.to_mapping(),
            **{modality.key: to_dict(modality) for modality in self.modalities},
            **{key: looks[key] for key in _EVALUATION},
            "surrogate_configs": {plan.name: plan.settings() for plan in self.surrogates},
        }

    def variants(self, plan: SurrogatePlan) -> list[Variant]:
        """Return the models of a surrogate in the order of their tasks."""
        beside = [variant for modality in self.modalities for variant in modality.variants(plan.batch_size)]
        return [Variant(MAIN, "", None, plan.batch_size), *beside]


def _plans(
    given: Mapping[str, Any], checkpoint: bool, optimal: Mapping[str, Mapping[str, Any]]
) -> tuple[SurrogatePlan, ...]:
    names = given["surrogates"]
    if not isinstance(names, list | tuple) or not names:
        raise ConfigError(f"surrogates must list names of classes, got {names!r}")
    for name in names:
        if not isinstance(name, str) or name not in SURROGATES:
            raise ConfigError(f"there is no surrogate {name!r}{did_you_mean(str(name), SURROGATES)}")
        if names.count(name) > 1:
            raise ConfigError(f"surrogates lists {name} more than once; give the second study a training_id of its own")
    of_each = {key: _aligned(key, given[key], names) for key in ("batch_size", "epochs")}
    configs = _block("surrogate_configs", given.get("surrogate_configs") or {})
    for name in configs:
        if name not in names:
            raise ConfigError(
                f"surrogate_configs has {name!r}, which surrogates does not list{did_you_mean(name, names)}"
            )
    for name in optimal:
        if name not in SURROGATES:
            raise ConfigError(
                f"the defaults of the data have {name!r}, which is no surrogate{did_you_mean(name, SURROGATES)}"
            )
    plans = []
    for k, name in enumerate(names):
        before = _hyperparameters(name, optimal.get(name, {}), f"the defaults of the data for {name}")
        said = _hyperparameters(name, _block(f"surrogate_configs.{name}", configs.get(name) or {}), name)
        training = {"epochs": of_each["epochs"][k], "batch_size": of_each["batch_size"][k], "save_best": checkpoint}
        plans.append(_plan(name, {**before, **said}, training))
    return tuple(plans)


def _plan(name: str, values: Mapping[str, Any], training: Mapping[str, Any]) -> SurrogatePlan:
    kind = SURROGATES[name].config_class
    of_network = {field.name for field in fields(kind)}
    try:
        network = from_dict(kind, {key: value for key, value in values.items() if key in of_network})
        rest = {key: value for key, value in values.items() if key not in of_network}
        return SurrogatePlan(
            name=name, network=network, training=from_dict(TrajectoryTrainingConfig, {**rest, **training})
        )
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None


def _hyperparameters(name: str, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return settings of the network and the training of a surrogate, numbers made from text."""
    kind = SURROGATES[name].config_class
    known = {field.name for config in (kind, TrajectoryTrainingConfig) for field in fields(config)}
    for key in values:
        if key in _OF_THE_STUDY:
            raise ConfigError(f"{where}: {key} is set by {_OF_THE_STUDY[key]} of the study, not in surrogate_configs")
    _refuse_unknown(where, values, sorted(known - _OF_THE_STUDY.keys()))
    return _numbers_of(kind, _numbers_of(TrajectoryTrainingConfig, values, where), where)


def _evaluation(given: Mapping[str, Any], dataset: DatasetConfig) -> EvaluationSettings:
    transforms = dataset.preprocessing
    values = {"compare": False, **{key: given[key] for key in _EVALUATION if key in given}}
    return from_dict(
        EvaluationSettings,
        {
            **_numbers_of(EvaluationSettings, values, ""),
            "log10": transforms.log10_transform,
            "tolerance": transforms.tolerance if transforms.log10_transform else None,
            "log_timesteps": transforms.log_timesteps,
        },
    )


def _modality(kind: type[Modality[Any]], block: Mapping[str, Any]) -> Modality[Any]:
    _refuse_unknown(kind.key, block, [field.name for field in fields(kind)])
    values = {key: value for key, value in block.items() if value is not None}
    _flag(f"{kind.key}.enabled", values.get("enabled", False))
    return from_dict(kind, values)


def _aligned(key: str, value: Any, names: Sequence[str]) -> list[int]:
    """Return one integer for each surrogate, from one for all or a list."""
    values = list(value) if isinstance(value, list | tuple) else [value] * len(names)
    if len(values) != len(names):
        raise ConfigError(
            f"{key} has {len(values)} entries for {len(names)} surrogates: give one for each, or one number"
        )
    return [integer(f"{key} of {name}", one, low=1) for name, one in zip(names, values, strict=True)]


def _devices(value: Any) -> tuple[str, ...]:
    devices = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
    if not devices or not all(isinstance(device, str) for device in devices):
        raise ConfigError(
            f"devices must be the name of a device or a list of them, such as ['cpu', 'cpu'], got {value!r}"
        )
    for device in devices:
        try:
            require_device_name(device)
        except ConfigError as error:
            raise ConfigError(f"devices: {error}") from None
    return devices


def _block(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{key} must be a block of names and values, got {value!r}")
    return dict(value)


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{key} must be true or false, got {value!r}")
    return value


def _refuse_unknown(where: str, values: Mapping[str, Any], known: typing.Iterable[str]) -> None:
    known = list(known)
    for key in values:
        if key not in known:
            place = f" in {where}" if where else ""
            raise ConfigError(f"there is no setting {key!r}{place}{did_you_mean(key, known)}")


def without_none_text(value: Any) -> Any:
    """Return mappings with None in place of the text "None", at any depth."""
    if isinstance(value, Mapping):
        return {key: without_none_text(item) for key, item in value.items()}
    return None if value == "None" else value


def _numbers_of(kind: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return ``values`` with text such as ``"1e-25"`` as numbers, where a field of ``kind`` takes no text."""
    hints = typing.get_type_hints(kind)
    return {
        key: number_from(value, f"{where}.{key}".lstrip("."))
        if isinstance(value, str) and _takes(hints.get(key), float) and not _takes(hints.get(key), str)
        else value
        for key, value in values.items()
    }


def _takes(hint: Any, kind: type) -> bool:
    return hint is kind or kind in typing.get_args(hint)


def number_from(text: str, name: str) -> float:
    """Return a number that is written as text.

    Raises:
        ConfigError: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{name} must be a number, got {text!r}") from None
