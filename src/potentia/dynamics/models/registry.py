"""Models of dynamics by name: those that come with the package, and those of users."""

from __future__ import annotations

from potentia.checks import did_you_mean
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError

__all__ = ["MODEL_SPECS", "get_model_spec", "list_model_specs", "register_model_spec"]

MODEL_SPECS: dict[str, ModelSpec] = {}
"""Name → model."""


def register_model_spec(spec: ModelSpec, *, replace: bool = False) -> ModelSpec:
    """Give a model its name, and return it.

    Raises:
        ConfigError: the name is taken and ``replace`` is not set.
    """
    if spec.name in MODEL_SPECS and not replace:
        raise ConfigError(f"there is a model {spec.name!r} already: choose another name, or replace=True")
    MODEL_SPECS[spec.name] = spec
    return spec


def list_model_specs() -> list[str]:
    """Return the known names, sorted."""
    return sorted(MODEL_SPECS)


def get_model_spec(name: str) -> ModelSpec:
    """Return the model of this name.

    Raises:
        ConfigError: there is none; the message lists the known ones.
    """
    if name not in MODEL_SPECS:
        listed = ", ".join(list_model_specs())
        near = did_you_mean(name, list_model_specs()) if isinstance(name, str) else ""
        hint = near if near.startswith("; did") else ""
        raise ConfigError(f"Unknown model {name!r}. Available models: {listed}{hint}")
    return MODEL_SPECS[name]
