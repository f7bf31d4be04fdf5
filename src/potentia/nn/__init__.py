"""Networks that know nothing of a family."""

from potentia.nn.activations import ACTIVATIONS, Activation
from potentia.nn.dense import ACTIVATION_MODULES, dense
from potentia.nn.jacobian import segment_jacobian
from potentia.nn.mlp import MLP
from potentia.nn.passes import Factors, Trace, trace, weight_gradients
from potentia.nn.periodic import PeriodicConv2d, doubled, framed
from potentia.nn.spectral import fields_of, modes_of

__all__ = [
    "ACTIVATIONS",
    "ACTIVATION_MODULES",
    "MLP",
    "Activation",
    "Factors",
    "PeriodicConv2d",
    "Trace",
    "dense",
    "doubled",
    "fields_of",
    "framed",
    "modes_of",
    "segment_jacobian",
    "trace",
    "weight_gradients",
]
