"""What a study has trained: whether it is what is asked for, and its models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from potentia.config import differences
from potentia.errors import ConfigError
from potentia.study import SNAPSHOT, read_yaml
from potentia.trajectories.study_config import FREE, StudyConfig

__all__ = ["require_trained"]


def require_trained(config: StudyConfig, directory: Path) -> None:
    """Raise `ConfigError` unless the study in ``directory`` was trained with these settings, or with more of them.

    Surrogates and modalities may be left out and lists of modalities may be shorter; everything else that decides what
    is trained must be the same.
    """
    snapshot = directory / SNAPSHOT
    if not snapshot.is_file():
        raise ConfigError(
            f"nothing is trained under {config.training_id!r}: there is no {snapshot}; run the study first"
        )
    trained = StudyConfig.from_mapping(read_yaml(snapshot))
    plans = {plan.name: plan for plan in trained.surrogates}
    missing = [plan.name for plan in config.surrogates if plan.name not in plans]
    if missing:
        raise ConfigError(f"{directory} has no {', '.join(missing)}; it has {', '.join(plans)}")
    for asked, found in zip(config.modalities, trained.modalities, strict=True):
        asked.require_within(found)
    names = [plan.name for plan in config.surrogates]
    changed = differences(_core(trained, names), _core(config, names))
    if changed:
        listed = "\n  ".join(changed)
        raise ConfigError(
            f"{directory} was trained with other settings:\n  {listed}\nEvaluate with those of {snapshot}"
        )


def _core(config: StudyConfig, names: list[str]) -> Mapping[str, Any]:
    """Return what must be the same, of some of the surrogates."""
    left_out = {*FREE, "surrogates", "batch_size", "epochs", *(modality.key for modality in config.modalities)}
    core = {key: value for key, value in config.to_mapping().items() if key not in left_out}
    plans = {plan.name: plan for plan in config.surrogates}
    sizes = {name: {"batch_size": plans[name].batch_size, "epochs": plans[name].training.epochs} for name in names}
    return {**core, "surrogate_configs": {name: {**sizes[name], **plans[name].settings()} for name in names}}
