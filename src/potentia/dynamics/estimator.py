"""A network that predicts the parameters of a model of dynamics, trained through the simulation of that model."""

from __future__ import annotations

import inspect
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.checks import choice, did_you_mean, integer
from potentia.config import from_dict, plain, to_dict
from potentia.dynamics.baselines import ConstantParameters, ConstantTurn, Persistence, fit_baselines, predict_all
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.described import probe, require_equations, spec_of_description
from potentia.dynamics.evaluation import RolloutEvaluation, evaluate_rollouts
from potentia.dynamics.features import FeatureMap, FeatureSettings
from potentia.dynamics.identifiability import IdentifiabilityReport, IdentifiabilitySettings, identifiability
from potentia.dynamics.models.registry import MODEL_SPECS, get_model_spec
from potentia.dynamics.network import ParameterNetwork, check_layers
from potentia.dynamics.polish import FitSettings
from potentia.dynamics.predicting import predict, predict_params, simulate
from potentia.dynamics.results import TrainOut
from potentia.dynamics.rollout import RolloutSettings
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.step_choice import auto_substeps
from potentia.dynamics.summary import ParameterSummary, summarize
from potentia.dynamics.training import Fitted, Training
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.errors import ConfigError
from potentia.estimator import NetworkEstimator
from potentia.train import Callback, Forecast

__all__ = ["DynamicsParameterNet"]

Bounds = Mapping[str, tuple[ArrayLike, ArrayLike]]
Integration = Literal["rk4", "euler", "rk4-clamped"]


class DynamicsParameterNet(NetworkEstimator[Fitted]):
    """From what is known of a window to the parameters of a model, and by its simulation to the states that follow.

    Args:
        model: Name of a registered model, or a model.
        hidden: Nodes of each hidden layer; () for a linear map. Without inputs the parameters are constants.
        features: What the network sees; ``FeatureSettings()`` if None.
        bounds: Parameter → lower and upper bound in place of the model's.
        fix: Parameter → value that it is held at; it is not predicted.
        gauge: ``"fix"`` holds at their defaults the parameters that no data can tell from combinations of others;
            ``"free"`` predicts them too.
        layer_norm: Whether hidden layers are normalised.
        activation: Behind each hidden layer.
        integration: How the equations are solved, see `RolloutSettings`.
        substeps: Equal steps inside a step of the data; ``"auto"`` for as many as keep the training windows accurate
            with the default parameters, and stable with such as make the model five times as fast; at most 16.

    Example:
        >>> from potentia.dynamics import get_model_spec, simulate_dataset
        >>> data = simulate_dataset(get_model_spec("unicycle"), {"k_turn": 1.2}, windows=64, horizon=10)
        >>> net = DynamicsParameterNet("unicycle", features=FeatureSettings(mode="none"))
        >>> out = net.train(data, DynamicsTrainingConfig(epochs=60, batch_size=64, learning_rate=0.05, seed=0))
        >>> round(float(net.predict_params(data)["k_turn"][0]), 2)
        1.2
    """

    kind = "dynamics parameter network"

    def __init__(
        self,
        model: str | ModelSpec = "singletrack",
        *,
        hidden: Sequence[int] = (128, 128),
        features: FeatureSettings | None = None,
        bounds: Bounds | None = None,
        fix: Mapping[str, ArrayLike] | None = None,
        gauge: Literal["fix", "free"] = "fix",
        layer_norm: bool = False,
        activation: str = "silu",
        integration: Integration = "rk4",
        substeps: int | Literal["auto"] = "auto",
    ) -> None:
        self.model = model
        self.hidden = hidden
        self.features = features
        self.bounds = bounds
        self.fix = fix
        self.gauge = gauge
        self.layer_norm = layer_norm
        self.activation = activation
        self.integration = integration
        self.substeps = substeps
        self.fitted_ = None
        self._check()

    def train(
        self,
        data: FeatureDataset,
        config: DynamicsTrainingConfig | None = None,
        validation: FeatureDataset | None = None,
        resume_from: str | os.PathLike[str] | None = None,
        *,
        allow_changes: Collection[str] = (),
        callbacks: Sequence[Callback] = (),
    ) -> TrainOut:
        """Train on windows from new weights, and choose the weights by the validation windows.

        Args:
            data: Windows to fit.
            config: Settings; ``DynamicsTrainingConfig()`` if None.
            validation: Windows of other logs; None to choose by the training loss.
            resume_from: A checkpoint to go on from, to ``config.epochs`` in all. The result equals that of an unbroken
                run bit for bit.
            allow_changes: Names of settings that may differ from those of the checkpoint.
            callbacks: Go along with the training, before those of the settings.

        Raises:
            DataError: the windows are of another model, or lack what the network is to see.
            ConfigError: settings do not fit the checkpoint or the model.
            TrainingError: too many batches in a row were not finite.

        Warns:
            PotentiaWarning: a parameter is at a bound in many windows, windows could not be simulated, substeps were
                too few for what was found, or the model cannot be compiled.
        """
        config = DynamicsTrainingConfig() if config is None else config
        self.fitted_, out = self._training(config).run(data, validation, resume_from, allow_changes, callbacks)
        return out

    def forecast(
        self, data: FeatureDataset, config: DynamicsTrainingConfig, validation: FeatureDataset | None = None
    ) -> Forecast:
        """Say how long the same call of `train` would take: its first batches are measured, nothing is changed."""
        return self._training(config).forecast(data, validation)

    def predict(self, data: FeatureDataset, *, batch_size: int | None = None) -> NDArray[np.float64]:
        """Return the states after each step with the predicted parameters.  [windows, steps, states]

        Args:
            data: Windows; their targets are not looked at.
            batch_size: Windows at a time; None for what fits well. It changes nothing but memory and time.

        Raises:
            NotFittedError: it has learned nothing yet.
            DataError: the windows are of another model, or lack what the network sees.

        Warns:
            PotentiaWarning: windows could not be simulated to their end.
        """
        return predict(self.fitted(), data, batch_size)

    def predict_params(self, data: FeatureDataset) -> dict[str, NDArray[np.float64]]:
        """Return the predicted parameters by name.  [windows, *shape] each

        What is fixed is not among them: see ``spec_.constants``.
        """
        return predict_params(self.fitted(), data)

    def simulate(
        self, initial_states: ArrayLike, controls: ArrayLike, params: Mapping[str, ArrayLike], dt: ArrayLike
    ) -> NDArray[np.float64]:
        """Return the states after each step with given parameters.  [windows, steps, states]

        It needs no training; where ``substeps="auto"`` and there was none, they are chosen for these states
        and parameters.

        Args:
            initial_states: [windows, states]
            controls: What is held over each step.  [windows, steps, controls]
            params: By name, of each window [windows, *shape] or the same for all [*shape]; those that are not fixed.
            dt: Lengths of the steps (s): one for all, or [windows, steps].
        """
        return simulate(self.spec_, self._rollout(initial_states, params, dt), initial_states, controls, params, dt)

    def summarize(self, data: FeatureDataset, chunk_size: int = 4096) -> ParameterSummary:
        """Return spread, quantiles and bounds of each predicted parameter over the windows.

        Args:
            data: Windows.
            chunk_size: Windows at a time; it changes nothing but memory and time.
        """
        return summarize(self.fitted(), data, chunk_size)

    def evaluate(self, data: FeatureDataset, training: FeatureDataset | None = None) -> RolloutEvaluation:
        """Return errors of the predicted states beside those of baselines, and how much better they are.

        Args:
            data: Windows with their targets, best of logs that were not trained on.
            training: The windows of training, to fit constant parameters to as one more baseline; None for without.
        """
        found = self.fitted()
        if training is not None:
            baselines = fit_baselines(found.spec, training, FitSettings(rollout=found.rollout, gauge="free"))
        else:
            baselines = {"persistence": Persistence(found.spec)}
            baselines["default parameters"] = ConstantParameters(found.spec, None, found.rollout)
            if ConstantTurn.suits(found.spec):
                baselines["constant turn"] = ConstantTurn(found.spec)
        predictions = {"network": self.predict(data), **predict_all(baselines, data)}
        return evaluate_rollouts(found.spec, data, predictions, baselines=list(baselines))

    def score(self, data: FeatureDataset) -> float:
        """Return the part of the default parameters' error that is avoided: 1 for none left, 0 for no better.

        The error is the mean displacement, or of a model without places the scaled one, see `evaluate`.
        """
        metrics = self.evaluate(data).metrics
        mine = metrics[(metrics["surrogate"] == "network") & (metrics["metric"] == "better than default parameters")]
        return float(mine["value"].iloc[0])

    def identifiability(
        self, data: FeatureDataset, settings: IdentifiabilitySettings | None = None
    ) -> IdentifiabilityReport:
        """Return what these windows tell about the predicted parameters, near the predictions."""
        found = self.fitted()
        settings = IdentifiabilitySettings(rollout=found.rollout) if settings is None else settings
        return identifiability(found.spec, data, self.predict_params(data), settings)

    @property
    def spec_(self) -> ModelSpec:
        """The model with bounds, fixed parameters and gauge."""
        return self._spec() if self.fitted_ is None else self.fitted_.spec

    @property
    def network_(self) -> ParameterNetwork:
        """The trained network, in double precision."""
        return self.fitted().network

    @property
    def features_(self) -> FeatureMap:
        """What the network sees, with the means and deviations of the training windows."""
        return self.fitted().features

    @property
    def rollout_(self) -> RolloutSettings:
        """How the equations are solved, with the substeps that the training has had."""
        return self.fitted().rollout

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name, as scikit-learn asks for them; ``deep`` changes nothing here."""
        return {name: self.__dict__[name] for name in _ARGUMENTS}

    def set_params(self, **params: Any) -> Self:
        """Change arguments of the constructor; what was learned with the old ones is forgotten."""
        for name in params:
            if name not in _ARGUMENTS:
                raise ConfigError(f"{type(self).__name__} has no parameter {name!r}{did_you_mean(name, _ARGUMENTS)}")
        changed = type(self)(**{**self.get_params(), **params})  # refuses what cannot be before anything is changed
        self.__dict__.update(changed.__dict__)
        return self

    def recipe(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain values; a model that is not registered so by its description."""
        model: str | dict[str, Any]
        if isinstance(self.model, str):
            model = self.model
        else:
            known = MODEL_SPECS.get(self.model.name) is self.model
            model = self.model.name if known else self.model.describe()
        features = None if self.features is None else to_dict(self.features)
        others = {name: plain(value, name) for name, value in self._others().items()}
        return {"model": model, "features": features, **others}

    def learned(self) -> dict[str, Any]:
        """Return weights, features, model, substeps, and the record of the training."""
        fitted = self.fitted()
        return {
            "model": dict(fitted.network.state_dict()),
            "features": fitted.features.to_state(),
            "model_spec": fitted.spec.describe(),
            "equations": probe(fitted.spec),
            "substeps": fitted.rollout.substeps,
            "record": fitted.record,
        }

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any]) -> Self:
        """Build an untrained network from `recipe`; settings that it does not name have their defaults."""
        for name in recipe:
            if name not in _ARGUMENTS:
                raise ConfigError(f"{cls.__name__} has no setting {name!r}{did_you_mean(name, _ARGUMENTS)}")
        given = dict(recipe)
        if isinstance(given.get("model"), Mapping):
            given["model"] = spec_of_description(given["model"])
        if given.get("features") is not None:
            given["features"] = from_dict(FeatureSettings, given["features"])
        if "hidden" in given:
            given["hidden"] = tuple(given["hidden"])
        if given.get("bounds") is not None:
            given["bounds"] = {key: tuple(sides) for key, sides in given["bounds"].items()}
        return cls(**given)

    @classmethod
    def from_parts(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        """Build a trained network, on the CPU, from `recipe` and `learned`."""
        spec = spec_of_description(learned["model_spec"])
        require_equations(spec, learned["equations"])
        net = cls.from_recipe(recipe)
        features = FeatureMap.from_state(learned["features"])
        compiled = bool(learned["record"]["training_config"]["compiled"])
        settings = RolloutSettings(method=net.integration, substeps=learned["substeps"], compiled=compiled)
        network = net._training(DynamicsTrainingConfig(), spec).network_of(features, learned["model"])
        net.fitted_ = Fitted(network, spec, features, settings, learned["record"])
        return net

    def __repr__(self) -> str:
        model = self.model.name if isinstance(self.model, ModelSpec) else self.model
        defaults = inspect.signature(type(self)).parameters
        changed = {name: value for name, value in self._others().items() if value != defaults[name].default}
        features = {} if self.features is None else {"features": self.features}
        arguments = [repr(model), *(f"{name}={value!r}" for name, value in {**changed, **features}.items())]
        return f"{type(self).__name__}({', '.join(arguments)})"

    def _others(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in _ARGUMENTS if name not in {"model", "features"}}

    def _rollout(self, initial_states: ArrayLike, params: Mapping[str, ArrayLike], dt: ArrayLike) -> RolloutSettings:
        if self.fitted_ is not None:
            return self.fitted_.rollout
        substeps = self.substeps
        if substeps == "auto":
            states = np.asarray(initial_states, dtype=np.float64)
            substeps = auto_substeps(self.spec_, states, dt, params=params)
        return RolloutSettings(method=self.integration, substeps=substeps)

    def _training(self, config: DynamicsTrainingConfig, spec: ModelSpec | None = None) -> Training:
        return Training(
            self.kind,
            self.recipe(),
            self._spec() if spec is None else spec,
            FeatureSettings() if self.features is None else self.features,
            tuple(self.hidden),
            self.activation,
            self.layer_norm,
            self.integration,
            self.substeps,
            config,
        )

    def _spec(self) -> ModelSpec:
        """Return the model with bounds, fixed parameters and gauge."""
        spec = get_model_spec(self.model) if isinstance(self.model, str) else self.model
        fix, bounds = self.fix or {}, self.bounds or {}
        held = {*fix, *(spec.gauge if self.gauge == "fix" else ())}
        for key in bounds:
            if key in held:
                how = "fix names it" if key in fix else "gauge='fix' holds it at its default"
                raise ConfigError(f"bounds of {key!r} change nothing: {how}")
        if held.issuperset(spec.param_keys):
            raise ConfigError(f"model {spec.name!r}: all parameters are fixed, so there is nothing to learn")
        spec = spec.with_bounds(bounds).with_fixed(fix)
        return spec.gauge_fixed() if self.gauge == "fix" else spec

    def _check(self) -> None:
        choice("gauge", self.gauge, ("fix", "free"))
        check_layers(self.hidden, self.activation)
        if self.features is not None and not isinstance(self.features, FeatureSettings):
            raise ConfigError(f"features must be FeatureSettings(...), got {self.features!r}")
        if self.substeps != "auto":
            integer("substeps", self.substeps, low=1)
        if not isinstance(self.layer_norm, bool):
            raise ConfigError(f"layer_norm must be True or False, got {self.layer_norm!r}")
        RolloutSettings(method=self.integration)
        self._spec()


_ARGUMENTS = tuple(name for name in inspect.signature(DynamicsParameterNet).parameters)
