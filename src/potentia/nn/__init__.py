"""Networks that know nothing of a family."""

from potentia.nn.activations import ACTIVATIONS, Activation
from potentia.nn.mlp import MLP

__all__ = ["ACTIVATIONS", "MLP", "Activation"]
