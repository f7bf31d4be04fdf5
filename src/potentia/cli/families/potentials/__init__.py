"""Potentials on the command line: one, or a committee; structures in files, or in a data set."""

from potentia.cli.families.potentials.family import FAMILY

__all__ = ["FAMILY"]
