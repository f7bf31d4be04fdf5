"""Vehicles that are known: masses, lengths, tyres and limits, from published parameter sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from potentia.checks import did_you_mean
from potentia.errors import ConfigError

__all__ = ["VEHICLES", "G", "Motor", "Tyre", "Vehicle", "get_vehicle"]

G = 9.81  # m/s^2, as the parameter sets assume


@dataclass(frozen=True, kw_only=True)
class Tyre:
    """Coefficients of an axle in the Magic Formula of Pacejka: D sin(C atan(B α − E (B α − atan(B α))))."""

    B: float
    """Stiffness factor (1/rad)."""
    C: float
    """Shape factor."""
    D: float
    """Peak: a share of friction times load."""
    E: float = 0.0
    """Curvature factor."""


@dataclass(frozen=True, kw_only=True)
class Motor:
    """Coefficients of an electric motor and of what slows down: (Cm1 − Cm2 v) throttle − Cr0 − Cr2 v²."""

    Cm1: float
    """Force at full throttle (N)."""
    Cm2: float
    """Force lost with speed at full throttle (N s/m)."""
    Cr0: float
    """Rolling resistance (N)."""
    Cr2: float
    """Drag (N s^2/m^2)."""


@dataclass(frozen=True, kw_only=True)
class Vehicle:
    """A vehicle as a single track: two axles, the centre of gravity between them."""

    name: str
    """What it is called in settings."""
    m: float
    """Mass (kg)."""
    I: float
    """Moment of inertia about the vertical axis (kg m^2)."""
    lf: float
    """From the centre of gravity to the front axle (m)."""
    lr: float
    """From the centre of gravity to the rear axle (m)."""
    h: float
    """Height of the centre of gravity (m)."""
    mu: float
    """Coefficient of friction."""
    C_Sf: float
    """Cornering stiffness of the front axle by friction and load (1/rad)."""
    C_Sr: float
    """Cornering stiffness of the rear axle by friction and load (1/rad)."""
    front: Tyre
    """Tyres of the front axle beyond small angles."""
    rear: Tyre
    """Tyres of the rear axle beyond small angles."""
    s_max: float
    """Largest steering angle, to both sides (rad)."""
    sv_max: float
    """Largest rate of steering, to both sides (rad/s)."""
    a_max: float
    """Largest acceleration and deceleration (m/s^2)."""
    v_switch: float
    """Speed above which the motor's power limits the acceleration (m/s)."""
    v_min: float
    """Largest speed backward, negative (m/s)."""
    v_max: float
    """Largest speed (m/s)."""
    v_s: float = 1.0
    """Speed below which tyres are left out: a vehicle that rolls goes where its wheels point (m/s)."""
    v_b: float = 0.1
    """Width of the change from one to the other (m/s)."""
    drive_front: float = 0.0
    """Share of the driving force at the front axle."""
    brake_front: float = 0.6
    """Share of the braking force at the front axle."""
    motor: Motor | None = None
    """The motor; None for one that reaches ``a_max`` at a standstill and ``v_max`` at full throttle."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Bounds of parameters where they are known; half to one and a half of the value for others."""

    @property
    def values(self) -> dict[str, float]:
        """What models have as parameters, by the names of the equations."""
        lengths = {"lf": self.lf, "lr": self.lr, "h": self.h}
        return {"mu": self.mu, "C_Sf": self.C_Sf, "C_Sr": self.C_Sr, **lengths, "m": self.m, "I": self.I}

    def range(self, key: str) -> tuple[float, float]:
        """Return lower and upper bound of one of ``values``."""
        return self.bounds.get(key, (0.5 * self.values[key], 1.5 * self.values[key]))

    @property
    def loads(self) -> tuple[float, float]:
        """Loads of front and rear axle at rest (N)."""
        weight = self.m * G / (self.lf + self.lr)
        return weight * self.lr, weight * self.lf

    @property
    def driving(self) -> Motor:
        """Its motor, or one that fits its limits."""
        if self.motor is not None:
            return self.motor
        force = self.m * self.a_max
        return Motor(Cm1=force, Cm2=force / self.v_max, Cr0=0.01 * self.m * G, Cr2=4e-4 * self.m)

    @property
    def limits(self) -> dict[str, float]:
        """What steering and motor can do, by the names of the equations."""
        return {
            "s_min": -self.s_max,
            "s_max": self.s_max,
            "sv_min": -self.sv_max,
            "sv_max": self.sv_max,
            "a_max": self.a_max,
            "v_switch": self.v_switch,
            "v_min": self.v_min,
            "v_max": self.v_max,
        }


# Friction and stiffness of the tyre of the CommonRoad vehicle models: p_dy1, -p_ky1/p_dy1, p_cy1, p_ey1.
_ROAD_MU, _ROAD_STIFFNESS = 1.0489, 21.92 / 1.0489
_ROAD_TYRE = Tyre(B=_ROAD_STIFFNESS / 1.3507, C=1.3507, D=1.0, E=-0.0074722)
_ROAD_BOUNDS = {"mu": (0.1, 1.5), "C_Sf": (5.0, 40.0), "C_Sr": (5.0, 40.0)}

F1TENTH = Vehicle(
    name="f1tenth",
    m=3.74,
    I=0.04712,
    lf=0.15875,
    lr=0.17145,
    h=0.074,
    mu=1.0489,
    C_Sf=4.718,
    C_Sr=5.4562,
    front=Tyre(B=4.718 / 1.35, C=1.35, D=1.0),
    rear=Tyre(B=5.4562 / 1.35, C=1.35, D=1.0),
    s_max=0.4189,
    sv_max=3.2,
    a_max=9.51,
    v_switch=7.319,
    v_min=-5.0,
    v_max=20.0,
    bounds={
        "mu": (0.1, 1.5),
        "C_Sf": (1.0, 12.0),
        "C_Sr": (1.0, 12.0),
        "lf": (0.12, 0.20),
        "lr": (0.13, 0.22),
        "h": (0.02, 0.15),
        "m": (2.5, 5.5),
        "I": (0.02, 0.12),
    },
)

FORD_ESCORT = Vehicle(
    name="fordescort",
    m=1225.8878467253344,
    I=1538.8533713561394,
    lf=0.88392,
    lr=1.50876,
    h=0.59436,
    mu=_ROAD_MU,
    C_Sf=_ROAD_STIFFNESS,
    C_Sr=_ROAD_STIFFNESS,
    front=_ROAD_TYRE,
    rear=_ROAD_TYRE,
    s_max=0.91,
    sv_max=0.4,
    a_max=11.5,
    v_switch=4.755,
    v_min=-13.9,
    v_max=45.8,
    v_s=2.0,
    v_b=0.2,
    drive_front=1.0,
    brake_front=0.76,
    bounds=_ROAD_BOUNDS,
)

BMW_320I = Vehicle(
    name="bmw320i",
    m=1093.2952334674046,
    I=1791.5995300122856,
    lf=1.1561957064,
    lr=1.4227170936,
    h=0.61373004,
    mu=_ROAD_MU,
    C_Sf=_ROAD_STIFFNESS,
    C_Sr=_ROAD_STIFFNESS,
    front=_ROAD_TYRE,
    rear=_ROAD_TYRE,
    s_max=1.066,
    sv_max=0.4,
    a_max=11.5,
    v_switch=7.319,
    v_min=-13.9,
    v_max=50.8,
    v_s=2.0,
    v_b=0.2,
    drive_front=0.0,
    brake_front=0.66,
    bounds=_ROAD_BOUNDS,
)

VANAGON = Vehicle(
    name="vanagon",
    m=1478.8979637767998,
    I=2473.1176915564442,
    lf=1.1507916024,
    lr=1.3211363976000001,
    h=0.804490644,
    mu=_ROAD_MU,
    C_Sf=_ROAD_STIFFNESS,
    C_Sr=_ROAD_STIFFNESS,
    front=_ROAD_TYRE,
    rear=_ROAD_TYRE,
    s_max=1.023,
    sv_max=0.4,
    a_max=11.5,
    v_switch=7.824,
    v_min=-11.2,
    v_max=41.7,
    v_s=2.0,
    v_b=0.2,
    drive_front=0.0,
    brake_front=0.64,
    bounds=_ROAD_BOUNDS,
)

# The 1:43 car of ORCA and BayesRace. Its tyres are published in newton: peaks become shares of the axles' loads here.
_ORCA_M, _ORCA_LF, _ORCA_LR = 0.041, 0.029, 0.033
_ORCA_LOADS = (_ORCA_M * G * _ORCA_LR / (_ORCA_LF + _ORCA_LR), _ORCA_M * G * _ORCA_LF / (_ORCA_LF + _ORCA_LR))
_ORCA_MU = 0.192 / _ORCA_LOADS[0]
_ORCA_REAR_D = 0.1737 / _ORCA_LOADS[1] / _ORCA_MU

ORCA = Vehicle(
    name="orca",
    m=_ORCA_M,
    I=27.8e-6,
    lf=_ORCA_LF,
    lr=_ORCA_LR,
    h=0.015,
    mu=_ORCA_MU,
    C_Sf=2.579 * 1.2,
    C_Sr=3.3852 * 1.2691 * _ORCA_REAR_D,
    front=Tyre(B=2.579, C=1.2, D=1.0),
    rear=Tyre(B=3.3852, C=1.2691, D=_ORCA_REAR_D),
    s_max=0.35,
    sv_max=5.0,
    a_max=10.0,
    v_switch=5.0,
    v_min=-1.0,
    v_max=5.0,
    v_s=0.5,
    v_b=0.05,
    motor=Motor(Cm1=0.287, Cm2=0.0545, Cr0=0.0518, Cr2=0.00035),
    bounds={"mu": (0.1, 1.5), "C_Sf": (1.0, 12.0), "C_Sr": (1.0, 12.0)},
)

# Geometry and mass of the Indy Autonomous Challenge's Dallara as its public data sets state them; its tyres and its
# moment of inertia are not public, so these are typical of such cars, with wide bounds.
IAC_AV21 = Vehicle(
    name="iac-av21",
    m=790.0,
    I=1500.0,
    lf=1.248,
    lr=1.7328,
    h=0.3,
    mu=1.4,
    C_Sf=16.0,
    C_Sr=16.0,
    front=Tyre(B=10.0, C=1.6, D=1.0),
    rear=Tyre(B=10.0, C=1.6, D=1.0),
    s_max=0.35,
    sv_max=1.0,
    a_max=15.0,
    v_switch=30.0,
    v_min=-5.0,
    v_max=85.0,
    v_s=2.0,
    v_b=0.2,
    bounds={"mu": (0.3, 2.5), "C_Sf": (4.0, 50.0), "C_Sr": (4.0, 50.0), "I": (500.0, 20000.0)},
)

VEHICLES = {one.name: one for one in (F1TENTH, FORD_ESCORT, BMW_320I, VANAGON, ORCA, IAC_AV21)}
"""Name → vehicle."""


def get_vehicle(name: str) -> Vehicle:
    """Return the vehicle of this name.

    Raises:
        ConfigError: there is none.

    Example:
        >>> get_vehicle("f1tenth").m
        3.74
    """
    if name not in VEHICLES:
        raise ConfigError(f"there is no vehicle {name!r}{did_you_mean(name, VEHICLES)}")
    return VEHICLES[name]
