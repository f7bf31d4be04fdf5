"""The training engine of all families: a run, a task, and a loop that can be interrupted anywhere."""

from potentia.train.averages import Average, ExponentialAverage, UniformAverage
from potentia.train.best_weights import BestWeights, settle_on
from potentia.train.callbacks import Callback
from potentia.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, seed_of
from potentia.train.checkpoint_names import EpochNames, Naming, StepNames
from potentia.train.engine import fit
from potentia.train.forecast import Forecast, forecast, time_in_words
from potentia.train.history import export, table
from potentia.train.jsonl_log import JsonLines, read_json_lines
from potentia.train.kalman import Kalman, KalmanStepper
from potentia.train.lbfgs import LBFGS, LBFGSStepper
from potentia.train.least_squares import Rows
from potentia.train.levenberg_marquardt import LevenbergMarquardt, LevenbergMarquardtStepper
from potentia.train.loop_settings import LoopSettings, TrainingSettings
from potentia.train.optimizers import SGD, Adam, AdamW, GradientMethod, TrainingMethod
from potentia.train.progress import BatchBar, EpochBar
from potentia.train.recording import Log, Record, Recording
from potentia.train.rotation import Checkpoints, newest_checkpoint
from potentia.train.run import Best, Run
from potentia.train.sampling import ErrorScores, weights_by_error
from potentia.train.schedule_free import ScheduleFreeAdamW, ScheduleFreeSGD
from potentia.train.schedules import Cosine, Plateau, Polynomial, Schedule, StepDecay, Warmup
from potentia.train.soap import SOAP
from potentia.train.steppers import GradientStepper, Step, Stepper
from potentia.train.stopping import EarlyStopping, StopOnSignal, TimeBudget
from potentia.train.task import BatchLoss, Task
from potentia.train.wandb_log import WandbLog

__all__ = [
    "LBFGS",
    "SGD",
    "SOAP",
    "Adam",
    "AdamW",
    "Average",
    "BatchBar",
    "BatchLoss",
    "Best",
    "BestWeights",
    "Callback",
    "Checkpoint",
    "Checkpoints",
    "Cosine",
    "EarlyStopping",
    "EpochBar",
    "EpochNames",
    "ErrorScores",
    "ExponentialAverage",
    "Forecast",
    "GradientMethod",
    "GradientStepper",
    "JsonLines",
    "Kalman",
    "KalmanStepper",
    "LBFGSStepper",
    "LevenbergMarquardt",
    "LevenbergMarquardtStepper",
    "Log",
    "LoopSettings",
    "Naming",
    "Plateau",
    "Polynomial",
    "Record",
    "Recording",
    "Rows",
    "Run",
    "Schedule",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "Step",
    "StepDecay",
    "StepNames",
    "Stepper",
    "StopOnSignal",
    "Task",
    "TimeBudget",
    "TrainingMethod",
    "TrainingSettings",
    "UniformAverage",
    "WandbLog",
    "Warmup",
    "export",
    "fit",
    "forecast",
    "load_checkpoint",
    "newest_checkpoint",
    "read_json_lines",
    "save_checkpoint",
    "seed_of",
    "settle_on",
    "table",
    "time_in_words",
    "weights_by_error",
]
