"""Data on its way to the engine: which part is for training, and in which batches it comes."""

from potentia.data.batches import drawn, in_order, shuffled
from potentia.data.split import Split, holdout, holdout_blocks, holdout_groups

__all__ = [
    "Split",
    "drawn",
    "holdout",
    "holdout_blocks",
    "holdout_groups",
    "in_order",
    "shuffled",
]
