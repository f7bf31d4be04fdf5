"""Neural operators: fields to later fields, with the parameters of the equations, and tokens of behaviour."""

from potentia.operators.dataset import OperatorData, Samples
from potentia.operators.space import Boolean, Choice, Continuous, Integer, ParameterSpace

__all__ = ["Boolean", "Choice", "Continuous", "Integer", "OperatorData", "ParameterSpace", "Samples"]
