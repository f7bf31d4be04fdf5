"""A model from what a file tells of it: equations by the name it is registered under, numbers from the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from potentia.dynamics.models.registry import MODEL_SPECS, list_model_specs
from potentia.dynamics.spec import ModelSpec, Parameter
from potentia.errors import ConfigError

__all__ = ["spec_of_description"]


def spec_of_description(description: Mapping[str, Any]) -> ModelSpec:
    """Return the model that `ModelSpec.describe` has described.

    Bounds, defaults, shapes and constants are those of the description; a parameter may have become a constant.

    Raises:
        ConfigError: no model of this name is registered, or it has other states, controls or parameters.
    """
    name = description["name"]
    if name not in MODEL_SPECS:
        raise ConfigError(
            f"this needs the model {name!r}, whose equations are no part of a file: register it first with "
            f"register_model_spec(...); known are {', '.join(list_model_specs())}"
        )
    base = MODEL_SPECS[name]
    found = {
        "states": list(base.state_names),
        "controls": list(base.control_names),
        "parameters and constants": sorted([*base.param_keys, *base.constants]),
    }
    keys = [parameter["name"] for parameter in description["parameters"]]
    wanted = {
        "states": list(description["states"]),
        "controls": list(description["controls"]),
        "parameters and constants": sorted([*keys, *description["constants"]]),
    }
    for what, names in wanted.items():
        if names != found[what]:
            raise ConfigError(
                f"the registered model {name!r} is not the one of the file: its {what} are "
                f"{', '.join(found[what])}, in the file {', '.join(names)}; register the one it was trained with"
            )
    units = {parameter.name: parameter.unit for parameter in base.parameters}
    parameters = tuple(_parameter(told, units.get(told["name"], "")) for told in description["parameters"])
    gauge = tuple(key for key in base.gauge if key in keys)
    return replace(base, parameters=parameters, constants=dict(description["constants"]), gauge=gauge)


def _parameter(told: Mapping[str, Any], unit: str) -> Parameter:
    return Parameter(
        name=told["name"],
        low=told["low"],
        high=told["high"],
        default=told["default"],
        unit=unit,
        scale=told["scale"],
        shape=tuple(told["shape"]),
    )
