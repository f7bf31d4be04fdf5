"""Descriptors: the neighbourhood of an atom as a vector of features."""

from potentia.potentials.descriptors.base import Descriptor, Features
from potentia.potentials.descriptors.chebyshev import ChebyshevDescriptor
from potentia.potentials.descriptors.pairs import PairsOfAtoms
from potentia.potentials.descriptors.registry import DESCRIPTORS, register_descriptor

__all__ = ["DESCRIPTORS", "ChebyshevDescriptor", "Descriptor", "Features", "PairsOfAtoms", "register_descriptor"]
