"""Figures of fields: side by side over time, moving, by wavenumber; errors over a roll-out, and tokens."""

from potentia.operators.figures.animation import animate
from potentia.operators.figures.film import Film
from potentia.operators.figures.growth import error_growth
from potentia.operators.figures.images import field_rows
from potentia.operators.figures.space_time import profiles, space_time
from potentia.operators.figures.spectra import radial_power, spectra
from potentia.operators.figures.tokens import token_timeline

__all__ = [
    "Film",
    "animate",
    "error_growth",
    "field_rows",
    "profiles",
    "radial_power",
    "space_time",
    "spectra",
    "token_timeline",
]
