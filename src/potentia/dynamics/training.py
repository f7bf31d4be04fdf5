"""One training of a parameter network: from windows and settings to weights, history and record."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from potentia.checks import did_you_mean
from potentia.config import plain
from potentia.dynamics.compiled import why_not_compiled
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.described import probe
from potentia.dynamics.divergence import Divergence
from potentia.dynamics.features import FeatureMap, FeatureSettings
from potentia.dynamics.last_bias import polish_last_bias
from potentia.dynamics.losses import ScaledLoss, StateLoss, YawL1
from potentia.dynamics.network import ParameterNetwork, places_of
from potentia.dynamics.polish import FitSettings, fit_constant
from potentia.dynamics.results import TrainOut
from potentia.dynamics.rollout import RolloutSettings
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.step_choice import STABLE, auto_substeps, fastest_in_windows, fastest_rates
from potentia.dynamics.task import DynamicsTask, Prior, WindowBatch, WindowTensors, batches_of
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.errors import ConfigError, DataError, warn_user
from potentia.seeding import torch_seeded
from potentia.train import Callback, Forecast, Run, seed_of
from potentia.train.checkpoint import checkpoint_of, go_on
from potentia.train.device import DTYPES, usable_device
from potentia.train.prepared import Prepared

__all__ = ["Fitted", "Training", "require_windows_of", "resolved_substeps"]

FASTEST = 256
"""So many states, those that are fastest with default parameters, decide about the substeps."""
MUCH_SATURATED = 0.2
"""A parameter at a bound in more than this part of the windows is warned of."""
MEASURES: dict[str, Literal["l1", "huber", "mse"]] = {"scaled": "l1", "scaled-huber": "huber", "scaled-mse": "mse"}


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a network has learned."""

    network: ParameterNetwork
    """In double precision."""
    spec: ModelSpec
    """With bounds, fixed parameters and gauge of the recipe."""
    features: FeatureMap
    rollout: RolloutSettings
    """With substeps that are a number."""
    record: dict[str, Any]
    """How it was trained."""


@dataclass(frozen=True)
class Ready(Prepared[WindowBatch]):
    """A training of a parameter network before its first batch."""

    task: DynamicsTask
    features: FeatureMap
    rollout: RolloutSettings


@dataclass(frozen=True)
class Training:
    """Settings of one training; `run` carries it out."""

    kind: str
    """Of the estimator's files."""
    recipe: dict[str, Any]
    spec: ModelSpec
    """With bounds, fixed parameters and gauge of the recipe."""
    features: FeatureSettings
    hidden: tuple[int, ...]
    activation: str
    layer_norm: bool
    integration: Literal["rk4", "euler", "rk4-clamped"]
    substeps: int | Literal["auto"]
    config: DynamicsTrainingConfig

    def run(
        self,
        data: FeatureDataset,
        validation: FeatureDataset | None,
        resume_from: str | os.PathLike[str] | None,
        allow: Collection[str],
        callbacks: Sequence[Callback] = (),
    ) -> tuple[Fitted, TrainOut]:
        """Train, from new weights or from where a checkpoint stands."""
        ready, config = self.prepare(data, validation, resume_from, allow), self.config
        self._tell_why_slow(ready)
        record = self._record(data, validation, ready)
        learned = {"record": record, **self._learned(ready)}
        extra = {"kind": self.kind, "recipe": self.recipe, "learned": learned}
        shown = {"train": "train_loss", "val": "val_loss"}
        divergence = Divergence(ready.batches, config.max_diverged, config.checkpoint_dir)
        ended = ready.carry_out(config, config.epochs, extra, shown, [divergence, *callbacks])
        run, saturation = ready.run, self._saturation(ready.run, ready.task.train)
        record |= {**ended.record, "saturation": saturation}
        substeps = ready.rollout.substeps
        out = TrainOut(**ended.told, n_windows=len(data), substeps=substeps, saturation=saturation)
        network = self.network_of(ready.features, run.model.state_dict())
        if config.polish != "off" and not run.interrupted:
            record |= {"polish": self._polish(network, data, ready)}
        self._check_steps(network, data, ready)
        network.to(run.device)
        return Fitted(network, self.spec, ready.features, ready.rollout, record), out

    def forecast(self, data: FeatureDataset, validation: FeatureDataset | None) -> Forecast:
        """Measure the first batches of the training, and give back how long it would take."""
        return self.prepare(data, validation, None, ()).forecast(self.config.epochs)

    def prepare(
        self,
        data: FeatureDataset,
        validation: FeatureDataset | None,
        resume_from: str | os.PathLike[str] | None,
        allow: Collection[str],
    ) -> Ready:
        """Fit features and scales, choose the substeps, put all on the device, and set up network and run."""
        config, spec = self.config, self.spec
        device = usable_device(config.device)
        require_windows_of(spec, data, "the training windows")
        if validation is not None:
            require_windows_of(spec, validation, "the validation windows")
        checkpoint = checkpoint_of(self.kind, resume_from)
        seed = seed_of(config.seed, checkpoint)
        features = FeatureMap.fit(data, spec, self.features)
        substeps = resolved_substeps(spec, self.substeps, data)
        rollout = RolloutSettings(method=self.integration, substeps=substeps, compiled=config.compiled)
        with torch_seeded(torch.device("cpu"), seed, "weights"):  # the same on every device
            network = self._fresh(features).to(DTYPES[config.precision])
        run = Run(network.to(device), config.method(), config.schedule(), seed, config.average)
        fingerprint = {
            "recipe": self.recipe,
            "model": spec.describe(),
            "config": config.fingerprint(),
            "substeps": rollout.substeps,
            "data": data.mark(),
            "validation": None if validation is None else validation.mark(),
            "seed": seed,
        }
        go_on(run, checkpoint, fingerprint, allow)
        like = torch.empty(0, dtype=DTYPES[config.precision], device=device)
        train = WindowTensors.of(data, spec, features, like)
        valid = None if validation is None else WindowTensors.of(validation, spec, features, like)
        task = DynamicsTask(spec, rollout, train, valid, self._loss(data), self._prior(like))
        batches = batches_of(config, len(data), data.n_steps, seed)
        return Ready(run, task, batches, fingerprint, features, rollout)

    def network_of(self, features: FeatureMap, weights: Mapping[str, Tensor]) -> ParameterNetwork:
        """Return a network with these weights, in double precision on the CPU."""
        with torch_seeded(torch.device("cpu"), 0, "overwritten"):
            network = self._fresh(features)
        network.load_state_dict({name: tensor.double() for name, tensor in weights.items()})
        return network.eval()

    def _polish(self, network: ParameterNetwork, data: FeatureDataset, ready: Ready) -> dict[str, Any]:
        """Bring constants to the least squares of the roll-outs, or a last bias to a minimum of the loss; tell how."""
        spec, settings = self.spec, FitSettings(rollout=ready.rollout, gauge="free", priors=self.config.prior)
        if ready.features.n_inputs:
            inputs, prior = torch.from_numpy(ready.features.matrix(data)), self._prior(torch.empty(0).double())
            return asdict(polish_last_bias(network, inputs, spec, data, ready.rollout, ready.task.measure, prior))
        with torch.no_grad():
            start = {key: value[0].numpy() for key, value in network(torch.empty(1, 0).double()).items()}
        found = fit_constant(spec, data, settings, {key: np.array(value) for key, value in start.items()})
        network.move_to(places_of(spec, found.params))
        return {"iterations": found.iterations, "cost": found.cost, "rms": found.rms, "reason": found.reason}

    def _fresh(self, features: FeatureMap) -> ParameterNetwork:
        hidden, norm = self.hidden, self.layer_norm
        return ParameterNetwork(
            self.spec, features.n_inputs, hidden, activation=self.activation, layer_norm=norm
        ).double()

    def _loss(self, data: FeatureDataset) -> StateLoss:
        """Return the loss, its scales those of the training windows."""
        config, spec = self.config, self.spec
        if config.loss == "yaw-l1":
            return YawL1(angles=spec.angles)
        return ScaledLoss.of_data(data, spec, MEASURES[config.loss], config.state_weights)

    def _prior(self, like: Tensor) -> Prior | None:
        spec, known = self.spec, self.config.prior
        if not known:
            return None
        for name in known:
            if name in spec.constants:
                raise ConfigError(f"prior: {name!r} is fixed, so no network predicts it: leave it out, or free it")
            if name not in spec.param_keys:
                raise ConfigError(
                    f"prior: model {spec.name!r} has no parameter {name!r}{did_you_mean(name, spec.param_keys)}"
                )
        entries, mean, deviation, begin = [], [], [], 0
        for parameter in spec.parameters:
            if parameter.name in known:
                entries += list(range(begin, begin + parameter.size))
                mean += [known[parameter.name][0]] * parameter.size
                deviation += [known[parameter.name][1]] * parameter.size
            begin += parameter.size
        return Prior(torch.tensor(entries, device=like.device), like.new_tensor(mean), like.new_tensor(deviation))

    def _saturation(self, run: Run, train: WindowTensors) -> dict[str, float]:
        """Return the part of the training windows in which each parameter is at a bound, and warn where it is large."""
        model = run.model.eval()
        assert isinstance(model, ParameterNetwork)
        found = model.saturation(train.inputs)
        many = [f"{key} ({part:.0%})" for key, part in found.items() if part > MUCH_SATURATED]
        if many:
            text = (
                f"at a bound in many of the windows: {', '.join(many)}: widen these bounds, fix these parameters, or "
                "see whether the data can tell them"
            )
            warn_user(text, page="dynamics.md#what-the-data-can-tell")
        return found

    def _tell_why_slow(self, ready: Ready) -> None:
        """Warn where roll-outs on the CPU should be machine code, and the model does not allow it."""
        if not self.config.compiled or ready.run.device.type != "cpu":
            return
        reason = why_not_compiled(self.spec, DTYPES[self.config.precision])
        if reason is not None:
            text = (
                f"roll-outs of model {self.spec.name!r} go through torch, many times slower than machine code: "
                f"{reason} (compiled=False takes them as they are)"
            )
            warn_user(text, page="dynamics.md#compiled-roll-outs")

    def _check_steps(self, network: ParameterNetwork, data: FeatureDataset, ready: Ready) -> None:
        """Warn where steps are too long for the parameters that are predicted; of Euler's method nothing is said."""
        if self.spec.stiffness_fn is None or self.integration == "euler":
            return
        with torch.no_grad():
            found = network(torch.from_numpy(ready.features.matrix(data)))
        rates = fastest_in_windows(self.spec, data, {key: value.numpy() for key, value in found.items()})
        reach = rates * np.max(np.asarray(data.dt))  # of whole steps of the data
        many = float(np.mean(reach > STABLE * ready.rollout.substeps))
        if many:
            text = (
                f"substeps={ready.rollout.substeps} are too few for the parameters that were found in {many:.2g} of "
                f"the windows, which may have grown unstable: train again with substeps={math.ceil(reach.max())}"
            )
            warn_user(text, page="dynamics.md#substeps-and-stiffness")

    def _record(self, data: FeatureDataset, validation: FeatureDataset | None, ready: Ready) -> dict[str, Any]:
        loss, fingerprint = ready.task.measure, ready.fingerprint
        scales = list(loss.scales) if isinstance(loss, ScaledLoss) else None
        return {
            "training_config": self.config.plain(),
            "seed": fingerprint["seed"],
            "data": {"mark": fingerprint["data"], "groups": list(data.group_names), "windows": len(data)},
            "validation": None
            if validation is None
            else {
                "mark": fingerprint["validation"],
                "groups": list(validation.group_names),
                "windows": len(validation),
            },
            "n_steps": data.n_steps,
            "state_scales": scales,
        }

    def _learned(self, ready: Ready) -> dict[str, Any]:
        return {
            "features": ready.features.to_state(),
            "model_spec": plain(self.spec.describe()),
            "equations": probe(self.spec),
            "substeps": ready.rollout.substeps,
        }


def require_windows_of(spec: ModelSpec, data: FeatureDataset, what: str) -> None:
    """Raise `DataError` unless the windows have states and controls of the model."""
    for kind, found, wanted in (
        ("states", data.state_names, spec.state_names),
        ("controls", data.control_names, spec.control_names),
    ):
        if found != wanted:
            raise DataError(
                f"{what} have the {kind} {', '.join(found)}, model {spec.name!r} has {', '.join(wanted)}: cut them "
                "for this model"
            )


def resolved_substeps(spec: ModelSpec, substeps: int | Literal["auto"], data: FeatureDataset) -> int:
    """Return the number of substeps: the given one, or what suffices for these windows, see `auto_substeps`."""
    if substeps != "auto":
        return substeps
    if spec.stiffness_fn is None:
        return auto_substeps(spec, data.initial_states, data.dt)
    states = np.concatenate((data.initial_states, data.targets[data.counted]))
    defaults = dict(spec.default_params)
    fastest = np.argsort(fastest_rates(spec, states, params=defaults))[-FASTEST:]
    return auto_substeps(spec, states[fastest], data.dt)
