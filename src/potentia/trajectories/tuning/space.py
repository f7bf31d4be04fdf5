"""Spaces of settings to search: ranges and choices, some of which matter only beside a certain other one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from potentia.checks import choice, did_you_mean, integer, number
from potentia.errors import ConfigError
from potentia.trajectories.study_config import number_from

if TYPE_CHECKING:
    from optuna import Trial

__all__ = ["CHILDREN", "check_space", "draw"]

CHILDREN: Mapping[str, tuple[str, Any]] = {
    "poly_power": ("scheduler", "poly"),
    "eta_min": ("scheduler", "cosine"),
    "momentum": ("optimizer", "sgd"),
    "beta": ("loss_function", "smoothl1"),
    "coeff_width": ("coeff_network", True),
    "coeff_layers": ("coeff_network", True),
}
"""Setting → another setting, and the value of that one beside which it matters."""
_KEYS = {"int": {"type", "low", "high", "step"}, "float": {"type", "low", "high", "log"}}


def check_space(where: str, space: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the space, text "True" and "False" among choices as what they mean.

    Args:
        where: Names the space in messages.
        space: Setting → ``{type: int, low, high, step}``, ``{type: float, low, high, log}`` or ``{choices: [...]}``.

    Raises:
        ConfigError: an entry is none of these.
    """
    return {name: _entry(f"{where}.{name}", entry) for name, entry in space.items()}


def draw(trial: Trial, space: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return settings for a trial; one that matters beside another is drawn only where it does.

    A setting whose other one is not in the space is drawn always.
    """
    found: dict[str, Any] = {}
    for name in sorted(space, key=lambda name: (name in CHILDREN, list(space).index(name))):
        other, value = CHILDREN.get(name, ("", None))
        if other in space and found[other] != value:
            continue
        found[name] = _drawn(trial, name, space[name])
    return found


def _drawn(trial: Trial, name: str, entry: Mapping[str, Any]) -> Any:
    if "choices" in entry:
        return trial.suggest_categorical(name, entry["choices"])
    if entry["type"] == "int":
        return trial.suggest_int(name, entry["low"], entry["high"], step=entry["step"])
    return trial.suggest_float(name, entry["low"], entry["high"], log=entry["log"])


def _entry(where: str, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{where} must be a block with type, low and high, or with choices, got {entry!r}")
    if "choices" in entry:
        _refuse_others(where, entry, {"choices"})
        if not isinstance(entry["choices"], list) or not entry["choices"]:
            raise ConfigError(f"{where}.choices must list values, got {entry['choices']!r}")
        meant = {"True": True, "False": False}
        return {"choices": [meant.get(one, one) if isinstance(one, str) else one for one in entry["choices"]]}
    kind = choice(f"{where}.type", entry.get("type"), list(_KEYS))
    _refuse_others(where, entry, _KEYS[kind])
    low, high = (_bound(f"{where}.{key}", kind, entry.get(key)) for key in ("low", "high"))
    if low > high:
        raise ConfigError(f"{where}: low={low} is above high={high}")
    if kind == "int":
        return {"type": kind, "low": low, "high": high, "step": integer(f"{where}.step", entry.get("step", 1), low=1)}
    log = entry.get("log", False)
    if not isinstance(log, bool) or (log and low <= 0):
        raise ConfigError(f"{where}.log must be true or false, and true only where low is above 0")
    return {"type": kind, "low": low, "high": high, "log": log}


def _bound(where: str, kind: str, value: Any) -> float:
    if isinstance(value, str):  # such as 1e-5, which is text in YAML 1.1
        value = number_from(value, where)
        value = int(value) if value.is_integer() and kind == "int" else value
    return integer(where, value) if kind == "int" else number(where, value)


def _refuse_others(where: str, entry: Mapping[str, Any], known: set[str]) -> None:
    for key in entry:
        if key not in known:
            raise ConfigError(f"there is no {key!r} in {where}{did_you_mean(key, sorted(known))}")
