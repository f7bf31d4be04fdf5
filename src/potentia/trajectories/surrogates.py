"""The surrogates by name: one class for each architecture of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.networks.fully_connected import FullyConnectedConfig
from potentia.trajectories.networks.multi_onet import MultiONetConfig

__all__ = ["SURROGATES", "FullyConnected", "MultiONet"]


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


SURROGATES: Mapping[str, type[TrajectorySurrogate]] = {cls.__name__: cls for cls in (FullyConnected, MultiONet)}
"""By name of the class."""
