"""Features of trajectories of fields: what tokens of behaviour are made of."""

from potentia.operators.features.feature_set import (
    ARCHITECTURE,
    BEHAVIOUR,
    FAMILIES,
    VERSION,
    Column,
    Features,
    feature_set,
    feature_table,
    temporal_series,
)
from potentia.operators.features.windows import windows

__all__ = [
    "ARCHITECTURE",
    "BEHAVIOUR",
    "FAMILIES",
    "VERSION",
    "Column",
    "Features",
    "feature_set",
    "feature_table",
    "temporal_series",
    "windows",
]
