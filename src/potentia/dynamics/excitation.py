"""Runs of a model: where they begin, what drives them, and what then happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.checks import did_you_mean
from potentia.dynamics.rollout import RolloutSettings, rollout
from potentia.dynamics.signals import Follow, Signal, Smooth, Steps
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError, DataError
from potentia.seeding import stream

__all__ = ["FINE", "Excitation", "default_excitation", "run"]

Floats: TypeAlias = NDArray[np.float64]

FINE = RolloutSettings(substeps=10)
"""How runs are solved: so finely that the steps of a training show."""


@dataclass(frozen=True, kw_only=True)
class Excitation:
    """Where runs begin and what drives them."""

    initial: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """State → interval that its first value is drawn from; states that are not named begin at 0."""
    controls: Mapping[str, Signal] = field(default_factory=dict)
    """Control → its signal; all of the model's are needed."""

    def require(self, spec: ModelSpec) -> None:
        """Check that the names are those of the model.

        Raises:
            ConfigError: a name is unknown, or a control has no signal.
        """
        for key in self.initial:
            if key not in spec.state_names:
                known = did_you_mean(key, spec.state_names)
                raise ConfigError(f"model {spec.name!r} has no state {key!r} to begin from{known}")
        for key in self.controls:
            if key not in spec.control_names:
                raise ConfigError(f"model {spec.name!r} has no control {key!r}{did_you_mean(key, spec.control_names)}")
        missing = [key for key in spec.control_names if key not in self.controls]
        if missing:
            raise ConfigError(f"model {spec.name!r}: say in Excitation(controls=...) what drives {', '.join(missing)}")


_SPEED = Follow(state="v", reference=Smooth(low=2.5, high=5.5, period=3.0), gain=2.0, low=-6.0, high=6.0)
_STEERING = Follow(state="delta", reference=Smooth(low=-0.15, high=0.15, period=1.5), gain=8.0, low=-3.0, high=3.0)

INITIAL: dict[str, tuple[float, float]] = {
    "psi": (-np.pi, np.pi),
    "v": (2.5, 5.5),
    "delta": (-0.1, 0.1),
    "vx": (1.0, 2.0),
    "upper": (1.0, 4.0),
    "lower": (2.0, 6.0),
}
"""State → where runs begin, for models that do not say otherwise; a car of a tenth of the size up to its grip,
a smaller one that is told its throttle, and two tanks (whose steps are of seconds)."""
CONTROLS: dict[str, Signal] = {
    "accel": _SPEED,
    "delta_dot": _STEERING,
    "psi_dot": Smooth(low=-1.0, high=1.0, period=2.0),
    "throttle": Follow(state="vx", reference=Smooth(low=0.8, high=2.2, period=1.5), gain=1.0, low=-0.1, high=1.0),
    "delta": Smooth(low=-0.2, high=0.2, period=1.0),
    "pump": Steps(low=0.8, high=2.4, hold=60.0),
}
"""Control → what drives it."""


def default_excitation(spec: ModelSpec) -> Excitation:
    """Return what drives a model whose states and controls have the usual names: lively, and never at rest.

    Raises:
        ConfigError: a control has another name.
    """
    unknown = [key for key in spec.control_names if key not in CONTROLS]
    if unknown:
        raise ConfigError(
            f"model {spec.name!r}: there is no usual drive for {', '.join(unknown)} (only for {', '.join(CONTROLS)}): "
            "give Excitation(initial=..., controls=...)"
        )
    return Excitation(
        initial={key: INITIAL[key] for key in spec.state_names if key in INITIAL},
        controls={key: CONTROLS[key] for key in spec.control_names},
    )


def run(
    spec: ModelSpec,
    params_at: Callable[[int], Mapping[str, Floats]],
    excitation: Excitation,
    times: Floats,
    runs: int,
    seed: int,
    integration: RolloutSettings = FINE,
) -> tuple[Floats, Floats]:
    """Return states [runs, rows, states] and the controls held from each row on [runs, rows, controls].

    Args:
        spec: The model.
        params_at: Row → all parameters by name, [runs, *shape] each.
        excitation: Where runs begin and what drives them.
        times: Of the rows, in equal steps (s).  [rows]
        runs: How many.
        seed: Of all that is drawn.
        integration: How a step is solved.

    Raises:
        ConfigError: a name is unknown.
        DataError: a run diverges.
    """
    excitation.require(spec)
    drawn = {key: signal.draw(times, runs, stream(seed, "control", key)) for key, signal in excitation.controls.items()}
    first = [
        stream(seed, "initial", key).uniform(*excitation.initial.get(key, (0.0, 0.0)), runs) for key in spec.state_names
    ]
    states = np.empty((runs, len(times), len(spec.states)))
    controls = np.empty((runs, len(times), len(spec.controls)))
    states[:, 0] = np.stack(first, -1)
    for k in range(len(times)):
        by_name = dict(zip(spec.state_names, states[:, k].T, strict=True))
        for place, key in enumerate(spec.control_names):
            controls[:, k, place] = excitation.controls[key].applied(drawn[key][:, k], by_name)
        if k + 1 < len(times):
            states[:, k + 1] = _step(
                spec, states[:, k], controls[:, k], params_at(k), times[k + 1] - times[k], integration
            )
    bad = ~np.isfinite(states).all(-1)
    if bad.any():
        which, row = (int(k) for k in np.argwhere(bad)[0])
        raise DataError(
            f"run {which} of model {spec.name!r} diverges after {times[row]:.3g} s: give other parameters, a calmer "
            "excitation, or more substeps"
        )
    return states, controls


@torch.inference_mode()
def _step(
    spec: ModelSpec, states: Floats, controls: Floats, params: Mapping[str, Floats], dt: float, how: RolloutSettings
) -> Floats:
    given = {key: torch.from_numpy(value) for key, value in params.items()}
    held = torch.from_numpy(np.ascontiguousarray(controls[:, None]))
    found = rollout(spec, torch.from_numpy(np.ascontiguousarray(states)), held, given, float(dt), how)
    return np.asarray(found[:, 0].numpy())
