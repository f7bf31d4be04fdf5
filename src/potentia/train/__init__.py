"""The training engine of all families: a run, a task, and a loop that can be interrupted anywhere."""

from potentia.train.callbacks import Callback
from potentia.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from potentia.train.engine import fit
from potentia.train.history import export, table
from potentia.train.optimizers import SGD, Adam, TrainingMethod
from potentia.train.progress import BatchBar, EpochBar
from potentia.train.rotation import Checkpoints, newest_checkpoint
from potentia.train.run import Best, Run
from potentia.train.schedules import Plateau, Schedule
from potentia.train.steppers import GradientStepper, Step, Stepper
from potentia.train.task import BatchLoss, Task

__all__ = [
    "SGD",
    "Adam",
    "BatchBar",
    "BatchLoss",
    "Best",
    "Callback",
    "Checkpoint",
    "Checkpoints",
    "EpochBar",
    "GradientStepper",
    "Plateau",
    "Run",
    "Schedule",
    "Step",
    "Stepper",
    "Task",
    "TrainingMethod",
    "export",
    "fit",
    "load_checkpoint",
    "newest_checkpoint",
    "save_checkpoint",
    "table",
]
