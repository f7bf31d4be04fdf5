"""A model from what a file tells of it: equations by the name it is registered under, numbers from the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from potentia.dynamics.models.registry import MODEL_SPECS, list_model_specs
from potentia.dynamics.spec import ModelSpec, Parameter
from potentia.errors import ConfigError
from potentia.seeding import stream

__all__ = ["probe", "require_equations", "spec_of_description"]

ROWS = 32


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
            f"register_model_spec(...); known are {', '.join(list_model_specs())}",
            page="dynamics.md#one-of-your-own",
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


def probe(spec: ModelSpec) -> Tensor:
    """Return the rates at states that are always the same, by which equations can be told apart.  [rows, states]"""
    drawn = stream(0, "probe of equations")
    states = torch.from_numpy(drawn.uniform(0, 2, (ROWS, len(spec.states))))
    controls = torch.from_numpy(drawn.uniform(-1, 1, (ROWS, len(spec.controls))))
    params = {key: torch.from_numpy(value).expand(ROWS, *value.shape) for key, value in spec.default_params.items()}
    with torch.no_grad():
        return spec.rates(states, controls, params)


def require_equations(spec: ModelSpec, rates: Tensor) -> None:
    """Raise `ConfigError` unless `probe` of this model gives these rates, as it did when a file was written."""
    if not torch.allclose(probe(spec), rates, rtol=1e-9, atol=1e-12, equal_nan=True):
        raise ConfigError(
            f"the registered model {spec.name!r} is not the one of the file: it has the same names, but other "
            "equations; register the one it was trained with"
        )


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
