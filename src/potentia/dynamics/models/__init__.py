"""Models of dynamics, one file each."""

from potentia.dynamics.models.augmented import AUGMENTED, augmented
from potentia.dynamics.models.bodyframe import BODYFRAME, bodyframe_spec
from potentia.dynamics.models.cascaded_tanks import CASCADED_TANKS
from potentia.dynamics.models.kinematic import KINEMATIC, kinematic_spec
from potentia.dynamics.models.mlp_dynamics import MLP_DYNAMICS, mlp_dynamics
from potentia.dynamics.models.pacejka import PACEJKA, pacejka_spec
from potentia.dynamics.models.registry import MODEL_SPECS, get_model_spec, list_model_specs, register_model_spec
from potentia.dynamics.models.singletrack import SINGLETRACK, singletrack_spec
from potentia.dynamics.models.tv_linear import TV_LINEAR
from potentia.dynamics.models.unicycle import UNICYCLE

__all__ = [
    "AUGMENTED",
    "BODYFRAME",
    "CASCADED_TANKS",
    "KINEMATIC",
    "MLP_DYNAMICS",
    "MODEL_SPECS",
    "PACEJKA",
    "SINGLETRACK",
    "TV_LINEAR",
    "UNICYCLE",
    "augmented",
    "bodyframe_spec",
    "get_model_spec",
    "kinematic_spec",
    "list_model_specs",
    "mlp_dynamics",
    "pacejka_spec",
    "register_model_spec",
    "singletrack_spec",
]
