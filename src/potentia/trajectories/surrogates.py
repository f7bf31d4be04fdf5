"""The surrogates by name: one class for each architecture of a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import final

from potentia.errors import FileFormatError
from potentia.runs.models import kind_of
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.networks.fully_connected import FullyConnectedConfig
from potentia.trajectories.networks.latent_neural_ode import LatentNeuralODEConfig
from potentia.trajectories.networks.latent_poly import LatentPolyConfig
from potentia.trajectories.networks.multi_onet import MultiONetConfig

__all__ = ["SURROGATES", "FullyConnected", "LatentNeuralODE", "LatentPoly", "MultiONet", "surrogate_in"]


@final
class FullyConnected(TrajectorySurrogate):
    """One multilayer perceptron of initial state, parameters and time.

    >>> FullyConnected(FullyConnectedConfig(hidden_size=64)).is_trained()
    False
    """

    kind = "fully_connected"
    config_class = FullyConnectedConfig


@final
class MultiONet(TrajectorySurrogate):
    """A DeepONet: products of a network of the initial state with a network of the time.

    >>> MultiONet(MultiONetConfig(output_factor=20)).network.hidden_size
    100
    """

    kind = "multi_onet"
    config_class = MultiONetConfig


@final
class LatentNeuralODE(TrajectorySurrogate):
    """A latent state that moves by a learned differential equation.

    >>> LatentNeuralODE(LatentNeuralODEConfig(latent_features=3)).network.ode_width
    64
    """

    kind = "latent_neural_ode"
    config_class = LatentNeuralODEConfig


@final
class LatentPoly(TrajectorySurrogate):
    """A latent state that moves on a polynomial of time.

    >>> LatentPoly(LatentPolyConfig(degree=3)).network.latent_features
    5
    """

    kind = "latent_poly"
    config_class = LatentPolyConfig


SURROGATES: Mapping[str, type[TrajectorySurrogate]] = {
    cls.__name__: cls for cls in (MultiONet, FullyConnected, LatentNeuralODE, LatentPoly)
}
"""By name of the class."""


def surrogate_in(path: Path) -> TrajectorySurrogate:
    """Read a surrogate of any class from its file, or from a checkpoint.

    Raises:
        FileFormatError: it holds none.
    """
    kind = kind_of(path)
    for cls in SURROGATES.values():
        if cls.kind == kind:
            return cls.load(path)
    raise FileFormatError(f"{path} holds a {kind}, not a surrogate of trajectories")
