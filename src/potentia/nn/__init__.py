"""Networks that know nothing of a family."""

from potentia.nn.activations import ACTIVATIONS, Activation
from potentia.nn.jacobian import segment_jacobian
from potentia.nn.mlp import MLP
from potentia.nn.passes import Factors, Trace, trace, weight_gradients

__all__ = ["ACTIVATIONS", "MLP", "Activation", "Factors", "Trace", "segment_jacobian", "trace", "weight_gradients"]
