"""Models of dynamics, one file each."""

from potentia.dynamics.models.registry import MODEL_SPECS, get_model_spec, list_model_specs, register_model_spec
from potentia.dynamics.models.singletrack import SINGLETRACK, singletrack_spec
from potentia.dynamics.models.unicycle import UNICYCLE

__all__ = [
    "MODEL_SPECS",
    "SINGLETRACK",
    "UNICYCLE",
    "get_model_spec",
    "list_model_specs",
    "register_model_spec",
    "singletrack_spec",
]
