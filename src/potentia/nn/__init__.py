"""Networks that know nothing of a family."""

from potentia.nn.activations import ACTIVATIONS, Activation
from potentia.nn.dense import ACTIVATION_MODULES, dense
from potentia.nn.jacobian import segment_jacobian
from potentia.nn.mlp import MLP
from potentia.nn.passes import Factors, Trace, trace, weight_gradients

__all__ = [
    "ACTIVATIONS",
    "ACTIVATION_MODULES",
    "MLP",
    "Activation",
    "Factors",
    "Trace",
    "dense",
    "segment_jacobian",
    "trace",
    "weight_gradients",
]
