"""Systems of fields that data are made of, one file each."""

from potentia.operators.systems.base import FieldSystem
from potentia.operators.systems.burgers import Burgers
from potentia.operators.systems.gray_scott import GrayScott
from potentia.operators.systems.random_conv import RandomConv
from potentia.operators.systems.registry import SYSTEMS, register, system

__all__ = ["SYSTEMS", "Burgers", "FieldSystem", "GrayScott", "RandomConv", "register", "system"]
