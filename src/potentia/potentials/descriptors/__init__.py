"""Descriptors: the neighbourhood of an atom as a vector of features."""

from potentia.potentials.descriptors.base import Descriptor, Features
from potentia.potentials.descriptors.chebyshev import ChebyshevDescriptor
from potentia.potentials.descriptors.pairs import PairsOfAtoms

__all__ = ["ChebyshevDescriptor", "Descriptor", "Features", "PairsOfAtoms"]
