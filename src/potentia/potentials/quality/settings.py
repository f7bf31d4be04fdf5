"""Settings of the data doctor: when something is told, each with the reason for its size."""

from __future__ import annotations

from dataclasses import dataclass, fields

from potentia.checks import integer, number
from potentia.errors import ConfigError

__all__ = ["CheckSettings"]


@dataclass(frozen=True, kw_only=True)
class CheckSettings:
    """When the data doctor speaks. "Clean sets" are five published ones (Li, Si, Ni, Cu, TiO2) and water."""

    rad_order: int = 8
    """Radial order of the features that structures are looked at by; little is gained beyond."""
    rad_cutoff: float = 5.5
    """Their radial cutoff (Å): two shells of neighbours in metals."""
    ang_order: int = 4
    """Their angular order."""
    ang_cutoff: float = 4.5
    """Their angular cutoff (Å)."""
    fitted_atoms: int = 6000
    """Atoms whose forces the linear model is fitted to: 18,000 components for some dozen weights are plenty."""
    least_agreement: float = 0.5
    """Cosine between forces and those of the linear model, on frames left out of the fit, below which the model is not
    believed; 0.9 and more on clean sets."""
    energy_factor: float = 4.0
    """Energies that change by so many times what the linear model says, or so many times less, are in another unit.
    On clean sets it is 0.49 to 1.14; the next unit is off by 13."""
    stress_factor: float = 2.5
    """The same for stress; 0.77 to 0.98 on clean sets, the next unit is off by 10."""
    same_sign: float = 0.75
    """Part of pairs of frames, or of stress components, that must agree on the sign of a ratio to be believed."""
    opposite: float = -0.5
    """Cosine between the forces or the stress of one frame and those of the linear model, below which the sign of this
    frame is wrong, and not the model."""
    parallel: float = 0.9
    """Cosine between the forces of one frame and those of the linear model, above which their sizes are compared."""
    force_factor: float = 8.0
    """Such forces that are so many times larger or smaller than the model's are in another unit; the next unit is off
    by 13."""
    outlying: float = 30.0
    """Energies so many robust standard deviations off a smooth fit are told; up to 17 on clean sets."""
    least_outlying: float = 0.2
    """But only if they are off by so much (eV/atom): a set without spread would have outliers of rounding."""
    too_close: float = 0.35
    """Distance of two atoms, as part of the sum of their covalent radii, below which coordinates have gone wrong. The
    closest pair of the clean sets, Ti–Ti at 1.28 Å in TiO2, is at 0.40."""
    large_force: float = 100.0
    """Forces above this (eV/Å) are told as a note: few potentials gain by them."""
    net_force: float = 0.01
    """Forces that add up to more than this, in eV/Å and as part of their sum of lengths, lack some."""
    near: float = 0.02
    """Distance of fingerprints, as part of the typical one, below which two structures are nearly the same."""
    contradiction: float = 0.01
    """Energies of one structure that differ by more than this (eV/atom) are a warning; less may be another setting of a
    calculation."""
    many_near: float = 0.2
    """Part of the test set with near copies in the training set, above which its error tells too little."""
    rare_element: float = 0.002
    """An element with less than this part of the atoms is told as rare."""
    far_outside: float = 10.0
    """Test atoms are told as outside when a feature is so many standard deviations beyond those of training."""

    def __post_init__(self) -> None:
        whole = {"rad_order", "ang_order", "fitted_atoms"}
        for name in (field.name for field in fields(self)):
            value = self.__dict__[name]
            if name in whole:
                integer(name, value, low=0)
            else:
                number(name, value, low=-1.0 if name == "opposite" else 0.0)
        for name in ("energy_factor", "stress_factor", "force_factor"):
            if self.__dict__[name] <= 1.0:
                raise ConfigError(f"{name} must be above 1, got {self.__dict__[name]!r}: it is how far units are apart")
